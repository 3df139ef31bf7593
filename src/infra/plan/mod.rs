//! A plan as data: what changes, why, and which of it holds data that would be lost.
//!
//! Read from `terraform show -json` (<https://developer.hashicorp.com/terraform/internals/json-format>).

mod difference;
mod read;
mod text;

use serde::Serialize;

pub use difference::{Attribute, MASK};
pub use read::Shown;
pub use text::resources;

/// What happens to a resource, the most destructive first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Destroy,
    Replace,
    Change,
    Create,
    /// It stays, and Terraform no longer knows it.
    Forget,
    /// Only the state's record of it changes: it moved, or was imported.
    Record,
}

impl Action {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [Self::Destroy, Self::Replace, Self::Change, Self::Create, Self::Forget, Self::Record];

    pub fn word(self) -> &'static str {
        match self {
            Self::Destroy => "destroy",
            Self::Replace => "replace",
            Self::Change => "change",
            Self::Create => "create",
            Self::Forget => "forget",
            Self::Record => "record",
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Self::Destroy => "-",
            Self::Replace => "±",
            Self::Change => "~",
            Self::Create => "+",
            Self::Forget => "x",
            Self::Record => "=",
        }
    }
}

/// One resource that changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub address: String,
    /// Such as `aws_s3_bucket`.
    #[serde(rename = "type")]
    pub kind: String,
    pub action: Action,
    /// Why, where Terraform says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is different in it; for what is made or destroyed as a whole nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    /// Where it holds data that goes with it: the name that has to be typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loses: Option<String>,
}

/// An output that changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutputChange {
    pub name: String,
    pub attributes: Vec<Attribute>,
}

/// A plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    pub environment: String,
    pub changes: Vec<Change>,
    pub outputs: Vec<OutputChange>,
    /// What somebody changed outside of Terraform.
    pub drift: Vec<Change>,
    /// Whether applying it would do anything.
    pub applyable: bool,
}

impl Plan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.outputs.is_empty() && !self.applyable
    }

    /// How many resources have this action.
    pub fn count(&self, action: Action) -> usize {
        self.changes.iter().filter(|change| change.action == action).count()
    }

    /// Resources whose data goes with them: the address, and the name that has to be typed.
    pub fn losses(&self) -> Vec<(&str, &str)> {
        self.changes.iter().filter_map(|change| Some((change.address.as_str(), change.loses.as_deref()?))).collect()
    }

    /// `1 to destroy, 2 to create`, or that there is nothing.
    pub fn words(&self) -> String {
        let counts = Action::ALL.into_iter().map(|action| (self.count(action), action));
        let words: Vec<String> = counts
            .filter(|(count, _)| *count > 0)
            .map(|(count, action)| format!("{count} to {}", action.word()))
            .collect();
        match (words.is_empty(), self.outputs.len()) {
            (false, _) => words.join(", "),
            (true, 0) if !self.applyable => "nothing to do".to_owned(),
            (true, 0) => "only the state changes".to_owned(),
            (true, count) => format!("only {count} outputs change"),
        }
    }
}
