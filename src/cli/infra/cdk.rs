//! The same commands by AWS CDK. Its own output is passed on: it is made for people.

use std::process::Stdio;

use serde_json::json;
use tokio::process::Command;

use super::super::Outcome;
use super::Ground;
use crate::failure::{Failure, Result};
use crate::infra::cdk;

/// Renders what the app reads, and runs one of CDK's commands on it. Gives its exit code.
async fn run(ground: &Ground<'_>, command: &str, more: &[&str]) -> Result<i32> {
    let folder = cdk::app(&ground.settings.directory)?;
    let name = &ground.environment.name;
    let file = cdk::rendered(ground.settings, &ground.environment)?;
    if !file.is_current() {
        file.write()?;
        ground.report.note(&format!("wrote {}", file.shown.display()));
    }
    let mut child = Command::new("npx");
    child.args(cdk::arguments(command, name)).args(more).current_dir(folder).stdin(Stdio::null());
    if let Some(profile) = &ground.environment.profile {
        child.env("AWS_PROFILE", profile);
    }
    if let Some(region) = &ground.environment.region {
        child.env("AWS_REGION", region);
    }
    // In the terminal's own process group: a Ctrl-C reaches it by itself, and CloudFormation goes on or not by its own rules.
    let status = child.status().await.map_err(|error| {
        Failure::unreachable("can't run npx").because(&error).hint("It comes with Node.js 20 or newer: nodejs.org")
    })?;
    if ground.context.interrupt.is_cancelled() {
        return Err(Failure::interrupted(2));
    }
    Ok(status.code().unwrap_or(1))
}

async fn must(ground: &Ground<'_>, command: &str) -> Result<()> {
    match run(ground, command, &[]).await? {
        0 => Ok(()),
        code => Err(Failure::failed(format!("cdk {command} ended with {code}")).hint("What it printed says why.")),
    }
}

pub(super) async fn validate(ground: &Ground<'_>) -> Result<()> {
    must(ground, "synth").await?;
    let name = &ground.environment.name;
    ground.context.terminal.result(
        |paint| format!("{} {name} is valid: {}", paint.good("✔"), cdk::FOLDER),
        &json!([{ "environment": name, "root": cdk::FOLDER, "valid": true }]),
    )
}

/// `cdk diff` ends with 1 for a difference, where it is asked to.
pub(super) async fn plan(ground: &Ground<'_>, exit_code: bool) -> Result<Outcome> {
    match run(ground, "diff", if exit_code { &["--fail"] } else { &[] }).await? {
        0 => Ok(Outcome::Done),
        1 if exit_code => Ok(Outcome::Difference),
        code => Err(Failure::failed(format!("cdk diff ended with {code}")).hint("What it printed says why.")),
    }
}

pub(super) async fn apply(ground: &Ground<'_>) -> Result<Outcome> {
    let name = &ground.environment.name;
    if !ground.context.terminal.confirm(&format!("Deploy {name} with CDK?"))? {
        return Err(Failure::failed("nothing was changed"));
    }
    must(ground, "deploy").await?;
    Ok(Outcome::Done)
}

/// CDK has no plan that names what is lost, so the environment's own name stands for all of it.
pub(super) async fn destroy(ground: &Ground<'_>, confirmed: &[String]) -> Result<Outcome> {
    let name = &ground.environment.name;
    if !confirmed.contains(name) {
        let terminal = &ground.context.terminal;
        if !terminal.can_ask() {
            return Err(Failure::failed(format!("everything of {name} would be destroyed"))
                .cause("--yes does not answer this, and nobody can be asked here")
                .hint(format!("If that is meant: --confirm-destroy {name}")));
        }
        if terminal.ask(&format!("Everything of {name} goes, and its data with it. Type its name, {name}:"))? != *name {
            return Err(Failure::failed("that is not its name; nothing was changed"));
        }
    }
    must(ground, "destroy").await?;
    Ok(Outcome::Done)
}
