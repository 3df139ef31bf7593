//! Which service deployment is ours: the one that was not there before, whose target revision runs our task definition.

use std::collections::BTreeSet;

use aws_sdk_ecs::types::{ServiceDeploymentBrief, ServiceDeploymentStatus as Status};
use aws_smithy_types::DateTime;

use super::Subject;
use crate::deploy::cloud::Cloud;
use crate::deploy::plan::revision_name;
use crate::failure::Result;

/// The deployments of a service before ours began. ECS's own times are compared with each other, never with this
/// host's clock.
#[derive(Clone, Debug, Default)]
pub(in crate::deploy) struct Baseline {
    known: BTreeSet<String>,
    newest: Option<DateTime>,
    /// Ours began before: the newest of our revision is it.
    is_adopted: bool,
}

impl Baseline {
    /// Ours goes on already.
    pub(in crate::deploy) fn adopted() -> Self {
        Self { is_adopted: true, ..Self::default() }
    }
}

/// What is there before the service is told anything.
pub(in crate::deploy) async fn baseline(cloud: &Cloud, cluster: &str, service: &str) -> Result<Baseline> {
    let all = list(cloud, cluster, service, &[]).await?;
    Ok(Baseline {
        newest: all.iter().filter_map(|one| one.created_at).max(),
        known: all.into_iter().filter_map(|one| one.service_deployment_arn).collect(),
        is_adopted: false,
    })
}

/// Our deployment and when it was made, once ECS lists it.
pub(super) async fn ours(
    cloud: &Cloud,
    cluster: &str,
    subject: &Subject,
) -> Result<Option<(String, Option<DateTime>)>> {
    let before = &subject.before;
    let mut candidates = list(cloud, cluster, &subject.name, &[]).await?;
    candidates.retain(|one| {
        let is_known = one.service_deployment_arn.as_ref().is_some_and(|arn| before.known.contains(arn));
        !is_known && one.created_at >= before.newest
    });
    candidates.sort_by_key(|one| one.created_at);
    if before.is_adopted {
        candidates.reverse();
    }
    let revisions: Vec<String> = candidates.iter().filter_map(|one| one.target_service_revision_arn.clone()).collect();
    let definitions = definitions(cloud, &revisions).await?;
    let is_ours = |one: &ServiceDeploymentBrief| {
        let revision = one.target_service_revision_arn.as_deref();
        definitions
            .iter()
            .any(|(arn, definition)| Some(arn.as_str()) == revision && *definition == subject.task_definition)
    };
    let ours = candidates.into_iter().find(|one| is_ours(one));
    Ok(ours.and_then(|one| Some((one.service_deployment_arn?, one.created_at))))
}

/// The revision that a later deployment of the service brings, where there is one.
pub(super) async fn newer(cloud: &Cloud, cluster: &str, subject: &Subject) -> Result<Option<String>> {
    let mut later = list(cloud, cluster, &subject.name, &[]).await?;
    later.retain(|one| one.created_at > subject.created_at && one.service_deployment_arn != subject.deployment);
    later.sort_by_key(|one| std::cmp::Reverse(one.created_at));
    let Some(newest) = later.into_iter().next() else { return Ok(None) };
    let revision = newest.target_service_revision_arn.unwrap_or_default();
    let definitions = definitions(cloud, std::slice::from_ref(&revision)).await?;
    let name = definitions.first().map_or(revision.as_str(), |(_, definition)| revision_name(definition));
    Ok(Some(name.to_owned()))
}

/// The deployment of a service that goes on.
pub(in crate::deploy) async fn going_on(
    cloud: &Cloud,
    cluster: &str,
    service: &str,
) -> Result<Option<(String, String)>> {
    let mut open = list(cloud, cluster, service, &[Status::Pending, Status::InProgress]).await?;
    open.sort_by_key(|one| std::cmp::Reverse(one.created_at));
    let Some(newest) = open.into_iter().next() else { return Ok(None) };
    let revision = newest.target_service_revision_arn.unwrap_or_default();
    let definitions = definitions(cloud, std::slice::from_ref(&revision)).await?;
    let definition = definitions.into_iter().next().map(|(_, definition)| definition).unwrap_or_default();
    Ok(newest.service_deployment_arn.map(|arn| (arn, definition)))
}

/// The newest deployments; ECS gives the newest first, and twenty are more than happen between two looks.
async fn list(cloud: &Cloud, cluster: &str, service: &str, status: &[Status]) -> Result<Vec<ServiceDeploymentBrief>> {
    let list = cloud.ecs.list_service_deployments().cluster(cluster).service(service).max_results(20);
    let list = if status.is_empty() { list } else { list.set_status(Some(status.to_vec())) };
    let answer = list.send().await;
    let answer = answer.map_err(|error| cloud.failure(&format!("can't list the deployments of {service}"), &error))?;
    Ok(answer.service_deployments.unwrap_or_default())
}

/// Service revisions with their task definitions.
async fn definitions(cloud: &Cloud, revisions: &[String]) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for chunk in revisions.chunks(20) {
        let answer =
            cloud.ecs.describe_service_revisions().set_service_revision_arns(Some(chunk.to_vec())).send().await;
        let answer = answer.map_err(|error| cloud.failure("can't look at service revisions", &error))?;
        let found = answer.service_revisions.unwrap_or_default();
        all.extend(found.into_iter().filter_map(|one| Some((one.service_revision_arn?, one.task_definition?))));
    }
    Ok(all)
}
