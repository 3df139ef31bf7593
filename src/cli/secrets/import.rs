use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::json;

use super::super::{Context, Outcome};
use super::{Place, checked};
use crate::failure::{Failure, Result};
use crate::secrets::{Found, Reference};
use crate::settings::Secret;
use crate::stack::compose;
use crate::terminal::Table;

/// Write the secrets of a file such as .env
///
/// Takes the variables that services need as secrets (`services.*.secrets` in streamify.yaml), each under its secret's
/// name; with --all every variable of the file. What has its value already is not written: a run that was cut short is
/// finished by the next one.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify secrets import prod .env --dry-run\n  \
                        streamify secrets import prod prod.env --all")]
pub(super) struct Arguments {
    /// The environment, as streamify.yaml names it
    #[arg(value_name = "ENV")]
    environment: String,
    /// The file
    #[arg(value_name = "FILE", default_value = ".env")]
    file: PathBuf,
    /// Variables too that no service needs as a secret
    #[arg(long)]
    all: bool,
    /// Say what is new, changed and the same, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// A variable of the file and what becomes of it.
struct Step {
    variable: String,
    reference: Reference,
    state: &'static str,
    /// What is to be written, whole, and what is there.
    write: Option<(Secret, Option<Found>)>,
}

pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let place = Place::open(&arguments.environment, context).await?;
    let path = place.settings.directory.join(&arguments.file);
    let values = compose::variables(&path, context.environment.variables())?;
    let steps = plan(&place, values.into_iter().collect(), arguments.all).await?;
    show(&steps, arguments.dry_run, context)?;
    let count = |state: &str| steps.iter().filter(|step| step.state == state).count();
    if steps.iter().all(|step| step.state == LEFT_OUT) && !steps.is_empty() {
        place.report.hint("No service in streamify.yaml needs one of them as a secret; --all takes them nevertheless.");
    }
    if arguments.dry_run {
        return Ok(Outcome::Done);
    }
    let changed = count(CHANGED);
    if changed > 0 && !context.terminal.confirm(&format!("Overwrite {changed} of the secrets?"))? {
        return Err(Failure::failed("nothing was written"));
    }
    let mut writes: Vec<(String, Option<Found>, Secret)> = Vec::new();
    for step in steps {
        let Some((value, before)) = step.write else { continue };
        // Several keys of one value: the last one has them all.
        writes.retain(|(name, ..)| *name != step.reference.name);
        writes.push((step.reference.name, before, value));
    }
    let done = place.vault().write_all(&writes).await?;
    match done.len() {
        0 => place.report.note("nothing to do"),
        count => place.report.note(&format!("{count} secrets written")),
    }
    Ok(Outcome::Done)
}

const NEW: &str = "new";
const CHANGED: &str = "changed";
const SAME: &str = "same";
const EMPTY: &str = "empty";
const LEFT_OUT: &str = "left out";

/// Reads everything that is there at once, and settles what is to be written.
async fn plan(place: &Place<'_>, values: Vec<(String, String)>, all: bool) -> Result<Vec<Step>> {
    let needs = place.needs();
    let mut steps = Vec::new();
    for (variable, value) in values {
        let needed: BTreeSet<&Reference> =
            needs.iter().filter(|need| need.variable == variable).map(|need| &need.reference).collect();
        let mut references: Vec<Reference> = needed.into_iter().cloned().collect();
        if references.is_empty() {
            checked(&variable)?;
            references.push(Reference::parse(&variable));
            if !all {
                let reference = references.remove(0);
                steps.push((Step { variable, reference, state: LEFT_OUT, write: None }, value));
                continue;
            }
        }
        let state = if value.is_empty() { EMPTY } else { NEW };
        for reference in references {
            steps.push((Step { variable: variable.clone(), reference, state, write: None }, value.clone()));
        }
    }
    let names: BTreeSet<&str> =
        steps.iter().filter(|(step, _)| step.state == NEW).map(|(step, _)| step.reference.name.as_str()).collect();
    let found = place.vault().read(&names.into_iter().collect::<Vec<_>>()).await?;
    // Keys of one value are put into it one after the other.
    let mut whole: std::collections::BTreeMap<String, Secret> =
        found.iter().map(|(name, found)| (name.clone(), found.value.clone())).collect();
    for (step, value) in steps.iter_mut().filter(|(step, _)| step.state == NEW) {
        let name = &step.reference.name;
        let value = Secret::new(value.as_str());
        let before = whole.get(name);
        let after = step.reference.put(before, &value)?;
        if before == Some(&after) {
            step.state = SAME;
            continue;
        }
        if found.contains_key(name) {
            step.state = CHANGED;
        }
        step.write = Some((after.clone(), found.get(name).cloned()));
        whole.insert(name.clone(), after);
    }
    Ok(steps.into_iter().map(|(step, _)| step).collect())
}

fn show(steps: &[Step], dry_run: bool, context: &Context) -> Result<()> {
    let lines: Vec<_> = steps
        .iter()
        .map(|step| json!({ "variable": step.variable, "name": step.reference.to_string(), "state": step.state }))
        .collect();
    context.terminal.result(
        |paint| {
            let mut table = Table::new(["variable", "secret", "state"]);
            for step in steps {
                let state = match step.state {
                    NEW => paint.good(NEW),
                    CHANGED => paint.warning(CHANGED),
                    EMPTY => paint.warning("empty: left out"),
                    other => paint.dim(other),
                };
                table.row([step.variable.clone(), step.reference.to_string(), state]);
            }
            if steps.is_empty() { "The file has no variables".to_owned() } else { table.text() }
        },
        &json!({ "dry_run": dry_run, "secrets": lines }),
    )
}
