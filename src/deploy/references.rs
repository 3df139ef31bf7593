//! Where ECS takes the values of secrets from: ARNs and parameter names, never a value.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ssm::types::ParameterStringFilter;
use futures_util::future::try_join_all;

use super::cloud::Cloud;
use crate::aws::is_not_found;
use crate::failure::{Failure, OrFail, Result};
use crate::outputs::Outputs;
use crate::secrets::Reference;
use crate::settings::EnvironmentSettings;

/// A filter of `DescribeParameters` takes fifty names.
const NAMES: usize = 50;

/// By service, then by variable: what `valueFrom` says.
///
/// # Errors
/// Secrets that are in neither store, all of them named at once.
pub(super) async fn find(
    cloud: &Cloud,
    environment: &EnvironmentSettings,
    outputs: &Outputs,
) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
    let made = |variable: &str, name: &str| outputs.secrets.get(variable).or_else(|| outputs.secrets.get(name));
    let full =
        |name: &str| if name.starts_with('/') { name.to_owned() } else { format!("{}{name}", environment.prefix) };
    let secrets = environment.services.values().flat_map(|service| &service.secrets);
    let wanted: BTreeSet<String> = secrets
        .map(|(variable, secret)| (variable, Reference::parse(secret).name))
        .filter(|(variable, name)| made(variable, name).is_none() && !name.starts_with("arn:"))
        .map(|(_, name)| full(&name))
        .collect();
    let parameters = parameters(cloud, &wanted).await?;
    let others = wanted.iter().filter(|name| !parameters.contains(*name));
    let found =
        try_join_all(others.map(async |name| Ok::<_, Failure>((name.clone(), secret(cloud, name).await?)))).await?;
    let arns: BTreeMap<String, Option<String>> = found.into_iter().collect();
    let missing: Vec<&str> = arns.iter().filter(|(_, arn)| arn.is_none()).map(|(name, _)| name.as_str()).collect();
    if !missing.is_empty() {
        let name = &environment.name;
        let short = missing[0].strip_prefix(&environment.prefix).unwrap_or(missing[0]);
        return Err(Failure::failed(format!(
            "secrets that services of {name} need are not there: {}",
            missing.join(", ")
        ))
        .cause("neither the parameter store nor Secrets Manager has them")
        .hint(format!("streamify secrets set {name} {short}")));
    }
    let mut all = BTreeMap::new();
    for (service, settings) in &environment.services {
        let mut of_service = BTreeMap::new();
        for (variable, secret) in &settings.secrets {
            let Reference { name, key } = Reference::parse(secret);
            let full = if name.starts_with("arn:") { name.clone() } else { full(&name) };
            let found = made(variable, &name).or_else(|| arns.get(&full)?.as_ref()).unwrap_or(&full);
            // Terraform may have named the key already.
            let key = key.filter(|_| Reference::parse(found).key.is_none());
            of_service.insert(variable.clone(), with_key(service, variable, found, key.as_deref())?);
        }
        all.insert(service.clone(), of_service);
    }
    Ok(all)
}

/// ECS takes a key out of a secret of Secrets Manager only.
fn with_key(service: &str, variable: &str, from: &str, key: Option<&str>) -> Result<String> {
    match key {
        None => Ok(from.to_owned()),
        Some(key) if from.contains(":secretsmanager:") => Ok(format!("{from}:{key}::")),
        Some(key) => {
            Err(Failure::usage(format!("{service} takes the key `{key}` for {variable}, and {from} has no keys"))
                .cause("it is a parameter of Systems Manager; ECS takes keys out of secrets of Secrets Manager only")
                .hint("Keep it in Secrets Manager, or give the value a parameter of its own."))
        }
    }
}

async fn parameters(cloud: &Cloud, names: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let names: Vec<String> = names.iter().cloned().collect();
    let mut found = BTreeSet::new();
    for chunk in names.chunks(NAMES) {
        let filter = ParameterStringFilter::builder().key("Name").option("Equals").set_values(Some(chunk.to_vec()));
        let filter = filter.build().or_fail(|| "can't ask for parameters".to_owned())?;
        let mut pages = cloud.ssm.describe_parameters().parameter_filters(filter).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| cloud.failure("can't look for secrets in the parameter store", &error))?;
            found.extend(page.parameters.unwrap_or_default().into_iter().filter_map(|parameter| parameter.name));
        }
    }
    Ok(found)
}

/// The ARN of a secret of Secrets Manager, where there is one that is not about to be deleted.
async fn secret(cloud: &Cloud, name: &str) -> Result<Option<String>> {
    match cloud.secrets_manager.describe_secret().secret_id(name).send().await {
        Ok(answer) => Ok(answer.arn.filter(|_| answer.deleted_date.is_none())),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(cloud.failure(&format!("can't look for the secret {name}"), &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_from_secrets_manager_only() {
        let arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x-AbCdEf";
        assert_eq!(with_key("api", "PASSWORD", arn, Some("password")).unwrap(), format!("{arn}:password::"));
        let failure = with_key("api", "PASSWORD", "/shop/prod/database", Some("password")).unwrap_err();
        assert!(failure.message.contains("`password` for PASSWORD"), "{failure:?}");
    }
}
