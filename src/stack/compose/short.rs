//! Short forms: each text of the format that stands for something longer.

use std::net::IpAddr;

use super::problem::{Outcome, Problem};
use super::tree::{Map, Node, Place, Value};

/// What a bare name in `depends_on` means.
pub(super) fn dependency(place: &Place) -> Node {
    let mut map = Map::default();
    map.set("condition", Node::text("service_started", place));
    map.set("required", Node::bool(true, place));
    Node::new(Value::Map(map), place.clone())
}

/// `80`, `8080:80`, `127.0.0.1:8000-8010:9000-9010/udp`: a port for each of a range.
pub(super) fn ports(text: &str, place: &Place) -> Outcome<Vec<Node>> {
    let wrong = |message: String| {
        Problem::new(place, message)
            .hint("Ports are written as `80`, `8080:80`, `127.0.0.1:8080:80` or `8000-8010:8000-8010/udp`.")
    };
    let (rest, container) = text.rsplit_once(':').map_or((None, text), |(rest, container)| (Some(rest), container));
    let (address, host) = match rest {
        None => ("", ""),
        Some(rest) => rest.rsplit_once(':').unwrap_or(("", rest)),
    };
    let (container, protocol) = container.split_once('/').unwrap_or((container, ""));
    let protocol = if protocol.is_empty() { "tcp".to_owned() } else { protocol.to_ascii_lowercase() };
    if container.is_empty() {
        return Err(wrong(format!("`{text}` names no port of the container")));
    }
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(wrong(format!("`{protocol}` is no protocol of a port")).hint("There are tcp, udp and sctp."));
    }
    let address = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
    if !address.is_empty() && address.parse::<IpAddr>().is_err() {
        return Err(wrong(format!("`{address}` is no address")));
    }
    let range =
        |ports: &str| port_range(ports).ok_or_else(|| wrong(format!("`{ports}` is no port and no range of ports")));
    let (first, last) = range(container)?;
    let published = if host.is_empty() { None } else { Some(range(host)?) };
    if let Some((from, to)) = published
        && last != first
        && to - from != last - first
    {
        return Err(wrong(format!("`{host}` and `{container}` are ranges of different lengths")));
    }
    let port = |number: u32| {
        let mut map = Map::default();
        map.set("mode", Node::text("ingress", place));
        if !address.is_empty() {
            map.set("host_ip", Node::text(address, place));
        }
        map.set("target", Node::new(Value::Integer(i64::from(number)), place.clone()));
        if let Some((from, to)) = published {
            let text =
                if first == last && from != to { format!("{from}-{to}") } else { (from + number - first).to_string() };
            map.set("published", Node::text(text, place));
        }
        map.set("protocol", Node::text(protocol.as_str(), place));
        Node::new(Value::Map(map), place.clone())
    };
    let mut ports: Vec<Node> = (first..=last).map(port).collect();
    // Compose sorts the ports of a range as texts.
    ports.sort_by_key(|port| port.at(&["target"]).and_then(Node::scalar));
    Ok(ports)
}

fn port_range(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| text.parse::<u16>().ok().map(u32::from);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

/// `/data`, `data:/data`, `./data:/data:ro,z`: the source, where there is one, the target, and options.
pub(super) fn volume(text: &str, place: &Place) -> Outcome<Node> {
    let wrong = |message: String| {
        Problem::new(place, message).hint("Volumes are written as `/target`, `source:/target` or `source:/target:ro`.")
    };
    let mut map = Map::default();
    let parts = volume_parts(text);
    if parts.iter().any(|part| part.is_empty()) {
        return Err(wrong(format!("`{text}` has an empty part")));
    }
    let (source, target, options) = match parts.as_slice() {
        [target] => ("", *target, ""),
        [source, target] => (*source, *target, ""),
        [source, target, options] => (*source, *target, *options),
        _ => return Err(wrong(format!("`{text}` has too many colons"))),
    };
    let mut bind = Map::default();
    let mut volume = Map::default();
    for option in options.split(',') {
        match option {
            "ro" => map.set("read_only", Node::bool(true, place)),
            "rw" => drop(map.remove("read_only")),
            "nocopy" => volume.set("nocopy", Node::bool(true, place)),
            "z" | "Z" => bind.set("selinux", Node::text(option, place)),
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => {
                bind.set("propagation", Node::text(option, place));
            }
            // Compose takes others, such as `cached` or `delegated` of another system, and does nothing with them.
            _ => {}
        }
    }
    let is_path = is_path(source);
    if is_path {
        bind.set("create_host_path", Node::bool(true, place));
    }
    map.set("type", Node::text(if is_path { "bind" } else { "volume" }, place));
    if !source.is_empty() {
        map.set("source", Node::text(source, place));
    }
    map.set("target", Node::text(clean(target), place));
    if !bind.is_empty() {
        map.set("bind", Node::new(Value::Map(bind), place.clone()));
    }
    if !is_path || !volume.is_empty() {
        map.set("volume", Node::new(Value::Map(volume), place.clone()));
    }
    Ok(Node::new(Value::Map(map), place.clone()))
}

/// The parts between colons; the colon of a Windows drive divides nothing.
fn volume_parts(text: &str) -> Vec<&str> {
    if text.len() <= 2 {
        return vec![text];
    }
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(':') {
        let drive = at == start + 1 && text[start..at].starts_with(|c: char| c.is_ascii_alphabetic());
        if !drive {
            parts.push(&text[start..at]);
            start = at + 1;
        }
    }
    parts.push(&text[start..]);
    parts
}

fn is_path(source: &str) -> bool {
    source.starts_with(['.', '/', '~'])
        || source.starts_with("\\\\")
        || matches!(source.as_bytes(), [drive, b':', ..] if drive.is_ascii_alphabetic())
}

/// A path without `.`, `..` and doubled slashes, as far as that can be told from its text.
pub(super) fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// `/dev/source`, `/dev/source:/dev/target`, `/dev/source:/dev/target:rwm`.
pub(super) fn device(text: &str, place: &Place) -> Outcome<Node> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, target] => (*source, *target, "rwm"),
        [source, target, permissions] => (*source, *target, *permissions),
        _ => {
            return Err(Problem::new(place, format!("`{text}` has too many colons"))
                .hint("Devices are written as `/dev/source:/dev/target:rwm`."));
        }
    };
    let mut map = Map::default();
    map.set("source", Node::text(source, place));
    map.set("target", Node::text(if target.is_empty() { source } else { target }, place));
    map.set("permissions", Node::text(permissions, place));
    Ok(Node::new(Value::Map(map), place.clone()))
}

/// A command line as Compose divides it, with what it leaves out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) words: Vec<String>,
    /// What stands after a `;`, `&`, `|`, `<` or `>` outside of quotes: no shell reads it, so Compose drops it.
    pub(super) dropped: String,
}

/// Divides a command line into words: quotes and backslashes count; `` `…` `` and `$(…)` are kept together as they are.
pub(super) fn command_line(text: &str) -> Result<CommandLine, &'static str> {
    #[derive(Clone, Copy, PartialEq)]
    enum Inside {
        Nothing,
        Single,
        Double,
        Backquotes,
        Substitution,
    }
    let mut line = CommandLine::default();
    let mut word = String::new();
    // An empty word counts where it was quoted.
    let mut quoted = false;
    let mut inside = Inside::Nothing;
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match (c, inside) {
            ('\\', Inside::Single) => word.push(c),
            ('\\', _) => {
                let Some((_, next)) = characters.next() else { return Err("it ends with a backslash") };
                match next {
                    _ if matches!(inside, Inside::Backquotes | Inside::Substitution) => word.extend(['\\', next]),
                    't' => word.push('\t'),
                    'n' => word.push('\n'),
                    next => word.push(next),
                }
            }
            (' ' | '\t' | '\r' | '\n', Inside::Nothing) => {
                if quoted || !word.is_empty() {
                    line.words.push(std::mem::take(&mut word));
                }
                quoted = false;
            }
            ('\'', Inside::Nothing) => inside = Inside::Single,
            ('"', Inside::Nothing) => inside = Inside::Double,
            ('\'', Inside::Single) | ('"', Inside::Double) => {
                inside = Inside::Nothing;
                quoted = true;
            }
            ('`', Inside::Nothing | Inside::Backquotes) => {
                inside = if inside == Inside::Nothing { Inside::Backquotes } else { Inside::Nothing };
                word.push(c);
            }
            ('(', Inside::Nothing) if word.ends_with('$') && !word.ends_with("\\$") => {
                inside = Inside::Substitution;
                word.push(c);
            }
            (')', Inside::Substitution) => {
                inside = Inside::Nothing;
                word.push(c);
            }
            ('(' | ')', Inside::Nothing) | ('(', Inside::Substitution) => {
                return Err("it has a bracket outside of quotes");
            }
            (';' | '&' | '|' | '<' | '>', Inside::Nothing) => {
                // The number before a `>` is a file descriptor, and is dropped with it.
                if c == '>' && !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()) {
                    line.dropped.push_str(&word);
                    word.clear();
                    quoted = false;
                }
                line.dropped.push_str(&text[at..]);
                break;
            }
            (c, _) => word.push(c),
        }
    }
    if inside != Inside::Nothing {
        return Err("something that opens in it is never closed");
    }
    if quoted || !word.is_empty() {
        line.words.push(word);
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::compose::tree::Source;

    fn place() -> Place {
        Place::of_file(&Source::named("compose.yaml"))
    }

    fn summary(node: &Node, keys: &[&str]) -> String {
        let text = |key: &&str| node.at(&[key]).and_then(Node::scalar).unwrap_or_default();
        keys.iter().map(text).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn forms_of_ports() {
        let read = |text: &str| -> Vec<String> {
            let ports = ports(text, &place()).unwrap();
            ports.iter().map(|port| summary(port, &["host_ip", "published", "target", "protocol"])).collect()
        };
        assert_eq!(read("80"), ["||80|tcp"]);
        assert_eq!(read("8080:80/udp"), ["|8080|80|udp"]);
        assert_eq!(read("127.0.0.1::80"), ["127.0.0.1||80|tcp"]);
        assert_eq!(read("[::1]:8080:80"), ["::1|8080|80|tcp"]);
        assert_eq!(read("::1:8080:80"), ["::1|8080|80|tcp"]);
        assert_eq!(read("8000-8001:9-10"), ["|8001|10|tcp", "|8000|9|tcp"]);
        assert_eq!(read("8000-8010:80"), ["|8000-8010|80|tcp"]);
        for text in ["", "x", "80:", "80/ftp", "1.2.3:80:80", "99999", "10-9", "1-2:1-3", "a:80"] {
            assert!(ports(text, &place()).is_err(), "{text}");
        }
    }

    #[test]
    fn forms_of_volumes() {
        let read = |text: &str| summary(&volume(text, &place()).unwrap(), &["type", "source", "target", "read_only"]);
        assert_eq!(read("/data"), "volume||/data|");
        assert_eq!(read("data:/data/../x:ro"), "volume|data|/x|true");
        assert_eq!(read("./a:/b"), "bind|./a|/b|");
        assert_eq!(read("~/a:/b:rw"), "bind|~/a|/b|");
        assert_eq!(read("C:\\a:/b"), "bind|C:\\a|/b|");
        for text in ["", "aa::cc", "aa:bb:cc:dd", "aa:/b:"] {
            assert!(volume(text, &place()).is_err(), "{text}");
        }
    }

    #[test]
    fn words_of_a_command() {
        let words = |text: &str| command_line(text).unwrap().words;
        assert_eq!(words("a 'b c' \"d \\\" e\" f\\ g  ''"), ["a", "b c", "d \" e", "f g", ""]);
        assert_eq!(words("a\\tb `x y` $(u v)w 'a\\'"), ["a\tb", "`x y`", "$(u v)w", "a\\"]);
        for text in ["a 'b", "a \"b", "a\\", "a (b)", "$(a", "`a"] {
            assert!(command_line(text).is_err(), "{text}");
        }
        let line = command_line("make all 2> errors").unwrap();
        assert_eq!((line.words, line.dropped.as_str()), (vec!["make".into(), "all".into()], "2> errors"));
    }

    #[test]
    fn clean_paths() {
        let cleaned = ["/a/./b//c/..", "/..", "a/../..", "", "/"].map(clean);
        assert_eq!(cleaned, ["/a/b", "/", "..", ".", "/"]);
    }
}
