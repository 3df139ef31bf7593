use super::super::{Context, Outcome};
use super::{Place, Session, Watching};
use crate::deploy::{self, ExecWish};
use crate::failure::Result;

/// Open a shell in a running task, or run a command in it, with this terminal
///
/// ECS Exec without AWS's plugin. The service has to have it turned on; where the container's image has no shell, name
/// the program.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  streamify exec prod backend\n  streamify exec prod backend -- streamify migrate status\n  \
                        streamify exec prod backend --task 0a1b2c -- env"
)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    place: Place,
    service: String,
    /// The task whose id begins so [default: the newest]
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// The command with its arguments [default: a shell]
    #[arg(last = true)]
    command: Vec<String>,
}

pub(in crate::cli) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let session = Session::enter(&arguments.place, context).await?;
    let ground = session.ground(&Watching::NONE, context);
    let command = if arguments.command.is_empty() { vec!["/bin/sh".to_owned()] } else { arguments.command.clone() };
    let wish = ExecWish { service: arguments.service.clone(), task: arguments.task.clone(), command };
    let code = deploy::exec(&ground, &wish).await?;
    Ok(if code == 0 { Outcome::Done } else { Outcome::Exited(u8::try_from(code).unwrap_or(1)) })
}
