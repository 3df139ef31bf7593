//! What Terraform made, as one object: the output `streamify` of an environment's Terraform root.
//!
//! Its keys are described in `docs/decisions/0008-environments.md`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::failure::{Failure, OrFail, Result};

/// The output `streamify`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Outputs {
    /// The ECS cluster's name.
    pub cluster: String,
    /// Ids of the subnets that tasks run in.
    pub subnets: Vec<String>,
    /// Whether tasks have public addresses.
    #[serde(default)]
    pub assign_public_ip: bool,
    /// The `DynamoDB` table of the lock and the history.
    pub deploys_table: String,
    /// Variable → ARN, for secrets that Terraform makes.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// By the service's name in `streamify.yaml`.
    pub services: BTreeMap<String, ServiceOutputs>,
}

/// What Terraform made for a service.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct ServiceOutputs {
    /// The ECS service's name.
    pub name: String,
    /// The ARN of the role that starts its tasks.
    pub execution_role: String,
    /// The ARN of the role that its program has.
    pub task_role: String,
    /// Ids.
    pub security_groups: Vec<String>,
    /// The target group's ARN; none without a load balancer.
    #[serde(default)]
    pub target_group: Option<String>,
    /// The `CloudWatch` log group's name.
    pub log_group: String,
    /// The container's name; none: the service's.
    #[serde(default)]
    pub container: Option<String>,
}

impl Outputs {
    /// Reads the object from a file, as `terraform output -json streamify` prints it.
    ///
    /// # Errors
    /// The file can't be read, is no JSON, or lacks a key, which is named.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).or_fail(|| format!("can't read {}", file.display()))?;
        serde_json::from_str(&text).map_err(|error| {
            Failure::usage(format!("{} is not what Terraform's output `streamify` is", file.display()))
                .because(&error)
                .hint("`terraform output -json streamify` prints it.")
        })
    }
}
