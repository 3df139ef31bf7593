//! What is there: the cluster, the services, and the revisions that they run. Reads only.

use std::collections::BTreeMap;

use aws_sdk_ecs::operation::describe_services::DescribeServicesError;
use aws_sdk_ecs::operation::describe_task_definition::DescribeTaskDefinitionError;
use aws_sdk_ecs::types::{DeploymentControllerType, DeploymentRolloutState, Service};
use futures_util::future::try_join_all;

use super::cloud::Cloud;
use super::normal::leaves;
use super::plan::{Live, Revision};
use super::shape;
use crate::failure::{Failure, Result};
use crate::outputs::Outputs;

/// `DescribeServices` takes ten at a time.
const SERVICES: usize = 10;

/// The ECS services of the named ones, by their names in `streamify.yaml`.
///
/// # Errors
/// The cluster or a service is not there or not usable; which, and what to try.
pub(super) async fn services<'a>(
    cloud: &Cloud,
    outputs: &Outputs,
    names: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, Service>> {
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    for name in names {
        let Some(service) = outputs.services.get(name) else {
            return Err(Failure::failed(format!("Terraform has made nothing for the service `{name}`"))
                .cause("its output `streamify` has no such service")
                .hint("Run `streamify infra apply` for this environment first."));
        };
        wanted.push((name, &service.name));
    }
    let mut found = BTreeMap::new();
    for chunk in wanted.chunks(SERVICES) {
        let answer = cloud
            .ecs
            .describe_services()
            .cluster(&outputs.cluster)
            .set_services(Some(chunk.iter().map(|(_, name)| (*name).to_owned()).collect()))
            .send()
            .await
            .map_err(|error| {
                if error.as_service_error().is_some_and(DescribeServicesError::is_cluster_not_found_exception) {
                    return Failure::failed(format!("there is no ECS cluster `{}`", outputs.cluster))
                        .hint("Run `streamify infra apply` for this environment, or check its region.");
                }
                cloud.failure("can't look at the services", &error)
            })?;
        for service in answer.services.unwrap_or_default() {
            let known = chunk.iter().find(|(_, name)| service.service_name.as_deref() == Some(*name));
            if let (Some((name, _)), Some("ACTIVE")) = (known, service.status.as_deref()) {
                found.insert((*name).to_owned(), service);
            }
        }
    }
    if let Some((name, ecs)) = wanted.iter().find(|(name, _)| !found.contains_key(*name)) {
        return Err(Failure::failed(format!("there is no active ECS service `{ecs}` for `{name}`"))
            .cause(format!("the cluster {} has none of this name", outputs.cluster))
            .hint("Run `streamify infra apply` for this environment first."));
    }
    for (name, service) in &found {
        let kind = service.deployment_controller.as_ref().map(|controller| &controller.r#type);
        if let Some(kind) = kind.filter(|kind| **kind != DeploymentControllerType::Ecs) {
            return Err(Failure::failed(format!("the service `{name}` is deployed by {kind}, not by ECS"))
                .hint("Set its deployment controller to ECS in Terraform."));
        }
    }
    Ok(found)
}

/// A revision with all its fields.
pub(super) async fn revision(cloud: &Cloud, task_definition: &str) -> Result<Revision> {
    let answer = cloud.ecs.describe_task_definition().task_definition(task_definition).send().await;
    let answer =
        answer.map_err(|error| cloud.failure(&format!("can't read the revision {task_definition}"), &error))?;
    let definition = answer.task_definition.unwrap_or_else(|| aws_sdk_ecs::types::TaskDefinition::builder().build());
    Ok(Revision { leaves: leaves(&shape::json(&definition)?), arn: definition.task_definition_arn.unwrap_or_default() })
}

/// Services with the revisions that they are told to run.
pub(super) async fn live(cloud: &Cloud, services: &BTreeMap<String, Service>) -> Result<BTreeMap<String, Live>> {
    let all = services.iter().map(async |(name, service)| {
        let task_definition = service.task_definition.clone().unwrap_or_default();
        let revision = revision(cloud, &task_definition).await?;
        Ok::<_, Failure>((name.clone(), of(service, revision)))
    });
    Ok(try_join_all(all).await?.into_iter().collect())
}

fn of(service: &Service, revision: Revision) -> Live {
    let primary = primary(service);
    Live {
        name: service.service_name.clone().unwrap_or_default(),
        revision,
        newest: None,
        configuration: service.deployment_configuration.clone(),
        desired: service.desired_count,
        is_rolling_out: primary
            .is_some_and(|primary| primary.rollout_state == Some(DeploymentRolloutState::InProgress)),
        is_exec_enabled: service.enable_execute_command,
    }
}

/// The deployment that a service is to arrive at.
pub(super) fn primary(service: &Service) -> Option<&aws_sdk_ecs::types::Deployment> {
    service.deployments().iter().find(|deployment| deployment.status.as_deref() == Some("PRIMARY"))
}

/// The newest revision of a family, which a deploy that was cut short may have registered.
pub(super) async fn newest(cloud: &Cloud, live: &Live, family: &str) -> Result<Option<Revision>> {
    let answer = cloud.ecs.describe_task_definition().task_definition(family).send().await;
    match answer {
        Ok(answer) => {
            let Some(definition) = answer.task_definition else { return Ok(None) };
            let arn = definition.task_definition_arn.clone().unwrap_or_default();
            let is_other = arn != live.revision.arn;
            Ok(is_other.then_some(Revision { leaves: leaves(&shape::json(&definition)?), arn }))
        }
        // A family without a revision is a client error like any other wrong name.
        Err(error) if error.as_service_error().is_some_and(DescribeTaskDefinitionError::is_client_exception) => {
            Ok(None)
        }
        Err(error) => Err(cloud.failure(&format!("can't read the newest revision of {family}"), &error)),
    }
}
