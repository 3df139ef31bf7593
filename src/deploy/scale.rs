//! More or fewer tasks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::run::Ground;
use super::{observe, restart};
use crate::failure::{Failure, Result};

/// Sets how many tasks services run, and waits until they do. Gives how many they ran before.
pub async fn scale(ground: &Ground<'_>, wanted: &BTreeMap<String, u32>) -> Result<BTreeMap<String, i32>> {
    let names: Vec<String> = wanted.keys().cloned().collect();
    restart::check_names(ground, &names)?;
    ground.cloud.aws.identity().await?;
    let services = observe::services(&ground.cloud, ground.outputs, names.iter().map(String::as_str)).await?;
    let before = services.iter().map(|(name, service)| (name.clone(), service.desired_count)).collect();
    for (name, count) in wanted {
        let ecs = services[name].service_name.clone().unwrap_or_default();
        let count = i32::try_from(*count).unwrap_or(i32::MAX);
        if services[name].desired_count == count {
            continue;
        }
        let update =
            ground.cloud.ecs.update_service().cluster(&ground.outputs.cluster).service(&ecs).desired_count(count);
        let updated = update.send().await;
        updated.map_err(|error| ground.cloud.failure(&format!("can't scale {ecs}"), &error))?;
    }
    if ground.detach {
        return Ok(before);
    }
    let deadline = Instant::now() + ground.timeout;
    let mut told = BTreeMap::new();
    loop {
        let services = observe::services(&ground.cloud, ground.outputs, names.iter().map(String::as_str)).await?;
        let mut open = Vec::new();
        for (name, service) in &services {
            let line = format!("{} of {} running", service.running_count, service.desired_count);
            if service.running_count != service.desired_count || service.pending_count > 0 {
                open.push(format!("{name}: {line}"));
            }
            if told.get(name) != Some(&line) {
                ground.report.doing(name, &line);
                told.insert(name.clone(), line);
            }
        }
        if open.is_empty() {
            return Ok(before);
        }
        if Instant::now() >= deadline {
            return Err(Failure::timed_out(format!("not there yet: {}", open.join(", "))));
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
            () = ground.interrupt.cancelled() => return Err(Failure::interrupted(2)),
        }
    }
}
