use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::{Context, Outcome};
use super::{Place, shown, store_word};
use crate::failure::Result;
use crate::outputs::Outputs;
use crate::secrets::{State, compare, running_since};
use crate::settings::Store;
use crate::terminal::Table;

/// Compare the secrets with what the services need
///
/// Says which are missing, which nobody needs, and which have changed since the tasks that run were started: a task
/// reads its secrets once. For the last the outputs of Terraform are needed; without them it is left out.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify secrets diff prod\n  \
                        streamify secrets diff prod --exit-code || streamify restart prod")]
pub(super) struct Arguments {
    /// The environment, as streamify.yaml names it
    #[arg(value_name = "ENV")]
    environment: String,
    /// Terraform's output object from this file, instead of from its root
    #[arg(long, value_name = "FILE")]
    outputs: Option<PathBuf>,
    /// Exit with 3 when there is a difference
    #[arg(long)]
    exit_code: bool,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let place = Place::open(&arguments.environment, context).await?;
    let file = arguments.outputs.as_ref().map(|file| place.settings.directory.join(file));
    let outputs = Outputs::load(&place.environment, place.settings, file.as_deref()).await;
    let vault = place.vault();
    let mut needs = place.needs();
    let started = match &outputs {
        Ok(outputs) => {
            // Terraform keeps these itself.
            needs.retain(|need| {
                let made = |name: &str| outputs.secrets.contains_key(name);
                !made(&need.variable) && !made(&need.reference.name)
            });
            running_since(&place.aws, outputs).await
        }
        // Named by the caller, it has to be right.
        Err(failure) if arguments.outputs.is_some() => return Err(failure.clone()),
        Err(failure) => Err(failure.clone()),
    };
    let started = started.unwrap_or_else(|failure| {
        place.report.warning(&format!("not compared with the tasks that run: {failure}"));
        BTreeMap::new()
    });
    let mut held = vault.list().await?;
    // Names outside of the prefix are not on the list.
    let elsewhere: Vec<&str> =
        needs.iter().map(|need| need.reference.name.as_str()).filter(|name| is_whole(name)).collect();
    held.extend(vault.locate(&elsewhere).await?.into_iter().map(|(name, held)| crate::secrets::Held { name, ..held }));
    let first = started.values().min().copied();
    for held in &mut held {
        // Secrets Manager's time is that of any change, such as a tag's: what counts is the value's.
        let may_be_newer = first.is_some_and(|first| held.changed_at.is_some_and(|changed| changed > first));
        if held.store == Store::SecretsManager && may_be_newer && held.deleted_at.is_none() {
            let (_, versions) = vault.history(&held.name).await?;
            held.changed_at = versions.iter().find(|version| version.current).and_then(|version| version.at);
        }
    }
    let rows = compare(&needs, &held, &started);
    context.terminal.result(
        |paint| {
            if rows.is_empty() {
                return "There is no secret, and no service needs one".to_owned();
            }
            let mut table = Table::new(["name", "state", "needed by", "store", "changed"]);
            for row in &rows {
                let state = match row.state {
                    State::Ok if row.held.as_ref().is_some_and(|held| held.deleted_at.is_some()) => {
                        paint.dim("deleted")
                    }
                    State::Ok => paint.good("ok"),
                    State::Missing => paint.bad("missing"),
                    State::Deleted => paint.bad("deleted"),
                    State::Unused => paint.warning("unused"),
                    State::Changed => paint.warning("changed since the start"),
                    State::Plain => paint.warning("not encrypted"),
                };
                let store = row.held.as_ref().map(|held| store_word(held.store)).unwrap_or_default();
                let changed = shown(row.held.as_ref().and_then(|held| held.changed_at));
                table.row([row.name.clone(), state, row.needed_by.join(", "), store.to_owned(), changed]);
            }
            table.text()
        },
        &rows,
    )?;
    let name = &place.environment.name;
    if rows.iter().any(|row| row.state == State::Missing) {
        place.report.hint(&format!("Write what is missing: streamify secrets set {name} NAME"));
    }
    if rows.iter().any(|row| row.state == State::Changed) {
        place.report.hint(&format!("New tasks take what has changed: streamify restart {name}"));
    }
    let is_different = rows.iter().any(|row| row.state != State::Ok);
    Ok(if arguments.exit_code && is_different { Outcome::Difference } else { Outcome::Done })
}

fn is_whole(name: &str) -> bool {
    name.starts_with('/') || name.starts_with("arn:")
}
