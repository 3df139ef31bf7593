//! `alter table`: each of its actions, by what it does to those who use the table.

use super::column::Column;
use super::history::not_null_columns;
use super::lexer::Token;
use super::review::Review;
use super::rule::Rule;
use super::statement::{Cursor, Name, pieces, stored};

/// Actions that hold their lock for a moment only, whatever is in the table.
const BRIEF: &[&str] = &[
    "attach", "detach", "disable", "enable", "force", "inherit", "merge", "no", "not", "of", "options", "owner",
    "replica", "reset", "split",
];

/// An `alter table`, where the table is known.
struct Altering<'r, 'h, 't> {
    review: &'r mut Review<'h>,
    table: &'t Name,
    /// This file made the table.
    is_exempt: bool,
}

/// Reads on after `alter`.
pub(super) fn table(review: &mut Review, mut cursor: Cursor) {
    cursor.skip(&["foreign", "table", "if exists"]);
    if cursor.sees("all in tablespace") {
        return;
    }
    let Some(table) = cursor.table() else {
        if let Some(token) = cursor.next() {
            review.unreadable(token.start, format!("`{}` is no name of a table", token.text));
        }
        return;
    };
    let is_exempt = review.made(&table);
    let mut altering = Altering { review, table: &table, is_exempt };
    // PostgreSQL drops first, wherever it stands: what a constraint proved is gone for the other actions.
    let drops = |action: &&[Token]| Cursor::new(action).sees("drop constraint");
    let (drops, others): (Vec<_>, Vec<_>) = pieces(cursor.rest(), ",").into_iter().partition(drops);
    for action in drops.into_iter().chain(others) {
        altering.action(action);
    }
}

impl Altering<'_, '_, '_> {
    fn warn(&mut self, rule: Rule, start: usize, what: String, safer: impl Into<String>) {
        if !self.is_exempt {
            self.review.remark(rule, start, what, safer);
        }
    }

    /// Nobody can read or write the table while that goes on.
    fn blocked(&self, why: &str) -> String {
        format!("nobody can read or write `{}` while {why}", self.table)
    }

    fn action(&mut self, action: &[Token]) {
        let mut cursor = Cursor::new(action);
        let Some(first) = cursor.next() else { return };
        match first.text.to_lowercase().as_str() {
            "add" => self.add(first.start, cursor),
            "drop" => self.drop(first.start, cursor),
            "alter" => self.alter(first.start, cursor),
            "rename" => self.rename(first.start, cursor),
            "set" => self.set(first.start, cursor),
            "validate" => self.validate(first.start, cursor),
            "cluster" => {}
            "detach" if action.iter().any(|token| token.is("concurrently")) => self.review.concurrently(first.start),
            word if BRIEF.contains(&word) => {}
            word => self.review.unreadable(first.start, format!("`{word}` is no action of `alter table`")),
        }
    }

    fn add(&mut self, start: usize, mut cursor: Cursor) {
        let before = cursor;
        let constraint = if cursor.eat("constraint") { cursor.next().and_then(stored) } else { None };
        let kinds = ["foreign key", "check", "unique", "primary key", "exclude using", "exclude (", "not null"];
        if constraint.is_some() || kinds.iter().any(|kind| cursor.sees(kind)) {
            self.add_constraint(start, &constraint.unwrap_or_default(), cursor);
        } else {
            self.add_column(start, before);
        }
    }

    fn add_constraint(&mut self, start: usize, name: &str, mut cursor: Cursor) {
        let ends_with =
            |words: [&str; 2]| cursor.rest().windows(2).any(|pair| pair[0].is(words[0]) && pair[1].is(words[1]));
        let is_later = ends_with(["not", "valid"]) || ends_with(["not", "enforced"]);
        if is_later {
            self.review.unvalidated.push((self.table.clone(), name.to_owned()));
        }
        let two_steps = "`add constraint ... not valid` here, and `validate constraint` in the next migration";
        if cursor.eat("foreign key") {
            if !is_later {
                let what = format!(
                    "whoever writes to `{}` or to what it refers to waits until every row is checked",
                    self.table
                );
                self.warn(Rule::ForeignKeyValidated, start, what, two_steps);
            }
        } else if cursor.eat("check") {
            let expression = cursor.brackets().unwrap_or_default();
            self.review.history.added(self.table, name, not_null_columns(expression), !is_later);
            if !is_later {
                self.warn(Rule::CheckValidated, start, self.blocked("every row is checked"), two_steps);
            }
        } else if cursor.eat("not null") {
            let column = cursor.next().and_then(stored);
            self.review.history.added(self.table, name, column.into_iter().collect(), !is_later);
            if !is_later {
                self.warn(Rule::SetNotNull, start, self.blocked("every row is checked"), two_steps);
            }
        } else if cursor.eat("exclude") {
            let safer =
                "it can't be built beside the running app: add it while the table is small, with an allow that says so";
            self.warn(Rule::ConstraintBuildsIndex, start, self.blocked("the index is built"), safer);
        } else {
            let kind = if cursor.eat("unique") { "unique" } else { "primary key" };
            cursor.eat("primary key");
            cursor.eat("nulls not distinct");
            if !cursor.sees("using index") {
                let safer = format!(
                    "`create unique index concurrently` in a migration before, then `add constraint ... {kind} using index ...`"
                );
                self.warn(Rule::ConstraintBuildsIndex, start, self.blocked("the index is built"), safer);
            }
        }
    }

    fn add_column(&mut self, start: usize, mut cursor: Cursor) {
        cursor.skip(&["column", "if not exists"]);
        let Some(name) = cursor.next().and_then(stored) else {
            return self.review.unreadable(start, "it has no name of a column");
        };
        let column = Column::read(cursor.rest());
        let later = "add it without, and the constraint afterwards: ";
        if let Some(how) = &column.computed {
            let what = self.blocked(&format!("every row is written anew: each gets its own value of `{name}` ({how})"));
            let safer = if column.is_generated {
                "add a plain column; give new rows a value by `set default` or a trigger, and old rows theirs in batches"
            } else {
                "add it without a default, then `alter column ... set default` for new rows; fill old rows in batches"
            };
            self.warn(Rule::VolatileDefault, start, what, safer);
        }
        if let Some(token) = column.not_null.filter(|_| !column.has_value) {
            let what = format!(
                "it fails where `{}` has rows, and so does each insert of the running version, which doesn't know `{name}`",
                self.table
            );
            let safer =
                "give it a constant default; or add it without `not null`, fill it in batches, and see set-not-null";
            self.warn(Rule::NotNullWithoutDefault, token.start, what, safer);
        }
        if let Some(token) = column.check {
            let safer = format!(
                "{later}`add constraint ... check (...) not valid`, and `validate constraint` in the next migration"
            );
            self.warn(Rule::CheckValidated, token.start, self.blocked("every row is checked"), safer);
        }
        // Without a default there is nothing to check, and PostgreSQL knows it; with `default null` it looks all the same.
        if let Some(token) = column.references.filter(|_| column.has_value || column.has_default) {
            let what =
                format!("whoever writes to `{}` or to what it refers to waits until every row is checked", self.table);
            let safer = format!(
                "{later}`add constraint ... foreign key ... not valid`, and `validate constraint` in the next migration"
            );
            self.warn(Rule::ForeignKeyValidated, token.start, what, safer);
        }
        if let Some(token) = column.unique {
            let safer = format!(
                "{later}`create unique index concurrently` in a migration of its own, then `add constraint ... using index ...`"
            );
            self.warn(Rule::ConstraintBuildsIndex, token.start, self.blocked("the index is built"), safer);
        }
    }

    fn drop(&mut self, start: usize, mut cursor: Cursor) {
        if cursor.eat("constraint") {
            cursor.eat("if exists");
            if let Some(name) = cursor.next().and_then(stored) {
                self.review.history.dropped(self.table, &name);
            }
            return;
        }
        cursor.skip(&["column", "if exists"]);
        let Some(column) = cursor.next().and_then(stored) else {
            return self.review.unreadable(start, "it has no name of a column");
        };
        self.review.history.forget_column(self.table, &column);
        let what = format!(
            "the data of `{}.{column}` is gone when this commits, and the running version's queries that name it fail",
            self.table
        );
        let safer =
            "release a version that no longer uses it; drop it in the release after, with an allow that says so";
        self.warn(Rule::DropColumn, start, what, safer);
    }

    fn alter(&mut self, start: usize, mut cursor: Cursor) {
        if cursor.eat("constraint") {
            return;
        }
        cursor.eat("column");
        let Some(column) = cursor.next().and_then(stored) else {
            return self.review.unreadable(start, "it has no name of a column");
        };
        if cursor.eat("set not null") {
            if !self.review.history.proves(self.table, &column) {
                let safer = format!(
                    "`add constraint c check ({column} is not null) not valid`, and `validate constraint c` in the next \
                     migration; then this looks at no row. Drop c by a statement of its own"
                );
                self.warn(Rule::SetNotNull, start, self.blocked("every row is checked"), safer);
            }
        } else if cursor.sees("type") || cursor.sees("set data type") {
            let what = self.blocked(&format!(
                "every row is written anew with the new type of `{column}`, and its indexes are built anew; the running \
                 version may not be able to read it"
            ));
            let safer = "add a column of the new type, write both, copy in batches, read the new one, drop the old one a \
                         release later; where the type is stored the same way (varchar to text), allow it with that reason";
            self.warn(Rule::ChangeType, start, what, safer);
        }
    }

    fn rename(&mut self, start: usize, mut cursor: Cursor) {
        if cursor.eat("to") {
            let Some(to) = cursor.name() else { return };
            self.review.history.forget(self.table);
            if !self.review.has_view(self.table) {
                let safer = format!(
                    "keep the name for the running version, in the same migration: `create view {} as select * from {to}`",
                    self.table
                );
                self.warn(Rule::RenameTable, start, self.unknown_to(&self.table.to_string()), safer);
            }
            if self.is_exempt {
                self.review.make(self.table.renamed(&to));
            }
        } else if !cursor.eat("constraint") {
            cursor.eat("column");
            let Some(column) = cursor.next().and_then(stored) else {
                return self.review.unreadable(start, "it has no name of a column");
            };
            self.review.history.forget_column(self.table, &column);
            let safer = "add a column of the new name, write both, copy in batches, read the new one, drop the old one a \
                         release later";
            self.warn(Rule::RenameColumn, start, self.unknown_to(&column), safer);
        }
    }

    fn unknown_to(&self, name: &str) -> String {
        format!("the running version still asks for `{name}`: its queries of `{}` fail from here on", self.table)
    }

    fn set(&mut self, start: usize, mut cursor: Cursor) {
        if cursor.eat("schema") {
            if !self.review.has_view(self.table) {
                let safer = "keep the old place for the running version: a view of it there, in the same migration";
                self.warn(Rule::RenameTable, start, self.unknown_to(&self.table.to_string()), safer);
            }
        } else if ["logged", "unlogged", "tablespace", "access method"].iter().any(|what| cursor.sees(what)) {
            let safer = "copy into a new table in batches and switch; or do it while the app is down, with an allow";
            self.warn(Rule::RewriteTable, start, self.blocked("all of it is written anew"), safer);
        }
    }

    fn validate(&mut self, start: usize, mut cursor: Cursor) {
        let Some(name) = cursor.eat("constraint").then(|| cursor.next().and_then(stored)).flatten() else {
            return self.review.unreadable(start, "`validate` is followed by `constraint` and its name");
        };
        self.review.history.validated(self.table, &name);
        let is_fresh = self.review.unvalidated.iter().any(|(table, added)| table.is(self.table) && *added == name);
        if is_fresh {
            let what = format!(
                "the lock that adding `{name}` took on `{}` is held until every row is checked: a file is one transaction",
                self.table
            );
            self.warn(Rule::ValidateWithAdd, start, what, "move `validate constraint` to the next migration");
        }
    }
}
