//! SQL as tokens, by `PostgreSQL`'s lexical rules: quotes, dollar quotes and nested comments are never mistaken.
//!
//! <https://www.postgresql.org/docs/current/sql-syntax-lexical.html>, with `standard_conforming_strings` on.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name without quotes.
    Word,
    /// A name in double quotes.
    Quoted,
    /// A string in single quotes.
    Text,
    /// A string in dollar quotes: a body of code, as a rule.
    Body,
    Number,
    /// One character that is none of the above.
    Symbol,
}

/// A piece of SQL, as it stands in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    /// Bytes from the start of the file.
    pub start: usize,
}

impl<'a> Token<'a> {
    /// Whether it is this keyword (in lower case) or this symbol.
    pub fn is(&self, text: &str) -> bool {
        match self.kind {
            Kind::Word => self.text.eq_ignore_ascii_case(text),
            Kind::Symbol => self.text == text,
            _ => false,
        }
    }

    /// What is between the dollar quotes of a body, and where it starts.
    pub fn body(&self) -> Option<(&'a str, usize)> {
        let tag = dollar_tag(self.text).filter(|_| self.kind == Kind::Body)?;
        let inner = self.text.get(tag..self.text.len() - tag)?;
        Some((inner, self.start + tag))
    }
}

/// What follows `--` up to the end of the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comment<'a> {
    pub text: &'a str,
    pub start: usize,
}

/// Where reading ended, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub start: usize,
    pub why: String,
}

/// The tokens up to the end, or up to what can't be read.
#[derive(Debug, Default)]
pub(super) struct Lexed<'a> {
    pub tokens: Vec<Token<'a>>,
    pub comments: Vec<Comment<'a>>,
    pub error: Option<Unreadable>,
}

/// Reads a text that stands `base` bytes into its file.
pub(super) fn lex(text: &str, base: usize) -> Lexed<'_> {
    let mut lexed = Lexed::default();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let start = base + at;
        let piece = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if rest.starts_with("--") {
            let line = rest.split('\n').next().unwrap_or(rest);
            lexed.comments.push(Comment { text: line[2..].trim_end(), start });
            at += line.len();
            continue;
        } else if rest.starts_with("/*") {
            block_comment(rest).map(|length| (None, length))
        } else if first == '\'' {
            let escapes = lexed.tokens.last().is_some_and(|last| last.is("e") && last.start + 1 == start);
            string(rest, escapes).map(|length| (Some(Kind::Text), length))
        } else if first == '"' {
            quoted(rest, '"', false).map(|length| (Some(Kind::Quoted), length)).ok_or("this quoted name never ends")
        } else if let Some(tag) = dollar_tag(rest) {
            let end = rest[tag..].find(&rest[..tag]).map(|inner| tag + inner + tag);
            end.map(|length| (Some(Kind::Body), length)).ok_or("this dollar quote never ends")
        } else if starts_name(first) {
            Ok((Some(Kind::Word), run(rest, |c| starts_name(c) || c.is_ascii_digit() || c == '$')))
        } else if first.is_ascii_digit() {
            Ok((Some(Kind::Number), run(rest, |c| c.is_ascii_alphanumeric() || c == '_' || c == '.')))
        } else {
            Ok((Some(Kind::Symbol), first.len_utf8()))
        };
        match piece {
            Ok((kind, length)) => {
                lexed.tokens.extend(kind.map(|kind| Token { kind, text: &rest[..length], start }));
                at += length;
            }
            Err(why) => {
                lexed.error = Some(Unreadable { start, why: why.to_owned() });
                break;
            }
        }
    }
    lexed
}

fn starts_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// The length of `$tag$`, where the text starts with one; `$1` is a parameter.
fn dollar_tag(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('$')?;
    let length = run(inner, |c| starts_name(c) || c.is_ascii_digit());
    let valid = inner[length..].starts_with('$') && !inner.starts_with(|c: char| c.is_ascii_digit());
    valid.then_some(length + 2)
}

fn string(text: &str, escapes: bool) -> Result<usize, &'static str> {
    quoted(text, '\'', escapes).ok_or("this string never ends")
}

/// The length of what is quoted; a doubled quote is part of it.
fn quoted(text: &str, quote: char, escapes: bool) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c == '\\' && escapes {
            characters.next();
        } else if c == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return Some(at + quote.len_utf8());
        }
    }
    None
}

/// The length of a block comment; they nest.
fn block_comment(text: &str) -> Result<usize, &'static str> {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Ok(at);
            }
        } else if rest.is_empty() {
            return Err("this comment never ends");
        } else {
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        lex(sql, 0).tokens.iter().map(|token| token.text).collect()
    }

    #[test]
    fn quotes_of_every_sort_hide_what_is_in_them() {
        assert_eq!(texts("a 'it''s; --x' b"), ["a", "'it''s; --x'", "b"]);
        assert_eq!(texts(r"E'\';' f"), ["E", r"E'\';'".strip_prefix('E').unwrap(), "f"]);
        assert_eq!(texts(r"name '\' f"), ["name", r"'\'", "f"]);
        assert_eq!(texts("\"a\"\";b\" c"), ["\"a\"\";b\"", "c"]);
        assert_eq!(texts("$$ ; ' $$ x $a$ $$ $b$ $a$"), ["$$ ; ' $$", "x", "$a$ $$ $b$ $a$"]);
        assert_eq!(texts("a$b$ $1 ü$ 1.5e3"), ["a$b$", "$", "1", "ü$", "1.5e3"]);
        assert_eq!(texts("/* a /* ; */ ' */ b -- c\nd"), ["b", "d"]);
    }

    #[test]
    fn what_never_ends_is_named_where_it_begins() {
        for (sql, start, why) in [
            ("a 'b", 2, "string"),
            ("a \"b", 2, "quoted name"),
            ("a $x$ b $$", 2, "dollar quote"),
            ("ü /* /* */", 3, "comment"),
        ] {
            let error = lex(sql, 0).error.unwrap();
            assert!(error.start == start && error.why.contains(why), "{sql}: {error:?}");
            assert_eq!(lex(sql, 0).tokens.len(), 1, "{sql}: what stands before is kept");
        }
    }

    #[test]
    fn a_body_knows_where_it_starts() {
        let token = lex("do $x$ begin $x$", 10).tokens[1];
        assert_eq!(token.body(), Some((" begin ", 16)));
    }
}
