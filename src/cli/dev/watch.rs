use super::super::{Context, Outcome};
use super::runtime::docker_only;
use crate::failure::Result;
use crate::stack::docker::{Stack, Wishes};

/// Bring the services up, then follow their files: copy, restart or build as `develop: watch:` says (Docker)
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev watch\n  streamify dev watch backend --no-up")]
pub(super) struct Arguments {
    /// Only these
    services: Vec<String>,
    /// They are up already
    #[arg(long)]
    no_up: bool,
}

pub(super) async fn run(arguments: &Arguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    let place = docker_only("watch", choice, context).await?;
    let settings = context.settings()?;
    let stack = Stack::new(&place.engine, place.project()?, &settings.environment);
    let report = context.terminal.report();
    let limit = settings.dev.wait_timeout;
    if !arguments.no_up {
        let wishes = Wishes { services: arguments.services.clone(), ..Wishes::default() };
        let prospect = stack.prospect(&wishes).await?;
        stack.up(prospect, &wishes, limit, &*report).await?;
    }
    stack.watch(&arguments.services, limit, &*report, &context.interrupt).await?;
    Ok(Outcome::Done)
}
