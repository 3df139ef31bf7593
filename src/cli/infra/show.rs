//! A plan in colour, and what has to be typed before it is applied.

use super::Context;
use crate::failure::{Failure, Result};
use crate::infra::{Plan, resources};
use crate::terminal::Paint;

/// The plan with a colour for each sort of line: what is destroyed or replaced is red.
pub(super) fn coloured(paint: Paint, text: &str) -> String {
    let line = |(index, line): (usize, &str)| {
        let inner = line.trim_start();
        let depth = line.len() - inner.len();
        match inner.chars().next() {
            _ if index == 0 => paint.strong(line),
            Some('-' | '±') if depth == 2 => paint.bad(line),
            Some('+') if depth == 2 => paint.good(line),
            Some('~' | 'x' | '=') if depth == 2 => paint.warning(line),
            _ if line.ends_with("(makes it anew)") => paint.bad(line),
            _ => line.to_owned(),
        }
    };
    text.lines().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// Makes sure that whoever applies this knows which data goes with it: each name is typed, or given beforehand.
///
/// # Errors
/// A name that was not given; nothing was changed.
pub(super) fn confirm_losses(plan: &Plan, given: &[String], context: &Context) -> Result<()> {
    confirm_names(&plan.environment, plan.losses(), given, context)
}

/// The same for names alone: what something is, and the name to type.
///
/// # Errors
/// As of [`confirm_losses`].
pub(super) fn confirm_names(
    environment: &str,
    losses: Vec<(&str, &str)>,
    given: &[String],
    context: &Context,
) -> Result<()> {
    let is_given = |address: &str, name: &str| given.iter().any(|one| one == name || one == address);
    let left: Vec<(&str, &str)> = losses.into_iter().filter(|(address, name)| !is_given(address, name)).collect();
    if left.is_empty() {
        return Ok(());
    }
    if !context.terminal.can_ask() {
        let mut failure =
            Failure::failed(format!("the data of {} of {environment} would be lost", resources(left.len())));
        for (address, name) in &left {
            failure = failure.cause(format!("{name} ({address})"));
        }
        let flags: Vec<String> = left.iter().map(|(_, name)| format!("--confirm-destroy {name}")).collect();
        return Err(failure
            .cause("--yes does not answer this, and nobody can be asked here")
            .hint(format!("If that is meant: {}", flags.join(" "))));
    }
    for (address, name) in left {
        let question = format!("{address} goes, and its data with it. Type its name, {name}:");
        if context.terminal.ask(&question)? != name {
            return Err(Failure::failed("that is not its name; nothing was changed"));
        }
    }
    Ok(())
}
