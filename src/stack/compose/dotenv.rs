//! Files with variables: `.env`, `env_file`, `label_file`.
//!
//! `NAME=value` a line, `export` before it or not, `:` instead of `=`; values bare (up to ` #`), in single quotes (as
//! they are) or in double quotes (with escapes and, like bare ones, with variables); both kinds of quotes go over
//! lines. `NAME` alone takes the value that it has already. Values may be secret: no message shows one.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::problem::{Outcome, Problem};
use super::template::{Fault, Template};
use super::tree::{Place, Source};

const LINES: &str = "Lines are `NAME=value`; a value over several lines stands in quotes.";

/// Reads a file; `known` gives the variables that come before those of the file itself.
pub(super) fn parse(
    source: &Rc<Source>,
    known: &dyn Fn(&str) -> Option<String>,
    variables: &mut BTreeMap<String, String>,
) -> Outcome<()> {
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let mut reader = Reader { source, known, text, at: 0 };
    while reader.skip_to_statement() {
        let start = reader.at;
        let name = reader.name()?;
        match name {
            (name, true) => {
                let value = reader.value(start, variables)?;
                variables.insert(name, value);
            }
            (name, false) => {
                if let Some(value) = known(&name) {
                    variables.insert(name, value);
                }
            }
        }
    }
    Ok(())
}

/// Reads a file of format `raw`: `NAME=value` a line, the value as it is up to the line's end.
pub(super) fn parse_raw(
    source: &Rc<Source>,
    known: &dyn Fn(&str) -> Option<String>,
    variables: &mut BTreeMap<String, String>,
) -> Outcome<()> {
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
        let place = Place { source: Rc::clone(source), line: index + 1, column: 1 };
        if name.is_empty() {
            return Err(Problem::new(&place, "a name must stand before the `=`").hint(LINES));
        }
        if name.contains([' ', '\t']) {
            return Err(Problem::new(&place, "a variable's name must not have spaces").hint(LINES));
        }
        if let Some(value) = value.map(str::to_owned).or_else(|| known(name)) {
            variables.insert(name.to_owned(), value);
        }
    }
    Ok(())
}

struct Reader<'a> {
    source: &'a Rc<Source>,
    known: &'a dyn Fn(&str) -> Option<String>,
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn place(&self, at: usize) -> Place {
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        Place { source: Rc::clone(self.source), line, column }
    }

    /// Leaves out white space and comments; whether there is more.
    fn skip_to_statement(&mut self) -> bool {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            let rest = self.rest();
            if !rest.starts_with('#') {
                return !rest.is_empty();
            }
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
    }

    /// The name, and whether a value follows.
    fn name(&mut self) -> Outcome<(String, bool)> {
        if let Some(rest) = self.rest().strip_prefix("export").filter(|rest| rest.starts_with(char::is_whitespace)) {
            self.at = self.text.len() - rest.trim_start_matches(blank).len();
        }
        let rest = self.rest();
        let end = rest.find(['=', ':', '\n']).unwrap_or(rest.len());
        let name = rest[..end].trim_end();
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']') || blank(c);
        if let Some((at, wrong)) = name.char_indices().find(|(_, c)| !allowed(*c)) {
            return Err(
                Problem::new(&self.place(self.at + at), format!("`{wrong}` can't be in a variable's name")).hint(LINES)
            );
        }
        if name.contains(' ') {
            return Err(Problem::new(&self.place(self.at), "a variable's name must not have spaces").hint(LINES));
        }
        let has_value = matches!(rest.as_bytes().get(end), Some(b'=' | b':'));
        self.at += end + usize::from(end < rest.len());
        Ok((name.to_owned(), has_value))
    }

    fn value(&mut self, start: usize, variables: &BTreeMap<String, String>) -> Outcome<String> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(blank).len();
        let rest = self.rest();
        let filled = match rest.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                let place = self.place(self.at);
                let (value, length) = quoted(rest, quote).ok_or_else(|| {
                    Problem::new(&place, format!("the {quote} that opens here is never closed")).hint(LINES)
                })?;
                self.at += length;
                if quote == '\'' {
                    return Ok(value);
                }
                self.fill(&escapes(&value), variables)
            }
            _ => {
                let line = rest.split('\n').next().unwrap_or_default();
                self.at += (line.len() + 1).min(rest.len());
                self.fill(line.split(" #").next().unwrap_or_default().trim_end(), variables)
            }
        };
        filled.map_err(|fault| {
            let message = match &fault {
                // The text is part of a value, which may be secret.
                Fault::Malformed(_) => "a `$` in the value begins no variable".to_owned(),
                Fault::Required { .. } => fault.message(),
            };
            Problem::new(&self.place(start), message).hint(fault.hint())
        })
    }

    fn fill(&self, text: &str, variables: &BTreeMap<String, String>) -> Result<String, Fault> {
        Template::new(&|name| (self.known)(name).or_else(|| variables.get(name).cloned())).fill(text)
    }
}

fn blank(c: char) -> bool {
    c.is_whitespace() && c != '\n'
}

/// What is in quotes, and its length with them. A backslash keeps a quote from closing.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if c == quote && !escaped => return Some((value, at + 1)),
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            _ if escaped && c != quote => value.extend(['\\', c]),
            _ => value.push(c),
        }
        escaped = false;
    }
    None
}

/// The escapes of a text in double quotes; what is none stays as it is.
fn escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (value, length) = match after.chars().next() {
            Some('a') => (Some('\u{7}'), 1),
            Some('b') => (Some('\u{8}'), 1),
            Some('f') => (Some('\u{c}'), 1),
            Some('n') => (Some('\n'), 1),
            Some('r') => (Some('\r'), 1),
            Some('t') => (Some('\t'), 1),
            Some('v') => (Some('\u{b}'), 1),
            Some(c @ ('"' | '\\')) => (Some(c), 1),
            Some('0') => {
                let digits: String = after[1..].chars().take(3).take_while(char::is_ascii_digit).collect();
                let octal = u8::from_str_radix(&digits, 8).ok().filter(|_| digits.len() == 3);
                (octal.map(char::from), 1 + digits.len())
            }
            // The variables' own escape: filled in afterwards, it is one `$` again.
            Some('$') => {
                plain.push_str("$$");
                rest = &after[1..];
                continue;
            }
            _ => (None, 0),
        };
        match value {
            Some(value) => plain.push(value),
            None => plain.push_str(&rest[at..=at + length]),
        }
        rest = &after[length..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn source(text: &str) -> Rc<Source> {
        Rc::new(Source { path: PathBuf::from(".env"), text: text.to_owned(), private: true })
    }

    fn read(text: &str) -> Outcome<BTreeMap<String, String>> {
        let mut variables = BTreeMap::new();
        let known = |name: &str| (name == "OUTER").then(|| "outer".to_owned());
        parse(&source(text), &known, &mut variables)?;
        Ok(variables)
    }

    #[test]
    fn every_form_of_a_line() {
        let text = concat!(
            "# comment\n\nA=1\nexport B = two words # comment\nC: yaml\nD=\nE='$A \\'x\\''\nF=\"a\\tb $A\"\n",
            "G=\"two\nlines\"\nH=${A}-${OUTER}-${NONE:-x}\nOUTER\nNOBODY\nI=a#b\nJ=\"\\$A\"\nK.x-y=1\r\nL=$$A\nM=\"q\" # rest\nN"
        );
        let variables = read(text).unwrap();
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "yaml"),
            ("D", ""),
            ("E", "$A 'x'"),
            ("F", "a\tb 1"),
            ("G", "two\nlines"),
            ("H", "1-outer-x"),
            ("I", "a#b"),
            ("J", "$A"),
            ("K.x-y", "1"),
            ("L", "$A"),
            ("M", "q"),
            ("OUTER", "outer"),
        ];
        let found: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let place = |text: &str| {
            let problem = read(text).unwrap_err();
            (problem.place.line, problem.place.column)
        };
        assert_eq!(place("A=1\nB='x\n"), (2, 3));
        assert_eq!(place("A=1\n b!=x\n"), (2, 3));
        assert_eq!(place("A B=1\n"), (1, 1));
        assert_eq!(place("\nA=${X:?gone}\n"), (2, 1));
    }

    #[test]
    fn raw_lines_are_taken_as_they_are() {
        let mut variables = BTreeMap::new();
        parse_raw(&source("A='x' # y\n  B=$A\n# c\nC\n"), &|_| None, &mut variables).unwrap();
        assert_eq!(variables, [("A", "'x' # y"), ("B", "$A")].map(|(a, b)| (a.to_owned(), b.to_owned())).into());
        assert!(parse_raw(&source("=x"), &|_| None, &mut variables).is_err());
    }
}
