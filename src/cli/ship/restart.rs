use super::super::{Context, Outcome};
use super::{Place, Session, Watching, tell};
use crate::deploy;
use crate::failure::Result;

/// Start new tasks of what runs, watched like a deploy
///
/// Secrets are read anew by every new task.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify restart prod\n  streamify restart prod backend --timeout 10")]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Only these services
    services: Vec<String>,
    #[command(flatten)]
    watching: Watching,
}

pub(in crate::cli) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let session = Session::enter(&arguments.place, context).await?;
    let ground = session.ground(&arguments.watching, context);
    tell(&deploy::restart(&ground, &arguments.services).await, context)
}
