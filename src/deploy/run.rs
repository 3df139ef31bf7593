//! What a deploy, a rollback and a restart have in common: the lock, the record, timed stages, and services that are
//! told to roll out, level by level, each watched to its verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_ecs::types::DeploymentConfiguration;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::cloud::Cloud;
use super::lock::{Lease, Owner};
use super::plan::{Live, Plan, revision_name};
use super::record::{Deployed, Ending, Record, StageTime, Table};
use super::story::Story;
use super::watch::{self, Baseline, End, Subject, Verdict, Watch};
use super::{Person, lambda};
use crate::failure::{Failure, Kind, Result};
use crate::outputs::{Outputs, ServiceOutputs};
use crate::report::Report;
use crate::settings::EnvironmentSettings;

/// Where something is deployed, by whom, and who listens.
#[derive(Clone)]
pub struct Ground<'a> {
    pub cloud: Arc<Cloud>,
    pub environment: &'a EnvironmentSettings,
    pub outputs: &'a Outputs,
    pub owner: Owner,
    /// The commit that is checked out.
    pub commit: Option<String>,
    /// How long the lock holds without a heartbeat.
    pub lease: Duration,
    /// How long to wait for a lock whose holder lives; None: not at all.
    pub patience: Option<Duration>,
    pub timeout: Duration,
    pub detach: bool,
    pub report: &'a dyn Report,
    pub interrupt: &'a CancellationToken,
    pub person: &'a dyn Person,
}

/// A service that is told something.
#[derive(Clone, Debug, Default)]
pub(super) struct Move {
    pub(super) service: String,
    /// The ECS service's name.
    pub(super) name: String,
    /// The revision that it runs afterwards, its ARN.
    pub(super) task_definition: String,
    pub(super) before: String,
    pub(super) configuration: Option<DeploymentConfiguration>,
    pub(super) replicas: Option<i32>,
    /// Tasks that the file asks for, for the record.
    pub(super) asked: u32,
    /// New tasks of the same revision.
    pub(super) is_forced: bool,
    /// It rolls out already; nothing is told, it is only watched.
    pub(super) is_adopted: bool,
}

impl Move {
    fn rolls_out(&self) -> bool {
        self.is_forced || self.task_definition != self.before
    }
}

/// One run, from its begin to its story.
pub(super) struct Run<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) table: Table,
    pub(super) plan: Option<Plan>,
    pub(super) functions: Option<lambda::Plan>,
    pub(super) record: Option<Record>,
    lease: Option<Lease>,
    times: Vec<StageTime>,
    /// The stage that goes on.
    stage: Option<(&'static str, Instant)>,
}

impl<'a> Run<'a> {
    pub(super) fn new(ground: &'a Ground<'a>) -> Self {
        let table = Table::new(&ground.cloud, &ground.outputs.deploys_table, &ground.environment.name);
        Self { ground, table, plan: None, functions: None, record: None, lease: None, times: Vec::new(), stage: None }
    }

    pub(super) fn outputs(&self, service: &str) -> Result<&'a ServiceOutputs> {
        let outputs = self.ground.outputs;
        outputs.services.get(service).ok_or_else(|| {
            Failure::failed(format!("Terraform has made nothing for the service `{service}`"))
                .hint("Run `streamify infra apply` for this environment first.")
        })
    }

    /// Begins a stage, if nobody interrupts and the lock is still ours.
    pub(super) async fn stage(&mut self, name: &'static str, doing: &str) -> Result<()> {
        if self.ground.interrupt.is_cancelled() {
            return Err(Failure::interrupted(2));
        }
        if let Some(lease) = &self.lease {
            lease.check(name).await?;
        }
        self.stage = Some((name, Instant::now()));
        self.ground.report.started(name, doing);
        Ok(())
    }

    /// Ends the stage.
    pub(super) fn done(&mut self, how: &str) {
        if let Some((name, began)) = self.stage.take() {
            let took = began.elapsed();
            self.ground.report.finished(name, how, took);
            self.times.push(StageTime { name: name.to_owned(), seconds: took.as_secs_f64() });
        }
    }

    /// Takes the lock.
    pub(super) async fn lock(&mut self) -> Result<()> {
        let ground = self.ground;
        self.stage("lock", "asking for it").await?;
        let acquire = Lease::acquire(&self.table, &ground.owner, ground.lease, ground.patience, ground.report);
        let lease = tokio::select! {
            lease = acquire => lease?,
            () = ground.interrupt.cancelled() => return Err(Failure::interrupted(2)),
        };
        self.lease = Some(lease);
        self.done("held");
        Ok(())
    }

    fn run_id(&self) -> &str {
        self.lease.as_ref().map(Lease::run).unwrap_or_default()
    }

    /// The history, with the newest record settled: what was left to itself or killed may have arrived meanwhile.
    pub(super) async fn history(&self, live: &BTreeMap<String, Live>) -> Result<Vec<Record>> {
        let keep = self.ground.environment.deploy.keep.unwrap_or(10).max(2);
        let mut records = self.table.newest(u64::try_from(keep * 4).unwrap_or(100)).await?;
        let Some(newest) = records.first_mut() else { return Ok(records) };
        if !matches!(newest.ending, Ending::Running | Ending::Detached | Ending::TimedOut) {
            return Ok(records);
        }
        let is_complete = |service: &String, deployed: &Deployed| {
            live.get(service).is_some_and(|live| live.revision.arn == deployed.task_definition && !live.is_rolling_out)
        };
        let has_all = live.keys().all(|service| newest.services.contains_key(service));
        let ending = if has_all && newest.services.iter().all(|(service, one)| is_complete(service, one)) {
            Ending::Succeeded
        } else if newest.ending == Ending::Running {
            // We hold its lock: whoever wrote it is gone.
            Ending::Interrupted
        } else {
            return Ok(records);
        };
        newest.ending = ending;
        newest.finished_at.get_or_insert_with(Timestamp::now);
        let text = format!(
            "deploy {} had been left alone: it {}",
            newest.number,
            match ending {
                Ending::Succeeded => "has arrived",
                _ => "did not arrive",
            }
        );
        if self.lease.is_some() {
            self.table.write(newest, self.run_id()).await?;
            self.ground.report.note(&text);
        }
        Ok(records)
    }

    /// Writes down that something begins.
    pub(super) async fn begin(&mut self, mut record: Record) -> Result<()> {
        record.who.clone_from(&self.ground.owner.who);
        record.url.clone_from(&self.ground.owner.url);
        record.commit.clone_from(&self.ground.commit);
        record.started_at = Timestamp::now();
        self.table.begin(&mut record, self.run_id()).await?;
        self.record = Some(record);
        Ok(())
    }

    /// Writes down another record, such as one that is taken back.
    pub(super) async fn write(&self, record: &Record) -> Result<()> {
        self.table.write(record, self.run_id()).await
    }

    /// Tells services what to run, level by level, and watches each level to its verdicts before the next.
    pub(super) async fn roll(&mut self, levels: Vec<Vec<Move>>, rolls_back_on_timeout: bool) -> Result<()> {
        let ground = self.ground;
        let deadline = Instant::now() + ground.timeout;
        let levels: Vec<Vec<Move>> = levels.into_iter().filter(|level| !level.is_empty()).collect();
        let count = levels.len();
        for (index, moves) in levels.iter().enumerate() {
            let names: Vec<&str> = moves.iter().map(|one| one.service.as_str()).collect();
            self.stage("update", &names.join(", ")).await?;
            let mut subjects = self.update(moves).await?;
            if let Some(record) = &mut self.record {
                for one in moves {
                    let deployed = record.services.entry(one.service.clone()).or_default();
                    deployed.name.clone_from(&one.name);
                    deployed.task_definition.clone_from(&one.task_definition);
                    deployed.before.clone_from(&one.before);
                    deployed.replicas = one.asked;
                }
            }
            if let Some(record) = &self.record {
                self.table.write(record, self.run_id()).await?;
            }
            self.done(&format!("{} told", names.join(", ")));
            if subjects.is_empty() {
                continue;
            }
            if ground.detach && index + 1 == count {
                self.leave(&subjects, &[]);
                return Ok(());
            }
            self.stage(
                "watch",
                &format!("until {} {}", names.join(", "), if names.len() == 1 { "is live" } else { "are live" }),
            )
            .await?;
            let watch = Watch {
                cloud: &ground.cloud,
                cluster: &ground.outputs.cluster,
                report: ground.report,
                interrupt: ground.interrupt,
                person: ground.person,
                timeout: deadline.saturating_duration_since(Instant::now()),
                rolls_back_on_timeout,
                is_taking_back: false,
            };
            let end = watch.run(&mut subjects).await?;
            let later: Vec<&str> = levels[index + 1..].iter().flatten().map(|one| one.service.as_str()).collect();
            match end {
                End::Settled => {}
                End::TimedOut => return Err(timed_out(&ground.environment.name, &subjects, ground.timeout)),
                End::Detached { by_signal } => {
                    self.leave(&subjects, &later);
                    return if by_signal { Err(Failure::interrupted(2)) } else { Ok(()) };
                }
            }
            settle(&ground.environment.name, &subjects, &later)?;
            self.done("live");
        }
        Ok(())
    }

    /// Leaves a rollout to itself.
    fn leave(&mut self, subjects: &[Subject], later: &[&str]) {
        let name = &self.ground.environment.name;
        let open = subjects.iter().filter(|subject| subject.verdict.is_none()).map(|subject| subject.service.as_str());
        let open: Vec<&str> = open.collect();
        self.ground.report.note(&format!(
            "detached: the rollout of {} goes on in ECS; `streamify status {name}` shows how far it is",
            open.join(", ")
        ));
        if !later.is_empty() {
            let text = format!("{} was not updated yet: the same command again goes on from here", later.join(", "));
            self.ground.report.warning(&text);
        }
        if let Some(record) = &mut self.record {
            record.ending = Ending::Detached;
        }
    }

    /// Tells services of one level, in parallel, and gives those whose rollouts are to be watched.
    async fn update(&self, moves: &[Move]) -> Result<Vec<Subject>> {
        let (cloud, cluster) = (&*self.ground.cloud, self.ground.outputs.cluster.as_str());
        let all = moves.iter().map(async |one| {
            let before = if one.rolls_out() && !one.is_adopted {
                watch::baseline(cloud, cluster, &one.name).await?
            } else {
                Baseline::adopted()
            };
            if !one.is_adopted {
                let update = cloud
                    .ecs
                    .update_service()
                    .cluster(cluster)
                    .service(&one.name)
                    .set_task_definition((one.task_definition != one.before).then(|| one.task_definition.clone()))
                    .set_deployment_configuration(one.configuration.clone())
                    .set_desired_count(one.replicas)
                    .set_force_new_deployment(one.is_forced.then_some(true));
                let updated = update.send().await;
                updated.map_err(|error| cloud.failure(&format!("can't update the service {}", one.name), &error))?;
            }
            let outputs = self.outputs(&one.service)?;
            let is_watched = one.rolls_out() || one.is_adopted;
            Ok::<_, Failure>(is_watched.then(|| Subject::new(&one.service, outputs, &one.task_definition, before)))
        });
        Ok(try_join_all(all).await?.into_iter().flatten().collect())
    }

    /// The end: the record is closed, the lock given back, and the story told.
    pub(super) async fn end(mut self, result: Result<()>) -> Story {
        if let (Err(failure), Some((name, began))) = (&result, self.stage.take()) {
            self.times.push(StageTime { name: name.to_owned(), seconds: began.elapsed().as_secs_f64() });
            self.ground.report.failed(name, &failure.message);
        }
        let report = self.ground.report;
        if let Some(mut record) = self.record.take() {
            if let Err(failure) = &result
                && record.ending != Ending::Detached
            {
                record.ending = ending(failure.kind);
                record.reason = Some(failure.to_string());
            } else if record.ending == Ending::Running {
                record.ending = Ending::Succeeded;
            }
            record.finished_at = Some(Timestamp::now());
            record.stages = std::mem::take(&mut self.times);
            if let Err(failure) = self.table.write(&record, self.run_id()).await {
                report.warning(&format!("the history lacks how this ended: {failure}"));
            }
            self.record = Some(record);
        }
        if let Some(lease) = self.lease.take()
            && let Err(failure) = lease.release().await
        {
            report.warning(&format!("the lock ends by itself in {} s: {failure}", self.ground.lease.as_secs()));
        }
        Story {
            environment: self.ground.environment.name.clone(),
            plan: self.plan,
            functions: self.functions,
            record: self.record,
            requests: self.ground.cloud.requests(),
            failure: result.err(),
        }
    }
}

fn ending(kind: Kind) -> Ending {
    match kind {
        Kind::RolledBack => Ending::RolledBack,
        Kind::Superseded => Ending::Superseded,
        Kind::Stopped => Ending::Stopped,
        Kind::TimedOut => Ending::TimedOut,
        Kind::Interrupted(_) => Ending::Interrupted,
        _ => Ending::Failed,
    }
}

/// One failure out of all verdicts; none where all succeeded.
fn settle(environment: &str, subjects: &[Subject], later: &[&str]) -> Result<()> {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Failed(_) => 0,
        Verdict::RolledBack(_) => 1,
        Verdict::Stopped(_) => 2,
        Verdict::Superseded(_) => 3,
        Verdict::Succeeded => 4,
    };
    let mut wrong: Vec<(&Subject, &Verdict)> = subjects
        .iter()
        .filter_map(|subject| Some((subject, subject.verdict.as_ref()?)))
        .filter(|(_, verdict)| **verdict != Verdict::Succeeded)
        .collect();
    wrong.sort_by_key(|(_, verdict)| rank(verdict));
    let Some((first, verdict)) = wrong.first() else { return Ok(()) };
    let mut failure = Failure::from((*verdict).clone());
    failure.message = format!("{}: {}", first.service, failure.message);
    for (subject, verdict) in &wrong {
        if subject.service != first.service {
            failure = failure.cause(format!("{}: {}", subject.service, Failure::from((*verdict).clone()).message));
        }
        for words in subject.stopped.words() {
            failure = failure.cause(format!("{}: {words}", subject.service));
        }
    }
    if let Verdict::Superseded(by) = verdict {
        let live = format!("{by} is what {} runs towards; `streamify status {environment}` shows it.", first.service);
        return Err(failure.hint(live));
    }
    let fine = subjects.iter().filter(|subject| subject.verdict == Some(Verdict::Succeeded));
    let fine: Vec<String> =
        fine.map(|one| format!("{} runs {}", one.service, revision_name(&one.task_definition))).collect();
    if !fine.is_empty() {
        failure = failure.hint(format!("{}: `streamify rollback {environment}` takes that back.", fine.join(", ")));
    }
    if !later.is_empty() {
        failure = failure.hint(format!("Not updated, since it comes after: {}.", later.join(", ")));
    }
    Err(failure.hint(format!("More of the log: streamify logs {environment} {} --since 30m", first.service)))
}

fn timed_out(environment: &str, subjects: &[Subject], timeout: Duration) -> Failure {
    let open: Vec<&Subject> = subjects.iter().filter(|subject| subject.verdict.is_none()).collect();
    let names: Vec<&str> = open.iter().map(|subject| subject.service.as_str()).collect();
    let mut failure = Failure::timed_out(format!(
        "{} is not live after {} s, and still rolling out",
        names.join(", "),
        timeout.as_secs()
    ));
    for subject in open {
        failure.causes.extend(subject.stopped.words().into_iter().map(|words| format!("{}: {words}", subject.service)));
    }
    failure
        .hint(format!("Watch on: streamify deploy {environment}, which finds it going on."))
        .hint(format!("Take it back: streamify rollback {environment}, or give --rollback-on timeout the next time."))
}
