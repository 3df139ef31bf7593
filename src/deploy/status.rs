//! What runs now: counts, revisions, rollouts, events, target health, alarms, and who deploys.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecs::types::{DeploymentRolloutState, Service};
use futures_util::future::try_join_all;
use serde::Serialize;

use super::plan::revision_name;
use super::record::{Record, Table};
use super::run::Ground;
use super::{observe, watch};
use crate::failure::{Failure, Result};

/// Events that are repeated of each service.
const EVENTS: usize = 5;

/// One service.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceStatus {
    /// The ECS service's name.
    pub name: String,
    /// Such as `cinema-prod-backend:42`.
    pub revision: String,
    pub image: String,
    pub desired: i32,
    pub running: i32,
    pub pending: i32,
    /// Tasks of the revision that failed to start.
    pub failed: i32,
    /// `completed`, `in_progress` or `failed`.
    pub rollout: String,
    pub rollout_reason: Option<String>,
    /// Revisions that still run beside it, with their tasks.
    pub old: BTreeMap<String, i32>,
    /// Healthy targets, of how many.
    pub healthy: Option<(usize, usize)>,
    /// Time and text, the newest first.
    pub events: Vec<(String, String)>,
}

/// An environment.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub environment: String,
    /// Who deploys at this moment.
    pub locked_by: Option<String>,
    pub last: Option<Record>,
    pub services: BTreeMap<String, ServiceStatus>,
    /// Alarms that guard rollouts, with their states.
    pub alarms: BTreeMap<String, String>,
}

/// Looks at everything. Changes nothing.
pub async fn status(ground: &Ground<'_>) -> Result<Status> {
    ground.cloud.aws.identity().await?;
    let table = Table::new(&ground.cloud, &ground.outputs.deploys_table, &ground.environment.name);
    let names = ground.environment.services.keys().map(String::as_str);
    let (services, last, holder, alarms) = futures_util::try_join!(
        observe::services(&ground.cloud, ground.outputs, names),
        table.newest(1),
        table.holder(),
        alarms(ground)
    )?;
    let each = services
        .iter()
        .map(async |(name, service)| Ok::<_, Failure>((name.clone(), one(ground, name, service).await?)));
    Ok(Status {
        environment: ground.environment.name.clone(),
        locked_by: holder.map(|holder| holder.words()),
        last: last.into_iter().next(),
        services: try_join_all(each).await?.into_iter().collect(),
        alarms,
    })
}

async fn one(ground: &Ground<'_>, name: &str, service: &Service) -> Result<ServiceStatus> {
    let definition = service.task_definition.clone().unwrap_or_default();
    let outputs = ground.outputs.services.get(name);
    let health = async {
        match outputs.and_then(|outputs| outputs.target_group.as_ref()) {
            Some(group) => watch::health(&ground.cloud, group).await,
            None => Ok(None),
        }
    };
    let (revision, healthy) = futures_util::try_join!(observe::revision(&ground.cloud, &definition), health)?;
    let container = outputs.map(|outputs| outputs.container.as_str()).unwrap_or_default();
    let image = revision.leaves.get(&format!("containerDefinitions.{container}.image"));
    let primary = observe::primary(service);
    let prefix = format!("(service {}) ", service.service_name.as_deref().unwrap_or_default());
    let others = service.deployments().iter().filter(|one| one.status.as_deref() != Some("PRIMARY"));
    Ok(ServiceStatus {
        name: service.service_name.clone().unwrap_or_default(),
        revision: revision_name(&definition).to_owned(),
        image: image.and_then(|image| image.as_str()).unwrap_or_default().to_owned(),
        desired: service.desired_count,
        running: service.running_count,
        pending: service.pending_count,
        failed: primary.map_or(0, |primary| primary.failed_tasks),
        rollout: primary
            .and_then(|primary| primary.rollout_state.as_ref())
            .map_or_else(|| "completed".to_owned(), |state: &DeploymentRolloutState| state.as_str().to_lowercase()),
        rollout_reason: primary.and_then(|primary| primary.rollout_state_reason.clone()),
        old: others
            .map(|one| {
                (revision_name(one.task_definition.as_deref().unwrap_or_default()).to_owned(), one.running_count)
            })
            .collect(),
        healthy,
        events: service
            .events()
            .iter()
            .take(EVENTS)
            .map(|event| {
                let at = event.created_at.map(|at| jiff::Timestamp::from_second(at.secs()).unwrap_or_default());
                let text = event.message.as_deref().unwrap_or_default();
                let at = at.map(|at| at.strftime("%H:%M:%S").to_string()).unwrap_or_default();
                (at, text.strip_prefix(&prefix).unwrap_or(text).to_owned())
            })
            .collect(),
    })
}

pub(super) async fn alarms(ground: &Ground<'_>) -> Result<BTreeMap<String, String>> {
    let services = ground.outputs.services.values().flat_map(|service| &service.alarms);
    let names: BTreeSet<&String> = ground.environment.deploy.alarms.iter().chain(services).collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let client = ground.cloud.aws.cloudwatch();
    let answer = client.describe_alarms().set_alarm_names(Some(names.iter().copied().cloned().collect())).send().await;
    let answer = answer.map_err(|error| ground.cloud.failure("can't look at the alarms", &error))?;
    let metric = answer.metric_alarms().iter().map(|alarm| (alarm.alarm_name.clone(), alarm.state_value.clone()));
    let composite = answer.composite_alarms().iter().map(|alarm| (alarm.alarm_name.clone(), alarm.state_value.clone()));
    let states = metric.chain(composite).filter_map(|(name, state)| Some((name?, state?.as_str().to_lowercase())));
    let mut all: BTreeMap<String, String> =
        names.into_iter().map(|name| (name.clone(), "not there".to_owned())).collect();
    all.extend(states);
    Ok(all)
}
