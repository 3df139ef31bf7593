//! One-off tasks: started, their logs streamed, their exit code read. Migrations are such tasks, and `run`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, Container, ContainerOverride, KeyValuePair, LaunchType, NetworkConfiguration,
    Task, TaskOverride,
};
use tokio_util::sync::CancellationToken;

use super::cloud::Cloud;
use super::stream::Stream;
use crate::failure::{Failure, OrFail, Result};
use crate::outputs::{Outputs, ServiceOutputs};
use crate::report::Report;

/// How often a task is looked at.
const PACE: Duration = Duration::from_millis(1500);
/// Log lines that a failure repeats.
const TAIL: usize = 20;

/// A task that runs once.
#[derive(Clone, Copy, Debug)]
pub(super) struct OneOff<'a> {
    pub(super) outputs: &'a Outputs,
    /// Whose network, roles and log group it has.
    pub(super) service: &'a str,
    pub(super) of: &'a ServiceOutputs,
    pub(super) task_definition: &'a str,
    pub(super) command: &'a [String],
    pub(super) environment: &'a BTreeMap<String, String>,
    /// Who started it, at most 128 characters.
    pub(super) started_by: &'a str,
}

/// How a task ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended {
    pub(super) exit_code: Option<i32>,
    pub(super) reason: String,
    pub(super) tail: Vec<String>,
}

/// Why a task was not followed to its end.
pub(super) enum Broken {
    /// The time is over, or whoever waits was told to stop: the task was stopped.
    Stopped(&'static str),
    Failed(Failure),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl OneOff<'_> {
    fn container(&self) -> &str {
        &self.of.container
    }

    /// Starts it.
    pub(super) async fn start(&self, cloud: &Cloud) -> Result<String> {
        let network = AwsVpcConfiguration::builder()
            .set_subnets(Some(self.outputs.subnets.clone()))
            .set_security_groups(Some(self.of.security_groups.clone()))
            .assign_public_ip(if self.outputs.assign_public_ip {
                AssignPublicIp::Enabled
            } else {
                AssignPublicIp::Disabled
            })
            .build()
            .or_fail(|| format!("can't start a task of {}", self.service))?;
        let mut container = ContainerOverride::builder().name(self.container());
        if !self.command.is_empty() {
            container = container.set_command(Some(self.command.to_vec()));
        }
        for (name, value) in self.environment {
            container = container.environment(KeyValuePair::builder().name(name).value(value).build());
        }
        let answer = cloud
            .ecs
            .run_task()
            .cluster(&self.outputs.cluster)
            .task_definition(self.task_definition)
            .launch_type(LaunchType::Fargate)
            .started_by(self.started_by)
            .network_configuration(NetworkConfiguration::builder().awsvpc_configuration(network).build())
            .overrides(TaskOverride::builder().container_overrides(container.build()).build())
            .send()
            .await
            .map_err(|error| cloud.failure(&format!("can't start a task of {}", self.service), &error))?;
        if let Some(arn) = answer.tasks().first().and_then(|task| task.task_arn.clone()) {
            return Ok(arn);
        }
        let reasons = answer.failures().iter().map(|failure| {
            let detail = failure.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
            format!("{}{detail}", failure.reason.as_deref().unwrap_or("ECS gave no reason"))
        });
        Err(Failure {
            causes: reasons.collect(),
            ..Failure::failed(format!("ECS started no task of {}", self.service))
        })
    }

    /// One that was started before and still runs: whoever started it may be gone.
    pub(super) async fn running(&self, cloud: &Cloud) -> Result<Option<String>> {
        let list = cloud
            .ecs
            .list_tasks()
            .cluster(&self.outputs.cluster)
            // No other filter goes with it; without one the running ones are listed.
            .started_by(self.started_by)
            .send()
            .await
            .map_err(|error| cloud.failure("can't look for running tasks", &error))?;
        Ok(list.task_arns().first().cloned())
    }

    /// Hands its log to `line` until it has ended.
    #[allow(clippy::too_many_arguments, reason = "each of them is another thing, and there are two callers")]
    pub(super) async fn follow(
        &self,
        cloud: &Cloud,
        arn: &str,
        timeout: Duration,
        stop: &CancellationToken,
        report: &dyn Report,
        name: &str,
        line: &mut (dyn FnMut(&str) + Send),
    ) -> std::result::Result<Ended, Broken> {
        let id = task_id(arn);
        let mut log = Stream::new(&self.of.log_group, &format!("{}/{}/{id}", self.service, self.container()));
        let deadline = Instant::now() + timeout;
        let mut tail: Vec<String> = Vec::new();
        let mut phase = String::new();
        let mut tell = |lines: Vec<String>| {
            for text in lines {
                line(&text);
                tail.push(text);
            }
            let surplus = tail.len().saturating_sub(TAIL);
            tail.drain(..surplus);
        };
        let mut is_readable = true;
        loop {
            let task = describe(cloud, &self.outputs.cluster, &[arn.to_owned()]).await?.pop();
            let Some(task) = task else {
                return Err(Failure::failed(format!("the task {id} is gone")).into());
            };
            let status = task.last_status.clone().unwrap_or_default();
            if status != phase {
                report.doing(name, &format!("task {id} is {}", status.to_lowercase()));
                phase = status;
            }
            let has_stopped = phase == "STOPPED";
            match log.more(cloud).await {
                Ok(lines) => tell(lines),
                // The task is what matters; its log may be closed to whoever started it.
                Err(failure) if is_readable => {
                    is_readable = false;
                    report.warning(&failure.to_string());
                }
                Err(_) => {}
            }
            if has_stopped {
                // The last lines may reach CloudWatch a moment after the end.
                for _ in 0..2 {
                    tokio::time::sleep(Duration::from_millis(400)).await;
                    tell(log.more(cloud).await.unwrap_or_default());
                }
                let container = task.containers().iter().find(|one| one.name.as_deref() == Some(self.container()));
                let exit_code = container.and_then(|container| container.exit_code);
                return Ok(Ended { exit_code, reason: reason(&task), tail });
            }
            let why = if stop.is_cancelled() {
                Some("it was interrupted")
            } else if Instant::now() >= deadline {
                Some("its time is over")
            } else {
                None
            };
            if let Some(why) = why {
                stop_task(cloud, &self.outputs.cluster, arn, why).await?;
                return Err(Broken::Stopped(why));
            }
            tokio::select! {
                () = tokio::time::sleep(PACE.min(deadline.saturating_duration_since(Instant::now()))) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

/// A text as `startedBy` takes it: letters, digits, `-`, `_` and `/`, 128 of them at most.
pub(super) fn tag(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_/".contains(c) { c } else { '-' };
    text.chars().map(allowed).take(128).collect()
}

/// Stops a task.
async fn stop_task(cloud: &Cloud, cluster: &str, arn: &str, why: &str) -> Result<()> {
    let stop = cloud.ecs.stop_task().cluster(cluster).task(arn).reason(format!("streamify: {why}"));
    stop.send().await.map_err(|error| cloud.failure(&format!("can't stop the task {}", task_id(arn)), &error))?;
    Ok(())
}

/// Tasks by their ARNs, those that are gone left out. `DescribeTasks` takes a hundred.
pub(super) async fn describe(cloud: &Cloud, cluster: &str, arns: &[String]) -> Result<Vec<Task>> {
    let mut tasks = Vec::new();
    for chunk in arns.chunks(100) {
        let answer = cloud.ecs.describe_tasks().cluster(cluster).set_tasks(Some(chunk.to_vec())).send().await;
        tasks.extend(answer.map_err(|error| cloud.failure("can't look at tasks", &error))?.tasks.unwrap_or_default());
    }
    Ok(tasks)
}

/// The task's id, the last part of its ARN.
pub(super) fn task_id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// Why a task stopped: what ECS says of it and of the container that ended it.
pub(super) fn reason(task: &Task) -> String {
    let containers = task.containers().iter().filter_map(|container: &Container| {
        let name = container.name.as_deref().unwrap_or("container");
        match (container.exit_code, container.reason.as_deref()) {
            (Some(0) | None, None) => None,
            (Some(code), None) => Some(format!("{name} exited with {code}")),
            (Some(code), Some(reason)) => Some(format!("{name} exited with {code}: {reason}")),
            (None, Some(reason)) => Some(format!("{name}: {reason}")),
        }
    });
    let mut parts: Vec<String> = containers.collect();
    if let Some(reason) = &task.stopped_reason
        && !parts.iter().any(|part| part.contains(reason.as_str()))
    {
        parts.push(reason.clone());
    }
    if parts.is_empty() { "ECS gave no reason".to_owned() } else { parts.join("; ") }
}
