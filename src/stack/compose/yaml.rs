//! Text in, documents with places out.
//!
//! Scalars mean what they mean to Compose's own YAML reader: the core schema of YAML 1.2, with `0777`, `0o777`, `0b1`,
//! `1_000` as integers besides. Dates stay texts.

use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::problem::{Outcome, Problem};
use super::tree::{Entry, Map, Mark, Node, Place, Source, Value};

/// How many nodes the aliases of one file may multiply into: far beyond any real file, and soon reached by a bomb.
const MOST_NODES: usize = 200_000;

/// How deep values may be inside of each other: every step that follows goes down on the stack.
const DEEPEST: usize = 100;

/// Reads all documents of a file. A file without any has none.
pub(super) fn parse(source: &Rc<Source>) -> Outcome<Vec<Node>> {
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let mut reader = Reader {
        events: Parser::new_from_str_with_options(text, options),
        source: Rc::clone(source),
        anchors: HashMap::new(),
        nodes: 0,
    };
    let mut documents = Vec::new();
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(documents),
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            event => documents.push(reader.node(event, span)?),
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    source: Rc<Source>,
    /// Each anchored node with the number of nodes in it.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Outcome<(Event<'a>, Span)> {
        match self.events.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let marker = error.marker();
                let place = Place { source: Rc::clone(&self.source), line: marker.line(), column: marker.col() + 1 };
                let problem = Problem::new(&place, format!("this is no valid YAML: {}", error.info()));
                if error.info().contains("anchor") {
                    return Err(problem.hint("An anchor is set with `&name` before `*name` uses it."));
                }
                Err(problem.hint("Look for a bracket or quote that is not closed, and for indentation that differs."))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn place(&self, span: &Span) -> Place {
        Place { source: Rc::clone(&self.source), line: span.start.line(), column: span.start.col() + 1 }
    }

    fn count(&mut self, nodes: usize, place: &Place) -> Outcome<()> {
        self.nodes += nodes;
        if self.nodes > MOST_NODES {
            return Err(Problem::new(place, format!("the file has more than {MOST_NODES} values"))
                .hint("Aliases count with everything that they stand for."));
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Outcome<Node> {
        let place = self.place(&span);
        let before = self.nodes;
        self.count(1, &place)?;
        let (anchor, tag, value) = match event {
            Event::Alias(id) => {
                // An anchor that is still open refers to itself: there is no end to that.
                let Some((node, size)) = self.anchors.get(&id).cloned() else {
                    return Err(Problem::new(&place, "this alias is inside of what it refers to")
                        .hint("An anchor is the whole value that follows it."));
                };
                self.count(size, &place)?;
                return Ok(node);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref()).map_err(|message| {
                    Problem::new(&place, message).hint("Take out the tag, or write a value of its kind.")
                })?;
                (anchor, tag, value)
            }
            Event::SequenceStart(_, anchor, tag) => {
                let mut list = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => {
                            let node = self.node(event, span)?;
                            // Nothing comes before an element of a list that could be taken back.
                            if node.mark != Mark::Reset {
                                list.push(node);
                            }
                        }
                    }
                }
                (anchor, tag, Value::List(list))
            }
            Event::MappingStart(_, anchor, tag) => (anchor, tag, Value::Map(self.map()?)),
            _ => return Err(Problem::new(&place, "a value is missing here").hint("Write `null` for nothing.")),
        };
        let mark = match tag.as_deref() {
            Some(tag) if tag.handle() == "!" && tag.suffix() == "reset" => Mark::Reset,
            Some(tag) if tag.handle() == "!" && tag.suffix() == "override" => Mark::Override,
            _ => Mark::None,
        };
        let node = Node { value, place, mark };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn map(&mut self) -> Outcome<Map> {
        let mut map = Map::default();
        let mut merged: Option<Node> = None;
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let plain = matches!(&event, Event::Scalar(_, ScalarStyle::Plain, _, None));
            let key = self.node(event, span)?;
            let (event, span) = self.next()?;
            let node = self.node(event, span)?;
            let Value::Text(name) = key.value else {
                let found = key.scalar().map_or_else(|| key.kind().to_owned(), |text| format!("`{text}`"));
                return Err(Problem::new(&key.place, format!("a key must be a text, and this is {found}"))
                    .hint("Put it in quotes."));
            };
            if name == "<<" && plain {
                if merged.is_some() {
                    return Err(Problem::new(&key.place, "a second `<<` in one mapping")
                        .hint("Give one `<<` a list: `<<: [*first, *second]`."));
                }
                merged = Some(node);
                continue;
            }
            if let Some(first) = map.key(&name) {
                let message = format!("`{name}` is here for the second time; first in line {}", first.line);
                return Err(Problem::new(&key.place, message).hint("Take out one, or write both as one."));
            }
            map.insert(name, Entry { key: key.place, node });
        }
        if let Some(merged) = merged {
            merge_keys(&mut map, merged)?;
        }
        Ok(map)
    }
}

const MERGED: &str = "Write `<<: *anchor`, and `&anchor` before the mapping that is meant.";

/// `<<`: what the mapping does not say itself it takes from there; of several the first wins.
fn merge_keys(map: &mut Map, merged: Node) -> Outcome<()> {
    match merged.value {
        Value::Map(other) => {
            for (key, entry) in other.into_entries() {
                if !map.contains(&key) {
                    map.insert(key, entry);
                }
            }
            Ok(())
        }
        Value::List(list) => list.into_iter().try_for_each(|node| match node.value {
            Value::Map(_) => merge_keys(map, node),
            _ => {
                Err(Problem::new(&node.place, format!("`<<` takes mappings, and this is {}", node.kind())).hint(MERGED))
            }
        }),
        _ => {
            Err(Problem::new(&merged.place, format!("`<<` takes a mapping, and this is {}", merged.kind()))
                .hint(MERGED))
        }
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let own = |text: &str| Value::Text(text.to_owned());
    let Some(tag) = tag.filter(|tag| tag.handle() == "tag:yaml.org,2002:") else {
        // Tags of one's own are no business of Compose, except those of the merge.
        let marked = tag.is_some_and(|tag| tag.handle() == "!" && matches!(tag.suffix(), "reset" | "override"));
        return Ok(if style == ScalarStyle::Plain && (tag.is_none() || marked) { plain(text) } else { own(text) });
    };
    let value = match (tag.suffix(), plain(text)) {
        #[allow(clippy::cast_precision_loss, reason = "that is what the tag asks for")]
        ("float", Value::Integer(number)) => Value::Float(number as f64),
        ("float", value @ Value::Float(_))
        | ("int", value @ Value::Integer(_))
        | ("bool", value @ Value::Bool(_))
        | ("null", value @ Value::Null) => value,
        ("int" | "float" | "bool" | "null", _) => return Err(format!("`{text}` can't be read as !!{}", tag.suffix())),
        _ => own(text),
    };
    Ok(value)
}

/// What a plain scalar means.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Value::Text(text.to_owned());
    }
    let digits = text.replace('_', "");
    if let Some(number) = integer(&digits) {
        return Value::Integer(number);
    }
    match digits.parse::<f64>() {
        Ok(number) if looks_like_float(&digits) => Value::Float(number),
        _ => Value::Text(text.to_owned()),
    }
}

fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // The parser of numbers would take a second sign.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -number } else { number }).ok()
}

/// Digits with a point or an exponent; Rust reads more than that as a number, such as `infinity`.
fn looks_like_float(text: &str) -> bool {
    let text = text.trim_start_matches(['-', '+']);
    text.contains(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use std::path::PathBuf;

    pub(crate) fn read(text: &str) -> Outcome<Vec<Node>> {
        parse(&Rc::new(Source { path: PathBuf::from("compose.yaml"), text: text.to_owned(), private: false }))
    }

    fn one(text: &str) -> Node {
        read(text).unwrap().remove(0)
    }

    fn problem(text: &str) -> (usize, usize, String) {
        let problem = read(text).unwrap_err();
        (problem.place.line, problem.place.column, problem.message)
    }

    #[test]
    fn scalars_mean_what_they_mean_to_compose() {
        let node =
            one("[1, 0777, 0o17, 0x1f, 1_000, 1.5, 1e3, yes, on, True, ~, '1', \"true\", 2024-01-02, 80:80, -x, +]");
        let values: Vec<Value> = node.as_list().unwrap().iter().map(|node| node.value.clone()).collect();
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(
            values[..7],
            [1, 511, 15, 31, 1000]
                .map(Value::Integer)
                .into_iter()
                .chain([1.5, 1e3].map(Value::Float))
                .collect::<Vec<_>>()
        );
        assert_eq!(values[7..9], [text("yes"), text("on")]);
        assert_eq!(values[9..11], [Value::Bool(true), Value::Null]);
        assert_eq!(values[11..], ["1", "true", "2024-01-02", "80:80", "-x", "+"].map(text));
    }

    #[test]
    fn every_node_knows_its_place() {
        let node = one("a:\n  b:\n    - x\n    - {c: d}\n");
        let list = node.at(&["a", "b"]).unwrap().as_list().unwrap();
        assert_eq!((list[0].place.line, list[0].place.column), (3, 7));
        let map = list[1].as_map().unwrap();
        assert_eq!((map.key("c").unwrap().line, map.key("c").unwrap().column), (4, 8));
        assert_eq!(map.get("c").unwrap().place.column, 11);
    }

    #[test]
    fn merge_keys_give_what_is_not_said() {
        let node = one("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  <<: [*x, *y]\n  a: 0\n");
        let map = node.at(&["z"]).unwrap().as_map().unwrap();
        let values: Vec<_> = map.iter().map(|(key, node)| (key, node.scalar().unwrap())).collect();
        assert_eq!(values, [("a", "0".to_owned()), ("b", "1".to_owned()), ("c", "2".to_owned())]);
    }

    #[test]
    fn marks_are_kept() {
        let node = one("a: !reset null\nb: !override [1]\nc: !own 5\n");
        let map = node.as_map().unwrap();
        assert_eq!(map.get("a").unwrap().mark, Mark::Reset);
        assert_eq!(map.get("b").unwrap().mark, Mark::Override);
        assert_eq!(map.get("c").unwrap().value, Value::Text("5".into()));
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        assert_eq!(problem("a: 1\na: 2\n").0, 2);
        assert_eq!(problem("a:\n  5: x\n").2, "a key must be a text, and this is `5`");
        assert_eq!(problem("a: &a\n  b: *a\n").2, "this alias is inside of what it refers to");
        assert_eq!(problem("a: *nobody\n").0, 1);
        assert_eq!(problem("<<: 5\n").2, "`<<` takes a mapping, and this is a number");
        assert_eq!(problem("a: [1\nb: 2\n").0, 2);
    }

    #[test]
    fn a_bomb_does_not_go_off() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            writeln!(text, "a{level}: &a{level} [{aliases}]").unwrap();
        }
        assert!(problem(&text).2.contains("more than"));
    }

    #[test]
    fn documents_are_apart() {
        assert_eq!(read("a: 1\n---\nb: 2\n").unwrap().len(), 2);
        assert_eq!(read("# nothing\n").unwrap().len(), 0);
    }
}
