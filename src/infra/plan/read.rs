//! The form of `terraform show -json`, and a plan made of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::difference::{Hidden, Sides, difference};
use super::{Action, Attribute, Change, OutputChange, Plan};
use crate::failure::{Failure, Result};

/// Types whose resources hold data that nobody can make again. Keys are not among them, since AWS gives them back for
/// days, nor are logs: a name that is one of a dozen to type is typed without a thought.
const STATEFUL: [&str; 14] = [
    "aws_db_instance",
    "aws_dynamodb_table",
    "aws_ebs_volume",
    "aws_ecr_repository",
    "aws_efs_file_system",
    "aws_elasticache_replication_group",
    "aws_msk_cluster",
    "aws_msk_serverless_cluster",
    "aws_rds_cluster",
    "aws_rds_cluster_instance",
    "aws_s3_bucket",
    "aws_secretsmanager_secret",
    "aws_ssm_parameter",
    "aws_sqs_queue",
];

/// Attributes that are a resource's own name, the most telling first.
const NAMES: [&str; 7] =
    ["identifier", "cluster_identifier", "bucket", "cluster_name", "replication_group_id", "name", "key_id"];

/// A plan file or a state, as Terraform shows it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Shown {
    pub resource_changes: Vec<ResourceChange>,
    pub resource_drift: Vec<ResourceChange>,
    pub output_changes: BTreeMap<String, ValueChange>,
    pub configuration: Value,
    pub variables: BTreeMap<String, Value>,
    /// Of a plan: what there will be.
    pub planned_values: Value,
    /// Of a state: what there is.
    pub values: Value,
    pub applyable: Option<bool>,
    pub errored: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ResourceChange {
    pub address: String,
    previous_address: Option<String>,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    deposed: Option<String>,
    change: ValueChange,
    action_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ValueChange {
    actions: Vec<String>,
    before: Value,
    after: Value,
    after_unknown: Value,
    before_sensitive: Value,
    after_sensitive: Value,
    replace_paths: Vec<Value>,
    importing: Option<Value>,
}

impl Shown {
    /// Reads what Terraform printed.
    ///
    /// # Errors
    /// It is not of that form; no part of it is repeated, it holds values in clear.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            Failure::failed("can't read the plan that Terraform shows").cause(format!(
                "line {}, column {} is not as expected",
                error.line(),
                error.column()
            ))
        })
    }

    /// The plan, without anything that must not be seen.
    pub fn plan(&self, environment: &str) -> Plan {
        let hidden = self.hidden();
        let mut changes: Vec<Change> = self.resource_changes.iter().filter_map(|one| one.change(&hidden)).collect();
        changes.sort_by(|left, right| (left.action, &left.address).cmp(&(right.action, &right.address)));
        let mut drift: Vec<Change> = self.resource_drift.iter().filter_map(|one| one.change(&hidden)).collect();
        drift.retain_mut(|change| is_undone(change, &changes));
        let outputs =
            self.output_changes.iter().filter(|(_, change)| change.actions != ["no-op"]).map(|(name, change)| {
                let attributes = difference(change.sides(), &[], &hidden);
                OutputChange { name: name.clone(), attributes }
            });
        let outputs: Vec<OutputChange> = outputs.collect();
        let is_something = !changes.is_empty() || !outputs.is_empty();
        Plan {
            environment: environment.to_owned(),
            changes,
            outputs,
            drift,
            applyable: self.applyable.unwrap_or(is_something),
        }
    }

    fn hidden(&self) -> Hidden {
        let mut hidden = Hidden::default();
        let declared = self.configuration.pointer("/root_module/variables").and_then(Value::as_object);
        for (name, declaration) in declared.into_iter().flatten() {
            if declaration.get("sensitive") == Some(&Value::Bool(true)) {
                let value = self.variables.get(name).and_then(|variable| variable.get("value"));
                hidden.learn(value, Some(&Value::Bool(true)));
            }
        }
        let resources = self.resource_changes.iter().chain(&self.resource_drift).map(|one| &one.change);
        for change in resources.chain(self.output_changes.values()) {
            hidden.learn(Some(&change.before), Some(&change.before_sensitive));
            hidden.learn(Some(&change.after), Some(&change.after_sensitive));
        }
        hidden
    }
}

/// Whether what became of a resource outside of Terraform is what the plan would undo; keeps of its attributes those.
///
/// After every apply a provider fills in what it had left empty, and repeats in one resource what others of the
/// configuration have made (the rules in a security group, the policies in a role): nobody changed any of that.
fn is_undone(drift: &mut Change, changes: &[Change]) -> bool {
    // It has happened already; nothing of it is asked about.
    drift.loses = None;
    if drift.action != Action::Change {
        return true;
    }
    let top = |attribute: &Attribute| attribute.path.split(['.', '[']).next().unwrap_or_default().to_owned();
    let planned: BTreeSet<String> = changes
        .iter()
        .filter(|change| change.address == drift.address)
        .flat_map(|change| change.attributes.iter().map(top))
        .collect();
    drift.attributes.retain(|attribute| planned.contains(&top(attribute)));
    !drift.attributes.is_empty()
}

impl ValueChange {
    fn sides(&self) -> Sides<'_> {
        Sides {
            before: Some(&self.before),
            after: Some(&self.after),
            unknown: Some(&self.after_unknown),
            before_sensitive: Some(&self.before_sensitive),
            after_sensitive: Some(&self.after_sensitive),
        }
    }

    fn action(&self) -> Option<Action> {
        let words: Vec<&str> = self.actions.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["create"] | ["create", "forget"] => Some(Action::Create),
            ["update"] => Some(Action::Change),
            ["delete"] => Some(Action::Destroy),
            ["delete", "create"] | ["create", "delete"] => Some(Action::Replace),
            ["forget"] => Some(Action::Forget),
            _ => None,
        }
    }
}

impl ResourceChange {
    fn change(&self, hidden: &Hidden) -> Option<Change> {
        if self.mode != "managed" {
            return None;
        }
        let is_moved = self.previous_address.as_ref().is_some_and(|before| *before != self.address);
        let is_imported = self.change.importing.is_some();
        let action = self.change.action().or((is_moved || is_imported).then_some(Action::Record))?;
        let is_compared = matches!(action, Action::Change | Action::Replace);
        let attributes =
            if is_compared { difference(self.change.sides(), &self.change.replace_paths, hidden) } else { Vec::new() };
        let is_lost = matches!(action, Action::Destroy | Action::Replace);
        let loses =
            (is_lost && self.deposed.is_none() && STATEFUL.contains(&self.kind.as_str())).then(|| self.own_name());
        let moved = self.previous_address.as_ref().filter(|_| is_moved).map(|before| format!("moved from {before}"));
        let imported = is_imported.then(|| "imported".to_owned());
        let reasons: Vec<String> = [moved, imported, self.reason(action)].into_iter().flatten().collect();
        Some(Change {
            address: match &self.deposed {
                Some(key) => format!("{} (left over: {key})", self.address),
                None => self.address.clone(),
            },
            kind: self.kind.clone(),
            action,
            reason: Some(reasons.join("; ")).filter(|reason| !reason.is_empty()),
            attributes,
            loses,
        })
    }

    /// The name under which people know it; its address where that is hidden or not there.
    fn own_name(&self) -> String {
        let is_hidden = |key: &str| self.change.before_sensitive.get(key) == Some(&Value::Bool(true));
        let name = NAMES.iter().filter(|key| !is_hidden(key)).find_map(|key| self.change.before.get(key)?.as_str());
        name.filter(|name| !name.is_empty()).unwrap_or(&self.address).to_owned()
    }

    /// Terraform's word for why, in a sentence.
    fn reason(&self, action: Action) -> Option<String> {
        let paths = || {
            let paths = self.change.replace_paths.iter().filter_map(Value::as_array);
            let words = paths.map(|path| {
                let steps = path.iter().map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned));
                steps.collect::<Vec<_>>().join(".")
            });
            words.collect::<Vec<_>>().join(", ")
        };
        let text = match self.action_reason.as_deref() {
            Some("replace_because_cannot_update") => format!("{} can't be changed in place", paths()),
            Some("replace_because_tainted") => "its last creation failed halfway".to_owned(),
            Some("replace_by_request") => "it was asked for".to_owned(),
            Some("replace_by_triggers") => "what it is tied to changes".to_owned(),
            Some("delete_because_no_resource_config") => "it is no longer in the configuration".to_owned(),
            Some("delete_because_no_module") => "its module is no longer in the configuration".to_owned(),
            Some("delete_because_wrong_repetition") => "count or for_each was added or taken away".to_owned(),
            Some("delete_because_count_index") => "count is smaller now".to_owned(),
            Some("delete_because_each_key") => "for_each no longer has its key".to_owned(),
            Some("delete_because_no_move_target") => "what it was to move to is not there".to_owned(),
            Some(other) => other.replace('_', " "),
            None if action == Action::Replace && !self.change.replace_paths.is_empty() => {
                format!("{} can't be changed in place", paths())
            }
            None => return None,
        };
        Some(text)
    }
}
