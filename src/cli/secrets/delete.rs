use serde_json::json;

use super::super::{Context, Outcome};
use super::{Place, shown};
use crate::failure::{Failure, Result};
use crate::settings::Store;

/// Delete a secret
///
/// In Secrets Manager it can be taken back for some days (`secrets restore`). In the parameter store it can't: its name
/// has to be typed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  streamify secrets delete prod OLD_TOKEN")]
pub(super) struct Arguments {
    /// The environment, as streamify.yaml names it
    #[arg(value_name = "ENV")]
    environment: String,
    /// The secret
    #[arg(value_name = "NAME")]
    name: String,
    /// Days in which Secrets Manager can restore it
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(i64).range(7..=30))]
    recovery_days: i64,
}

/// Take back the deletion of a secret in Secrets Manager
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  streamify secrets restore prod OLD_TOKEN")]
pub(super) struct RestoreArguments {
    /// The environment, as streamify.yaml names it
    #[arg(value_name = "ENV")]
    environment: String,
    /// The secret
    #[arg(value_name = "NAME")]
    name: String,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    super::checked(&arguments.name)?;
    let place = Place::open(&arguments.environment, context).await?;
    let reference = place.reference(&arguments.name)?;
    if let Some(key) = &reference.key {
        return Err(Failure::usage(format!("`{key}` is one key of {}", reference.name))
            .hint("Only whole secrets are deleted; write the value without the key instead."));
    }
    let vault = place.vault();
    let name = &reference.name;
    let held = vault.locate(&[name]).await?.remove(name).ok_or_else(|| vault.missing(name))?;
    let needed = place.needed_by(name);
    if !needed.is_empty() {
        place.report.warning(&format!("{} can't start without it", needed.join(", ")));
    }
    if !agreed(name, held.store, arguments.recovery_days, context)? {
        return Err(Failure::failed("nothing was deleted"));
    }
    let deleted = vault.delete(&held, arguments.recovery_days).await?;
    context.terminal.result(
        |paint| match deleted.restorable_until {
            Some(until) => format!(
                "{} {name} is deleted; until {} it can be had back: streamify secrets restore {} {name}",
                paint.good("✔"),
                shown(Some(until)),
                place.environment.name
            ),
            None => format!("{} {name} is deleted", paint.good("✔")),
        },
        &json!({ "name": name, "store": held.store, "restorable_until": deleted.restorable_until }),
    )?;
    Ok(Outcome::Done)
}

fn agreed(name: &str, store: Store, days: i64, context: &Context) -> Result<bool> {
    let question = match store {
        Store::SecretsManager => format!("Delete {name}? It can be had back for {days} days."),
        Store::Ssm => format!("Delete {name} from the parameter store? It can't be had back."),
    };
    if store == Store::SecretsManager || !context.terminal.can_ask() {
        return context.terminal.confirm(&question);
    }
    if context.terminal.assumes_yes() {
        return Ok(true);
    }
    Ok(context.terminal.ask(&format!("{question} Type its name:"))? == name)
}

pub(super) async fn restore(arguments: &RestoreArguments, context: &Context) -> Result<Outcome> {
    super::checked(&arguments.name)?;
    let place = Place::open(&arguments.environment, context).await?;
    let name = place.reference(&arguments.name)?.name;
    place.vault().restore(&name).await?;
    context.terminal.result(|paint| format!("{} {name} is back", paint.good("✔")), &json!({ "name": name }))?;
    Ok(Outcome::Done)
}
