use serde_json::json;

use super::super::{Context, Outcome};
use super::{Ground, Place};
use crate::failure::{Failure, Result};

/// Take the state's lock away from a run that is dead
///
/// Only when that run is: two that write one state lose what one of them made. The message of a command that met the
/// lock names its holder and its id.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  streamify infra unlock prod 93b2d6d7-60c3-8ebf-93d8-b764c4487bd1")]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The lock's id
    #[arg(value_name = "ID")]
    id: String,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let ground = Ground::enter(&arguments.place, context)?;
    let name = &ground.environment.name;
    let site = ground.site().await?;
    site.initialise(true).await?;
    if !context.terminal.confirm(&format!("Is the run that holds the lock {} of {name} dead?", arguments.id))? {
        return Err(Failure::failed("nothing was changed"));
    }
    site.unlock(&arguments.id).await?;
    context.terminal.result(
        |paint| format!("{} the state of {name} is free", paint.good("✔")),
        &json!({ "environment": name, "id": arguments.id }),
    )?;
    Ok(Outcome::Done)
}
