//! Back to the last deploy that was good: recorded, not guessed.
//!
//! A rollout that goes on is taken back by ECS itself, whoever began it and whoever holds the lock; their watch sees
//! it. What has ended is taken back by telling every service the revision that the record has of it.

use std::collections::BTreeMap;

use super::observe;
use super::plan::{Live, revision_name};
use super::record::{Deployed, Purpose, Record};
use super::run::{Ground, Move, Run};
use super::story::Story;
use super::watch::{self, Baseline, End, Subject, Verdict, Watch};
use crate::failure::{Failure, Result};

/// Takes back what goes on, or the newest deploy; to the last good one, or to the one numbered `to`.
pub async fn rollback(ground: &Ground<'_>, to: Option<u64>) -> Story {
    let mut run = Run::new(ground);
    let result = go(&mut run, to).await;
    run.end(result).await
}

async fn go(run: &mut Run<'_>, to: Option<u64>) -> Result<()> {
    let ground = run.ground;
    ground.cloud.aws.identity().await?;
    let was_going_on = if to.is_none() { take_back(run).await? } else { false };
    // Whoever deployed sees the rollback and gives the lock back in a moment.
    run.lock().await?;
    run.stage("plan", "comparing with the history").await?;
    let names = ground.environment.services.keys().map(String::as_str);
    let services = observe::services(&ground.cloud, ground.outputs, names).await?;
    let live = observe::live(&ground.cloud, &services).await?;
    let history = run.history(&live).await?;
    let target = choose(&history, &live, to, was_going_on)?;
    let Some(target) = target else {
        run.done("everything runs what was good");
        return Ok(());
    };
    let moves = moves(run, target, &live);
    run.done(&format!("back to deploy {}", target.number));
    for one in moves.iter().flatten() {
        let (before, after) = (revision_name(&one.before), revision_name(&one.task_definition));
        ground.report.note(&format!("{}: {before} → {after}", one.service));
    }
    check(run, &moves).await?;
    let idle = target
        .services
        .iter()
        .filter(|(name, one)| live.get(*name).is_some_and(|live| live.revision.arn == one.task_definition));
    let services =
        idle.map(|(name, one)| (name.clone(), Deployed { before: one.task_definition.clone(), ..one.clone() }));
    let record = Record {
        purpose: Purpose::Rollback,
        target: Some(target.number),
        images: target.images.clone(),
        services: services.collect(),
        ..Record::default()
    };
    run.begin(record).await?;
    let number = run.record.as_ref().map(|record| record.number);
    run.roll(moves, false).await?;
    run.stage("record", "writing the history").await?;
    for record in history.iter().filter(|record| record.number > target.number && record.is_good()) {
        run.write(&Record { taken_back_by: number, ..record.clone() }).await?;
    }
    run.done("written");
    Ok(())
}

/// Has ECS take back every rollout that goes on; whether there was any.
async fn take_back(run: &mut Run<'_>) -> Result<bool> {
    let ground = run.ground;
    let cluster = &ground.outputs.cluster;
    run.stage("verify", "looking for rollouts that go on").await?;
    let names = ground.environment.services.keys().map(String::as_str);
    let services = observe::services(&ground.cloud, ground.outputs, names).await?;
    let mut subjects = Vec::new();
    for (name, service) in &services {
        if service.deployments().len() < 2 {
            continue;
        }
        let ecs = service.service_name.as_deref().unwrap_or_default();
        let Some((deployment, definition)) = watch::going_on(&ground.cloud, cluster, ecs).await? else { continue };
        let outputs = run.outputs(name)?;
        let mut subject = Subject::new(name, outputs, &definition, Baseline::adopted());
        subject.deployment = Some(deployment);
        subjects.push(subject);
    }
    if subjects.is_empty() {
        run.done("none goes on");
        return Ok(false);
    }
    run.done(&format!("{} going on", subjects.len()));
    let list: Vec<String> =
        subjects.iter().map(|one| format!("{} ({})", one.service, revision_name(&one.task_definition))).collect();
    run.stage("rollback", &list.join(", ")).await?;
    let watch = Watch {
        cloud: &ground.cloud,
        cluster,
        report: ground.report,
        interrupt: ground.interrupt,
        person: ground.person,
        timeout: ground.timeout,
        rolls_back_on_timeout: false,
        is_taking_back: true,
    };
    watch.roll_back(&subjects).await?;
    match watch.run(&mut subjects).await? {
        End::Settled => {}
        End::TimedOut => {
            return Err(Failure::timed_out("the rollback goes on, and its time is over")
                .hint(format!("streamify status {}", ground.environment.name)));
        }
        End::Detached { .. } => return Err(Failure::interrupted(2)),
    }
    // One that was quicker than we were is live: what follows takes it back by the record.
    let failed = subjects.iter().find_map(|one| match &one.verdict {
        Some(Verdict::Failed(reason) | Verdict::Superseded(reason)) => Some((one, reason)),
        _ => None,
    });
    if let Some((subject, reason)) = failed {
        return Err(Failure::failed(format!("{} was not rolled back: {reason}", subject.service))
            .hint("The same command again goes by the history."));
    }
    let was_late = subjects.iter().any(|one| one.verdict == Some(Verdict::Succeeded));
    run.done("rolled back");
    Ok(!was_late)
}

/// The deploy to come back to. None: it is what runs.
pub(super) fn choose<'a>(
    history: &'a [Record],
    live: &BTreeMap<String, Live>,
    to: Option<u64>,
    was_going_on: bool,
) -> Result<Option<&'a Record>> {
    let is_live = |record: &Record| {
        record
            .services
            .iter()
            .all(|(name, one)| live.get(name).is_none_or(|live| live.revision.arn == one.task_definition))
    };
    let known = || history.iter().filter(|record| record.is_good()).map(|record| record.number.to_string());
    if let Some(number) = to {
        let record = history.iter().find(|record| record.number == number);
        let good: Vec<String> = known().collect();
        let hint = if good.is_empty() {
            "No deploy was good yet.".to_owned()
        } else {
            format!("Good ones: {}.", good.join(", "))
        };
        return match record {
            None => Err(Failure::usage(format!("the history has no deploy {number}")).hint(hint)),
            Some(record) if record.ending != super::record::Ending::Succeeded => {
                Err(Failure::usage(format!("deploy {number} {}: it is nothing to come back to", record.ending.words()))
                    .hint(hint))
            }
            Some(record) => Ok((!is_live(record)).then_some(record)),
        };
    }
    let mut good = history.iter().filter(|record| record.is_good());
    if was_going_on {
        return Ok(good.next().filter(|record| !is_live(record)));
    }
    match good.find(|record| !is_live(record)) {
        Some(record) => Ok(Some(record)),
        None => Err(Failure::failed("there is no good deploy to come back to")
            .cause("the history has none besides what runs")
            .hint("`streamify history ENV` shows what it has.")),
    }
}

fn moves(run: &Run<'_>, target: &Record, live: &BTreeMap<String, Live>) -> Vec<Vec<Move>> {
    let order = run.ground.environment.order().unwrap_or_default();
    let changed = order.into_iter().filter_map(|name| {
        let (one, live) = (target.services.get(name)?, live.get(name)?);
        (one.task_definition != live.revision.arn).then(|| Move {
            service: name.to_owned(),
            name: live.name.clone(),
            task_definition: one.task_definition.clone(),
            before: live.revision.arn.clone(),
            asked: one.replicas,
            ..Move::default()
        })
    });
    // Backwards there is nothing to wait for: all at once is the shortest time with two versions.
    vec![changed.collect()]
}

/// A revision that somebody deregistered can't be run again.
async fn check(run: &Run<'_>, moves: &[Vec<Move>]) -> Result<()> {
    for one in moves.iter().flatten() {
        let cloud = &run.ground.cloud;
        let answer = cloud.ecs.describe_task_definition().task_definition(&one.task_definition).send().await;
        let name = revision_name(&one.task_definition);
        let answer = answer.map_err(|error| cloud.failure(&format!("can't read the revision {name}"), &error))?;
        let status = answer.task_definition.and_then(|definition| definition.status);
        if status.is_some_and(|status| status != aws_sdk_ecs::types::TaskDefinitionStatus::Active) {
            return Err(Failure::failed(format!("the revision {name} was deregistered"))
                .hint("Deploy the commit of that time instead; `streamify history ENV` has it."));
        }
    }
    Ok(())
}
