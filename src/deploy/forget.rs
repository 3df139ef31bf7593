//! What deploys leave behind when the services are gone.

use super::cloud::Cloud;
use crate::failure::Result;

/// How many revisions ECS deletes in one request.
const AT_ONCE: usize = 10;

/// Deregisters and deletes every revision of these families, which nothing runs any more; gives how many there were.
/// Tasks that still run keep theirs: ECS deletes it when they are gone.
///
/// # Errors
/// ECS's own. What was deregistered until then stays so; another run goes on.
pub async fn forget(cloud: &Cloud, families: &[String]) -> Result<usize> {
    let mut gone = Vec::new();
    for family in families {
        // A family's name may begin with another's.
        let is_own = |arn: &String| arn.rsplit_once(':').is_some_and(|(rest, _)| rest.ends_with(&format!("/{family}")));
        let listed = cloud.ecs.list_task_definitions().family_prefix(family).into_paginator().items().send();
        let listed: Vec<String> = listed
            .try_collect()
            .await
            .map_err(|error| cloud.failure(&format!("can't list the task definitions of {family}"), &error))?;
        for arn in listed.into_iter().filter(is_own) {
            let sent = cloud.ecs.deregister_task_definition().task_definition(&arn).send().await;
            sent.map_err(|error| cloud.failure(&format!("can't deregister {arn}"), &error))?;
            gone.push(arn);
        }
    }
    for some in gone.chunks(AT_ONCE) {
        let sent = cloud.ecs.delete_task_definitions().set_task_definitions(Some(some.to_vec())).send().await;
        sent.map_err(|error| cloud.failure("can't delete task definitions", &error))?;
    }
    Ok(gone.len())
}
