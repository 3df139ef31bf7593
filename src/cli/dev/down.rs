use super::super::{Context, Outcome};
use super::runtime::{Chosen, Place, choose};
use super::{docker, ps};
use crate::failure::{Failure, Result};
use crate::stack::docker::{Wishes, down, remains};
use crate::stack::{self, Choice, Stack, Wish};

/// Stop everything; the data stays
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev down\n  streamify dev down --volumes --yes")]
pub(super) struct Arguments {
    /// Delete the data too: the database, the broker's topics, logs
    #[arg(short, long)]
    volumes: bool,
}

/// Delete the data and start again
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  streamify dev reset --yes")]
pub(super) struct ResetArguments {}

pub(super) async fn run(arguments: &Arguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    match choose(choice, context).await? {
        Chosen::Docker(place) => take_down(&place, arguments.volumes, context).await?,
        Chosen::Embedded => embedded(arguments, context).await?,
    }
    Ok(Outcome::Done)
}

/// By label: every profile goes, and what an older file had.
async fn take_down(place: &Place, volumes: bool, context: &Context) -> Result<()> {
    let report = context.terminal.report();
    let found = remains(&place.engine, &place.name).await?;
    let deletes = volumes && !found.volumes.is_empty();
    if deletes {
        let question = format!("Delete the volumes {} with all their data?", found.volumes.join(", "));
        if !context.terminal.confirm(&question)? {
            return Err(Failure::failed("nothing was deleted"));
        }
    }
    if found.is_down() && !deletes {
        report.note(&format!("nothing of the project {} runs", place.name));
        return Ok(());
    }
    down(&place.engine, &place.name, &found, volumes, &*report).await
}

async fn embedded(arguments: &Arguments, context: &Context) -> Result<()> {
    let stack = Stack::of(context.settings()?);
    if arguments.volumes {
        confirm(context)?;
    }
    let report = context.terminal.report();
    let changed = stack.down(&*report).await?;
    if !changed {
        report.note("nothing runs");
    }
    if arguments.volumes {
        stack.delete()?;
        report.note("the data is deleted");
    }
    Ok(())
}

pub(super) async fn reset(_: &ResetArguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    let settings = context.settings()?;
    let report = context.terminal.report();
    if let Chosen::Docker(place) = choose(choice, context).await? {
        let project = place.project()?;
        take_down(&place, true, context).await?;
        let stack = stack::docker::Stack::new(&place.engine, project, &settings.environment);
        let wishes = Wishes::default();
        let prospect = stack.prospect(&wishes).await?;
        stack.up(prospect, &wishes, settings.dev.wait_timeout, &*report).await?;
        docker::ps::show(&place, false, context).await?;
        return Ok(Outcome::Done);
    }
    let stack = Stack::of(settings);
    confirm(context)?;
    // What ran runs again afterwards; all of it where nothing ran.
    let entries = stack.entries()?;
    let services = entries.iter().map(|entry| entry.service).collect();
    let wishes = entries.iter().map(|entry| Wish::Exactly(entry.service, entry.port)).collect();
    stack.down(&*report).await?;
    stack.delete()?;
    let prospect = stack.prospect(&Choice { services, wishes })?;
    stack.up(prospect, settings.dev.wait_timeout, &*report).await?;
    ps::show(&stack, context)?;
    Ok(Outcome::Done)
}

fn confirm(context: &Context) -> Result<()> {
    let data = context.settings()?.dev.data.display().to_string();
    if context.terminal.confirm(&format!("Delete the stack's data in {data}?"))? {
        Ok(())
    } else {
        Err(Failure::failed("nothing was deleted"))
    }
}
