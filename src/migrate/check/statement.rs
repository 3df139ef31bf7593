//! A file's statements, and a reader that walks over one.

use super::lexer::{Kind, Lexed, Token, Unreadable, lex};

/// A statement's tokens, without the semicolon; never empty.
#[derive(Clone, Debug)]
pub(super) struct Statement<'a> {
    pub tokens: Vec<Token<'a>>,
}

impl<'a> Statement<'a> {
    /// Bytes from the start of the file.
    pub fn start(&self) -> usize {
        self.tokens[0].start
    }

    /// Bytes from the start of the file, just behind its last token.
    pub fn end(&self) -> usize {
        self.tokens.last().map_or(0, |token| token.start + token.text.len())
    }

    pub fn cursor(&self) -> Cursor<'_, 'a> {
        Cursor::new(&self.tokens)
    }
}

/// Splits at semicolons, except inside brackets and bodies: `create rule ... do (a; b)`, `begin atomic a; b; end`.
///
/// Whatever is wrong with the brackets ends it there: where the statement ends can't be known then.
pub(super) fn split<'a>(lexed: &mut Lexed<'a>) -> Vec<Statement<'a>> {
    let mut statements = Vec::new();
    let mut current: Vec<Token<'a>> = Vec::new();
    let mut open: Vec<Token<'a>> = Vec::new();
    let mut blocks = 0_usize;
    for token in &lexed.tokens {
        if token.is("(") || token.is("[") {
            open.push(*token);
        } else if token.is(")") || token.is("]") {
            let wanted = if token.is(")") { "(" } else { "[" };
            if !open.pop().is_some_and(|opened| opened.is(wanted)) {
                lexed.error =
                    Some(Unreadable { start: token.start, why: format!("nothing opens this `{}`", token.text) });
                return statements;
            }
        } else if token.is("atomic") && current.last().is_some_and(|last| last.is("begin")) && defines_routine(&current)
        {
            blocks = 1;
        } else if blocks > 0 {
            if token.is("case") {
                blocks += 1;
            } else if token.is("end") {
                blocks -= 1;
            }
        }
        if token.is(";") && open.is_empty() && blocks == 0 {
            if !current.is_empty() {
                statements.push(Statement { tokens: std::mem::take(&mut current) });
            }
        } else {
            current.push(*token);
        }
    }
    match open.first() {
        // Of two faults the first is the one to mend.
        Some(bracket) => {
            let why = format!("nothing closes this `{}`", bracket.text);
            lexed.error.get_or_insert(Unreadable { start: bracket.start, why });
        }
        None if lexed.error.is_none() && !current.is_empty() => statements.push(Statement { tokens: current }),
        None => {}
    }
    statements
}

fn defines_routine(tokens: &[Token]) -> bool {
    tokens.first().is_some_and(|first| first.is("create"))
        && tokens.iter().take(5).any(|token| token.is("function") || token.is("procedure"))
}

/// The commands that change the schema inside a block of `PL/pgSQL` (`do $$ ... $$`).
///
/// It is no parser of that language: it finds the commands where one can begin, and ignores the rest.
pub(super) fn commands_of_body<'a>(body: &Token<'a>) -> Vec<Statement<'a>> {
    let Some((text, start)) = body.body() else { return Vec::new() };
    let lexed = lex(text, start);
    let command = |piece: &[Token<'a>]| {
        let begins =
            |at: usize| at == 0 || ["begin", "then", "else", "loop"].iter().any(|before| piece[at - 1].is(before));
        let changes = |at: usize| ["alter", "create", "drop", "truncate", "reindex"].iter().any(|w| piece[at].is(w));
        let at = (0..piece.len()).find(|at| begins(*at) && changes(*at))?;
        Some(Statement { tokens: piece[at..].to_vec() })
    };
    lexed.tokens.split(|token| token.is(";")).filter_map(command).collect()
}

/// A table's or another thing's name, perhaps with its schema.
#[derive(Clone, Debug)]
pub(super) struct Name {
    /// As `PostgreSQL` stores them: folded to lower case unless quoted.
    parts: Vec<String>,
    /// Bytes from the start of the file.
    pub start: usize,
}

impl Name {
    /// The same thing, as far as the text tells: a name without a schema may be in any.
    pub fn is(&self, other: &Self) -> bool {
        self.parts.iter().rev().zip(other.parts.iter().rev()).all(|(one, another)| one == another)
    }

    /// The same schema as `self`, another name: what `rename to` makes.
    pub fn renamed(&self, to: &Self) -> Self {
        let mut parts = self.parts.clone();
        parts.pop();
        parts.extend(to.parts.last().cloned());
        Self { parts, start: to.start }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.parts.join("."))
    }
}

/// How `PostgreSQL` stores an identifier.
pub(super) fn stored(token: &Token) -> Option<String> {
    match token.kind {
        Kind::Word => Some(token.text.to_lowercase()),
        Kind::Quoted => Some(token.text[1..token.text.len() - 1].replace("\"\"", "\"")),
        _ => None,
    }
}

/// Walks over tokens from left to right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'t, 'a> {
    rest: &'t [Token<'a>],
}

impl<'t, 'a> Cursor<'t, 'a> {
    pub fn new(rest: &'t [Token<'a>]) -> Self {
        Self { rest }
    }

    pub fn rest(&self) -> &'t [Token<'a>] {
        self.rest
    }

    pub fn next(&mut self) -> Option<&'t Token<'a>> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// Whether these words come next, a space between them.
    pub fn sees(&self, words: &str) -> bool {
        let mut rest = self.rest.iter();
        words.split(' ').all(|word| rest.next().is_some_and(|token| token.is(word)))
    }

    /// Steps over these words where they come next.
    pub fn eat(&mut self, words: &str) -> bool {
        let seen = self.sees(words);
        if seen {
            self.rest = &self.rest[words.split(' ').count()..];
        }
        seen
    }

    /// Steps over each of these words, as often as one of them comes next.
    pub fn skip(&mut self, words: &[&str]) {
        while words.iter().any(|word| self.eat(word)) {}
    }

    /// A name, with its schema where it has one.
    pub fn name(&mut self) -> Option<Name> {
        let first = self.rest.first()?;
        let mut name = Name { parts: vec![stored(first)?], start: first.start };
        self.next();
        while self.eat(".") {
            name.parts.push(stored(self.next()?)?);
        }
        Some(name)
    }

    /// A table: `t`, `only t`, `only (t)` or `t *`.
    pub fn table(&mut self) -> Option<Name> {
        let is_alone = self.eat("only");
        let name = match self.brackets().filter(|_| is_alone) {
            Some(inner) => Cursor::new(inner).name(),
            None => self.name(),
        };
        self.eat("*");
        name
    }

    /// Tables between commas.
    pub fn tables(&mut self) -> Vec<Name> {
        let mut tables = Vec::new();
        while let Some(table) = self.table() {
            tables.push(table);
            if !self.eat(",") {
                break;
            }
        }
        tables
    }

    /// What is between the brackets that come next, stepping over them.
    pub fn brackets(&mut self) -> Option<&'t [Token<'a>]> {
        if !self.sees("(") {
            return None;
        }
        let end = depths(self.rest).position(|(depth, token)| depth == 0 && token.is(")"))?;
        let inner = &self.rest[1..end];
        self.rest = &self.rest[end + 1..];
        Some(inner)
    }
}

/// Each token with the number of brackets around it; a bracket itself is outside.
pub(super) fn depths<'t, 'a>(tokens: &'t [Token<'a>]) -> impl Iterator<Item = (usize, &'t Token<'a>)> {
    tokens.iter().scan(0_usize, |depth, token| {
        if token.is(")") || token.is("]") {
            *depth = depth.saturating_sub(1);
        }
        let here = *depth;
        if token.is("(") || token.is("[") {
            *depth += 1;
        }
        Some((here, token))
    })
}

/// The pieces between a word or symbol that is in no brackets.
pub(super) fn pieces<'t, 'a>(tokens: &'t [Token<'a>], separator: &str) -> Vec<&'t [Token<'a>]> {
    let at = depths(tokens).enumerate().filter(|(_, (depth, token))| *depth == 0 && token.is(separator));
    let mut pieces = Vec::new();
    let mut from = 0;
    for (at, _) in at {
        pieces.push(&tokens[from..at]);
        from = at + 1;
    }
    pieces.push(&tokens[from..]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(sql: &str) -> (Vec<String>, Option<Unreadable>) {
        let mut lexed = lex(sql, 0);
        let statements = split(&mut lexed);
        let text =
            |statement: &Statement| statement.tokens.iter().map(|token| token.text).collect::<Vec<_>>().join(" ");
        (statements.iter().map(text).collect(), lexed.error)
    }

    #[test]
    fn only_semicolons_between_statements_split() {
        let sql = "select ';';; create rule r as on insert to t do (a; b);
            create function f() returns int begin atomic select case a when 1 then 2 end; select 1; end; begin; commit";
        let (found, error) = statements(sql);
        assert_eq!(error, None);
        assert_eq!(found.len(), 5, "{found:#?}");
        assert!(found[2].ends_with("select 1 ; end"), "{found:#?}");
        assert_eq!(found[3..], ["begin", "commit"]);
    }

    #[test]
    fn wrong_brackets_are_named_where_they_stand() {
        let (found, error) = statements("select 1; select (a]; select 2");
        assert_eq!((found.len(), error.unwrap().start), (1, 19));
        let (found, error) = statements("select 1; select (a; select 2;");
        assert_eq!((found.len(), error.unwrap().start), (1, 17));
    }

    #[test]
    fn names_are_compared_as_postgresql_stores_them() {
        let name = |sql: &str| Cursor::new(&lex(sql, 0).tokens).name().unwrap();
        assert!(name("Public.Users").is(&name("\"users\"")));
        assert!(!name("\"Users\"").is(&name("users")));
        assert!(!name("a.users").is(&name("b.users")));
        assert_eq!(name("a.b").renamed(&name("c")).to_string(), "a.c");
    }
}
