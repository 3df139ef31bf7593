//! Everything that a deploy depends on, looked at beforehand and at once, without changing anything.
//!
//! Checks run side by side and in batches; what can't be looked at is skipped with its reason, never passed over.

mod check;
mod images;
mod network;
mod roles;
mod secrets;
mod services;

use std::collections::BTreeMap;

use crate::aws::Aws;
use crate::failure::{Failure, Result};
use crate::outputs::Outputs;
use crate::report::Report;
use crate::settings::EnvironmentSettings;

pub use check::{Check, Verdict};

/// What is to be looked at.
pub struct Subject<'a> {
    pub environment: &'a EnvironmentSettings,
    pub aws: &'a Aws,
    /// What Terraform tells, or why it is not known.
    pub outputs: Result<Outputs>,
    /// References of images that are to be deployed, by image; the others are looked at as they run.
    pub images: BTreeMap<String, String>,
    pub report: &'a dyn Report,
}

/// Looks at everything.
pub async fn verify(subject: &Subject<'_>) -> Vec<Check> {
    let identity = subject.aws.identity().await;
    let identity = identity.map(|identity| format!("account {}, {}", identity.account, identity.arn));
    let is_known = identity.is_ok();
    let mut checks = vec![Check::of("credentials", identity), Check::of("terraform", in_step(subject))];
    if !is_known {
        checks.push(Check::skipped("everything in AWS", "there are no credentials for it"));
        return checks;
    }
    let Ok(outputs) = &subject.outputs else {
        // Secrets are the one thing that does not depend on what Terraform made.
        checks.push(Check::group("secrets", secrets::check(subject, None).await));
        checks.push(Check::skipped("everything else in AWS", "Terraform's outputs are not known"));
        return checks;
    };
    let seen = services::Seen::look(subject.aws, outputs).await;
    let (services, images, roles, secrets, network, logs, quota) = tokio::join!(
        services::check(subject, outputs, &seen),
        images::check(subject, outputs, &seen),
        roles::check(subject.aws, outputs),
        secrets::check(subject, Some(outputs)),
        network::check(subject, outputs),
        services::logs(subject.aws, outputs),
        services::quota(subject),
    );
    checks.push(Check::of("cluster", seen.cluster.clone()));
    checks.push(Check::group("services", services));
    checks.push(Check::group("images", images));
    checks.push(Check::group("roles", roles));
    checks.push(Check::group("secrets", secrets));
    checks.push(Check::group("network", network));
    checks.push(Check::group("log groups", logs));
    checks.push(quota);
    checks
}

fn in_step(subject: &Subject<'_>) -> Result<String> {
    let outputs = subject.outputs.as_ref().map_err(Failure::clone)?;
    outputs.in_step(subject.environment)?;
    let services: Vec<&str> = outputs.services.keys().map(String::as_str).collect();
    Ok(format!("{}: {}", outputs.source, services.join(", ")))
}
