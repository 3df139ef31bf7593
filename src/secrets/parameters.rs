//! The parameter store of Systems Manager: parameters of type `SecureString`.

use std::collections::BTreeMap;

use aws_sdk_ssm::operation::put_parameter::PutParameterError;
use aws_sdk_ssm::types::{Parameter, ParameterTier, ParameterType};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{AT_ONCE, Deleted, Found, Held, Vault, Version, time};
use crate::failure::{Failure, Result};
use crate::settings::{Secret, Store};

/// Names that one `GetParameters` takes.
const BATCH: usize = 10;
/// Bytes of a parameter that costs nothing, and of one that may be had.
const STANDARD: usize = 4096;
const ADVANCED: usize = 8192;

impl Vault<'_> {
    pub(super) async fn list_parameters(&self) -> Result<Vec<Held>> {
        let pages = self
            .aws
            .ssm()
            .get_parameters_by_path()
            .path(self.prefix.trim_end_matches('/'))
            .recursive(true)
            .with_decryption(false);
        let mut pages = pages.into_paginator().send();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.aws.failure("can't list the parameters", &error))?;
            all.extend(
                page.parameters.unwrap_or_default().into_iter().map(|parameter| self.held_parameter(&parameter)),
            );
        }
        Ok(all)
    }

    /// Reads by name, ten at a time. `names` are as the caller has them, and so are the keys of what is found.
    pub(super) async fn read_parameters(&self, names: &[&str], decrypt: bool) -> Result<BTreeMap<String, Found>> {
        let mut by_full: BTreeMap<String, &str> = BTreeMap::new();
        for name in names {
            by_full.insert(self.parameter_name(name), name);
        }
        let full: Vec<String> = by_full.keys().cloned().collect();
        let client = self.aws.ssm();
        let calls = full.chunks(BATCH).map(|batch| {
            let call = client.get_parameters().set_names(Some(batch.to_vec())).with_decryption(decrypt);
            async { call.send().await.map_err(|error| self.aws.failure("can't read the parameters", &error)) }
        });
        let answers: Vec<_> = stream::iter(calls).buffered(AT_ONCE).try_collect().await?;
        let parameters = answers.into_iter().flat_map(|answer| answer.parameters.unwrap_or_default());
        Ok(parameters
            .filter_map(|parameter| {
                let held = self.held_parameter(&parameter);
                let name = by_full.get(parameter.name.as_deref()?)?;
                let value = Secret::new(parameter.value.unwrap_or_default());
                Some(((*name).to_owned(), Found { held, value }))
            })
            .collect())
    }

    pub(super) async fn write_parameter(&self, name: &str, before: Option<&Found>, value: &Secret) -> Result<()> {
        let bytes = value.expose().len();
        if bytes > ADVANCED {
            return Err(Failure::failed(format!("the value of {name} has {bytes} bytes"))
                .cause(format!("the parameter store takes {ADVANCED} at most"))
                .hint("Secrets Manager takes 65536: set environments.NAME.secrets.store to secrets-manager."));
        }
        // An existing one keeps its tier unless it grows: a way back from the dearer one there is not.
        let tier = match before {
            _ if bytes > STANDARD => Some(ParameterTier::Advanced),
            None => Some(ParameterTier::Standard),
            Some(_) => None,
        };
        if tier == Some(ParameterTier::Advanced) {
            self.report.warning(&format!("{name} is longer than {STANDARD} bytes: AWS charges for such a parameter"));
        }
        let mut call = self
            .aws
            .ssm()
            .put_parameter()
            .name(self.parameter_name(name))
            .value(value.expose())
            .r#type(ParameterType::SecureString)
            // One that somebody else made since we looked is not overwritten.
            .overwrite(before.is_some())
            .set_tier(tier);
        if let Some(key) = self.kms_key {
            call = call.key_id(key);
        }
        call.send().await.map_err(|error| {
            let failure = self.aws.failure(format!("can't write {name}"), &error);
            if error.as_service_error().is_some_and(PutParameterError::is_parameter_already_exists) {
                return failure.hint("Somebody else has just made it: run this again to see what is different.");
            }
            if before.is_some_and(|found| !found.held.encrypted) {
                return failure.hint("It is a parameter of type String, which can't be changed: delete it first.");
            }
            failure
        })?;
        Ok(())
    }

    pub(super) async fn delete_parameter(&self, name: &str) -> Result<Deleted> {
        let call = self.aws.ssm().delete_parameter().name(self.parameter_name(name));
        call.send().await.map_err(|error| self.aws.failure(format!("can't delete {name}"), &error))?;
        Ok(Deleted { restorable_until: None })
    }

    pub(super) async fn parameter_history(&self, name: &str) -> Result<Vec<Version>> {
        let call = self.aws.ssm().get_parameter_history().name(self.parameter_name(name)).with_decryption(false);
        let mut pages = call.into_paginator().send();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.aws.failure(format!("can't read the history of {name}"), &error))?;
            all.extend(page.parameters.unwrap_or_default());
        }
        all.sort_by_key(|version| std::cmp::Reverse(version.version));
        let newest = all.first().map(|version| version.version);
        let version = |one: aws_sdk_ssm::types::ParameterHistory| Version {
            version: one.version.to_string(),
            at: time(one.last_modified_date),
            by: one.last_modified_user,
            labels: one.labels.unwrap_or_default(),
            current: Some(one.version) == newest,
        };
        Ok(all.into_iter().map(version).collect())
    }

    /// The name in the store: of an ARN it is what stands behind `parameter`, slash included.
    fn parameter_name(&self, name: &str) -> String {
        let of_arn = name.strip_prefix("arn:").and_then(|arn| arn.split_once(":parameter"));
        of_arn.map_or_else(|| self.full_name(name), |(_, name)| name.to_owned())
    }

    fn held_parameter(&self, parameter: &Parameter) -> Held {
        Held {
            name: self.short_name(parameter.name.as_deref().unwrap_or_default()),
            store: Store::Ssm,
            arn: parameter.arn.clone().unwrap_or_default(),
            changed_at: time(parameter.last_modified_date),
            version: parameter.version.to_string(),
            encrypted: parameter.r#type == Some(ParameterType::SecureString),
            deleted_at: None,
        }
    }
}
