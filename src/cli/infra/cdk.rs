//! The same commands by AWS CDK. What it prints while it works is passed on: it is made for people.

use std::process::Stdio;
use std::time::Instant;

use serde_json::json;
use tokio::process::Command;

use super::super::Outcome;
use super::show::confirm_names;
use super::{Ground, indented};
use crate::failure::{Failure, Result};
use crate::infra::cdk::{self, App, Difference};
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

/// One of CDK's commands on what was rendered.
fn command(ground: &Ground<'_>, command: &str, new: &[String], more: &[&str]) -> Result<Command> {
    let mut child = Command::new("npx");
    child.args(cdk::arguments(command, &ground.environment.name, new)).args(more);
    child.current_dir(cdk::app(&ground.settings.directory)?).stdin(Stdio::null());
    child.envs(aws_variables(ground.settings, &ground.environment));
    Ok(child)
}

fn not_started(error: &std::io::Error) -> Failure {
    Failure::unreachable("can't run npx").because(error).hint("It comes with Node.js 20 or newer: nodejs.org")
}

/// Runs one of CDK's commands to its good end, and passes on what it prints.
async fn must(ground: &Ground<'_>, name: &str, new: &[String], more: &[&str]) -> Result<()> {
    // In the terminal's own process group: a Ctrl-C reaches it by itself, and CloudFormation goes on or not by its own rules.
    let mut child = command(ground, name, new, more)?;
    // The result on standard output is ours alone.
    let status = child.stdout(std::io::stderr()).status().await.map_err(|error| not_started(&error))?;
    if ground.context.interrupt.is_cancelled() {
        return Err(Failure::interrupted(2));
    }
    match status.code().unwrap_or(1) {
        0 => Ok(()),
        code => Err(Failure::failed(format!("cdk {name} ended with {code}")).hint("What it printed says why.")),
    }
}

/// What would change. The template is left in the app's folder.
async fn difference(ground: &Ground<'_>, new: &[String]) -> Result<Difference> {
    let started = Instant::now();
    ground.report.started("diff", "making the template, and comparing it with the stack");
    let output = command(ground, "diff", new, &[])?.output().await.map_err(|error| not_started(&error))?;
    if ground.context.interrupt.is_cancelled() {
        return Err(Failure::interrupted(2));
    }
    // It shows the difference on either, by whether it believes to be in a pipeline.
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let found =
        Difference::read(&err).or_else(|| Difference::read(&out)).or_else(|| Difference::read(&(out.clone() + &err)));
    let Some(found) = found.filter(|_| matches!(output.status.code(), Some(0 | 1))) else {
        ground.report.failed("diff", "the CDK could not compare");
        let code = output.status.code().unwrap_or(1);
        let words = format!("{}\n{}", out.trim(), err.trim()).trim().to_owned();
        return Err(Failure::failed(format!("cdk diff ended with {code}")).cause(words));
    };
    ground.report.finished("diff", &format!("{} resources differ", found.changes.len()), started.elapsed());
    Ok(found)
}

pub(super) async fn validate(ground: &Ground<'_>) -> Result<()> {
    render(ground)?;
    must(ground, "synth", &[], &[]).await?;
    let name = &ground.environment.name;
    ground.context.terminal.result(
        |paint| format!("{} {name} is valid: {}", paint.good("✔"), cdk::FOLDER),
        &json!([{ "environment": name, "root": cdk::FOLDER, "valid": true }]),
    )
}

/// Shows what would change, and says beforehand what data would go.
pub(super) async fn plan(ground: &Ground<'_>, exit_code: bool) -> Result<Outcome> {
    let new = new_services(ground, &render(ground)?).await?;
    let found = difference(ground, &new).await?;
    let name = &ground.environment.name;
    ground.context.terminal.result(
        |_| found.text.clone(),
        &json!({ "environment": name, "changes": found.changes, "text": found.text }),
    )?;
    if found.stacks > 0 {
        ground.report.hint(&format!("Carry it out with: streamify infra apply {name} --with cdk"));
    }
    if !found.losses().is_empty() {
        ground.report.warning("Data would be lost; its name has to be typed then.");
    }
    Ok(if exit_code && found.stacks > 0 { Outcome::Difference } else { Outcome::Done })
}

/// Shows what would change, asks, and deploys just that.
pub(super) async fn apply(ground: &Ground<'_>, confirmed: &[String]) -> Result<Outcome> {
    let (name, context) = (&ground.environment.name, ground.context);
    let new = new_services(ground, &render(ground)?).await?;
    let found = difference(ground, &new).await?;
    // Without a difference a deploy still brings the outputs, to where they were never written.
    let has_outputs = cdk::outputs(&ground.settings.directory, name).is_ok();
    if found.stacks == 0 && has_outputs {
        return tell(ground, "nothing to do", &found);
    }
    ground.report.note(&found.text);
    let losses = found.losses();
    confirm_names(name, losses.iter().map(|(what, name)| (what.as_str(), *name)).collect(), confirmed, context)?;
    if found.stacks > 0 && !context.terminal.confirm(&format!("Deploy this to {name}?"))? {
        return Err(Failure::failed("nothing was changed"));
    }
    must(ground, "deploy", &new, &["--app", cdk::ASSEMBLY]).await?;
    if !new.is_empty() {
        // Left in the template, their number would be sent again with the next change of anything else.
        ground.report.note("deploying once more, without the number of tasks: from now on it is the deploy's");
        must(ground, "deploy", &[], &[]).await?;
    }
    tell(ground, "deployed", &found)
}

fn tell(ground: &Ground<'_>, how: &str, found: &Difference) -> Result<Outcome> {
    let name = &ground.environment.name;
    ground.context.terminal.result(
        |paint| format!("{} {name}: {how}", paint.good("✔")),
        &json!({ "environment": name, "result": how, "changes": found.changes }),
    )?;
    Ok(Outcome::Done)
}

/// CDK does not say what goes with a stack, so the environment's own name stands for all of it.
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
    must(ground, "destroy", &[], &[]).await?;
    Ok(Outcome::Done)
}
