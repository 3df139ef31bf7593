use std::process::Command;

use super::super::{Context, Outcome};
use super::runtime::{Chosen, Place, choose};
use crate::failure::{Failure, OrFail, Result};
use crate::settings::Service;
use crate::stack::{Stack, docker};

/// Open a database shell, or run a command with the stack's addresses in its environment
///
/// `postgres` without a command, or with arguments that begin with a dash, is psql. On Docker the command runs in the
/// service's container, with this terminal; without a command it is a shell.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev exec postgres\n  \
                        streamify dev exec postgres -- -c 'select count(*) from videos'\n  \
                        streamify dev exec backend -- env\n  streamify dev exec -u root backend sh")]
pub(super) struct Arguments {
    /// Docker: as this user
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Docker: in this folder
    #[arg(short = 'w', long = "workdir", value_name = "FOLDER")]
    directory: Option<String>,
    /// Docker: with this variable: NAME=VALUE
    #[arg(short, long = "env", value_name = "NAME=VALUE")]
    environment: Vec<String>,
    /// Docker: without a terminal in the container
    #[arg(short = 'T', long)]
    no_tty: bool,
    /// Docker: with every right
    #[arg(long)]
    privileged: bool,
    /// Docker: which of the service's containers, from 1
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    index: u32,
    service: String,
    /// The command with its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

pub(super) async fn run(arguments: &Arguments, choice: &super::Choice, context: &Context) -> Result<Outcome> {
    match choose(choice, context).await? {
        Chosen::Docker(place) => in_container(arguments, &place, context).await,
        Chosen::Embedded => embedded(arguments, context),
    }
}

async fn in_container(arguments: &Arguments, place: &Place, context: &Context) -> Result<Outcome> {
    let entry = docker::nth(&place.engine, &place.name, &arguments.service, arguments.index).await?;
    let words = match arguments.words.as_slice() {
        words if arguments.service == "postgres" && words.first().is_none_or(|word| word.starts_with('-')) => {
            // The image's own variables name its user and its database.
            let line = "exec psql --username \"${POSTGRES_USER:-postgres}\" \
                        --dbname \"${POSTGRES_DB:-${POSTGRES_USER:-postgres}}\" \"$@\"";
            let start = ["sh", "-c", line, "psql"].map(str::to_owned);
            start.into_iter().chain(words.iter().cloned()).collect()
        }
        [] => ["sh", "-c", "command -v bash >/dev/null && exec bash || exec sh"].map(str::to_owned).to_vec(),
        words => words.to_vec(),
    };
    let command = docker::Command {
        words,
        environment: arguments.environment.clone(),
        user: arguments.user.clone(),
        directory: arguments.directory.clone(),
        privileged: arguments.privileged,
        terminal: arguments.no_tty.then_some(false),
        input: true,
    };
    let code = docker::exec(&place.engine, &entry.container, &command, &context.interrupt).await?;
    Ok(Outcome::Exited(u8::try_from(code).unwrap_or(1)))
}

fn embedded(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let service: Service = arguments.service.parse().map_err(Failure::usage)?;
    let stack = Stack::of(context.settings()?);
    let mut command = match arguments.words.as_slice() {
        words if service == Service::Postgres && words.first().is_none_or(|word| word.starts_with('-')) => {
            stack.psql(words)?
        }
        [] => {
            return Err(Failure::usage(format!("say what to run for {service}"))
                .hint(format!("For example: `streamify dev exec {service} -- env`.")));
        }
        [program, rest @ ..] => {
            let mut command = Command::new(program);
            stack.with_environment(&mut command)?;
            command.args(rest);
            command
        }
    };
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().or_fail(|| format!("can't start {name}"))?;
    let signal = std::os::unix::process::ExitStatusExt::signal(&status).map_or(1, |signal| 128 + signal);
    Ok(Outcome::Exited(u8::try_from(status.code().unwrap_or(signal)).unwrap_or(1)))
}
