//! Where in `streamify.yaml` a setting stands, for messages about values that were read long ago.

use std::path::{Path, PathBuf};

use granit_parser::{Event, Parser, Span, StrInput};

/// A place in a file, as compilers write it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Position {
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

impl std::fmt::Display for Position {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// Where the value at this path of keys (and numbers, in lists) begins; where the path ends earlier, the last key that
/// is there. None for a file that can't be read, and for keys that only an alias brings.
pub fn position(file: &Path, path: &[String]) -> Option<Position> {
    let text = std::fs::read_to_string(file).ok()?;
    let options = granit_parser::options! { emit_comments: false };
    let mut walk = Walk { events: Parser::new_from_str_with_options(&text, options), found: None };
    loop {
        match walk.events.next()?.ok()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (event, span) => {
                walk.node(&event, span, Some(path))?;
                let (line, column) = walk.found?;
                return Some(Position { file: file.to_owned(), line, column });
            }
        }
    }
}

struct Walk<'a> {
    events: Parser<'a, StrInput<'a>>,
    found: Option<(usize, usize)>,
}

impl<'a> Walk<'a> {
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        self.events.next()?.ok()
    }

    /// Reads one node to its end; `rest` is what is left of the path where this node is on it.
    fn node(&mut self, event: &Event<'a>, span: Span, rest: Option<&[String]>) -> Option<()> {
        if rest.is_some_and(<[String]>::is_empty) {
            self.found = Some((span.start.line(), span.start.col() + 1));
        }
        let inner = |key: &str| {
            rest.and_then(|rest| rest.split_first()).filter(|(first, _)| *first == key).map(|(_, rest)| rest)
        };
        match event {
            Event::MappingStart(..) => loop {
                let (key, key_span) = self.next()?;
                let name = match &key {
                    Event::MappingEnd => return Some(()),
                    Event::Scalar(text, ..) => text.to_string(),
                    _ => {
                        self.node(&key, key_span, None)?;
                        String::new()
                    }
                };
                let below = inner(&name);
                if below.is_some() {
                    self.found = Some((key_span.start.line(), key_span.start.col() + 1));
                }
                let (value, value_span) = self.next()?;
                self.node(&value, value_span, below)?;
            },
            Event::SequenceStart(..) => {
                let mut index = 0_usize;
                loop {
                    let (value, value_span) = self.next()?;
                    if matches!(value, Event::SequenceEnd) {
                        return Some(());
                    }
                    self.node(&value, value_span, inner(&index.to_string()))?;
                    index += 1;
                }
            }
            _ => Some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keys_and_elements_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("streamify.yaml");
        std::fs::write(&file, "# first\na:\n  b: {c: [1, two]}\n  variables:\n    - x: 1\nb: 2\n").unwrap();
        let at = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
            position(&file, &path).map(|place| (place.line, place.column))
        };
        assert_eq!(at(&["a", "b", "c", "1"]), Some((3, 14)));
        assert_eq!(at(&["a", "variables", "0", "x"]), Some((5, 10)));
        assert_eq!(at(&["b"]), Some((6, 4)));
        assert_eq!(at(&["a", "b", "missing"]), Some((3, 3)));
        assert_eq!(at(&["nothing"]), None);
    }
}
