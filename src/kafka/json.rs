//! A message as one line of JSON, written into a buffer that is used again.
//!
//! A value that is JSON is embedded as it is, not escaped into a string: it is checked once and copied once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;

use super::record::{Record, TimeKind};

/// Appends the message and a newline.
pub fn line(record: &Record<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"topic\":\"");
    out.extend_from_slice(record.topic.as_bytes());
    out.extend_from_slice(b"\",\"partition\":");
    integer(i64::from(record.partition), out);
    out.extend_from_slice(b",\"offset\":");
    integer(record.offset, out);
    if let Some((at, kind)) = record.timestamp {
        out.extend_from_slice(b",\"timestamp\":");
        integer(at, out);
        out.extend_from_slice(match kind {
            TimeKind::Create => b",\"timestamp_type\":\"create\"",
            TimeKind::LogAppend => b",\"timestamp_type\":\"append\"",
        });
    } else {
        out.extend_from_slice(b",\"timestamp\":null");
    }
    field("key", record.key, false, out);
    field("value", record.value, true, out);
    let mut first = true;
    record.headers.each(|(name, value)| {
        out.extend_from_slice(if first { b",\"headers\":[{\"name\":" } else { b",{\"name\":" });
        first = false;
        string(name, out);
        field("value", value, false, out);
        out.push(b'}');
    });
    if !first {
        out.push(b']');
    }
    out.extend_from_slice(b"}\n");
}

/// `,"name":…`, and `"name_encoding":"base64"` where the bytes are no text.
fn field(name: &str, bytes: Option<&[u8]>, embed: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    let Some(bytes) = bytes else {
        out.extend_from_slice(b"null");
        return;
    };
    match std::str::from_utf8(bytes) {
        Ok(text) if embed && is_json(text) => embedded(bytes, out),
        Ok(text) => string(text, out),
        Err(_) => {
            out.push(b'"');
            let start = out.len();
            out.resize(start + bytes.len().div_ceil(3) * 4, 0);
            // The room is exactly what the encoding takes.
            let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
            out.truncate(start + written);
            out.extend_from_slice(b"\",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"_encoding\":\"base64\"");
        }
    }
}

/// Whether the text is one JSON value, and so can stand in a line of JSON unescaped.
pub fn is_json(text: &str) -> bool {
    // Most texts that are not JSON are known by their first letter, without building an error.
    let begins = |byte: &u8| matches!(byte, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n');
    let first = text.bytes().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    first.as_ref().is_some_and(begins) && serde_json::from_str::<IgnoredAny>(text).is_ok() && !is_too_deep(text)
}

/// Whether readers would refuse the line for its nesting: many stop at 128 levels, and the line itself is one.
fn is_too_deep(text: &str) -> bool {
    const DEEPEST: usize = 120;
    // Each level takes two brackets: short texts, nearly all, need no count. A bracket in a string counts too much,
    // and makes a string of what could have been embedded: nothing is lost.
    let opening = || text.bytes().filter(|byte| matches!(byte, b'[' | b'{'));
    text.len() > 2 * DEEPEST && opening().count() > DEEPEST && {
        let mut depth = 0_usize;
        text.bytes().any(|byte| {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth > DEEPEST
        })
    }
}

/// In valid JSON a raw line break is only ever space between tokens, so leaving it out makes one line of it.
fn embedded(bytes: &[u8], out: &mut Vec<u8>) {
    for part in bytes.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(part);
    }
}

/// How a byte is escaped in a JSON string: 0 not at all, `u` by its number, otherwise by this letter.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x7f] = b'u';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[b'\t' as usize] = b't';
    table
};

/// Appends the text as a JSON string.
pub fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let escape = ESCAPES[usize::from(*byte)];
        if escape == 0 {
            continue;
        }
        out.extend_from_slice(&bytes[copied..index]);
        copied = index + 1;
        out.extend_from_slice(&[b'\\', escape]);
        if escape == b'u' {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let digits = [byte >> 4, byte & 15].map(|half| DIGITS[usize::from(half)]);
            out.extend_from_slice(b"00");
            out.extend_from_slice(&digits);
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// Appends a decimal number; the standard formatter's detours are felt three million times over.
pub fn integer(number: i64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        start -= 1;
        // A remainder of ten is a digit.
        digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::record::{Header, Headers};
    use super::*;

    fn written(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) -> (String, Value) {
        let record = Record {
            topic: "t",
            partition: 3,
            offset: i64::MAX,
            timestamp: Some((1_700_000_000_123, TimeKind::Create)),
            key,
            value,
            headers: Headers::Given(headers),
        };
        let mut out = Vec::new();
        line(&record, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "one line: {text:?}");
        let value = serde_json::from_str(&text).unwrap();
        (text, value)
    }

    #[test]
    fn json_is_embedded_on_one_line() {
        let (text, line) = written(Some(b"k"), Some(b"{\"a\":\r\n [1,\n2], \"b\":\"x\\ny\"}"), &[]);
        assert_eq!(line["value"], json!({"a": [1, 2], "b": "x\ny"}));
        assert_eq!(line["offset"], i64::MAX);
        assert!(text.starts_with("{\"topic\":\"t\",\"partition\":3,\"offset\":9223372036854775807,"), "{text}");
    }

    #[test]
    fn large_numbers_keep_their_digits() {
        let (text, _) = written(None, Some(b"12345678901234567890123.50"), &[]);
        assert!(text.contains("\"value\":12345678901234567890123.50}"), "{text}");
    }

    #[test]
    fn text_that_is_not_json_becomes_a_string() {
        for text in ["", "plain", "{\"a\":", "01", "nul", "{} {}", "\u{1}\u{1f}\u{7f}\"\\\n\r\t", "ünï 🎬", "-"] {
            let (_, line) = written(Some(text.as_bytes()), Some(text.as_bytes()), &[]);
            assert_eq!((&line["value"], &line["key"]), (&json!(text), &json!(text)));
            assert!(line.get("value_encoding").is_none());
        }
    }

    #[test]
    fn bytes_that_are_not_text_become_base64() {
        let (_, line) = written(Some(&[0xff]), Some(&[0xc3, 0x28, 0]), &[("h", Some(&[0xfe]))]);
        assert_eq!(line["value"], "wygA");
        assert_eq!(line["value_encoding"], "base64");
        assert_eq!((&line["key"], &line["key_encoding"]), (&json!("/w=="), &json!("base64")));
        assert_eq!(line["headers"], json!([{"name": "h", "value": "/g==", "value_encoding": "base64"}]));
    }

    #[test]
    fn a_tombstone_is_null_and_headers_keep_order_and_repeats() {
        let headers: [Header<'_>; 3] = [("a", Some(b"1")), ("a", None), ("b\"", Some(b""))];
        let (_, line) = written(None, None, &headers);
        assert_eq!((&line["key"], &line["value"]), (&Value::Null, &Value::Null));
        let expected = json!([{"name": "a", "value": "1"}, {"name": "a", "value": null}, {"name": "b\"", "value": ""}]);
        assert_eq!(line["headers"], expected);
    }

    #[test]
    fn a_huge_and_a_deep_value_stay_whole() {
        let huge = format!("[{}0]", "1,".repeat(2_000_000));
        assert_eq!(written(None, Some(huge.as_bytes()), &[]).1["value"].as_array().unwrap().len(), 2_000_001);
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(written(None, Some(deep.as_bytes()), &[]).1["value"], json!(deep));
    }

    #[test]
    fn integers_at_their_limits() {
        for number in [0, 7, -1, 10, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            integer(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
