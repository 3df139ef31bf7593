use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{Held, Reference};
use crate::aws::Aws;
use crate::failure::Result;
use crate::outputs::Outputs;
use crate::settings::EnvironmentSettings;

/// A variable of a service whose value is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub service: String,
    pub variable: String,
    pub reference: Reference,
}

/// How a secret stands to what services need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ok,
    /// A service needs it and it is not there.
    Missing,
    /// It is there and no service needs it.
    Unused,
    /// Tasks run that were started with the value from before.
    Changed,
    /// It is there, readable by anybody who may read parameters.
    Plain,
    /// It is deleted, and a service needs it.
    Deleted,
}

/// One secret, needed or there or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    pub name: String,
    pub state: State,
    /// `service.VARIABLE`, by name.
    pub needed_by: Vec<String>,
    pub held: Option<Held>,
}

/// Everything that an environment's services need, by service and variable.
pub fn needs(environment: &EnvironmentSettings) -> Vec<Need> {
    let of_service = |(service, settings): (&String, &crate::settings::ServiceSettings)| {
        let service = service.clone();
        let needs = settings.secrets.iter().map(move |(variable, text)| Need {
            service: service.clone(),
            variable: variable.clone(),
            reference: Reference::parse(text),
        });
        needs.collect::<Vec<_>>()
    };
    environment.services.iter().flat_map(of_service).collect()
}

/// Compares what is needed with what is there. `started` says since when a service's tasks run, where that is known.
pub fn compare(needs: &[Need], held: &[Held], started: &BTreeMap<String, Timestamp>) -> Vec<Row> {
    let mut rows: BTreeMap<String, Row> = held
        .iter()
        .map(|held| {
            let state = if held.deleted_at.is_some() { State::Ok } else { State::Unused };
            (held.name.clone(), Row { name: held.name.clone(), state, needed_by: Vec::new(), held: Some(held.clone()) })
        })
        .collect();
    for need in needs {
        let name = &need.reference.name;
        let row = rows.entry(name.clone()).or_insert_with(|| Row {
            name: name.clone(),
            state: State::Missing,
            needed_by: Vec::new(),
            held: None,
        });
        row.needed_by.push(format!("{}.{}", need.service, need.variable));
        let Some(held) = &row.held else { continue };
        let is_older = |started: &Timestamp| held.changed_at.is_some_and(|changed| changed > *started);
        row.state = match row.state {
            _ if held.deleted_at.is_some() => State::Deleted,
            _ if started.get(&need.service).is_some_and(is_older) => State::Changed,
            State::Changed => State::Changed,
            _ if !held.encrypted => State::Plain,
            _ => State::Ok,
        };
    }
    rows.into_values().collect()
}

/// Services that one `DescribeServices` takes.
const BATCH: usize = 10;

/// Since when the tasks of each service have been the ones that run: when its primary deployment was made.
///
/// A task reads its secrets once, at its start.
pub async fn running_since(aws: &Aws, outputs: &Outputs) -> Result<BTreeMap<String, Timestamp>> {
    let named: Vec<(&String, &str)> = outputs.services.iter().map(|(key, one)| (key, one.name.as_str())).collect();
    let mut since = BTreeMap::new();
    for batch in named.chunks(BATCH) {
        let names = batch.iter().map(|(_, name)| (*name).to_owned()).collect();
        let call = aws.ecs().describe_services().cluster(&outputs.cluster).set_services(Some(names));
        let answer = call.send().await.map_err(|error| aws.failure("can't look at the services", &error))?;
        for service in answer.services.unwrap_or_default() {
            let primary =
                service.deployments.unwrap_or_default().into_iter().find(|one| one.status() == Some("PRIMARY"));
            let key = batch.iter().find(|(_, name)| Some(*name) == service.service_name.as_deref());
            if let (Some((key, _)), Some(at)) = (key, primary.and_then(|primary| super::time(primary.created_at))) {
                since.insert((*key).clone(), at);
            }
        }
    }
    Ok(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Store;

    fn held(name: &str, changed_at: &str) -> Held {
        Held {
            name: name.into(),
            store: Store::Ssm,
            arn: String::new(),
            changed_at: Some(changed_at.parse().unwrap()),
            version: "1".into(),
            encrypted: true,
            deleted_at: None,
        }
    }

    #[test]
    fn each_secret_has_the_state_that_a_person_acts_on() {
        let need = |service: &str, variable: &str, text: &str| Need {
            service: service.into(),
            variable: variable.into(),
            reference: Reference::parse(text),
        };
        let needs = [
            need("backend", "DATABASE_URL", "database:url"),
            need("backend", "JWT_KEYS", "JWT_KEYS"),
            need("page", "TOKEN", "TOKEN"),
            need("page", "OPEN", "OPEN"),
        ];
        let mut there = vec![
            held("database", "2026-11-01T00:00:00Z"),
            held("JWT_KEYS", "2026-11-20T00:00:00Z"),
            held("OLD", "2026-11-20T00:00:00Z"),
            held("OPEN", "2026-11-20T00:00:00Z"),
        ];
        there[3].encrypted = false;
        let started = BTreeMap::from([("backend".to_owned(), "2026-11-10T00:00:00Z".parse().unwrap())]);
        let rows = compare(&needs, &there, &started);
        let states: Vec<(&str, State)> = rows.iter().map(|row| (row.name.as_str(), row.state)).collect();
        let expected = [
            ("JWT_KEYS", State::Changed),
            ("OLD", State::Unused),
            ("OPEN", State::Plain),
            ("TOKEN", State::Missing),
            ("database", State::Ok),
        ];
        assert_eq!(states, expected);
        assert_eq!(rows[0].needed_by, ["backend.JWT_KEYS"]);
    }
}
