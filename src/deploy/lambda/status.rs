//! What runs now: versions, their shares of the traffic, alarms, and who deploys.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::record::{Record, Table};
use super::super::run::Ground;
use super::super::status::alarms;
use super::observe;
use crate::failure::Result;

/// One function.
#[derive(Clone, Debug, Serialize)]
pub struct FunctionStatus {
    /// Its name.
    pub name: String,
    /// The version that the alias names.
    pub version: String,
    /// SHA-256 of its zip file, in base64.
    pub program: String,
    pub last_modified: String,
    /// Other versions with a part of the traffic, from 0 to 1.
    pub weights: BTreeMap<String, f64>,
}

/// An environment of functions.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub environment: String,
    /// Who deploys at this moment.
    pub locked_by: Option<String>,
    pub last: Option<Record>,
    /// By what they do.
    pub functions: BTreeMap<String, FunctionStatus>,
    /// Alarms that guard shifts, with their states.
    pub alarms: BTreeMap<String, String>,
}

/// Looks at everything. Changes nothing.
pub async fn status(ground: &Ground<'_>) -> Result<Status> {
    ground.cloud.aws.identity().await?;
    let table = Table::new(&ground.cloud, &ground.outputs.deploys_table, &ground.environment.name);
    let (observed, last, holder, alarms) =
        futures_util::try_join!(observe(ground), table.newest(1), table.holder(), alarms(ground))?;
    let functions = observed.into_iter().map(|(role, one)| {
        let weights = one.alias.weights();
        let status = FunctionStatus {
            name: one.name,
            version: one.alias.function_version,
            program: one.live.code_sha256,
            last_modified: one.live.last_modified,
            weights,
        };
        (role, status)
    });
    Ok(Status {
        environment: ground.environment.name.clone(),
        locked_by: holder.map(|holder| holder.words()),
        last: last.into_iter().next(),
        functions: functions.collect(),
        alarms,
    })
}
