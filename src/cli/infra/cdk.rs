//! The same commands by AWS CDK. Its own output is passed on: it is made for people.

use std::process::Stdio;

use serde_json::json;
use tokio::process::Command;

use super::super::Outcome;
use super::{Ground, indented};
use crate::failure::{Failure, Result};
use crate::infra::cdk::{self, App};
use crate::report::Report;
use crate::terraform::aws_variables;

/// Refuses flags that CDK knows nothing like: to go on without them would do more than was asked for.
pub(super) fn whole(destroy: bool, targets: &[String]) -> Result<()> {
    let flag = if destroy { "--destroy" } else { "--target" };
    if !destroy && targets.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(format!("{flag} is not for --with cdk: CloudFormation changes a stack whole"))
        .hint("What `destroy` would take away is everything that the stack has; nothing was changed."))
}

/// Renders what the app reads.
fn render(ground: &Ground<'_>) -> Result<App> {
    cdk::app(&ground.settings.directory)?;
    let app = cdk::rendered(ground.settings, &ground.environment)?;
    if !app.file.is_current() {
        left_out(&app, &*ground.report);
        app.file.write()?;
        ground.report.note(&format!("wrote {}:\n{}", app.file.shown.display(), indented(&app.file.difference())));
    }
    Ok(app)
}

/// One line that names what `streamify.yaml` says in vain.
pub(super) fn left_out(app: &App, report: &dyn Report) {
    if !app.left_out.is_empty() {
        let names: Vec<String> = app.left_out.iter().map(|(name, why)| format!("`{name}` ({why})")).collect();
        report.note(&format!("left out, as {} has no use for it: {}", cdk::FOLDER, names.join(", ")));
    }
}

/// The services that begin without tasks. An app of a team's own is asked nothing of: it knows no `new`.
async fn new_services(ground: &Ground<'_>, app: &App) -> Result<Vec<String>> {
    if !app.is_described {
        return Ok(Vec::new());
    }
    let new = cdk::new_services(ground.settings, &ground.environment).await?;
    if !new.is_empty() {
        ground
            .report
            .note(&format!("ECS does not have these services yet; they begin without tasks: {}", new.join(", ")));
    }
    Ok(new)
}

/// Runs one of CDK's commands on what was rendered. Gives its exit code.
async fn run(ground: &Ground<'_>, command: &str, new: &[String], more: &[&str]) -> Result<i32> {
    let folder = cdk::app(&ground.settings.directory)?;
    let mut child = Command::new("npx");
    child.args(cdk::arguments(command, &ground.environment.name, new)).args(more);
    child.current_dir(folder).stdin(Stdio::null());
    child.envs(aws_variables(ground.settings, &ground.environment));
    // In the terminal's own process group: a Ctrl-C reaches it by itself, and CloudFormation goes on or not by its own rules.
    let status = child.status().await.map_err(|error| {
        Failure::unreachable("can't run npx").because(&error).hint("It comes with Node.js 20 or newer: nodejs.org")
    })?;
    if ground.context.interrupt.is_cancelled() {
        return Err(Failure::interrupted(2));
    }
    Ok(status.code().unwrap_or(1))
}

async fn must(ground: &Ground<'_>, command: &str, new: &[String]) -> Result<()> {
    match run(ground, command, new, &[]).await? {
        0 => Ok(()),
        code => Err(Failure::failed(format!("cdk {command} ended with {code}")).hint("What it printed says why.")),
    }
}

pub(super) async fn validate(ground: &Ground<'_>) -> Result<()> {
    render(ground)?;
    must(ground, "synth", &[]).await?;
    let name = &ground.environment.name;
    ground.context.terminal.result(
        |paint| format!("{} {name} is valid: {}", paint.good("✔"), cdk::FOLDER),
        &json!([{ "environment": name, "root": cdk::FOLDER, "valid": true }]),
    )
}

/// `cdk diff` ends with 1 for a difference, where it is asked to.
pub(super) async fn plan(ground: &Ground<'_>, exit_code: bool) -> Result<Outcome> {
    let new = new_services(ground, &render(ground)?).await?;
    match run(ground, "diff", &new, if exit_code { &["--fail"] } else { &[] }).await? {
        0 => Ok(Outcome::Done),
        1 if exit_code => Ok(Outcome::Difference),
        code => Err(Failure::failed(format!("cdk diff ended with {code}")).hint("What it printed says why.")),
    }
}

pub(super) async fn apply(ground: &Ground<'_>) -> Result<Outcome> {
    let name = &ground.environment.name;
    let new = new_services(ground, &render(ground)?).await?;
    if !ground.context.terminal.confirm(&format!("Deploy {name} with CDK?"))? {
        return Err(Failure::failed("nothing was changed"));
    }
    must(ground, "deploy", &new).await?;
    if !new.is_empty() {
        // Left in the template, their number would be sent again with the next change of anything else.
        ground.report.note("deploying once more, without the number of tasks: from now on it is the deploy's");
        must(ground, "deploy", &[]).await?;
    }
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
    render(ground)?;
    must(ground, "destroy", &[]).await?;
    Ok(Outcome::Done)
}
