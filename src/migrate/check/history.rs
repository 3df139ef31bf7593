//! What the migrations before have proven: checks that a column has no null.
//!
//! `PostgreSQL` skips its look at every row for `set not null` where a validated check says the same already; this is
//! what makes the safe way to `not null` end without a warning.

use super::lexer::Token;
use super::statement::{Name, pieces, stored};

#[derive(Debug)]
struct Proof {
    table: Name,
    constraint: String,
    columns: Vec<String>,
    is_validated: bool,
}

/// Checks that columns are not null, through all migrations in order.
#[derive(Debug, Default)]
pub(super) struct History {
    proofs: Vec<Proof>,
}

impl History {
    /// A constraint was added that lets no null into these columns.
    pub fn added(&mut self, table: &Name, constraint: &str, columns: Vec<String>, is_validated: bool) {
        if !columns.is_empty() {
            let (table, constraint) = (table.clone(), constraint.to_owned());
            self.proofs.push(Proof { table, constraint, columns, is_validated });
        }
    }

    /// A constraint was validated.
    pub fn validated(&mut self, table: &Name, constraint: &str) {
        for proof in self.proofs.iter_mut().filter(|proof| proof.table.is(table) && proof.constraint == constraint) {
            proof.is_validated = true;
        }
    }

    /// A constraint was dropped.
    pub fn dropped(&mut self, table: &Name, constraint: &str) {
        self.proofs.retain(|proof| !proof.table.is(table) || proof.constraint != constraint);
    }

    /// A column is no longer there, or has another name; its constraints went with it.
    pub fn forget_column(&mut self, table: &Name, column: &str) {
        self.proofs.retain(|proof| !proof.table.is(table) || !proof.columns.iter().any(|known| known == column));
    }

    /// A table is no longer there, or has another name.
    pub fn forget(&mut self, table: &Name) {
        self.proofs.retain(|proof| !proof.table.is(table));
    }

    /// Whether a validated check says that the column has no null.
    pub fn proves(&self, table: &Name, column: &str) -> bool {
        let says = |proof: &Proof| proof.columns.iter().any(|known| known == column);
        self.proofs.iter().any(|proof| proof.is_validated && proof.table.is(table) && says(proof))
    }
}

/// The columns of `a is not null and b is not null`, a check's expression; with an `or` nothing is certain.
pub(super) fn not_null_columns(expression: &[Token]) -> Vec<String> {
    if pieces(expression, "or").len() > 1 {
        return Vec::new();
    }
    let column = |piece: &[Token]| match piece {
        [name, is, not, null] if is.is("is") && not.is("not") && null.is("null") => stored(name),
        _ => None,
    };
    pieces(expression, "and").into_iter().filter_map(|piece| column(without_brackets(piece))).collect()
}

fn without_brackets<'t, 'a>(piece: &'t [Token<'a>]) -> &'t [Token<'a>] {
    match piece {
        [open, inner @ .., close] if open.is("(") && close.is(")") => without_brackets(inner),
        _ => piece,
    }
}
