//! Which services ECS has: one that is made anew has to begin without tasks, and one that is there keeps its number.

use std::collections::BTreeSet;

use crate::aws::{Aws, is_not_found};
use crate::failure::Result;
use crate::settings::{EnvironmentSettings, Settings};

/// How many services ECS tells of in one answer.
const BATCH: usize = 10;

/// The services of the environment that ECS does not have yet, by their names in `streamify.yaml`.
///
/// # Errors
/// No credentials, those of another account, or AWS's own.
pub async fn new_services(settings: &Settings, environment: &EnvironmentSettings) -> Result<Vec<String>> {
    let aws = Aws::connect(environment, &settings.environment).await?;
    aws.identity().await?;
    // As the app names them, and Terraform's modules as well.
    let cluster = format!("{}-{}", settings.name, environment.name);
    let names: Vec<(&String, String)> =
        environment.services.keys().map(|service| (service, format!("{cluster}-{service}"))).collect();
    let mut there = BTreeSet::new();
    for batch in names.chunks(BATCH) {
        let wanted = batch.iter().map(|(_, name)| name.clone()).collect();
        let answer = aws.ecs().describe_services().cluster(&cluster).set_services(Some(wanted)).send().await;
        let found = match answer {
            Ok(found) => found,
            // There is no cluster.
            Err(error) if is_not_found(&error) => break,
            Err(error) => return Err(aws.failure("can't look which services ECS has", &error)),
        };
        let active =
            found.services.unwrap_or_default().into_iter().filter(|one| one.status.as_deref() == Some("ACTIVE"));
        there.extend(active.filter_map(|one| one.service_name));
    }
    Ok(names.into_iter().filter(|(_, name)| !there.contains(name)).map(|(service, _)| service.clone()).collect())
}
