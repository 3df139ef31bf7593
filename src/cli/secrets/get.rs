use serde_json::json;

use super::super::{Context, Outcome};
use super::{MASK, Place, shown};
use crate::failure::Result;
use crate::secrets::word;
use crate::terminal::Output;

/// Show one secret; its value only with --reveal
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify secrets get prod JWT_KEYS\n  \
                        streamify secrets get prod database:url --reveal | wl-copy")]
pub(super) struct Arguments {
    /// The environment, as streamify.yaml names it
    #[arg(value_name = "ENV")]
    environment: String,
    /// The secret, or the variable that a service gets it as; NAME:KEY for one key of a value that is JSON
    #[arg(value_name = "NAME")]
    name: String,
    /// Print the value, and nothing else
    #[arg(long)]
    reveal: bool,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    super::checked(&arguments.name)?;
    let place = Place::open(&arguments.environment, context).await?;
    let reference = place.reference(&arguments.name)?;
    let found = place.vault().get(&reference).await?;
    let value = arguments.reveal.then(|| found.value.expose());
    if let (Some(value), Output::Human) = (value, context.terminal.output()) {
        context.terminal.text(value)?;
        return Ok(Outcome::Done);
    }
    let held = &found.held;
    context.terminal.result(
        |paint| {
            let where_from = format!("{}, version {}", word(held.store), held.version);
            let at = shown(held.changed_at);
            format!("{}  {MASK}  {}", paint.strong(&reference), paint.dim(format!("{where_from}, {at}")))
        },
        &json!({
            "name": reference.name, "key": reference.key, "store": held.store, "arn": held.arn,
            "version": held.version, "changed_at": held.changed_at, "value": value,
        }),
    )?;
    if value.is_none() {
        place.report.hint("--reveal prints the value.");
    }
    Ok(Outcome::Done)
}
