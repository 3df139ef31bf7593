//! What is to be done, from what is known and what is applied: pure.

use std::time::Duration;

use serde::Serialize;
use sqlx::migrate::{Migration, Migrator};

use crate::failure::{Failure, Result};

/// A row of the table of applied migrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    pub version: i64,
    pub description: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// False where it began and never ended.
    pub success: bool,
    pub checksum: Vec<u8>,
    pub took: Option<Duration>,
}

/// How a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Applied,
    Pending,
    /// Applied, but its file was changed since.
    Changed,
    /// Applied, but its file is gone.
    Missing,
    /// Pending, but older than the newest applied one.
    OutOfOrder,
    /// Began and never ended.
    Dirty,
}

/// A migration and its state, as `status` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    pub version: i64,
    pub name: String,
    pub state: State,
    pub applied_at: Option<String>,
    pub seconds: Option<f64>,
}

/// `0001 create users`.
pub fn name(migration: &Migration) -> String {
    format!("{:04} {}", migration.version, migration.description)
}

/// Line and column, from 1, of a position counted in characters from 0.
pub fn place(text: &str, position: usize) -> (usize, usize) {
    let before = text.chars().take(position);
    before.fold((1, 1), |(line, column), c| if c == '\n' { (line + 1, 1) } else { (line, column + 1) })
}

fn ups(migrator: &Migrator) -> impl Iterator<Item = &Migration> {
    migrator.iter().filter(|migration| !migration.migration_type.is_down_migration())
}

/// Every migration, known or applied, by version.
pub fn status(migrator: &Migrator, applied: &[Applied]) -> Vec<Step> {
    let newest = applied.last().map_or(i64::MIN, |row| row.version);
    let mut steps: Vec<Step> = ups(migrator)
        .map(|migration| {
            let row = applied.iter().find(|row| row.version == migration.version);
            let state = match row {
                Some(row) if !row.success => State::Dirty,
                Some(row) if row.checksum != *migration.checksum => State::Changed,
                Some(_) => State::Applied,
                None if migration.version < newest => State::OutOfOrder,
                None => State::Pending,
            };
            step(migration.version, &migration.description, state, row)
        })
        .collect();
    let unknown = applied.iter().filter(|row| !ups(migrator).any(|migration| migration.version == row.version));
    steps.extend(unknown.map(|row| {
        let state = if row.success { State::Missing } else { State::Dirty };
        step(row.version, &row.description, state, Some(row))
    }));
    steps.sort_by_key(|step| step.version);
    steps
}

fn step(version: i64, name: &str, state: State, row: Option<&Applied>) -> Step {
    Step {
        version,
        name: name.to_owned(),
        state,
        applied_at: row.map(|row| row.at.clone()),
        seconds: row.and_then(|row| row.took).map(|took| took.as_secs_f64()),
    }
}

/// The first thing that is wrong, with the way out.
fn sound(steps: &[Step]) -> Result<()> {
    for step in steps {
        let file = format!("{:04} {}", step.version, step.name);
        return Err(match step.state {
            State::Applied | State::Pending => continue,
            State::Dirty => Failure::failed(format!("the migration {file} began and never ended"))
                .cause("it is marked as unfinished, so nobody knows what of it was done")
                .hint("Look what it left in the schema and finish or undo that by hand.")
                .hint(format!(
                    "Then, if it is undone: delete from _sqlx_migrations where version = {}; if it is finished: update \
                     _sqlx_migrations set success = true where version = {}",
                    step.version, step.version
                )),
            State::Changed => Failure::failed(format!("the migration {file} was changed after it was applied"))
                .cause("its checksum is not that of the applied one, so other databases may look different")
                .hint("Take the change back, and put it into a new migration: streamify migrate add NAME"),
            State::Missing => Failure::failed(format!("the migration {file} is applied but its file is missing"))
                .cause("the database is newer than this program, or the file was deleted")
                .hint("Use the program version that has it, or bring the file back from version control."),
            State::OutOfOrder => Failure::failed(format!("the migration {file} is out of order"))
                .cause("it is pending, but a newer one is applied already")
                .hint("Give it a number above the newest applied one (rename its files)."),
        });
    }
    Ok(())
}

/// What is to be applied, in order, up to and with `to`.
pub fn pending<'a>(migrator: &'a Migrator, applied: &[Applied], to: Option<i64>) -> Result<Vec<&'a Migration>> {
    known(migrator, to)?;
    sound(&status(migrator, applied))?;
    Ok(ups(migrator)
        .filter(|migration| to.is_none_or(|to| migration.version <= to))
        .filter(|migration| !applied.iter().any(|row| row.version == migration.version))
        .collect())
}

/// What is to be taken back, newest first: the newest, or all above `to`.
pub fn revertible<'a>(migrator: &'a Migrator, applied: &[Applied], to: Option<i64>) -> Result<Vec<&'a Migration>> {
    known(migrator, to.filter(|to| *to != 0))?;
    sound(&status(migrator, applied))?;
    let newest_first = applied.iter().rev();
    let rows: Vec<&Applied> = match to {
        None => newest_first.take(1).collect(),
        Some(to) => newest_first.take_while(|row| row.version > to).collect(),
    };
    rows.into_iter()
        .map(|row| {
            migrator
                .iter()
                .find(|migration| migration.version == row.version && migration.migration_type.is_down_migration())
                .ok_or_else(|| {
                    Failure::failed(format!("the migration {:04} {} can't be taken back", row.version, row.description))
                        .cause("it has no down file")
                        .hint("Write a new migration that undoes it: streamify migrate add NAME")
                })
        })
        .collect()
}

fn known(migrator: &Migrator, to: Option<i64>) -> Result<()> {
    match to.filter(|to| !migrator.version_exists(*to)) {
        Some(to) => {
            Err(Failure::usage(format!("there is no migration {to}"))
                .hint("See which there are: streamify migrate status"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use sqlx::SqlSafeStr;
    use sqlx::migrate::MigrationType::{ReversibleDown, ReversibleUp};

    use super::*;

    fn migrator() -> Migrator {
        let migration =
            |version, kind, sql: &'static str| Migration::new(version, "m".into(), kind, sql.into_sql_str(), false);
        Migrator::with_migrations(vec![
            migration(1, ReversibleUp, "select 1"),
            migration(1, ReversibleDown, "select -1"),
            migration(2, ReversibleUp, "select 2"),
            migration(2, ReversibleDown, "select -2"),
            migration(3, ReversibleUp, "select 3"),
        ])
    }

    fn applied(migrator: &Migrator, versions: &[i64]) -> Vec<Applied> {
        let checksum = |version| {
            ups(migrator).find(|migration| migration.version == version).map_or(vec![], |m| m.checksum.to_vec())
        };
        let row = |version: &i64| Applied {
            version: *version,
            description: "m".into(),
            at: "2026-01-01T00:00:00Z".into(),
            success: true,
            checksum: checksum(*version),
            took: None,
        };
        versions.iter().map(row).collect()
    }

    fn versions(migrations: &[&Migration]) -> Vec<i64> {
        migrations.iter().map(|migration| migration.version).collect()
    }

    #[test]
    fn what_is_pending_is_applied_in_order_and_up_to_a_version() {
        let migrator = migrator();
        let one = applied(&migrator, &[1]);
        assert_eq!(versions(&pending(&migrator, &one, None).unwrap()), [2, 3]);
        assert_eq!(versions(&pending(&migrator, &one, Some(2)).unwrap()), [2]);
        assert!(pending(&migrator, &one, Some(9)).unwrap_err().message.contains("no migration 9"));
    }

    #[test]
    fn each_wrong_state_has_its_own_words() {
        let migrator = migrator();
        let message = |rows: &[Applied]| pending(&migrator, rows, None).unwrap_err().message;
        let mut changed = applied(&migrator, &[1]);
        changed[0].checksum = vec![0];
        assert!(message(&changed).contains("was changed"));
        assert!(message(&applied(&migrator, &[1, 2, 9])).contains("out of order"));
        assert!(message(&applied(&migrator, &[1, 2, 3, 9])).contains("file is missing"));
        assert!(message(&applied(&migrator, &[1, 3])).contains("out of order"));
        let mut dirty = applied(&migrator, &[1]);
        dirty[0].success = false;
        assert!(message(&dirty).contains("never ended"));
    }

    #[test]
    fn the_newest_is_taken_back_first() {
        let migrator = migrator();
        let two = applied(&migrator, &[1, 2]);
        assert_eq!(versions(&revertible(&migrator, &two, None).unwrap()), [2]);
        assert_eq!(versions(&revertible(&migrator, &two, Some(0)).unwrap()), [2, 1]);
        let three = applied(&migrator, &[1, 2, 3]);
        assert!(revertible(&migrator, &three, None).unwrap_err().causes[0].contains("no down file"));
    }

    #[test]
    fn places_are_counted_in_characters() {
        assert_eq!(place("aü\nbc", 4), (2, 2));
    }
}
