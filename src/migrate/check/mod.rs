//! Looks at migrations, without a database, for what locks, breaks or destroys while the app before them still runs.
//!
//! It reads SQL itself, by what a statement begins with and no further than the rules need. A general SQL parser was
//! tried: it refused a quarter of `PostgreSQL`'s own statements (`drop index concurrently if exists`, `do`, `reindex`
//! among them), and a refusal would be a false alarm or a silent gap. What no database could read is a finding, with
//! its place.

mod allow;
mod alter;
mod column;
mod folder;
mod history;
mod lexer;
mod review;
mod rule;
mod statement;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Serialize;

use self::folder::File;
use self::history::History;
use self::lexer::{Lexed, Unreadable, lex};
use self::review::{Remark, review};
use self::statement::{Statement, split};
use super::plan::place;
use crate::failure::{Failure, Result};

pub use rule::Rule;

/// sqlx runs a file that begins with it outside a transaction.
const NO_TRANSACTION: &str = "-- no-transaction";

/// What was looked at, and what was found.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// How many migrations were looked at.
    pub migrations: usize,
    /// By file and place.
    pub findings: Vec<Finding>,
}

/// One thing to mend, or to allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, in the folder as it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub rule: Rule,
    /// The line that it is about.
    pub source: String,
    /// What it does to a running app.
    pub what: String,
    /// How to do it without.
    pub safer: String,
}

/// Checks the migrations of a folder, which is inside `directory` unless it is absolute.
///
/// Only those after the version `since` are checked; the others are read all the same, for what they prove.
///
/// # Errors
/// The folder can't be read or has no migration, or there is no migration `since` (0 is before the first).
pub fn check(directory: &Path, folder: &Path, since: Option<i64>) -> Result<Checked> {
    let read = folder::read(&directory.join(folder), folder)?;
    if let Some(since) = since.filter(|since| *since != 0 && !read.files.iter().any(|file| file.version == *since)) {
        return Err(Failure::usage(format!("there is no migration {since} in {}", folder.display()))
            .hint("Give the newest version that is not to be checked, or 0"));
    }
    let is_new = |version: i64| since.is_none_or(|since| version > since);
    let mut history = History::default();
    let mut checked = Checked { migrations: 0, findings: Vec::new() };
    for (name, what, safer) in &read.misnamed {
        let remark = file_remark(Rule::FileName, None, what.clone(), safer.clone());
        checked.findings.push(finding(folder, name, "", remark));
    }
    for file in &read.files {
        let mut remarks = if file.is_down {
            check_down(file)
        } else {
            check_up(file, read.down(file.version).is_some(), &mut history)
        };
        let clash = read.clash(file);
        remarks.extend(clash.map(|(what, safer)| file_remark(Rule::FileName, None, what, safer)));
        remarks.sort_by_key(|remark| (remark.start, remark.rule));
        if is_new(file.version) {
            checked.migrations += usize::from(!file.is_down);
            let findings = remarks.into_iter().map(|remark| finding(folder, &file.name, &file.text, remark));
            checked.findings.extend(findings);
        }
    }
    Ok(checked)
}

fn check_up(file: &File, has_down: bool, history: &mut History) -> Vec<Remark> {
    let (lexed, statements) = read_file(file);
    let mut remarks = review(&statements, file.text.starts_with(NO_TRANSACTION), history);
    remarks.extend(lexed.error.as_ref().map(unreadable));
    if !has_down {
        let safer = "write the down file; where nothing can undo it, allow it above the first statement".to_owned();
        let what = "`migrate revert` can't take it back: it has no down file".to_owned();
        remarks.push(file_remark(Rule::MissingDown, statements.first(), what, safer));
    }
    allow::apply(&lexed.comments, &statements, &mut remarks);
    remarks
}

/// A down file takes away by its nature; what counts is that it can be run.
fn check_down(file: &File) -> Vec<Remark> {
    let (lexed, statements) = read_file(file);
    let mut remarks = review(&statements, file.text.starts_with(NO_TRANSACTION), &mut History::default());
    remarks.retain(|remark| matches!(remark.rule, Rule::Unreadable | Rule::ConcurrentlyInTransaction));
    // With `set` alone it does nothing either: that is how `migrate add` begins it.
    if lexed.error.is_none() && statements.iter().all(|statement| statement.tokens[0].is("set")) {
        let safer = "write what undoes the up file; or delete this one, so that revert refuses".to_owned();
        let what = "`migrate revert` would say that it was taken back, and change nothing".to_owned();
        remarks.push(file_remark(Rule::MissingDown, statements.first(), what, safer));
    }
    remarks.extend(lexed.error.as_ref().map(unreadable));
    allow::apply(&lexed.comments, &statements, &mut remarks);
    remarks
}

fn read_file(file: &File) -> (Lexed<'_>, Vec<Statement<'_>>) {
    let mut lexed = lex(&file.text, 0);
    if file.is_cut {
        lexed.error = Some(Unreadable { start: file.text.len(), why: "this byte is not UTF-8".to_owned() });
    }
    let statements = split(&mut lexed);
    (lexed, statements)
}

fn unreadable(error: &Unreadable) -> Remark {
    let what = format!("it can't be read: {}", error.why);
    let safer = "mend it; nothing from here on was checked".to_owned();
    Remark { rule: Rule::Unreadable, start: error.start, statement: None, what, safer }
}

/// A remark about a file, shown and allowed at its first statement where there is one.
fn file_remark(rule: Rule, first: Option<&Statement>, what: String, safer: String) -> Remark {
    Remark { rule, start: first.map_or(0, Statement::start), statement: first.map(|_| 0), what, safer }
}

fn finding(folder: &Path, name: &str, text: &str, remark: Remark) -> Finding {
    let (line, column) = place(text, text[..remark.start].chars().count());
    Finding {
        file: folder.join(name).display().to_string(),
        line,
        column,
        rule: remark.rule,
        source: text.lines().nth(line - 1).unwrap_or_default().trim().to_owned(),
        what: remark.what,
        safer: remark.safer,
    }
}
