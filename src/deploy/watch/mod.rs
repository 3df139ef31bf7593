//! Follows rollouts to their verdict: service deployments, events, tasks and target health, batched over all services.
//!
//! The verdict comes from the deployment of our own service revision and from nothing else: a service that is stable
//! again may just as well have been rolled back.

mod find;
mod stopped;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aws_sdk_ecs::operation::stop_service_deployment::StopServiceDeploymentError;
use aws_sdk_ecs::types::{Service, ServiceDeployment, StopServiceDeploymentStopType};
use aws_smithy_types::DateTime;
use futures_util::future::{BoxFuture, OptionFuture};
use tokio_util::sync::CancellationToken;

use super::cloud::Cloud;
use super::{Answer, Person, observe};
use crate::failure::{Failure, Result};
use crate::outputs::ServiceOutputs;
use crate::report::{Event, Report};

pub(super) use find::{Baseline, baseline, going_on};
pub(super) use stopped::Stopped;
pub use verdict::Verdict;

/// Between two looks while something happens.
const PACE: Duration = Duration::from_millis(1500);
/// Between two looks while nothing happens.
const CALM: Duration = Duration::from_secs(4);
/// Between two looks when only ECS's own word is missing.
const NEAR: Duration = Duration::from_secs(1);
/// The least time that a rollback at the end of the time is watched.
const BACK: Duration = Duration::from_secs(600);
/// Looks that may fail one after the other before the watch gives up.
const PATIENCE: u32 = 4;
/// What `DescribeServiceDeployments` and `DescribeServices` take at once.
const DEPLOYMENTS: usize = 20;
const SERVICES: usize = 10;

/// One service whose rollout is followed.
#[derive(Clone, Debug, Default)]
pub(super) struct Subject {
    /// Its name in `streamify.yaml`.
    pub(super) service: String,
    /// The ECS service's name.
    name: String,
    /// Our revision's ARN.
    pub(super) task_definition: String,
    container: String,
    log_group: String,
    target_group: Option<String>,
    /// What was there before ours.
    before: Baseline,
    pub(super) stopped: Stopped,
    pub(super) verdict: Option<Verdict>,
    /// Our deployment, once it is known.
    pub(super) deployment: Option<String>,
    created_at: Option<DateTime>,
    line: String,
    failures: i32,
    told: BTreeSet<String>,
    began: Option<Instant>,
    is_near: bool,
}

impl Subject {
    /// A service whose rollout of a revision is about to be followed.
    pub(super) fn new(service: &str, outputs: &ServiceOutputs, task_definition: &str, before: Baseline) -> Self {
        Self {
            service: service.to_owned(),
            name: outputs.name.clone(),
            task_definition: task_definition.to_owned(),
            container: outputs.container.clone(),
            log_group: outputs.log_group.clone(),
            target_group: outputs.target_group.clone(),
            before,
            ..Self::default()
        }
    }
}

/// How a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Every subject has its verdict.
    Settled,
    /// It goes on without us; true where a signal was why.
    Detached {
        by_signal: bool,
    },
    TimedOut,
}

/// What a watch needs.
pub(super) struct Watch<'a> {
    pub(super) cloud: &'a Cloud,
    pub(super) cluster: &'a str,
    pub(super) report: &'a dyn Report,
    pub(super) interrupt: &'a CancellationToken,
    pub(super) person: &'a dyn Person,
    pub(super) timeout: Duration,
    pub(super) rolls_back_on_timeout: bool,
    /// A rollback is what is wanted.
    pub(super) is_taking_back: bool,
}

impl Watch<'_> {
    /// Follows until every subject has its verdict, the time is over, or whoever watches leaves.
    pub(super) async fn run(&self, subjects: &mut [Subject]) -> Result<End> {
        let mut deadline = Instant::now() + self.timeout;
        let mut may_roll_back = self.rolls_back_on_timeout;
        let (mut pace, mut errors) = (PACE, 0);
        let mut is_asked = false;
        let mut answer: OptionFuture<BoxFuture<'_, Answer>> = None.into();
        for subject in subjects.iter_mut() {
            subject.began = Some(Instant::now());
            self.report.started(&subject.service, "waiting for ECS");
        }
        loop {
            match self.look(subjects).await {
                Ok(has_changed) => {
                    errors = 0;
                    pace = if has_changed { PACE } else { pace.mul_f64(1.3).min(CALM) };
                }
                Err(failure) => {
                    errors += 1;
                    if errors >= PATIENCE {
                        return Err(failure.hint("The rollout goes on in ECS: the same command again watches on."));
                    }
                    self.report.warning(&format!("can't see how far it is, trying again: {failure}"));
                }
            }
            let mut open = subjects.iter().filter(|subject| subject.verdict.is_none()).peekable();
            if open.peek().is_none() {
                return Ok(End::Settled);
            }
            if open.all(|subject| subject.is_near) {
                pace = NEAR;
            }
            if Instant::now() >= deadline {
                if !may_roll_back {
                    return Ok(End::TimedOut);
                }
                may_roll_back = false;
                deadline = Instant::now() + self.timeout.max(BACK);
                self.report.warning("the time is over: rolling back");
                self.roll_back(subjects).await?;
            }
            let mut left = std::pin::pin!(tokio::time::sleep(
                pace.min(deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(50)))
            ));
            tokio::select! {
                () = &mut left => {}
                () = self.interrupt.cancelled(), if !is_asked => {
                    is_asked = true;
                    answer = Some(self.person.ask()).into();
                }
                Some(said) = &mut answer => {
                    answer = None.into();
                    match said {
                        Answer::Detach => return Ok(End::Detached { by_signal: true }),
                        Answer::RollBack => self.roll_back(subjects).await?,
                        Answer::GoOn => self.report.note("going on; Ctrl-C again leaves at once"),
                    }
                }
            }
        }
    }

    /// Asks ECS to put back what was before, for every rollout that goes on.
    pub(super) async fn roll_back(&self, subjects: &[Subject]) -> Result<()> {
        for subject in subjects.iter().filter(|subject| subject.verdict.is_none()) {
            let Some(arn) = &subject.deployment else { continue };
            stop(self.cloud, arn, &subject.service).await?;
        }
        Ok(())
    }

    /// One look at everything; whether anything is another than before.
    async fn look(&self, subjects: &mut [Subject]) -> Result<bool> {
        for subject in subjects.iter_mut().filter(|subject| subject.deployment.is_none()) {
            if let Some((arn, created_at)) = find::ours(self.cloud, self.cluster, subject).await? {
                subject.deployment = Some(arn);
                subject.created_at = created_at;
            }
        }
        let open: Vec<&Subject> = subjects.iter().filter(|subject| subject.verdict.is_none()).collect();
        let arns: Vec<String> = open.iter().filter_map(|subject| subject.deployment.clone()).collect();
        let names: Vec<String> = open.iter().map(|subject| subject.name.clone()).collect();
        let (deployments, services) =
            futures_util::try_join!(deployments(self.cloud, &arns), services(self.cloud, self.cluster, &names))?;
        let mut has_changed = false;
        for subject in subjects.iter_mut().filter(|subject| subject.verdict.is_none()) {
            if let Some(service) = services.get(&subject.name) {
                has_changed |= self.tell_events(subject, service);
            }
            let deployment = subject.deployment.as_ref().and_then(|arn| deployments.get(arn));
            if let Some(deployment) = deployment {
                has_changed |= self.weigh(subject, deployment, services.get(&subject.name)).await?;
            }
        }
        Ok(has_changed)
    }

    /// Takes in the state of one deployment, and ends the subject when it is its last.
    async fn weigh(
        &self,
        subject: &mut Subject,
        deployment: &ServiceDeployment,
        service: Option<&Service>,
    ) -> Result<bool> {
        let primary = service.and_then(observe::primary);
        let failed = primary.filter(|one| one.task_definition.as_deref() == Some(&subject.task_definition));
        let failures = deployment
            .deployment_circuit_breaker
            .as_ref()
            .map_or(0, |breaker| breaker.failure_count)
            .max(failed.map_or(0, |primary| primary.failed_tasks));
        let newer = match deployment.status {
            Some(aws_sdk_ecs::types::ServiceDeploymentStatus::Stopped) => {
                find::newer(self.cloud, self.cluster, subject).await?
            }
            _ => None,
        };
        let verdict = verdict::verdict(deployment, newer.as_deref());
        let went_wrong = verdict.as_ref().is_some_and(|verdict| *verdict != Verdict::Succeeded);
        if failures > subject.failures || went_wrong || verdict::is_rolling_back(deployment) {
            subject.failures = failures;
            let mut stopped = std::mem::take(&mut subject.stopped);
            let looked = stopped.look(self.cloud, self.cluster, &subject.place(), self.report).await;
            subject.stopped = stopped;
            looked?;
        }
        let target = deployment.target_service_revision.as_ref();
        let runs = target.is_some_and(|target| target.running_task_count >= target.requested_task_count);
        let old: i32 = deployment.source_service_revisions().iter().map(|source| source.running_task_count).sum();
        subject.is_near = runs && old == 0;
        // While tasks start there is nothing to be asked of the load balancer.
        let healthy = match &subject.target_group {
            Some(group) if runs && verdict.is_none() => health(self.cloud, group).await?,
            _ => None,
        };
        let line = verdict::line(deployment, healthy);
        let has_changed = line != subject.line;
        if has_changed && verdict.is_none() {
            self.report.doing(&subject.service, &line);
        }
        subject.line = line;
        if let Some(verdict) = verdict {
            let took = subject.began.map(|began| began.elapsed()).unwrap_or_default();
            match &verdict {
                Verdict::Succeeded => {
                    let name = super::plan::revision_name(&subject.task_definition);
                    self.report.finished(&subject.service, &format!("{name} is live"), took);
                }
                Verdict::RolledBack(_) if self.is_taking_back => {
                    self.report.finished(&subject.service, "rolled back", took);
                }
                Verdict::RolledBack(reason) => self.report.failed(&subject.service, &format!("rolled back: {reason}")),
                Verdict::Superseded(by) => self.report.failed(&subject.service, &format!("superseded by {by}")),
                Verdict::Stopped(reason) => self.report.failed(&subject.service, &format!("stopped: {reason}")),
                Verdict::Failed(reason) => self.report.failed(&subject.service, reason),
            }
            subject.verdict = Some(verdict);
            return Ok(true);
        }
        Ok(has_changed)
    }

    /// Repeats what ECS says of the service since our deployment began.
    fn tell_events(&self, subject: &mut Subject, service: &Service) -> bool {
        let Some(since) = subject.created_at else { return false };
        let mut has_news = false;
        // The newest comes first.
        for event in service.events().iter().rev() {
            let (Some(id), Some(at), Some(message)) = (&event.id, event.created_at, &event.message) else { continue };
            if at < since || !subject.told.insert(id.clone()) {
                continue;
            }
            has_news = true;
            let text = message.strip_prefix(&format!("(service {}) ", subject.name)).unwrap_or(message);
            self.report.event(Event::Line { source: subject.service.clone(), text: text.to_owned() });
        }
        has_news
    }
}

/// Asks ECS to roll a deployment back, whether or not the service is set to do so by itself.
pub(super) async fn stop(cloud: &Cloud, deployment: &str, service: &str) -> Result<()> {
    let stop = cloud
        .ecs
        .stop_service_deployment()
        .service_deployment_arn(deployment)
        .stop_type(StopServiceDeploymentStopType::Rollback);
    match stop.send().await {
        Ok(_) => Ok(()),
        // It has ended meanwhile; the next look says how.
        Err(error) if error.as_service_error().is_some_and(StopServiceDeploymentError::is_conflict_exception) => Ok(()),
        Err(error) => Err(cloud.failure(&format!("can't roll back {service}"), &error)),
    }
}

async fn deployments(cloud: &Cloud, arns: &[String]) -> Result<BTreeMap<String, ServiceDeployment>> {
    let mut all = BTreeMap::new();
    for chunk in arns.chunks(DEPLOYMENTS) {
        let answer = cloud.ecs.describe_service_deployments().set_service_deployment_arns(Some(chunk.to_vec()));
        let answer = answer.send().await.map_err(|error| cloud.failure("can't look at the rollout", &error))?;
        let found = answer.service_deployments.unwrap_or_default();
        all.extend(found.into_iter().filter_map(|one| Some((one.service_deployment_arn.clone()?, one))));
    }
    Ok(all)
}

async fn services(cloud: &Cloud, cluster: &str, names: &[String]) -> Result<BTreeMap<String, Service>> {
    let mut all = BTreeMap::new();
    for chunk in names.chunks(SERVICES) {
        let answer = cloud.ecs.describe_services().cluster(cluster).set_services(Some(chunk.to_vec())).send().await;
        let answer = answer.map_err(|error| cloud.failure("can't look at the services", &error))?;
        let found = answer.services.unwrap_or_default();
        all.extend(found.into_iter().filter_map(|one| Some((one.service_name.clone()?, one))));
    }
    Ok(all)
}

/// How many targets of a group are healthy, of how many.
pub(super) async fn health(cloud: &Cloud, target_group: &str) -> Result<Option<(usize, usize)>> {
    use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum as State;
    let answer = cloud.load_balancers.describe_target_health().target_group_arn(target_group).send().await;
    let answer = answer.map_err(|error| cloud.failure("can't look at the health of the targets", &error))?;
    let states: Vec<State> = answer
        .target_health_descriptions()
        .iter()
        .filter_map(|target| target.target_health.as_ref()?.state.clone())
        .filter(|state| *state != State::Draining)
        .collect();
    let healthy = states.iter().filter(|state| **state == State::Healthy).count();
    Ok((!states.is_empty()).then_some((healthy, states.len())))
}

impl From<Verdict> for Failure {
    /// The failure of one service in words; success is none, and never asked for.
    fn from(verdict: Verdict) -> Self {
        use crate::failure::Kind;
        match verdict {
            Verdict::Succeeded => Self::failed("succeeded"),
            Verdict::RolledBack(reason) => Self::new(Kind::RolledBack, format!("rolled back: {reason}")),
            Verdict::Superseded(by) => Self::new(Kind::Superseded, format!("superseded by {by}")),
            Verdict::Stopped(reason) => Self::new(Kind::Stopped, format!("stopped: {reason}")),
            Verdict::Failed(reason) => Self::failed(format!("failed: {reason}")),
        }
    }
}
