//! What a step of a GitHub workflow leaves for the next one, and for whoever looks at the run.

use std::fs::OpenOptions;
use std::io::Write;

use super::Context;
use crate::failure::{OrFail, Result};
use crate::infra::{Action, Applied, Plan, resources};

/// The outputs and the summary of a plan.
///
/// # Errors
/// They can't be written.
pub(super) fn planned(plan: &Plan, title: &str, context: &Context) -> Result<()> {
    append(context, "GITHUB_STEP_SUMMARY", || plan.markdown(title))?;
    append(context, "GITHUB_OUTPUT", || {
        let mut text = format!("environment={}\nchanged={}\n", plan.environment, !plan.is_empty());
        for action in Action::ALL {
            text = format!("{text}{}={}\n", action.word(), plan.count(action));
        }
        format!("{text}drift={}\n", plan.drift.len())
    })
}

/// What an apply came to.
///
/// # Errors
/// They can't be written.
pub(super) fn applied(applied: &Applied, context: &Context) -> Result<()> {
    let result = if applied.failure.is_some() { "failed" } else { "applied" };
    append(context, "GITHUB_OUTPUT", || format!("result={result}\ndone={}\n", applied.done.len()))?;
    append(context, "GITHUB_STEP_SUMMARY", || {
        let mut text = format!(
            "### Infrastructure of {}: {result}\n\n{} in {} s.\n",
            applied.environment,
            resources(applied.done.len()),
            applied.seconds
        );
        if !applied.failed.is_empty() {
            text = format!(
                "{text}\nNot done: {}\n",
                applied.failed.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ")
            );
        }
        format!("{text}\n")
    })
}

fn append(context: &Context, variable: &str, text: impl FnOnce() -> String) -> Result<()> {
    let Some(path) = context.environment.get(variable) else { return Ok(()) };
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text().as_bytes()))
        .or_fail(|| format!("can't write {path}, which {variable} names"))
}
