use jiff::Timestamp;
use serde_json::json;

use super::super::{Context, Outcome};
use super::Place;
use crate::failure::{Failure, Result};
use crate::secrets::{Found, Keys, Rotated};

/// Rotate the keys that sign tokens, without logging anybody out
///
/// The new key signs once tasks have started anew; the old ones verify until they are dropped, which is safe once the last
/// token that they signed has expired. While old and new tasks run side by side, an old task refuses a token of the new
/// key, and the page asks for another: where not even that may happen, announce the key first, restart, and rotate then.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify secrets rotate prod JWT_KEYS && streamify restart prod\n  \
                        streamify secrets rotate prod JWT_KEYS --drop-old\n\n\
                        Without a single refused request:\n  streamify secrets rotate prod JWT_KEYS --announce && streamify restart prod\n  \
                        streamify secrets rotate prod JWT_KEYS && streamify restart prod")]
pub(super) struct Arguments {
    /// The environment, as streamify.yaml names it
    #[arg(value_name = "ENV")]
    environment: String,
    /// The secret that holds the keys, or its variable
    #[arg(value_name = "NAME", default_value = "JWT_KEYS")]
    name: String,
    /// Let every task know a new key before it signs
    #[arg(long, conflicts_with = "drop_old")]
    announce: bool,
    /// Leave only the key that signs
    #[arg(long)]
    drop_old: bool,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    super::checked(&arguments.name)?;
    let place = Place::open(&arguments.environment, context).await?;
    let reference = place.reference(&arguments.name)?;
    let (vault, now) = (place.vault(), Timestamp::now());
    let before = vault.read(&[&reference.name]).await?.remove(&reference.name);
    let value = before.as_ref().map(|found| reference.pick(&found.value)).transpose()?;
    let keys = Keys::parse(&reference.to_string(), value.as_ref())?;
    let rotated = if arguments.drop_old {
        if !keys.has_old() {
            place.report.note("there is no old key");
            return Ok(Outcome::Done);
        }
        if !may_drop(&place, before.as_ref(), now, context)? {
            return Err(Failure::failed("nothing was dropped"));
        }
        keys.drop_old()?
    } else if arguments.announce {
        keys.announce(now)?
    } else {
        keys.rotate(now)?
    };
    let whole = reference.put(before.as_ref().map(|found| &found.value), &rotated.keys)?;
    vault.write(&reference.name, before.as_ref(), &whole).await?;
    tell(&place, &reference.to_string(), &rotated, arguments, context)?;
    Ok(Outcome::Done)
}

/// Tokens of the old key live on for a while after the last task that signed with it.
fn may_drop(place: &Place<'_>, before: Option<&Found>, now: Timestamp, context: &Context) -> Result<bool> {
    let lifetime = place.settings.server.access_token;
    let changed = before.and_then(|found| found.held.changed_at);
    let safe = changed.and_then(|at| at.checked_add(lifetime).ok());
    if safe.is_none_or(|safe| safe <= now) {
        return Ok(true);
    }
    place.report.warning(&format!(
        "the keys were changed at {}; tokens of the old ones may live until {} at least",
        super::shown(changed),
        super::shown(safe)
    ));
    context.terminal.confirm("Drop the old keys now, and log out whoever has such a token?")
}

fn tell(place: &Place<'_>, name: &str, rotated: &Rotated, arguments: &Arguments, context: &Context) -> Result<()> {
    let Rotated { signs, verify, dropped, .. } = rotated;
    context.terminal.result(
        |paint| {
            let mut lines = vec![format!("{} {name}: {signs} signs", paint.good("✔"))];
            if !verify.is_empty() {
                lines.push(format!("  {} only verifies", verify.join(", ")));
            }
            if !dropped.is_empty() {
                lines.push(format!("  {} is dropped", dropped.join(", ")));
            }
            lines.join("\n")
        },
        &json!({ "name": name, "signs": signs, "verify": verify, "dropped": dropped }),
    )?;
    let environment = &place.environment.name;
    let minutes = place.settings.server.access_token.as_secs().div_ceil(60);
    place.report.hint(&format!(
        "Tasks read it at their start: streamify deploy {environment}, or streamify restart {environment}"
    ));
    if arguments.announce {
        place
            .report
            .hint(&format!("When that has finished, let it sign: streamify secrets rotate {environment} {name}"));
    } else if !verify.is_empty() {
        place.report.hint(&format!(
            "{minutes} minutes after that has finished, the last token of the old key has expired: \
             streamify secrets rotate {environment} {name} --drop-old"
        ));
    }
    Ok(())
}
