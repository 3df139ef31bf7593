//! `run`: a command in a task of its own, with a service's image, variables, secrets and roles.

use std::collections::BTreeMap;

use super::run::Ground;
use super::tasks::{Broken, OneOff, tag, task_id};
use super::{observe, restart};
use crate::failure::{Failure, Result};

/// Runs a command once with the revision that a service runs; `line` gets what it prints. Gives its exit code.
pub async fn run_once(
    ground: &Ground<'_>,
    service: &str,
    command: &[String],
    environment: &BTreeMap<String, String>,
    line: &mut (dyn FnMut(&str) + Send),
) -> Result<i32> {
    restart::check_names(ground, &[service.to_owned()])?;
    ground.cloud.aws.identity().await?;
    let services = observe::services(&ground.cloud, ground.outputs, std::iter::once(service)).await?;
    let definition = services[service].task_definition.clone().unwrap_or_default();
    let Some(of) = ground.outputs.services.get(service) else {
        return Err(Failure::failed(format!("Terraform has made nothing for the service `{service}`")));
    };
    let started_by = tag(&format!("streamify-run/{}", ground.owner.who));
    let task = OneOff {
        outputs: ground.outputs,
        service,
        of,
        task_definition: &definition,
        command,
        environment,
        started_by: &started_by,
    };
    let arn = task.start(&ground.cloud).await?;
    let id = task_id(&arn).to_owned();
    if ground.detach {
        ground.report.note(&format!(
            "the task {id} runs; `streamify logs {} {service}` has what it prints",
            ground.environment.name
        ));
        return Ok(0);
    }
    let ended = task.follow(&ground.cloud, &arn, ground.timeout, ground.interrupt, ground.report, "run", line).await;
    match ended {
        Ok(ended) => ended.exit_code.ok_or_else(|| {
            Failure::failed(format!("the task {id} did not run"))
                .cause(ended.reason)
                .hint("A container that never started has no exit code; the reason is ECS's.")
        }),
        Err(Broken::Stopped(_)) if ground.interrupt.is_cancelled() => {
            ground.report.note(&format!("the task {id} was stopped"));
            Err(Failure::interrupted(2))
        }
        Err(Broken::Stopped(why)) => {
            Err(Failure::failed(format!("the task {id} was stopped: {why}"))
                .hint("--timeout says how long it may take."))
        }
        Err(Broken::Failed(failure)) => Err(failure),
    }
}
