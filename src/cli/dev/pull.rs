use super::super::{Context, Outcome};
use super::runtime::docker_only;
use crate::failure::Result;
use crate::stack::docker::Stack;

/// Pull the services' images (Docker)
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev pull\n  streamify dev pull postgres")]
pub(super) struct Arguments {
    /// Only these; without any, all that are not built
    services: Vec<String>,
    /// Only images that are not here
    #[arg(long)]
    missing: bool,
}

pub(super) async fn run(arguments: &Arguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    let place = docker_only("pull", choice, context).await?;
    let stack = Stack::new(&place.engine, place.project()?, &context.settings()?.environment);
    let report = context.terminal.report();
    if !stack.pull(&arguments.services, arguments.missing, &*report).await? {
        report.note("nothing to pull");
    }
    Ok(Outcome::Done)
}
