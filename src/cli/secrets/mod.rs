//! `streamify secrets`: a file per command.

mod delete;
mod diff;
mod get;
mod history;
mod import;
mod list;
mod rotate;
mod set;

use std::sync::Arc;

use clap::Subcommand;
use jiff::Timestamp;

use super::{Context, Outcome};
use crate::aws::Aws;
use crate::failure::{Failure, Result};
use crate::report::Report;
use crate::secrets::{Need, Reference, Vault, needs};
use crate::settings::{EnvironmentSettings, Settings, Store, Target};

/// Read, write, compare and rotate an environment's secrets
///
/// They are in SSM's parameter store (as SecureString) or in Secrets Manager: `environments.ENV.secrets` says where new
/// ones go; existing ones stay where they are. A value comes from standard input, a file, a prompt or chance, never
/// from an argument, and is shown only with --reveal.
#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Arguments),
    Get(get::Arguments),
    Set(set::Arguments),
    Import(import::Arguments),
    Diff(diff::Arguments),
    Rotate(rotate::Arguments),
    History(history::Arguments),
    Delete(delete::Arguments),
    Restore(delete::RestoreArguments),
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    match &arguments.command {
        Command::List(arguments) => list::run(arguments, context).await,
        Command::Get(arguments) => get::run(arguments, context).await,
        Command::Set(arguments) => set::run(arguments, context).await,
        Command::Import(arguments) => import::run(arguments, context).await,
        Command::Diff(arguments) => diff::run(arguments, context).await,
        Command::Rotate(arguments) => rotate::run(arguments, context).await,
        Command::History(arguments) => history::run(arguments, context).await,
        Command::Delete(arguments) => delete::run(arguments, context).await,
        Command::Restore(arguments) => delete::restore(arguments, context).await,
    }
}

/// What every value looks like that is not to be seen, whatever its length.
const MASK: &str = "********";

/// An environment whose secrets are worked with, and the AWS that holds them.
struct Place<'a> {
    settings: &'a Settings,
    environment: EnvironmentSettings,
    aws: Aws,
    report: Arc<dyn Report>,
}

impl<'a> Place<'a> {
    /// Finds the environment, and makes sure that the credentials are for its account.
    async fn open(name: &str, context: &'a Context) -> Result<Self> {
        let settings = context.settings()?;
        let environment = settings.ship.environment(name, &settings.name)?;
        if environment.target == Target::Docker {
            return Err(Failure::usage(format!("the environment `{name}` runs on Docker: its secrets are not in AWS"))
                .hint(
                    "They are in the file .env of the project; streamify init --secrets makes those that are missing.",
                ));
        }
        let aws = Aws::connect(&environment, &context.environment).await?;
        aws.identity().await?;
        Ok(Self { settings, environment, aws, report: context.terminal.report() })
    }

    fn vault(&self) -> Vault<'_> {
        Vault::new(&self.aws, &self.environment, &*self.report)
    }

    fn needs(&self) -> Vec<Need> {
        needs(&self.environment)
    }

    /// What a person means: a secret's name, or the variable that a service gets it as.
    fn reference(&self, text: &str) -> Result<Reference> {
        let text = checked(text)?;
        let reference = Reference::parse(text);
        let needs = self.needs();
        if needs.iter().any(|need| need.reference.name == reference.name) {
            return Ok(reference);
        }
        let mut by_variable: Vec<&Reference> =
            needs.iter().filter(|need| need.variable == text).map(|need| &need.reference).collect();
        by_variable.dedup();
        match by_variable.as_slice() {
            [] => Ok(reference),
            [one] => Ok((*one).clone()),
            several => {
                let names: Vec<String> = several.iter().map(ToString::to_string).collect();
                Err(Failure::usage(format!("several services have a variable {text}, each with another secret"))
                    .hint(format!("Name the secret itself: {}", names.join(", "))))
            }
        }
    }

    /// The variables that have this secret, as `service.VARIABLE`.
    fn needed_by(&self, name: &str) -> Vec<String> {
        let needs = self.needs().into_iter().filter(|need| need.reference.name == name);
        needs.map(|need| format!("{}.{}", need.service, need.variable)).collect()
    }
}

/// Refuses what is no name. What was given is not repeated: it may be a value.
fn checked(text: &str) -> Result<&str> {
    if text.contains('=') {
        return Err(value_as_argument());
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_.-/:".contains(c);
    if text.is_empty() || !text.chars().all(is_allowed) {
        return Err(Failure::usage("what was given can't be a secret's name").hint(
            "Names have letters, digits, `_`, `.`, `-` and `/`; `NAME:KEY` is one key of a value that is JSON.",
        ));
    }
    Ok(text)
}

/// Somebody gave a value where every program of this machine can see it.
fn value_as_argument() -> Failure {
    Failure::usage("a secret's value is never an argument")
        .cause("the list of processes shows it to everybody on this machine, and the shell's history keeps it")
        .hint("Let it be asked for:     streamify secrets set ENV NAME")
        .hint("From another program:    some-program | streamify secrets set ENV NAME")
        .hint("From a file:             streamify secrets set ENV NAME --from-file FILE")
        .hint("Several, from a file:    streamify secrets import ENV .env")
        .hint("If it was real, choose another one: this one has been seen.")
}

/// A time as tables show it, to the second.
fn shown(at: Option<Timestamp>) -> String {
    at.map(|at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default()
}

/// A store as it is written in `streamify.yaml`.
fn store_word(store: Store) -> &'static str {
    match store {
        Store::Ssm => "ssm",
        Store::SecretsManager => "secrets-manager",
    }
}
