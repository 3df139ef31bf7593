use super::super::{Context, Outcome};
use super::runtime::{Chosen, choose, embedded_services};
use super::{docker, ps};
use crate::failure::Result;
use crate::stack::{self, Stack};

/// Stop and start services, and wait until they are healthy
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev restart\n  streamify dev restart backend")]
pub(super) struct Arguments {
    /// Only these; without any, all that run
    services: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    let report = context.terminal.report();
    let settings = context.settings()?;
    match choose(choice, context).await? {
        Chosen::Docker(place) => {
            let running = stack::docker::running(&place.engine, &place.name, &arguments.services).await?;
            let limit = settings.dev.wait_timeout;
            stack::docker::restart(&place.engine, &place.name, &running, limit, &*report).await?;
            docker::ps::show(&place, false, context).await?;
        }
        Chosen::Embedded => {
            let stack = Stack::of(settings);
            stack.restart(&embedded_services(&arguments.services)?, &*report).await?;
            ps::show(&stack, context)?;
        }
    }
    Ok(Outcome::Done)
}
