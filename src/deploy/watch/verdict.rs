//! What a service deployment's state means for us. Pure.

use std::fmt::Write;

use aws_sdk_ecs::types::{
    ServiceDeployment, ServiceDeploymentAlarms, ServiceDeploymentRollbackMonitorsStatus as Monitor,
    ServiceDeploymentStatus as Status,
};
use serde::Serialize;

/// How the rollout of one service ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "reason")]
pub enum Verdict {
    /// Our revision runs.
    Succeeded,
    /// ECS has put the revision before it back.
    RolledBack(String),
    /// Another deployment of the service took its place.
    Superseded(String),
    /// Somebody stopped it.
    Stopped(String),
    /// It failed, and nothing was put back.
    Failed(String),
}

/// The verdict of our own revision's deployment; None while it goes on. `newer` is a later deployment of the service.
pub(super) fn verdict(deployment: &ServiceDeployment, newer: Option<&str>) -> Option<Verdict> {
    let reason = || reason(deployment);
    Some(match deployment.status.as_ref()? {
        Status::Successful => Verdict::Succeeded,
        Status::RollbackSuccessful => Verdict::RolledBack(reason()),
        Status::RollbackFailed => Verdict::Failed(format!("the rollback failed as well: {}", reason())),
        Status::Stopped => match newer {
            Some(newer) => Verdict::Superseded(newer.to_owned()),
            None if is_triggered(deployment) => Verdict::Failed(reason()),
            None => Verdict::Stopped(reason()),
        },
        _ => return None,
    })
}

fn is_triggered(deployment: &ServiceDeployment) -> bool {
    let breaker = deployment.deployment_circuit_breaker.as_ref().and_then(|breaker| breaker.status.as_ref());
    let alarms = deployment.alarms.as_ref().and_then(|alarms| alarms.status.as_ref());
    [breaker, alarms].into_iter().flatten().any(|status| *status == Monitor::Triggered)
}

/// Why, in ECS's words, with the alarm or the breaker that did it.
fn reason(deployment: &ServiceDeployment) -> String {
    let rollback = deployment.rollback.as_ref().and_then(|rollback| rollback.reason.clone());
    let mut reason =
        rollback.or_else(|| deployment.status_reason.clone()).unwrap_or_else(|| "ECS gave no reason".to_owned());
    let alarms = deployment.alarms.as_ref().map(ServiceDeploymentAlarms::triggered_alarm_names).unwrap_or_default();
    if !alarms.is_empty() && !alarms.iter().all(|name| reason.contains(name.as_str())) {
        reason = format!("{reason} (alarm {})", alarms.join(", "));
    }
    reason
}

/// Whether ECS is putting the revision before it back.
pub(super) fn is_rolling_back(deployment: &ServiceDeployment) -> bool {
    matches!(deployment.status, Some(Status::RollbackRequested | Status::RollbackInProgress))
}

/// One line: what it is doing now.
pub(super) fn line(deployment: &ServiceDeployment, healthy: Option<(usize, usize)>) -> String {
    let doing = match deployment.status.as_ref() {
        Some(Status::Pending) => "waiting for ECS",
        Some(Status::InProgress) => "rolling out",
        Some(Status::StopRequested) => "stopping",
        Some(Status::RollbackRequested | Status::RollbackInProgress) => "rolling back",
        Some(Status::Successful) => "done",
        Some(Status::RollbackSuccessful) => "rolled back",
        Some(Status::Stopped) => "stopped",
        _ => "unknown to this program",
    };
    let mut parts = vec![doing.to_owned()];
    if let Some(target) = &deployment.target_service_revision {
        let mut counts = format!("{}/{} running", target.running_task_count, target.requested_task_count);
        if target.pending_task_count > 0 {
            let _ = write!(counts, ", {} pending", target.pending_task_count);
        }
        parts.push(counts);
        if let Some(weight) = target.requested_production_traffic_weight {
            parts.push(format!("{weight:.0} % of the traffic"));
        }
    }
    let old: i32 = deployment.source_service_revisions().iter().map(|source| source.running_task_count).sum();
    if old > 0 {
        parts.push(format!("{old} old"));
    }
    if let Some((healthy, all)) = healthy {
        parts.push(format!("{healthy}/{all} healthy"));
    }
    // Rolling deployments report none.
    if let Some(stage) = &deployment.lifecycle_stage {
        parts.push(stage.as_str().to_lowercase().replace('_', " "));
    }
    if let Some(breaker) = deployment.deployment_circuit_breaker.as_ref().filter(|breaker| breaker.failure_count > 0) {
        parts.push(format!("{} of {} failures", breaker.failure_count, breaker.threshold));
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{Rollback, ServiceDeploymentCircuitBreaker, ServiceRevisionSummary};

    use super::*;

    fn with(status: Status) -> aws_sdk_ecs::types::builders::ServiceDeploymentBuilder {
        ServiceDeployment::builder().status(status).status_reason("as ECS says")
    }

    #[test]
    fn only_a_successful_deployment_is_a_success() {
        assert_eq!(verdict(&with(Status::Successful).build(), None), Some(Verdict::Succeeded));
        for status in [
            Status::Pending,
            Status::InProgress,
            Status::StopRequested,
            Status::RollbackRequested,
            Status::RollbackInProgress,
        ] {
            assert_eq!(verdict(&with(status).build(), None), None);
        }
        let rollback = Rollback::builder().reason("tasks failed to start").build();
        let back = with(Status::RollbackSuccessful).rollback(rollback).build();
        assert_eq!(verdict(&back, None), Some(Verdict::RolledBack("tasks failed to start".into())));
    }

    #[test]
    fn a_stop_says_who_stopped_it() {
        let stopped = with(Status::Stopped).build();
        assert_eq!(verdict(&stopped, None), Some(Verdict::Stopped("as ECS says".into())));
        assert_eq!(verdict(&stopped, Some("backend:9")), Some(Verdict::Superseded("backend:9".into())));
        let breaker = ServiceDeploymentCircuitBreaker::builder().status(Monitor::Triggered).build();
        let failed = with(Status::Stopped).deployment_circuit_breaker(breaker).build();
        assert_eq!(verdict(&failed, None), Some(Verdict::Failed("as ECS says".into())));
        let alarms = ServiceDeploymentAlarms::builder().status(Monitor::Triggered).triggered_alarm_names("5xx").build();
        let alarmed = with(Status::Stopped).alarms(alarms).build();
        assert_eq!(verdict(&alarmed, None), Some(Verdict::Failed("as ECS says (alarm 5xx)".into())));
    }

    #[test]
    fn a_line_says_what_it_waits_for() {
        let target =
            ServiceRevisionSummary::builder().requested_task_count(2).running_task_count(1).pending_task_count(1);
        let source = ServiceRevisionSummary::builder().running_task_count(2).build();
        let deployment =
            with(Status::InProgress).target_service_revision(target.build()).source_service_revisions(source);
        assert_eq!(
            line(&deployment.build(), Some((1, 2))),
            "rolling out · 1/2 running, 1 pending · 2 old · 1/2 healthy"
        );
    }
}
