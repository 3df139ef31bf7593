//! The local stack's commands.

mod config;
mod doctor;
mod down;
mod exec;
mod logs;
mod ps;
mod restart;
mod up;

use clap::Subcommand;

use super::{Context, Outcome, on_threads};
use crate::failure::{Failure, Result};

/// Run the whole app on this machine, without Docker
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev up --detach\n  streamify dev logs -f backend kafka\n  \
                        streamify dev exec postgres\n  streamify dev down")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Arguments),
    Ps(ps::Arguments),
    Logs(logs::Arguments),
    Restart(restart::Arguments),
    Exec(exec::Arguments),
    Down(down::Arguments),
    Reset(down::ResetArguments),
    Doctor(doctor::Arguments),
    Config(config::Arguments),
    /// Own the stack's processes; `dev up` starts this
    #[command(hide = true)]
    Supervise,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    match &arguments.command {
        Command::Up(arguments) => on_threads(up::run(arguments, context), context),
        Command::Ps(arguments) => ps::run(arguments, context),
        Command::Logs(arguments) => on_threads(logs::run(arguments, context), context),
        Command::Restart(arguments) => on_threads(restart::run(arguments, context), context),
        Command::Exec(arguments) => exec::run(arguments, context),
        Command::Down(arguments) => on_threads(down::run(arguments, context), context),
        Command::Reset(arguments) => on_threads(down::reset(arguments, context), context),
        Command::Doctor(arguments) => doctor::run(arguments, context),
        Command::Config(arguments) => config::run(arguments, context),
        Command::Supervise => {
            // One thread: the services are tied to the life of the thread that starts them.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| Failure::failed("can't start the runtime").because(&error))?;
            runtime.block_on(crate::stack::supervise(context.settings()?.clone()))?;
            Ok(Outcome::Done)
        }
    }
}
