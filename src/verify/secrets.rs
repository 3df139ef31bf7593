//! Secrets: there, readable, and with the keys that are taken from them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Subject};
use crate::outputs::Outputs;
use crate::secrets::{Found, Need, Reference, Vault, needs, word};
use crate::settings::Store;

pub(super) async fn check(subject: &Subject<'_>, outputs: Option<&Outputs>) -> Vec<Check> {
    let vault = Vault::new(subject.aws, subject.environment, subject.report);
    let mut needs = needs(subject.environment);
    // What Terraform makes is named by its ARN, and maybe one key of it.
    for need in &mut needs {
        let made = outputs.and_then(|outputs| {
            outputs.secrets.get(&need.variable).or_else(|| outputs.secrets.get(&need.reference.name))
        });
        if let Some(Reference { name, key }) = made.map(|made| Reference::parse(made)) {
            need.reference = Reference { name, key: key.or_else(|| need.reference.key.take()) };
        }
    }
    if needs.is_empty() {
        return vec![Check::skipped("secrets", "no service needs one")];
    }
    let names: BTreeSet<&str> = needs.iter().map(|need| need.reference.name.as_str()).collect();
    let found = match vault.read(&names.into_iter().collect::<Vec<_>>()).await {
        Ok(found) => found,
        Err(failure) => return vec![Check::failure("reading them", failure)],
    };
    needs.iter().map(|need| one(subject, &vault, need, &found)).collect()
}

fn one(subject: &Subject<'_>, vault: &Vault<'_>, need: &Need, found: &BTreeMap<String, Found>) -> Check {
    let name = format!("{}.{}", need.service, need.variable);
    let Some(found) = found.get(&need.reference.name) else {
        let short = &need.reference.name;
        let check = Check::failed(name, format!("neither of the stores has {}", vault.full_name(short)));
        return check.hint(format!("streamify secrets set {} {short}", subject.environment.name));
    };
    if need.reference.key.is_some() && found.held.store == Store::Ssm {
        return Check::failed(
            name,
            format!("ECS takes keys from Secrets Manager only, and {} is a parameter", found.held.name),
        )
        .hint("Move it to Secrets Manager, or make a parameter of each key.");
    }
    if let Err(failure) = need.reference.pick(&found.value) {
        return Check::failure(name, failure);
    }
    let seen = format!("{} in {}", need.reference, word(found.held.store));
    if found.held.encrypted {
        return Check::ok(name, seen);
    }
    Check::ok(name, seen).hint("It is of type String, not encrypted: delete it, and write it anew.")
}
