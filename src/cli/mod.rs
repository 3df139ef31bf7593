//! The command line: a file per command, each with its arguments (whose comments are the help) and one function.

#![allow(clippy::doc_markdown, reason = "comments of arguments are what `--help` prints, as plain text")]

mod completions;
mod config;
mod dev;
mod functions;
mod help;
mod image;
mod infra;
mod init;
mod kafka;
mod migrate;
mod secrets;
mod serve;
mod ship;
mod verify;

use std::cell::OnceCell;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use streamify_backend::KafkaTokens;
use tokio_util::sync::CancellationToken;

use crate::aws::Aws;
use crate::failure::{Failure, Result};
use crate::settings::{Environment, Flags, KafkaSecurity, Settings};
use crate::terminal::{self, Terminal};

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or nothing to do.
    Done,
    /// A difference was found and `--exit-code` asks to say so.
    Difference,
    /// A program that was run on the user's behalf ended with this code.
    Exited(u8),
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Difference => Self::from(3),
            Outcome::Exited(code) => Self::from(code),
        }
    }
}

/// A video app's backend and the tool that runs, ships and operates it
#[derive(Debug, Parser)]
#[command(
    name = "streamify",
    version,
    propagate_version = false,
    max_term_width = 100,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Start here:\n  streamify dev up                   bring the whole app up\n  \
                  streamify kafka tail video.created follow the app's events\n\n\
                  More: `streamify COMMAND --help`, `streamify help exit-codes`, `streamify help environment`"
)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options for every command")]
struct Global {
    /// The configuration file [default: streamify.yaml, here or in a folder above]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run as if started in this folder
    #[arg(short = 'C', long, global = true, value_name = "FOLDER")]
    directory: Option<PathBuf>,
    /// The shape of results on standard output
    #[arg(long, global = true, value_enum, default_value_t, value_name = "SHAPE", hide_possible_values = true)]
    output: terminal::Output,
    /// How progress is shown on standard error: auto, tty, plain, json, none
    #[arg(long, global = true, value_enum, default_value_t, value_name = "HOW", hide_possible_values = true)]
    progress: terminal::Progress,
    /// When to use colour: auto, always, never
    #[arg(
        long,
        visible_alias = "color",
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        hide_possible_values = true
    )]
    colour: terminal::Colour,
    /// Only results and errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Answer every question with yes
    #[arg(short, long, global = true)]
    yes: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::Arguments),
    Init(init::Arguments),
    Serve(serve::Arguments),
    Kafka(kafka::Arguments),
    Migrate(migrate::Arguments),
    Diff(ship::diff::Arguments),
    Deploy(ship::deploy::Arguments),
    Rollback(ship::rollback::Arguments),
    History(ship::history::Arguments),
    Restart(ship::restart::Arguments),
    Status(ship::status::Arguments),
    Logs(ship::logs::Arguments),
    Exec(ship::exec::Arguments),
    Run(ship::run::Arguments),
    Scale(ship::scale::Arguments),
    Secrets(secrets::Arguments),
    Verify(verify::Arguments),
    Image(image::Arguments),
    Infra(infra::Arguments),
    Config(config::Arguments),
    Completions(completions::Arguments),
    Help(help::Arguments),
}

/// What a command gets besides its arguments.
pub struct Context {
    pub terminal: Terminal,
    pub environment: Environment,
    /// Cancelled by the first Ctrl-C or SIGTERM; a command that does not listen is ended by it.
    pub interrupt: CancellationToken,
    flags: Flags,
    settings: OnceCell<Settings>,
}

impl Context {
    /// The settings, resolved at the first call: commands that need none never fail on a broken file.
    pub fn settings(&self) -> Result<&Settings> {
        if let Some(settings) = self.settings.get() {
            return Ok(settings);
        }
        let settings = Settings::load(&self.flags, &self.environment)?;
        Ok(self.settings.get_or_init(|| settings))
    }
}

/// What signs in to the brokers, where the settings want that.
async fn kafka_tokens(settings: &Settings, brokers: &str) -> Result<Option<KafkaTokens>> {
    match settings.kafka.security {
        KafkaSecurity::MskIam => Box::pin(Aws::kafka_tokens(brokers, &settings.environment)).await.map(Some),
        KafkaSecurity::Plaintext | KafkaSecurity::Ssl => Ok(None),
    }
}

/// The whole program: arguments in, exit code out.
pub fn main() -> ExitCode {
    let environment = Environment::of_process();
    // AWS Lambda starts a program without arguments and tells it where to ask for work.
    if environment.get("AWS_LAMBDA_RUNTIME_API").is_some() && std::env::args_os().len() < 2 {
        let arguments = Arguments { global: Global::default(), command: Command::Serve(serve::Arguments::in_lambda()) };
        return start(arguments, environment);
    }
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are results; anything else is a usage error. Both are printed by clap itself.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(2);
        }
    };
    start(arguments, environment)
}

fn start(arguments: Arguments, environment: Environment) -> ExitCode {
    let global = &arguments.global;
    let terminal = Terminal::new(terminal::Options {
        output: global.output,
        progress: global.progress,
        colour: global.colour,
        quiet: global.quiet,
        assume_yes: global.yes,
        no_colour_wanted: environment.get("NO_COLOR").is_some(),
        continuous_integration: environment.get("CI").is_some_and(|value| value != "false"),
    });
    let context = Context {
        terminal: terminal.clone(),
        environment,
        interrupt: CancellationToken::new(),
        flags: Flags { config: global.config.clone(), directory: global.directory.clone() },
        settings: OnceCell::new(),
    };
    match run(arguments.command, &context) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            terminal.failure(&failure);
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

/// The command tree, for the parser, completions and tests.
pub fn command() -> clap::Command {
    Arguments::command()
}

fn run(command: Command, context: &Context) -> Result<Outcome> {
    // Commands that only print need no threads.
    match command {
        Command::Completions(arguments) => completions::run(&arguments, context),
        Command::Config(arguments) => config::run(&arguments, context),
        Command::Dev(arguments) => dev::run(&arguments, context),
        Command::Help(arguments) => help::run(&arguments, context),
        Command::Init(arguments) => init::run(&arguments, context),
        Command::Serve(arguments) => on_threads(serve::run(&arguments, context), context),
        Command::Kafka(arguments) => kafka::run(&arguments, context),
        Command::Image(arguments) => on_threads(image::run(&arguments, context), context),
        Command::Infra(arguments) => on_threads(infra::run(&arguments, context), context),
        Command::Migrate(arguments) => on_threads(migrate::run(&arguments, context), context),
        Command::Diff(arguments) => on_threads(ship::diff::run(&arguments, context), context),
        Command::Deploy(arguments) => on_threads(ship::deploy::run(&arguments, context), context),
        Command::Rollback(arguments) => on_threads(ship::rollback::run(&arguments, context), context),
        Command::History(arguments) => on_threads(ship::history::run(&arguments, context), context),
        Command::Restart(arguments) => on_threads(ship::restart::run(&arguments, context), context),
        Command::Status(arguments) => on_threads(ship::status::run(&arguments, context), context),
        Command::Logs(arguments) => on_threads(ship::logs::run(&arguments, context), context),
        Command::Exec(arguments) => on_threads(ship::exec::run(&arguments, context), context),
        Command::Run(arguments) => on_threads(ship::run::run(&arguments, context), context),
        Command::Scale(arguments) => on_threads(ship::scale::run(&arguments, context), context),
        Command::Secrets(arguments) => on_threads(secrets::run(&arguments, context), context),
        Command::Verify(arguments) => on_threads(verify::run(&arguments, context), context),
    }
}

/// Runs a command on a runtime with a thread per core, until it ends or a signal ends it.
fn on_threads(command: impl Future<Output = Result<Outcome>>, context: &Context) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed("can't start the runtime").because(&error))?;
    let result = runtime.block_on(interruptible(command, context));
    // Blocking reads of standard input would otherwise hold the program open.
    runtime.shutdown_background();
    result
}

/// The first signal asks the command to end; a second one, or ten seconds without an end, ends it.
async fn interruptible(command: impl Future<Output = Result<Outcome>>, context: &Context) -> Result<Outcome> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|error| Failure::failed("can't listen for signals").because(&error));
    let (mut interrupts, mut terminations) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let mut command = std::pin::pin!(command);
    let number = tokio::select! {
        result = &mut command => return result,
        _ = interrupts.recv() => 2,
        _ = terminations.recv() => 15,
    };
    context.interrupt.cancel();
    tokio::select! {
        result = &mut command => match result {
            // Whatever a command says of having been ended, its exit code names the signal.
            Err(failure) if matches!(failure.kind, crate::failure::Kind::Interrupted(_)) => Err(Failure::interrupted(number)),
            other => other,
        },
        _ = interrupts.recv() => Err(Failure::interrupted(2)),
        _ = terminations.recv() => Err(Failure::interrupted(15)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_consistent() {
        command().debug_assert();
    }
}
