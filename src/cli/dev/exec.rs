use std::process::Command;

use super::super::{Context, Outcome};
use crate::failure::{Failure, OrFail, Result};
use crate::settings::Service;
use crate::stack::Stack;

/// Open a database shell, or run a command with the stack's addresses in its environment
///
/// `postgres` without a command, or with arguments that begin with a dash, is psql.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev exec postgres\n  \
                        streamify dev exec postgres -- -c 'select count(*) from videos'\n  \
                        streamify dev exec backend -- env")]
pub(super) struct Arguments {
    #[arg(value_enum)]
    service: Service,
    /// The command with its arguments
    #[arg(last = true)]
    words: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let stack = Stack::of(context.settings()?);
    let mut command = match arguments.words.as_slice() {
        words if arguments.service == Service::Postgres && words.first().is_none_or(|word| word.starts_with('-')) => {
            stack.psql(words)?
        }
        [] => {
            return Err(Failure::usage(format!("say what to run for {}", arguments.service))
                .hint(format!("For example: `streamify dev exec {} -- env`.", arguments.service)));
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
