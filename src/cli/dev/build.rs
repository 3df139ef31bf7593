use super::super::{Context, Outcome};
use super::runtime::docker_only;
use crate::failure::Result;
use crate::stack::docker::Stack;

/// Build the services' images (Docker)
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev build\n  streamify dev build backend --no-cache")]
pub(super) struct Arguments {
    /// Only these; without any, all that have a `build`
    services: Vec<String>,
    /// Every step anew
    #[arg(long)]
    no_cache: bool,
}

pub(super) async fn run(arguments: &Arguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    let place = docker_only("build", choice, context).await?;
    let stack = Stack::new(&place.engine, place.project()?, &context.settings()?.environment);
    let report = context.terminal.report();
    if !stack.build(&arguments.services, arguments.no_cache, &*report).await? {
        report.note("nothing to build: no service has a `build`");
    }
    Ok(Outcome::Done)
}
