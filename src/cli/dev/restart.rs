use super::super::{Context, Outcome};
use super::ps;
use crate::failure::Result;
use crate::settings::Service;
use crate::stack::Stack;

/// Stop and start services, and wait until they are healthy
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev restart\n  streamify dev restart backend")]
pub(super) struct Arguments {
    /// Only these; without any, all that run
    #[arg(value_enum)]
    services: Vec<Service>,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let stack = Stack::of(context.settings()?);
    stack.restart(&arguments.services, &*context.terminal.report()).await?;
    ps::show(&stack, context)?;
    Ok(Outcome::Done)
}
