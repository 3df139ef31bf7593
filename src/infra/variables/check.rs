//! Whether what is given fits what a root declares, before Terraform sees it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::root::Root;
use super::secrecy::Secrecy;
use super::types::Mismatch;
use crate::failure::{Failure, Result};
use crate::settings::{Environment, Position, nearest, position};

/// What a root is given.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// What follows from the rest of `streamify.yaml`; a root need not declare all of it.
    pub derived: BTreeMap<String, Value>,
    /// `environments.ENV.variables`.
    pub own: BTreeMap<String, Value>,
}

/// Where messages point to.
pub struct Source<'a> {
    /// `streamify.yaml`, where there is one.
    pub file: Option<&'a Path>,
    /// The environment's name.
    pub environment: &'a str,
}

impl Source<'_> {
    fn at(&self, variable: &str, path: &[String]) -> String {
        let keys = ["environments", self.environment, "variables", variable].map(str::to_owned);
        let found = self.file.and_then(|file| position(file, &[&keys, path].concat()));
        found.map_or_else(String::new, |place: Position| format!("{place}: "))
    }
}

/// Checks everything and gives the values to write, by name.
///
/// # Errors
/// All that is wrong at once: unknown names, wrong types, what is missing, what must not be in a file.
pub fn check(
    root: &Root,
    given: &Given,
    secrecy: &Secrecy,
    source: &Source,
    process: &Environment,
) -> Result<BTreeMap<String, Value>> {
    let mut wrong: Vec<Failure> = Vec::new();
    let known = || root.variables.keys().map(String::as_str);
    for (name, value) in &given.own {
        let at = |path: &[String]| source.at(name, path);
        if given.derived.contains_key(name) {
            wrong.push(
                Failure::usage(format!("{}`{name}` follows from the rest of streamify.yaml", at(&[])))
                    .hint("Take it out of `variables`, and change what it follows from."),
            );
            continue;
        }
        let Some(declaration) = root.variables.get(name) else {
            let failure = Failure::usage(format!("{}{} declares no variable `{name}`", at(&[]), root.called));
            wrong.push(match nearest(name, known()) {
                Some(near) => failure.hint(format!("Did you mean `{near}`?")),
                None => failure.hint(format!("It declares {}.", known().collect::<Vec<_>>().join(", "))),
            });
            continue;
        };
        if declaration.is_sensitive {
            wrong.push(kept_out(&at(&[]), name, &format!("{} marks it `sensitive`", declaration.position)));
            continue;
        }
        if let Some((path, why)) = secrecy.find(name, value) {
            wrong.push(kept_out(&at(&path), name, &why));
            continue;
        }
        let mismatches = mismatches(declaration, value);
        wrong.extend(mismatches.into_iter().map(|one| {
            let path = if one.path.is_empty() { name.clone() } else { format!("{name}.{}", one.path.join(".")) };
            described(&format!("{}`{path}`", at(&one.path)), &declaration.position, one)
        }));
    }
    for (name, value) in &given.derived {
        if let Some(declaration) = root.variables.get(name) {
            wrong.extend(mismatches(declaration, value).into_iter().map(|one| {
                let path = if one.path.is_empty() { String::new() } else { format!(".{}", one.path.join(".")) };
                let place = format!("{}: `{name}{path}`, which streamify.yaml gives,", declaration.position);
                described(&place, &declaration.position, one)
            }));
        }
    }
    for (name, declaration) in &root.variables {
        let is_set = given.derived.contains_key(name)
            || given.own.contains_key(name)
            || root.set_elsewhere.contains(name)
            || process.is_set(&format!("TF_VAR_{name}"));
        if declaration.has_default || is_set {
            continue;
        }
        let place = source
            .file
            .and_then(|file| position(file, &["environments", source.environment, "variables"].map(str::to_owned)));
        let failure = Failure::usage(format!("{}: nothing sets the variable `{name}`", declaration.position))
            .cause(format!("it is {}, and it has no default", declaration.of));
        let failure = match nearest(name, given.derived.keys().map(String::as_str)) {
            Some(near) if !root.variables.contains_key(near) => failure.hint(format!("Is `{near}` meant? It is set.")),
            _ if declaration.is_sensitive => failure.hint(format!(
                "It is `sensitive`, so it is no setting: let the root read it from the environment's store, or set \
                 TF_VAR_{name}."
            )),
            _ if name == "region" => {
                failure.hint(format!("Set environments.{}.region in streamify.yaml.", source.environment))
            }
            _ => failure.hint(format!("Set environments.{}.variables.{name} in streamify.yaml.", source.environment)),
        };
        wrong.push(match place {
            Some(place) => failure.hint(format!("The place is {place}.")),
            None => failure,
        });
    }
    match wrong.len() {
        0 => {}
        1 => return Err(wrong.remove(0)),
        count => {
            let first = Failure::usage(format!("{count} variables of {} don't fit", source.environment));
            return Err(wrong.into_iter().fold(first, |all, one| {
                let lines = std::iter::once(one.message).chain(one.causes).chain(one.hints);
                all.cause(lines.collect::<Vec<_>>().join("\n"))
            }));
        }
    }
    let declared = given.derived.iter().filter(|(name, _)| root.variables.contains_key(*name));
    Ok(declared.chain(&given.own).map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn mismatches(declaration: &super::Declaration, value: &Value) -> Vec<Mismatch> {
    if value.is_null() && !declaration.is_nullable && !declaration.has_default {
        let message = format!("it is null, and {} is wanted", declaration.of);
        return vec![Mismatch { path: Vec::new(), message, hint: None }];
    }
    declaration.of.check(value)
}

fn described(place: &str, declared: &Position, one: Mismatch) -> Failure {
    let failure = Failure::usage(format!("{place} does not fit its type")).cause(one.message);
    let failure = failure.cause(format!("the type is at {declared}"));
    match one.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The value itself is never in the message.
fn kept_out(place: &str, name: &str, why: &str) -> Failure {
    Failure::usage(format!("{place}`{name}` is a secret, and secrets are not written to files"))
        .cause(why)
        .cause("a variable's value is in a committed file, in every plan and in the state")
        .hint("Keep it in the store: streamify secrets set ENV NAME; the root then needs its name or ARN alone.")
        .hint(format!("What only Terraform itself needs comes from a variable of the process: TF_VAR_{name}."))
}
