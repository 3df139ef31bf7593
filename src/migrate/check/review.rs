//! What each statement of an up file does to an app that runs on the schema before it.

use super::alter;
use super::history::History;
use super::lexer::Token;
use super::rule::Rule;
use super::statement::{Cursor, Name, Statement, commands_of_body, depths};

/// What a rule found in a file.
#[derive(Clone, Debug)]
pub(super) struct Remark {
    pub rule: Rule,
    /// Bytes from the start of the file.
    pub start: usize,
    /// The number of the statement, from 0; none where it is about the file.
    pub statement: Option<usize>,
    pub what: String,
    pub safer: String,
}

/// The words that a command of `PostgreSQL` begins with, and the bracket of a query in brackets.
const COMMANDS: &[&str] = &[
    "(",
    "abort",
    "alter",
    "analyse",
    "analyze",
    "begin",
    "call",
    "checkpoint",
    "close",
    "cluster",
    "comment",
    "commit",
    "copy",
    "create",
    "deallocate",
    "declare",
    "delete",
    "discard",
    "do",
    "drop",
    "end",
    "execute",
    "explain",
    "fetch",
    "grant",
    "import",
    "insert",
    "listen",
    "load",
    "lock",
    "merge",
    "move",
    "notify",
    "prepare",
    "reassign",
    "refresh",
    "reindex",
    "release",
    "repack",
    "reset",
    "revoke",
    "rollback",
    "savepoint",
    "security",
    "select",
    "set",
    "show",
    "start",
    "table",
    "truncate",
    "unlisten",
    "update",
    "vacuum",
    "values",
    "wait",
    "with",
];

/// Walks over the statements of one file.
pub(super) struct Review<'h> {
    /// What earlier files proved, and what this one proves for later ones.
    pub history: &'h mut History,
    /// Tables that this file made: nobody uses them yet.
    created: Vec<Name>,
    /// Views that this file makes.
    views: Vec<Name>,
    /// Constraints that this file added without a check of the rows: table and name.
    pub unvalidated: Vec<(Name, String)>,
    /// Why `concurrently` is refused here, and the way out.
    refusal: Option<(&'static str, &'static str)>,
    /// sqlx runs the file in a transaction.
    is_wrapped: bool,
    statement: usize,
    pub remarks: Vec<Remark>,
}

/// Reads an up file's statements from first to last.
///
/// `no_transaction` is whether sqlx runs the file outside a transaction.
pub(super) fn review(statements: &[Statement], no_transaction: bool, history: &mut History) -> Vec<Remark> {
    let refusal = if !no_transaction {
        Some((
            "PostgreSQL refuses it: this file runs in a transaction",
            "make `-- no-transaction` the very first line, and leave no other statement in the file",
        ))
    } else if statements.len() > 1 {
        Some((
            "PostgreSQL refuses it: the statements of a file are sent at once, which makes them one transaction",
            "leave it alone in its file, without even a `set`; the other statements go to a migration of their own",
        ))
    } else {
        None
    };
    let views = statements.iter().filter_map(view).collect();
    let mut review = Review {
        history,
        created: Vec::new(),
        views,
        unvalidated: Vec::new(),
        refusal,
        is_wrapped: !no_transaction,
        statement: 0,
        remarks: Vec::new(),
    };
    for (number, statement) in statements.iter().enumerate() {
        review.statement = number;
        review.read(statement);
    }
    review.remarks
}

/// The view that a statement makes.
fn view(statement: &Statement) -> Option<Name> {
    let mut cursor = statement.cursor();
    cursor.eat("create").then_some(())?;
    cursor.skip(&["or replace", "temp", "temporary", "recursive"]);
    cursor.eat("view").then(|| cursor.name())?
}

impl Review<'_> {
    /// Adds a remark about the statement that is being read.
    pub fn remark(&mut self, rule: Rule, start: usize, what: impl Into<String>, safer: impl Into<String>) {
        let (what, safer) = (what.into(), safer.into());
        self.remarks.push(Remark { rule, start, statement: Some(self.statement), what, safer });
    }

    /// The statement can't be read from there on.
    pub fn unreadable(&mut self, start: usize, why: impl std::fmt::Display) {
        self.remark(
            Rule::Unreadable,
            start,
            format!("it can't be read: {why}"),
            "mend it; this statement was not checked",
        );
    }

    /// Whether this file made the table: then nobody waits for it, and nothing in it can be lost.
    pub fn made(&self, table: &Name) -> bool {
        self.created.iter().any(|made| made.is(table))
    }

    /// This file made the table.
    pub fn make(&mut self, table: Name) {
        self.created.push(table);
    }

    /// Whether this file makes a view of that name.
    pub fn has_view(&self, name: &Name) -> bool {
        self.views.iter().any(|view| view.is(name))
    }

    /// Something is done `concurrently`.
    pub fn concurrently(&mut self, start: usize) {
        if let Some((what, safer)) = self.refusal {
            self.remark(Rule::ConcurrentlyInTransaction, start, what, safer);
        }
    }

    fn read(&mut self, statement: &Statement) {
        let first = &statement.tokens[0];
        if !COMMANDS.iter().any(|command| first.is(command)) {
            let why = match first.text {
                "\u{feff}" => "the file begins with a byte order mark".to_owned(),
                "\\" => "commands of psql are not SQL".to_owned(),
                text => format!("no command of PostgreSQL begins with `{text}`"),
            };
            return self.unreadable(first.start, why);
        }
        if let Some(comma) = stray_comma(&statement.tokens) {
            return self.unreadable(comma.start, "something is missing before or after this comma");
        }
        if first.is("do") {
            return self.block(statement);
        }
        self.command(statement);
    }

    /// A block of code runs in a transaction, whatever the file does.
    fn block(&mut self, statement: &Statement) {
        let outside = self.refusal;
        self.refusal = Some((
            "PostgreSQL refuses it: a block of code runs in a transaction",
            "move it out of the block, alone into a file whose very first line is `-- no-transaction`",
        ));
        for body in &statement.tokens {
            for command in commands_of_body(body) {
                self.command(&command);
            }
        }
        self.refusal = outside;
    }

    fn command(&mut self, statement: &Statement) {
        let mut cursor = statement.cursor();
        let Some(first) = cursor.next() else { return };
        match first.text.to_lowercase().as_str() {
            "alter" if cursor.sees("table") || cursor.sees("foreign table") => alter::table(self, cursor),
            "create" => self.create(first.start, cursor),
            "drop" => self.drop(first.start, cursor),
            "truncate" => {
                cursor.eat("table");
                for table in cursor.tables() {
                    if self.made(&table) {
                        continue;
                    }
                    self.remark(
                        Rule::Truncate,
                        table.start,
                        format!(
                            "every row of `{table}` is gone when this commits; until then nobody reads or writes it"
                        ),
                        "delete in batches what is no longer wanted, outside of migrations",
                    );
                }
            }
            "reindex" => self.reindex(first.start, cursor),
            "vacuum" | "cluster" | "refresh" => self.rewrite(first, cursor),
            "commit" | "end" | "abort" | "rollback"
                if self.is_wrapped && !statement.tokens.iter().any(|one| one.is("to")) =>
            {
                self.remark(
                    Rule::EndsTransaction,
                    first.start,
                    "it ends the transaction of this file: a failure after it leaves the schema changed and nothing recorded",
                    "take `begin` and `commit` out: sqlx makes the file one transaction",
                );
            }
            "select" | "with" => self.select_into(cursor.rest()),
            _ => {}
        }
    }

    fn create(&mut self, start: usize, mut cursor: Cursor) {
        cursor.skip(&["or replace", "global", "local", "temp", "temporary", "unlogged", "unique"]);
        if cursor.eat("table") || cursor.eat("materialized view") {
            cursor.eat("if not exists");
            if let Some(table) = cursor.name() {
                self.make(table);
            }
        } else if cursor.eat("index") {
            if cursor.eat("concurrently") {
                return self.concurrently(start);
            }
            while cursor.next().is_some_and(|token| !token.is("on")) {}
            // On a partitioned table alone nothing is built: the partitions' indexes are attached to it later.
            if cursor.sees("only") {
                return;
            }
            if let Some(table) = cursor.name().filter(|table| !self.made(table)) {
                self.remark(
                    Rule::IndexNotConcurrent,
                    start,
                    format!("whoever writes to `{table}` waits until the index is built"),
                    "`create index concurrently`, alone in a file whose very first line is `-- no-transaction`",
                );
            }
        }
    }

    fn drop(&mut self, start: usize, mut cursor: Cursor) {
        if cursor.eat("index concurrently") {
            self.concurrently(start);
        } else if cursor.eat("table") {
            cursor.eat("if exists");
            for table in cursor.tables() {
                self.history.forget(&table);
                if self.made(&table) {
                    continue;
                }
                self.remark(
                    Rule::DropTable,
                    table.start,
                    format!("all of `{table}` is gone when this commits, and the running version's queries of it fail"),
                    "release a version that no longer uses it; drop it in the release after, with an allow that says so",
                );
            }
        } else if cursor.sees("owned by")
            || cursor.sees("schema") && cursor.rest().last().is_some_and(|last| last.is("cascade"))
        {
            self.remark(
                Rule::DropTable,
                start,
                "every table that it holds is gone when this commits, and the running version's queries of them fail",
                "drop by name what is no longer used, a release after the last version that used it",
            );
        }
    }

    fn reindex(&mut self, start: usize, cursor: Cursor) {
        if cursor.rest().iter().any(|token| token.is("concurrently")) {
            return self.concurrently(start);
        }
        let mut cursor = cursor;
        cursor.brackets();
        let is_made = cursor.eat("table") && cursor.name().is_some_and(|table| self.made(&table));
        if !is_made {
            self.remark(
                Rule::IndexNotConcurrent,
                start,
                "whoever writes to the table, or would read by the index, waits until it is built anew",
                "`reindex ... concurrently`, alone in a file whose very first line is `-- no-transaction`",
            );
        }
    }

    fn rewrite(&mut self, first: &Token, mut cursor: Cursor) {
        let safer = match first.text.to_lowercase().as_str() {
            "vacuum" => {
                let options = cursor.brackets().unwrap_or_default();
                if !cursor.sees("full") && !options.iter().any(|option| option.is("full")) {
                    return;
                }
                "plain `vacuum` frees space for new rows without a lock that anybody waits for; autovacuum does it"
            }
            "refresh" => {
                if !cursor.eat("materialized view") || cursor.eat("concurrently") {
                    return;
                }
                if cursor.name().is_some_and(|view| self.made(&view)) {
                    return;
                }
                "`refresh materialized view concurrently`; it needs a unique index on the view"
            }
            _ if cursor.table().is_some_and(|table| self.made(&table)) => return,
            _ => "leave the order of rows to indexes; where it must be, do it while the app is down, with an allow",
        };
        self.remark(
            Rule::RewriteTable,
            first.start,
            "nobody can read or write it until all of it is written anew",
            safer,
        );
    }

    /// `select ... into t` makes a table.
    fn select_into(&mut self, tokens: &[Token]) {
        let outer: Vec<Token> = depths(tokens).filter(|(depth, _)| *depth == 0).map(|(_, token)| *token).collect();
        let is_table = |at: &usize| outer[*at].is("into") && (*at == 0 || !is_writing(&outer[*at - 1]));
        let Some(at) = (0..outer.len()).find(is_table) else { return };
        let mut cursor = Cursor::new(&outer[at + 1..]);
        cursor.skip(&["temp", "temporary", "unlogged", "table"]);
        if let Some(table) = cursor.name() {
            self.make(table);
        }
    }
}

/// `insert into` and `merge into` make no table.
fn is_writing(token: &Token) -> bool {
    token.is("insert") || token.is("merge")
}

/// A comma that separates nothing.
fn stray_comma<'t, 'a>(tokens: &'t [Token<'a>]) -> Option<&'t Token<'a>> {
    let is = |token: Option<&Token>, symbols: &[&str]| {
        token.is_none_or(|token| symbols.iter().any(|symbol| token.is(symbol)))
    };
    let comma = tokens.iter().enumerate().find(|(at, token)| {
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        token.is(",") && (is(before, &[",", "(", "["]) || is(tokens.get(at + 1), &[")", "]"]))
    });
    comma.map(|(_, token)| token)
}
