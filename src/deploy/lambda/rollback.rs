//! Back to the last deploy of functions that was good: recorded, not guessed.
//!
//! While a shift goes on, the traffic is given back at once, without the lock: whoever shifts sees that the alias was
//! changed, and ends. What has ended is taken back by the record.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::super::record::{Deployed, Purpose, Record};
use super::super::rollback::choose;
use super::super::run::{Ground, Run};
use super::super::story::Story;
use super::api::Api;
use super::plan::Observed;
use super::{live, observe, outputs, version_name};
use crate::failure::{Failure, Result};

/// Takes back what goes on, or the newest deploy; to the last good one, or to the one numbered `to`.
pub async fn rollback(ground: &Ground<'_>, to: Option<u64>) -> Story {
    let mut run = Run::new(ground);
    let result = go(&mut run, to).await;
    run.end(result).await
}

async fn go(run: &mut Run<'_>, to: Option<u64>) -> Result<()> {
    let ground = run.ground;
    let outputs = outputs(ground)?;
    ground.cloud.aws.identity().await?;
    let was_going_on = if to.is_none() { take_back(run).await? } else { false };
    run.lock().await?;
    run.stage("plan", "comparing with the history").await?;
    let observed = observe(ground).await?;
    let live = live(&observed);
    let history = run.history(&live).await?;
    let Some(target) = choose(&history, &live, to, was_going_on)? else {
        run.done("everything runs what was good");
        return Ok(());
    };
    run.done(&format!("back to deploy {}", target.number));
    let moves: Vec<(&String, &Observed, &Deployed)> = observed
        .iter()
        .filter_map(|(role, one)| Some((role, one, target.services.get(role)?)))
        .filter(|(role, _, deployed)| {
            live[*role].revision.arn != deployed.task_definition || live[*role].is_rolling_out
        })
        .collect();
    let api = Api { aws: ground.cloud.aws() };
    for (role, _, deployed) in &moves {
        let (before, after) = (version_name(&live[*role].revision.arn), version_name(&deployed.task_definition));
        ground.report.note(&format!("{role}: {before} → {after}"));
    }
    // A version that somebody deleted can't be invoked again.
    try_join_all(moves.iter().map(async |(_, one, deployed)| {
        api.configuration(&one.name, Some(version(&deployed.task_definition)))
            .await
            .map(|_| ())
            .map_err(|failure| failure.hint("Deploy the commit of that time instead; `streamify history ENV` has it."))
    }))
    .await?;
    let services: BTreeMap<String, Deployed> = target
        .services
        .iter()
        .map(|(role, one)| {
            let before = live.get(role).map(|live| live.revision.arn.clone()).unwrap_or_default();
            (role.clone(), Deployed { before, ..one.clone() })
        })
        .collect();
    run.begin(Record {
        purpose: Purpose::Rollback,
        target: Some(target.number),
        images: target.images.clone(),
        services,
        ..Record::default()
    })
    .await?;
    let number = run.record.as_ref().map(|record| record.number);
    run.stage("shift", "all of the traffic at once").await?;
    let routed = moves.iter().map(async |(_, one, deployed)| {
        let revision = Some(one.alias.revision_id.as_str());
        let to = version(&deployed.task_definition);
        let routed = api.route(&one.name, &outputs.alias, to, &BTreeMap::new(), revision).await?;
        routed.map(|_| ()).ok_or_else(|| {
            Failure::failed(format!("somebody else has just changed the alias {} of {}", outputs.alias, one.name))
                .hint("The same command again looks anew.")
        })
    });
    try_join_all(routed).await?;
    run.done("100 % of the traffic");
    run.stage("record", "writing the history").await?;
    for record in history.iter().filter(|record| record.number > target.number && record.is_good()) {
        run.write(&Record { taken_back_by: number, ..record.clone() }).await?;
    }
    run.done("written");
    if outputs.page_bucket.is_some() {
        ground.report.note("the page stays as it is; deploying the commit of that time brings its page back");
    }
    Ok(())
}

/// The number at the end of a version's ARN.
fn version(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// Gives the traffic of every shift that goes on back to the version before; whether there was any.
async fn take_back(run: &mut Run<'_>) -> Result<bool> {
    let ground = run.ground;
    let outputs = outputs(ground)?;
    run.stage("verify", "looking for shifts that go on").await?;
    let observed = observe(ground).await?;
    let shifting: Vec<&Observed> = observed.values().filter(|one| !one.alias.weights().is_empty()).collect();
    if shifting.is_empty() {
        run.done("none goes on");
        return Ok(false);
    }
    run.done(&format!("{} going on", shifting.len()));
    let names: Vec<&str> = shifting.iter().map(|one| one.name.as_str()).collect();
    run.stage("rollback", &names.join(", ")).await?;
    let api = Api { aws: ground.cloud.aws() };
    let routed = shifting.iter().map(async |one| {
        let nothing = BTreeMap::new();
        api.route(&one.name, &outputs.alias, &one.alias.function_version, &nothing, None).await
    });
    try_join_all(routed).await?;
    run.done("rolled back");
    Ok(true)
}
