//! The rules by name.

use std::fmt;

use serde::{Serialize, Serializer};

/// Declares the rules once: the variant, the name in output and allows, and a line for the help.
macro_rules! rules {
    ($($variant:ident $name:literal $summary:literal,)*) => {
        /// What a migration can do to an app that runs, or what keeps it from being checked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $(#[doc = $summary] $variant,)*
        }

        impl Rule {
            /// Every rule, in the order of the help.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in output and in allows.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it finds, in a line.
            pub fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary,)* }
            }
        }
    };
}

rules! {
    DropColumn "drop-column" "a column is dropped",
    DropTable "drop-table" "a table is dropped, or a schema with its tables",
    RenameColumn "rename-column" "a column is renamed",
    RenameTable "rename-table" "a table is renamed or moved, and no view keeps its name",
    ChangeType "change-type" "a column's type is changed",
    IndexNotConcurrent "index-not-concurrent" "an index is built without `concurrently`",
    ConcurrentlyInTransaction "concurrently-in-transaction" "`concurrently` where PostgreSQL refuses it",
    EndsTransaction "ends-transaction" "`commit` or `rollback` in a file that is a transaction already",
    ForeignKeyValidated "foreign-key-validated" "a foreign key without `not valid`",
    CheckValidated "check-validated" "a check constraint without `not valid`",
    ValidateWithAdd "validate-with-add" "a constraint is validated in the migration that adds it",
    ConstraintBuildsIndex "constraint-builds-index" "a unique, primary key or exclude constraint builds its index",
    SetNotNull "set-not-null" "`set not null` that no validated check has proven",
    NotNullWithoutDefault "not-null-without-default" "a column `not null` without a default is added",
    VolatileDefault "volatile-default" "a column is added whose value is computed for every row",
    RewriteTable "rewrite-table" "a table or view is written anew under a lock",
    Truncate "truncate" "a table is emptied",
    MissingDown "missing-down" "the down file is missing or has no statement",
    FileName "file-name" "a file that is never run, or two with one version",
    Unreadable "unreadable" "SQL that can't be read",
    Allow "allow" "an allow without a reason or a use, or of no rule",
}

impl Rule {
    /// The rule of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.name() == name)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
