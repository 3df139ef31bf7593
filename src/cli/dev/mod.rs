//! The local stack's commands, each on the runtime that the project has: Docker, or the embedded one.

mod build;
mod config;
mod docker;
mod doctor;
mod down;
mod events;
mod exec;
mod logs;
mod port;
mod ps;
mod pull;
mod restart;
mod run;
mod runtime;
mod stats;
mod top;
mod up;
mod watch;

use std::path::PathBuf;

use clap::Subcommand;

pub(super) use runtime::{Place, docker_place};

use super::{Context, Outcome, on_threads};
use crate::failure::{Failure, Result};
use crate::settings::Runtime;

/// Run the whole app on this machine, with Docker or without
///
/// With a Docker daemon and a Compose file the stack runs in containers; otherwise in private processes of the
/// project. --runtime says which.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev up --detach\n  streamify dev logs -f backend kafka\n  \
                        streamify dev exec postgres\n  streamify dev -f other.yml -p other up\n  streamify dev down")]
pub(super) struct Arguments {
    #[command(flatten)]
    choice: Choice,
    #[command(subcommand)]
    command: Command,
}

/// Which stack is meant.
#[derive(clap::Args, Debug, Default)]
pub(super) struct Choice {
    /// A Compose file; several are merged in their order [default: compose.yaml or docker-compose.yml, here or above]
    #[arg(id = "dev_file", short = 'f', long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The Compose project's name [default: the file's `name`, or the folder's]
    #[arg(id = "dev_name", short = 'p', long = "project-name", value_name = "NAME")]
    name: Option<String>,
    /// The folder that the Compose file's relative paths start from
    #[arg(id = "dev_folder", long = "project-directory", value_name = "FOLDER")]
    directory: Option<PathBuf>,
    /// A file with variables, instead of .env
    #[arg(id = "dev_variables", long = "env-file", value_name = "FILE")]
    env_files: Vec<PathBuf>,
    /// Services of this profile too; `*` is all
    #[arg(id = "dev_profile", long = "profile", value_name = "NAME", global = true)]
    active: Vec<String>,
    /// Where it runs: auto (Docker where a daemon answers), docker, embedded
    #[arg(
        id = "dev_runtime",
        long = "runtime",
        global = true,
        value_name = "RUNTIME",
        value_enum,
        hide_possible_values = true
    )]
    runtime: Option<Runtime>,
}

impl Choice {
    /// It says things that only the Docker runtime knows.
    fn names_docker(&self) -> bool {
        !self.files.is_empty() || self.name.is_some()
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Arguments),
    Ps(ps::Arguments),
    Logs(logs::Arguments),
    Restart(restart::Arguments),
    Exec(exec::Arguments),
    Run(run::Arguments),
    Build(build::Arguments),
    Pull(pull::Arguments),
    Watch(watch::Arguments),
    Top(top::Arguments),
    Stats(stats::Arguments),
    Events(events::Arguments),
    Port(port::Arguments),
    Down(down::Arguments),
    Reset(down::ResetArguments),
    Config(config::Arguments),
    Doctor(doctor::Arguments),
    /// Own the stack's processes; `dev up` starts this
    #[command(hide = true)]
    Supervise,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    if matches!(arguments.command, Command::Supervise) {
        // One thread: the services are tied to the life of the thread that starts them.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::failed("can't start the runtime").because(&error))?;
        runtime.block_on(crate::stack::supervise(context.settings()?.clone()))?;
        return Ok(Outcome::Done);
    }
    on_threads(dispatch(arguments, context), context)
}

async fn dispatch(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let choice = &arguments.choice;
    match &arguments.command {
        Command::Up(arguments) => up::run(arguments, choice, context).await,
        Command::Ps(arguments) => ps::run(arguments, choice, context).await,
        Command::Logs(arguments) => logs::run(arguments, choice, context).await,
        Command::Restart(arguments) => restart::run(arguments, choice, context).await,
        Command::Exec(arguments) => exec::run(arguments, choice, context).await,
        Command::Run(arguments) => run::run(arguments, choice, context).await,
        Command::Build(arguments) => build::run(arguments, choice, context).await,
        Command::Pull(arguments) => pull::run(arguments, choice, context).await,
        Command::Watch(arguments) => watch::run(arguments, choice, context).await,
        Command::Top(arguments) => top::run(arguments, choice, context).await,
        Command::Stats(arguments) => stats::run(arguments, choice, context).await,
        Command::Events(arguments) => events::run(arguments, choice, context).await,
        Command::Port(arguments) => port::run(arguments, choice, context).await,
        Command::Down(arguments) => down::run(arguments, choice, context).await,
        Command::Reset(arguments) => down::reset(arguments, choice, context).await,
        Command::Doctor(arguments) => doctor::run(arguments, choice, context).await,
        Command::Config(arguments) => config::run(arguments, choice, context),
        // Handled before there is a runtime with threads.
        Command::Supervise => Ok(Outcome::Done),
    }
}
