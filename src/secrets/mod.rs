//! Secrets of an environment, in the parameter store or in Secrets Manager, behind one door.
//!
//! New ones go to the environment's store, existing ones stay where they are, and reading looks in both. Values travel
//! as [`Secret`]s, which can't print themselves; what AWS says about one is searched for it before it is repeated.

mod compare;
mod keys;
mod manager;
mod parameters;
mod random;
mod reference;

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;

use crate::aws::Aws;
use crate::failure::{Failure, Result};
use crate::report::Report;
use crate::settings::{EnvironmentSettings, Secret, Store};

pub use compare::{Need, Row, State, compare, needs, running_since};
pub use keys::{Keys, Rotated};
pub use random::random;
pub use reference::Reference;

/// Calls that are under way at once: enough to hide the way to AWS, too few to be throttled.
const AT_ONCE: usize = 4;

/// A secret without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Without the environment's prefix.
    pub name: String,
    pub store: Store,
    pub arn: String,
    pub changed_at: Option<Timestamp>,
    /// The parameter's number, or the first part of the id that Secrets Manager gave.
    pub version: String,
    /// False for a parameter of type `String`, which anybody sees who may read parameters.
    pub encrypted: bool,
    /// When it was deleted; it can be restored for some days.
    pub deleted_at: Option<Timestamp>,
}

/// A secret with its value.
#[derive(Clone, Debug)]
pub struct Found {
    pub held: Held,
    pub value: Secret,
}

/// One version of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Version {
    pub version: String,
    pub at: Option<Timestamp>,
    /// The ARN of who wrote it; Secrets Manager does not say.
    pub by: Option<String>,
    /// Labels or stages.
    pub labels: Vec<String>,
    pub current: bool,
}

/// What writing a secret did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    New,
    Changed,
    /// The value was there already: nothing was written.
    Same,
}

/// How a secret was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// Until then it can be had back; none: it is gone.
    pub restorable_until: Option<Timestamp>,
}

/// The secrets of one environment.
pub struct Vault<'a> {
    aws: &'a Aws,
    prefix: &'a str,
    store: Store,
    kms_key: Option<&'a str>,
    report: &'a dyn Report,
}

impl<'a> Vault<'a> {
    /// Nothing is asked yet.
    pub fn new(aws: &'a Aws, environment: &'a EnvironmentSettings, report: &'a dyn Report) -> Self {
        let kms_key = environment.kms_key.as_deref();
        Self { aws, prefix: &environment.prefix, store: environment.store, kms_key, report }
    }

    /// The whole name of a secret in its store. One that begins with a slash is whole already.
    pub fn full_name(&self, name: &str) -> String {
        if name.starts_with('/') { name.to_owned() } else { format!("{}{name}", self.prefix) }
    }

    fn short_name(&self, full: &str) -> String {
        full.strip_prefix(self.prefix).unwrap_or(full).to_owned()
    }

    /// Every secret below the prefix, by name, without values; deleted ones that can be had back among them.
    pub async fn list(&self) -> Result<Vec<Held>> {
        let (parameters, managed) = tokio::join!(self.list_parameters(), self.list_managed());
        let mut all = Vec::new();
        for (store, listed) in [(Store::Ssm, parameters), (Store::SecretsManager, managed)] {
            all.extend(self.unless_other(store, listed)?.unwrap_or_default());
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        for pair in all.windows(2).filter(|pair| pair[0].name == pair[1].name) {
            self.report.warning(&format!("{} is in both stores; {} is read first", pair[0].name, word(self.store)));
        }
        Ok(all)
    }

    /// The named secrets that are there, without values: nothing is decrypted. Names may be ARNs.
    pub async fn locate(&self, names: &[&str]) -> Result<BTreeMap<String, Held>> {
        let found = self.look(names, false).await?;
        Ok(found.into_iter().map(|(name, found)| (name, found.held)).collect())
    }

    /// The named secrets that are there, with their values. Names may be ARNs.
    pub async fn read(&self, names: &[&str]) -> Result<BTreeMap<String, Found>> {
        self.look(names, true).await
    }

    /// First in the environment's store, then, for what is missing, in the other one.
    async fn look(&self, names: &[&str], decrypt: bool) -> Result<BTreeMap<String, Found>> {
        let stores = match self.store {
            Store::Ssm => [Store::Ssm, Store::SecretsManager],
            Store::SecretsManager => [Store::SecretsManager, Store::Ssm],
        };
        let mut found = BTreeMap::new();
        for store in stores {
            let missing: Vec<&str> = names
                .iter()
                .copied()
                .filter(|name| !found.contains_key(*name) && arn_store(name).is_none_or(|its| its == store))
                .collect();
            if missing.is_empty() {
                continue;
            }
            let read = match store {
                Store::Ssm => self.read_parameters(&missing, decrypt).await,
                Store::SecretsManager => self.read_managed(&missing, decrypt).await,
            };
            found.extend(self.unless_other(store, read)?.unwrap_or_default());
        }
        Ok(found)
    }

    /// A store that the environment does not use may be closed to whoever works in it: that is no failure.
    fn unless_other<T>(&self, store: Store, result: Result<T>) -> Result<Option<T>> {
        match result {
            Err(failure)
                if store != self.store && failure.causes.iter().any(|cause| cause.contains("AccessDenied")) =>
            {
                self.report.warning(&format!("{} was not looked into: {}", word(store), failure.causes.join(": ")));
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    /// Reads one value, or one key of a value that is JSON.
    ///
    /// # Errors
    /// It is not there; it is not JSON, or has no such key.
    pub async fn get(&self, reference: &Reference) -> Result<Found> {
        let mut found = self.read(&[&reference.name]).await?;
        let found = found.remove(&reference.name).ok_or_else(|| self.missing(&reference.name))?;
        let value = reference.pick(&found.value)?;
        Ok(Found { value, ..found })
    }

    /// Writes one value, or one key of a value that is JSON, unless it is there already.
    pub async fn set(&self, reference: &Reference, value: &Secret) -> Result<Change> {
        let name = reference.name.as_str();
        let before = self.read(&[name]).await?.remove(name);
        let whole = reference.put(before.as_ref().map(|found| &found.value), value)?;
        self.write(name, before.as_ref(), &whole).await
    }

    /// Writes a whole value where the one from before is, unless that is the same.
    pub async fn write(&self, name: &str, before: Option<&Found>, value: &Secret) -> Result<Change> {
        if value.expose().is_empty() {
            return Err(Failure::usage(format!("the value of {name} is empty"))
                .hint("A variable that may be empty belongs to `environment` in streamify.yaml."));
        }
        if before.is_some_and(|found| found.value == *value) {
            return Ok(Change::Same);
        }
        let store = before.map_or(self.store, |found| found.held.store);
        let written = match store {
            Store::Ssm => self.write_parameter(name, before, value).await,
            Store::SecretsManager => self.write_managed(name, before, value).await,
        };
        written.map_err(|failure| without(failure, value))?;
        Ok(if before.is_some() { Change::Changed } else { Change::New })
    }

    /// Writes several, each by itself, a few at once; what was written stays when another one fails.
    pub async fn write_all(&self, values: &[(String, Option<Found>, Secret)]) -> Result<Vec<(String, Change)>> {
        let writes = values.iter().map(|(name, before, value)| async move {
            let change = self.write(name, before.as_ref(), value).await?;
            if change != Change::Same {
                self.report.note(&format!("{name}: written"));
            }
            Ok((name.clone(), change))
        });
        stream::iter(writes).buffered(AT_ONCE).try_collect().await
    }

    /// Deletes one.
    ///
    /// # Errors
    /// It is not there.
    pub async fn delete(&self, held: &Held, recovery_days: i64) -> Result<Deleted> {
        match held.store {
            Store::Ssm => self.delete_parameter(&held.name).await,
            Store::SecretsManager => self.delete_managed(&held.name, recovery_days).await,
        }
    }

    /// Takes back the deletion of one in Secrets Manager.
    pub async fn restore(&self, name: &str) -> Result<()> {
        self.restore_managed(name).await
    }

    /// The versions of one, the newest first.
    ///
    /// # Errors
    /// It is not there.
    pub async fn history(&self, name: &str) -> Result<(Held, Vec<Version>)> {
        let held = self.locate(&[name]).await?.remove(name).ok_or_else(|| self.missing(name))?;
        let versions = match held.store {
            Store::Ssm => self.parameter_history(name).await?,
            Store::SecretsManager => self.managed_history(name).await?,
        };
        Ok((held, versions))
    }

    /// A secret that is not there.
    pub fn missing(&self, name: &str) -> Failure {
        Failure::failed(format!("there is no secret {name}"))
            .cause(format!("neither of the stores has {} in {}", self.full_name(name), self.aws.region()))
            .hint("Those that are there: streamify secrets list ENV")
    }
}

/// A store in words.
pub fn word(store: Store) -> &'static str {
    match store {
        Store::Ssm => "the parameter store",
        Store::SecretsManager => "Secrets Manager",
    }
}

/// Which store an ARN is of; none for a name.
fn arn_store(name: &str) -> Option<Store> {
    let service = name.strip_prefix("arn:")?.split(':').nth(1)?;
    Some(if service == "ssm" { Store::Ssm } else { Store::SecretsManager })
}

/// Takes a value out of what is said about it: a store may repeat what it refuses.
fn without(failure: Failure, value: &Secret) -> Failure {
    let value = value.expose();
    let clean = |text: String| if value.is_empty() { text } else { text.replace(value, "[redacted]") };
    Failure {
        kind: failure.kind,
        message: clean(failure.message),
        causes: failure.causes.into_iter().map(clean).collect(),
        hints: failure.hints,
    }
}

fn time(at: Option<aws_sdk_ssm::primitives::DateTime>) -> Option<Timestamp> {
    at.and_then(|at| Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).unwrap_or_default()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_repeats_of_a_value_is_taken_out() {
        let failure = Failure::failed("can't write x").cause("Value 'hunter2' at 'value' failed to satisfy constraint");
        let failure = without(failure, &Secret::new("hunter2"));
        assert_eq!(failure.causes, ["Value '[redacted]' at 'value' failed to satisfy constraint"]);
    }

    #[test]
    fn an_arn_says_its_store() {
        assert_eq!(arn_store("arn:aws:ssm:eu-west-1:1:parameter/a"), Some(Store::Ssm));
        assert_eq!(arn_store("arn:aws:secretsmanager:eu-west-1:1:secret:a-x"), Some(Store::SecretsManager));
        assert_eq!(arn_store("JWT_KEYS"), None);
    }
}
