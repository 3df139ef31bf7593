//! How a message looks.

use std::str::FromStr;

use jiff::Timestamp;

use super::json;
use super::record::Record;

/// The shape of each message on standard output.
#[derive(Clone, Debug)]
pub enum Format {
    /// For people: `pretty` lays JSON out over several lines, otherwise a message is one line.
    Human { colour: bool, pretty: bool },
    /// A JSON object a line.
    Json,
    /// As a template says.
    Template(Template),
}

impl Format {
    /// Appends the message.
    pub fn write(&self, record: &Record<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Human { colour, pretty } => human(record, *colour, *pretty, out),
            Self::Json => json::line(record, out),
            Self::Template(template) => template.write(record, out),
        }
    }
}

/// What a template is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Value,
    Key,
    Topic,
    Partition,
    Offset,
    Milliseconds,
    Time,
    ValueLength,
    KeyLength,
    Headers,
}

/// A format of one's own: `%s` value, `%k` key, `%t` topic, `%p` partition, `%o` offset, `%T` milliseconds, `%d` time,
/// `%S` value length, `%K` key length, `%h` headers, `%%` a percent sign; `\n`, `\t`, `\0`, `\\`. The word `value`
/// means `%s\n`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = if text == "value" { "%s\\n" } else { text };
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            let piece = match character {
                '%' => match rest.next() {
                    Some('%') => {
                        literal.push(b'%');
                        continue;
                    }
                    Some('s') => Piece::Value,
                    Some('k') => Piece::Key,
                    Some('t') => Piece::Topic,
                    Some('p') => Piece::Partition,
                    Some('o') => Piece::Offset,
                    Some('T') => Piece::Milliseconds,
                    Some('d') => Piece::Time,
                    Some('S') => Piece::ValueLength,
                    Some('K') => Piece::KeyLength,
                    Some('h') => Piece::Headers,
                    Some(other) => {
                        return Err(format!("there is no %{other}; there are %s %k %t %p %o %T %d %S %K %h"));
                    }
                    None => return Err("it ends in %; a percent sign is %%".to_owned()),
                },
                '\\' => {
                    literal.push(match rest.next() {
                        Some('n') => b'\n',
                        Some('t') => b'\t',
                        Some('0') => 0,
                        Some('\\') => b'\\',
                        Some(other) => return Err(format!("there is no \\{other}; there are \\n \\t \\0 \\\\")),
                        None => return Err("it ends in \\; a backslash is \\\\".to_owned()),
                    });
                    continue;
                }
                other => {
                    literal.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
            };
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(piece);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self(pieces))
    }
}

impl Template {
    fn write(&self, record: &Record<'_>, out: &mut Vec<u8>) {
        let length = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Value => out.extend_from_slice(record.value.unwrap_or_default()),
                Piece::Key => out.extend_from_slice(record.key.unwrap_or_default()),
                Piece::Topic => out.extend_from_slice(record.topic.as_bytes()),
                Piece::Partition => json::integer(i64::from(record.partition), out),
                Piece::Offset => json::integer(record.offset, out),
                Piece::Milliseconds => json::integer(record.timestamp.map_or(-1, |(at, _)| at), out),
                Piece::Time => out.extend_from_slice(time(record).as_bytes()),
                Piece::ValueLength => json::integer(length(record.value), out),
                Piece::KeyLength => json::integer(length(record.key), out),
                Piece::Headers => {
                    let mut first = true;
                    record.headers.each(|(name, value)| {
                        if !std::mem::take(&mut first) {
                            out.push(b',');
                        }
                        out.extend_from_slice(name.as_bytes());
                        out.push(b'=');
                        out.extend_from_slice(value.unwrap_or_default());
                    });
                }
            }
        }
    }
}

/// RFC 3339 with milliseconds, or `-`.
fn time(record: &Record<'_>) -> String {
    record
        .timestamp
        .and_then(|(at, _)| Timestamp::from_millisecond(at).ok())
        .map_or_else(|| "-".to_owned(), |at| format!("{at:.3}"))
}

fn human(record: &Record<'_>, colour: bool, pretty: bool, out: &mut Vec<u8>) {
    let styled = |code: &str, text: &str, out: &mut Vec<u8>| {
        if colour {
            out.extend_from_slice(code.as_bytes());
        }
        out.extend_from_slice(text.as_bytes());
        if colour {
            out.extend_from_slice(b"\x1b[0m");
        }
    };
    styled("\x1b[2m", &time(record), out);
    out.push(b' ');
    styled("\x1b[36m", &format!("{}/{}@{}", record.topic, record.partition, record.offset), out);
    if let Some(key) = record.key {
        out.push(b' ');
        let mut shown = Vec::new();
        visible(key, &mut shown);
        styled("\x1b[1m", &String::from_utf8_lossy(&shown), out);
    }
    record.headers.each(|(name, value)| {
        let mut shown = Vec::from(b" ");
        visible(name.as_bytes(), &mut shown);
        shown.push(b'=');
        visible(value.unwrap_or_default(), &mut shown);
        styled("\x1b[2m", &String::from_utf8_lossy(&shown), out);
    });
    match record.value {
        None => {
            out.push(b' ');
            styled("\x1b[2m", "(null)", out);
        }
        Some(value) => {
            let text = std::str::from_utf8(value).ok();
            match text.filter(|text| pretty && text.trim_start().starts_with(['{', '[']) && json::is_json(text)) {
                Some(text) => {
                    out.extend_from_slice(b"\n  ");
                    lay_out(text, out);
                }
                None => {
                    out.push(b' ');
                    visible(value, out);
                }
            }
        }
    }
    out.push(b'\n');
}

/// Text with control characters written out: a message must not be able to move the cursor or break its line.
fn visible(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                out.extend(character.escape_default().map(|part| u8::try_from(part).unwrap_or(b'?')));
            } else {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
}

/// Valid JSON over several lines, its numbers and strings untouched.
fn lay_out(text: &str, out: &mut Vec<u8>) {
    let mut depth = 1;
    let mut in_string = false;
    let mut escaped = false;
    let mut opened = false;
    let line = |depth: usize, out: &mut Vec<u8>| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    for character in text.chars() {
        if in_string {
            // Control characters of the upper range are allowed in JSON, not on a terminal.
            visible(character.encode_utf8(&mut [0; 4]).as_bytes(), out);
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        if character.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(character, '}' | ']');
        if std::mem::take(&mut opened) && !closes {
            depth += 1;
            line(depth, out);
        } else if closes && !matches!(out.last(), Some(b'{' | b'[')) {
            depth -= 1;
            line(depth, out);
        }
        match character {
            '"' => in_string = true,
            '{' | '[' => opened = true,
            _ => {}
        }
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        match character {
            ',' => line(depth, out),
            ':' => out.push(b' '),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Headers, TimeKind};
    use super::*;

    fn record(value: Option<&[u8]>) -> Record<'_> {
        Record {
            topic: "video.created",
            partition: 0,
            offset: 42,
            timestamp: Some((1_000, TimeKind::Create)),
            key: Some(b"k"),
            value,
            headers: Headers::Given(&[("a", Some(b"b"))]),
        }
    }

    fn shown(format: &Format, value: Option<&[u8]>) -> String {
        let mut out = Vec::new();
        format.write(&record(value), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_message_is_one_line_and_cannot_move_the_cursor() {
        let plain = Format::Human { colour: false, pretty: false };
        assert_eq!(
            shown(&plain, Some(b"a\n\x1b[2J\xff")),
            "1970-01-01T00:00:01.000Z video.created/0@42 k a=b a\\n\\u{1b}[2J\\xff\n"
        );
        assert!(shown(&plain, None).ends_with(" (null)\n"));
    }

    #[test]
    fn json_is_laid_out_for_people() {
        let pretty = Format::Human { colour: false, pretty: true };
        let text = shown(&pretty, Some(br#"{"a":[1,{}],"b":"x, {\"y\"}","c":[]}"#));
        let laid =
            "  {\n    \"a\": [\n      1,\n      {}\n    ],\n    \"b\": \"x, {\\\"y\\\"}\",\n    \"c\": []\n  }\n";
        assert_eq!(text.split_once('\n').unwrap().1, laid);
    }

    #[test]
    fn templates() {
        let format = |text: &str| shown(&Format::Template(text.parse().unwrap()), Some(b"v"));
        assert_eq!(format("value"), "v\n");
        assert_eq!(
            format(r"%t[%p]@%o %T %d %k=%s %K/%S %h %%\t\\"),
            "video.created[0]@42 1000 1970-01-01T00:00:01.000Z k=v 1/1 a=b %\t\\"
        );
        for wrong in ["%x", "%", "\\", "\\q"] {
            assert!(wrong.parse::<Template>().is_err(), "{wrong}");
        }
    }
}
