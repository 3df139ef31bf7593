use super::super::{Context, Outcome};
use super::ps;
use crate::failure::{Failure, Result};
use crate::stack::{Choice, Stack, Wish};

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

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
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
    Ok(Outcome::Done)
}

pub(super) async fn reset(_: &ResetArguments, context: &Context) -> Result<Outcome> {
    let settings = context.settings()?;
    let stack = Stack::of(settings);
    confirm(context)?;
    let report = context.terminal.report();
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
