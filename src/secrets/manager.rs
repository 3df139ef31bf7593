//! Secrets Manager.

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::operation::create_secret::CreateSecretError;
use aws_sdk_secretsmanager::primitives::Blob;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, SecretListEntry};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{AT_ONCE, Deleted, Found, Held, Vault, Version, time};
use crate::aws;
use crate::failure::{Failure, Result};
use crate::settings::{Secret, Store};

/// Ids that one `BatchGetSecretValue` takes.
const BATCH: usize = 20;
/// Bytes of a value.
const LIMIT: usize = 65_536;
/// The stage of the version that is in use.
const CURRENT: &str = "AWSCURRENT";

impl Vault<'_> {
    pub(super) async fn list_managed(&self) -> Result<Vec<Held>> {
        // The filter takes the beginnings of names.
        let below = Filter::builder().key(FilterNameStringType::Name).values(self.prefix).build();
        let call = self.aws.secrets_manager().list_secrets().filters(below).include_planned_deletion(true);
        let mut pages = call.into_paginator().send();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.aws.failure("can't list Secrets Manager's secrets", &error))?;
            let entries = page.secret_list.unwrap_or_default().into_iter();
            // Case and words are taken loosely by the filter.
            let ours = entries.filter(|entry| entry.name.as_deref().is_some_and(|name| name.starts_with(self.prefix)));
            all.extend(ours.map(|entry| self.held_entry(entry)));
        }
        Ok(all)
    }

    pub(super) async fn read_managed(&self, names: &[&str], decrypt: bool) -> Result<BTreeMap<String, Found>> {
        if !decrypt {
            return self.describe_managed(names).await;
        }
        let client = self.aws.secrets_manager();
        let calls = names.chunks(BATCH).map(|batch| {
            let ids = batch.iter().map(|name| self.secret_id(name)).collect();
            let call = client.batch_get_secret_value().set_secret_id_list(Some(ids));
            async {
                call.send().await.map_err(|error| self.aws.failure("can't read Secrets Manager's secrets", &error))
            }
        });
        let answers: Vec<_> = stream::iter(calls).buffered(AT_ONCE).try_collect().await?;
        let mut found = BTreeMap::new();
        for answer in answers {
            for refused in answer.errors.unwrap_or_default() {
                let code = refused.error_code.unwrap_or_default();
                // Deleted ones answer that they are no valid request.
                if !code.starts_with("ResourceNotFound") && !code.starts_with("InvalidRequest") {
                    let doing = format!("can't read {}", self.short_name(&refused.secret_id.unwrap_or_default()));
                    return Err(self.aws.refusal(doing, &code, &refused.message.unwrap_or_default()));
                }
            }
            for entry in answer.secret_values.unwrap_or_default() {
                let (full, arn) = (entry.name.unwrap_or_default(), entry.arn.unwrap_or_default());
                let value = match (entry.secret_string, entry.secret_binary) {
                    (Some(text), _) => text,
                    (None, bytes) => {
                        String::from_utf8(bytes.map(Blob::into_inner).unwrap_or_default()).map_err(|_| {
                            Failure::failed(format!("{full} holds bytes that are no text"))
                                .hint("Containers get secrets as variables: keep it as text, such as base64.")
                        })?
                    }
                };
                let held = Held {
                    name: self.short_name(&full),
                    store: Store::SecretsManager,
                    arn: arn.clone(),
                    changed_at: time(entry.created_date),
                    version: short(entry.version_id.as_deref().unwrap_or_default()),
                    encrypted: true,
                    deleted_at: None,
                };
                // An ARN may be given without the random end that AWS adds.
                let is_asked = |name: &&&str| self.secret_id(name) == full || arn.starts_with(**name);
                let Some(name) = names.iter().find(is_asked) else { continue };
                found.insert((*name).to_owned(), Found { held, value: Secret::new(value) });
            }
        }
        Ok(found)
    }

    /// Looks without decrypting. There is no call for several at once.
    async fn describe_managed(&self, names: &[&str]) -> Result<BTreeMap<String, Found>> {
        let client = self.aws.secrets_manager();
        let calls = names.iter().map(|name| {
            let call = client.describe_secret().secret_id(self.secret_id(name));
            async move {
                match call.send().await {
                    Ok(answer) if answer.deleted_date.is_some() => Ok(None),
                    Ok(answer) => {
                        let held = Held {
                            name: self.short_name(&answer.name.unwrap_or_default()),
                            store: Store::SecretsManager,
                            arn: answer.arn.unwrap_or_default(),
                            changed_at: time(answer.last_changed_date),
                            version: current(answer.version_ids_to_stages.unwrap_or_default()),
                            encrypted: true,
                            deleted_at: None,
                        };
                        Ok(Some(((*name).to_owned(), Found { held, value: Secret::new("") })))
                    }
                    Err(error) if aws::is_not_found(&error) => Ok(None),
                    Err(error) => Err(self.aws.failure(format!("can't look at {name}"), &error)),
                }
            }
        });
        stream::iter(calls).buffered(AT_ONCE).try_filter_map(|found| async { Ok(found) }).try_collect().await
    }

    pub(super) async fn write_managed(&self, name: &str, before: Option<&Found>, value: &Secret) -> Result<()> {
        let bytes = value.expose().len();
        if bytes > LIMIT {
            return Err(Failure::failed(format!("the value of {name} has {bytes} bytes"))
                .cause(format!("Secrets Manager takes {LIMIT} at most")));
        }
        let client = self.aws.secrets_manager();
        let id = self.secret_id(name);
        let doing = || format!("can't write {name}");
        if before.is_none() {
            let call = client.create_secret().name(&id).secret_string(value.expose());
            let made = call.set_kms_key_id(self.kms_key.map(ToOwned::to_owned)).send().await;
            let Err(error) = made else { return Ok(()) };
            let failure = self.aws.failure(doing(), &error);
            let holds_name = |error: &CreateSecretError| {
                error.is_invalid_request_exception() || error.is_resource_exists_exception()
            };
            if !error.as_service_error().is_some_and(holds_name) {
                return Err(failure);
            }
            // One that waits for its end holds the name: it is taken back, and gets the new value.
            let described = client.describe_secret().secret_id(&id).send().await;
            if !described.is_ok_and(|one| one.deleted_date.is_some()) {
                return Err(
                    failure.hint("Somebody else may just have made it: run this again to see what is different.")
                );
            }
            self.restore_managed(name).await?;
            self.report.note(&format!("{name} was deleted and is taken back"));
        }
        let call = client.put_secret_value().secret_id(&id).secret_string(value.expose());
        call.send().await.map_err(|error| self.aws.failure(doing(), &error))?;
        Ok(())
    }

    pub(super) async fn delete_managed(&self, name: &str, recovery_days: i64) -> Result<Deleted> {
        let call = self.aws.secrets_manager().delete_secret().secret_id(self.secret_id(name));
        let answer = call.recovery_window_in_days(recovery_days).send().await;
        let answer = answer.map_err(|error| self.aws.failure(format!("can't delete {name}"), &error))?;
        Ok(Deleted { restorable_until: time(answer.deletion_date) })
    }

    pub(super) async fn restore_managed(&self, name: &str) -> Result<()> {
        let call = self.aws.secrets_manager().restore_secret().secret_id(self.secret_id(name));
        call.send().await.map_err(|error| {
            self.aws
                .failure(format!("can't take back the deletion of {name}"), &error)
                .hint("Only Secrets Manager can; what was deleted in the parameter store is gone.")
        })?;
        Ok(())
    }

    pub(super) async fn managed_history(&self, name: &str) -> Result<Vec<Version>> {
        let call = self.aws.secrets_manager().list_secret_version_ids().secret_id(self.secret_id(name));
        let mut pages = call.include_deprecated(true).into_paginator().send();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.aws.failure(format!("can't read the history of {name}"), &error))?;
            all.extend(page.versions.unwrap_or_default());
        }
        let mut versions: Vec<Version> = all
            .into_iter()
            .map(|one| {
                let labels = one.version_stages.unwrap_or_default();
                Version {
                    version: short(one.version_id.as_deref().unwrap_or_default()),
                    at: time(one.created_date),
                    by: None,
                    current: labels.iter().any(|label| label == CURRENT),
                    labels,
                }
            })
            .collect();
        versions.sort_by_key(|version| std::cmp::Reverse((version.current, version.at)));
        Ok(versions)
    }

    fn secret_id(&self, name: &str) -> String {
        if name.starts_with("arn:") { name.to_owned() } else { self.full_name(name) }
    }

    fn held_entry(&self, entry: SecretListEntry) -> Held {
        Held {
            name: self.short_name(entry.name.as_deref().unwrap_or_default()),
            store: Store::SecretsManager,
            arn: entry.arn.unwrap_or_default(),
            changed_at: time(entry.last_changed_date),
            version: current(entry.secret_versions_to_stages.unwrap_or_default()),
            encrypted: true,
            deleted_at: time(entry.deleted_date),
        }
    }
}

fn current(stages: std::collections::HashMap<String, Vec<String>>) -> String {
    let is_current = |stages: &[String]| stages.iter().any(|stage| stage == CURRENT);
    let found = stages.into_iter().find(|(_, stages)| is_current(stages));
    found.map(|(id, _)| short(&id)).unwrap_or_default()
}

/// Ids of versions are UUIDs; their first part tells them apart.
fn short(id: &str) -> String {
    id.split('-').next().unwrap_or_default().to_owned()
}
