//! New tasks of the revisions that run, watched like any rollout.

use super::observe;
use super::record::{Purpose, Record};
use super::run::{Ground, Move, Run};
use super::story::Story;
use crate::failure::{Failure, Result};

/// Restarts the named services, or all of them, in the order of their dependencies.
pub async fn restart(ground: &Ground<'_>, services: &[String]) -> Story {
    let mut run = Run::new(ground);
    let result = go(&mut run, services).await;
    run.end(result).await
}

async fn go(run: &mut Run<'_>, services: &[String]) -> Result<()> {
    let ground = run.ground;
    let environment = ground.environment;
    check_names(ground, services)?;
    ground.cloud.aws.identity().await?;
    run.lock().await?;
    let names = || environment.services.keys().filter(|name| services.is_empty() || services.contains(name));
    let found = observe::services(&ground.cloud, ground.outputs, names().map(String::as_str)).await?;
    let live = observe::live(&ground.cloud, &found).await?;
    run.history(&live).await?;
    run.begin(Record { purpose: Purpose::Restart, ..Record::default() }).await?;
    let mut levels: Vec<Vec<Move>> = Vec::new();
    for name in environment.order()?.into_iter().filter(|name| live.contains_key(*name)) {
        let arn = &live[name].revision.arn;
        levels.push(vec![Move {
            service: name.to_owned(),
            name: live[name].name.clone(),
            task_definition: arn.clone(),
            before: arn.clone(),
            asked: environment.services[name].replicas,
            is_forced: true,
            ..Move::default()
        }]);
    }
    run.roll(levels, false).await
}

/// Fails at the first name that is no service.
pub(super) fn check_names(ground: &Ground<'_>, services: &[String]) -> Result<()> {
    let known = &ground.environment.services;
    match services.iter().find(|name| !known.contains_key(*name)) {
        None => Ok(()),
        Some(name) => {
            let all: Vec<&str> = known.keys().map(String::as_str).collect();
            Err(Failure::usage(format!("there is no service `{name}`")).hint(format!("There is {}.", all.join(", "))))
        }
    }
}
