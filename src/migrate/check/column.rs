//! A column's definition, as far as its constraints matter.

use super::lexer::{Kind, Token};
use super::statement::{Cursor, depths};

/// A part of a definition that begins with a word of its own.
const PARTS: &[&str] = &[
    "check",
    "collate",
    "compression",
    "constraint",
    "default",
    "deferrable",
    "generated",
    "initially",
    "not",
    "null",
    "primary",
    "references",
    "storage",
    "unique",
];

/// Functions that give one value to all rows: immutable, or stable (the same all through a statement).
///
/// Whatever is not here is taken for volatile, as `PostgreSQL` takes functions whose maker said nothing.
const STEADY: &[&str] = &[
    "abs",
    "age",
    "array",
    "array_fill",
    "btrim",
    "cast",
    "ceil",
    "char_length",
    "coalesce",
    "concat",
    "concat_ws",
    "current_database",
    "current_schema",
    "current_setting",
    "date",
    "date_part",
    "date_trunc",
    "decode",
    "encode",
    "extract",
    "floor",
    "format",
    "greatest",
    "int4range",
    "int8range",
    "interval",
    "json_array",
    "json_build_array",
    "json_build_object",
    "json_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_object",
    "least",
    "left",
    "length",
    "lower",
    "ltrim",
    "make_date",
    "make_interval",
    "make_time",
    "make_timestamp",
    "make_timestamptz",
    "md5",
    "mod",
    "now",
    "nullif",
    "numrange",
    "overlay",
    "position",
    "power",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "row",
    "rtrim",
    "sha256",
    "split_part",
    "sqrt",
    "statement_timestamp",
    "string_to_array",
    "substr",
    "substring",
    "timezone",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "to_tsvector",
    "transaction_timestamp",
    "translate",
    "trim",
    "trunc",
    "tsrange",
    "tstzrange",
    "upper",
    // The value of now, with its precision in brackets.
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    // Types, with their length or precision in brackets, and words of expressions before a bracket.
    "and",
    "any",
    "bit",
    "bpchar",
    "case",
    "char",
    "character",
    "dec",
    "decimal",
    "else",
    "float",
    "in",
    "is",
    "not",
    "numeric",
    "or",
    "then",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "varbit",
    "varchar",
    "varying",
    "when",
];

/// What an added column asks of the rows that are there.
#[derive(Debug, Default)]
pub(super) struct Column<'t, 'a> {
    /// The value for every row, in words, where it is not one value for all: `f()`, `serial`.
    pub computed: Option<String>,
    /// Whether rows get a value at all.
    pub has_value: bool,
    /// Whether it says what value, be it null.
    pub has_default: bool,
    /// Whether the value is generated, by an identity or from other columns.
    pub is_generated: bool,
    pub not_null: Option<&'t Token<'a>>,
    pub check: Option<&'t Token<'a>>,
    pub references: Option<&'t Token<'a>>,
    pub unique: Option<&'t Token<'a>>,
}

impl<'t, 'a> Column<'t, 'a> {
    /// Reads what follows the column's name.
    pub fn read(definition: &'t [Token<'a>]) -> Self {
        let starts: Vec<usize> = depths(definition)
            .enumerate()
            .filter(|(at, (depth, token))| *depth == 0 && is_part(definition, *at, token))
            .map(|(at, _)| at)
            .collect();
        let mut column = Self::default();
        let data_type = &definition[..starts.first().copied().unwrap_or(definition.len())];
        let serials = ["serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"];
        if let Some(name) = data_type.iter().find(|token| serials.iter().any(|serial| token.is(serial))) {
            column.generate(&name.text.to_lowercase());
        }
        for (number, start) in starts.iter().enumerate() {
            let end = starts.get(number + 1).copied().unwrap_or(definition.len());
            column.part(&definition[*start..end]);
        }
        column
    }

    fn generate(&mut self, how: &str) {
        self.computed = Some(how.to_owned());
        self.has_value = true;
        self.is_generated = true;
    }

    fn part(&mut self, part: &'t [Token<'a>]) {
        let (first, mut cursor) = (&part[0], Cursor::new(part));
        if cursor.eat("not null") {
            self.not_null.get_or_insert(first);
        } else if cursor.eat("primary key") {
            self.unique.get_or_insert(first);
            self.not_null.get_or_insert(first);
        } else if cursor.eat("unique") {
            self.unique.get_or_insert(first);
        } else if cursor.eat("check") {
            self.check.get_or_insert(first);
        } else if cursor.eat("references") {
            self.references.get_or_insert(first);
        } else if cursor.eat("generated") {
            self.has_value = true;
            let how = if part.iter().any(|token| token.is("identity")) { "identity" } else { "generated" };
            // A virtual column is computed when it is read.
            if part.iter().any(|token| token.is("identity") || token.is("stored")) {
                self.generate(how);
            }
        } else if cursor.eat("default") {
            self.has_default = true;
            self.has_value |= !cursor.sees("null");
            self.computed = self.computed.take().or_else(|| volatile(cursor.rest()));
        }
    }
}

/// `null` is a part of its own only where it is not the value of a default, or the end of `not null`.
fn is_part(definition: &[Token], at: usize, token: &Token) -> bool {
    let before = at.checked_sub(1).map(|before| &definition[before]);
    let continues = |word: &str| before.is_some_and(|before| before.is(word));
    let is_value = token.is("null") && (continues("not") || continues("default") || continues("set"));
    let is_action = token.is("default") && (continues("set") || continues("by"));
    let is_not_deferrable = token.is("deferrable") && continues("not");
    PARTS.iter().any(|part| token.is(part)) && !is_value && !is_action && !is_not_deferrable
}

/// The first function of an expression that may give each row another value.
fn volatile(expression: &[Token]) -> Option<String> {
    expression.windows(2).enumerate().find_map(|(at, pair)| {
        let is_type = at >= 1 && expression[at - 1].is(":");
        let is_call = matches!(pair[0].kind, Kind::Word | Kind::Quoted) && pair[1].is("(") && !is_type;
        let is_steady = STEADY.iter().any(|steady| pair[0].is(steady));
        (is_call && !is_steady).then(|| format!("{}()", pair[0].text))
    })
}

#[cfg(test)]
mod tests {
    use super::super::lexer::lex;
    use super::*;

    fn computed(definition: &str) -> Option<String> {
        Column::read(&lex(definition, 0).tokens).computed
    }

    #[test]
    fn one_value_for_all_rows_is_told_from_one_for_each() {
        for steady in [
            "text",
            "timestamptz default now() not null",
            "timestamptz default current_timestamp(3)",
            "numeric(10, 2) default '0'::numeric(10, 2)",
            "text default 'x'::character varying(20) collate \"C\"",
            "jsonb default jsonb_build_object('a', array[1]) not null",
            "int default (1 + (2 * 3))",
            "int generated always as (a * 2) virtual",
        ] {
            assert_eq!(computed(steady), None, "{steady}");
        }
        for (volatile, how) in [
            ("uuid not null default gen_random_uuid()", "gen_random_uuid()"),
            ("timestamptz default pg_catalog.clock_timestamp()", "clock_timestamp()"),
            ("int default (1 + nextval('s'))", "nextval()"),
            ("bigserial primary key", "bigserial"),
            ("bigint generated by default as identity", "identity"),
            ("int generated always as (a * 2) stored", "generated"),
        ] {
            assert_eq!(computed(volatile).as_deref(), Some(how), "{volatile}");
        }
    }

    #[test]
    fn parts_are_told_apart() {
        let lexed = lex("int default null references b on delete set null check (a is not null) not deferrable", 0);
        let column = Column::read(&lexed.tokens);
        assert!(!column.has_value && column.not_null.is_none());
        assert!(column.references.is_some() && column.check.is_some());
    }
}
