use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use super::super::{Context, Outcome};
use super::{Place, Session, Watching, minutes};
use crate::deploy;
use crate::failure::Result;

/// Run a command once, in a task of its own, with a service's image, variables and roles
///
/// What it prints is shown, and its exit code is this command's. Ctrl-C stops the task.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify run prod backend -- migrate status\n  \
                        streamify run prod backend --env LOG_LEVEL=debug --timeout 60 -- migrate run")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Whose image, variables, secrets and roles it has
    service: String,
    /// NAME=VALUE: a variable more; never a secret, since ECS shows it to everybody who may look at tasks
    #[arg(id = "variables", long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    environment: Vec<(String, String)>,
    /// Minutes until it is stopped
    #[arg(long, value_name = "MINUTES", default_value = "60", value_parser = minutes)]
    timeout: Duration,
    /// Return as soon as it is started
    #[arg(long)]
    detach: bool,
    /// The arguments of the image's program; without them: the service's own
    #[arg(last = true)]
    command: Vec<String>,
}

fn variable(text: &str) -> std::result::Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("give NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(in crate::cli) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let session = Session::enter(&arguments.place, context).await?;
    let watching = Watching { timeout: Some(arguments.timeout), detach: arguments.detach, wait: None };
    let ground = session.ground(&watching, context);
    let environment: BTreeMap<String, String> = arguments.environment.iter().cloned().collect();
    let mut line = |text: &str| {
        // A reader that went away does not end the task.
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    };
    let code = deploy::run_once(&ground, &arguments.service, &arguments.command, &environment, &mut line).await?;
    Ok(if code == 0 { Outcome::Done } else { Outcome::Exited(u8::try_from(code).unwrap_or(1)) })
}
