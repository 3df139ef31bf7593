//! The networks and volumes that services share: made where they are not there, and never made anew.
//!
//! A network or volume that was made otherwise than the file now says is told of and used as it is: making it anew would
//! take other containers' connections, or data, along.

use std::collections::BTreeSet;

use super::blueprint::network_name;
use super::labels;
use super::mounts::volume_name;
use super::observe::Observed;
use super::plan::{Action, Plan, Step, Subject};
use crate::failure::{Failure, Result};
use crate::stack::compose::model::{MountKind, Project, Service};

fn infrastructure(kind: &str, name: &str, subject: Subject) -> Step {
    Step {
        action: Action::Create,
        resource: format!("{kind} {name}"),
        reason: "it is not there".into(),
        changed: Vec::new(),
        after: Vec::new(),
        subject,
    }
}

/// The failure of something that the file expects to be there.
fn missing(kind: &str, key: &str, name: &str) -> Failure {
    Failure::failed(format!("there is no {kind} {name}"))
        .cause(format!("the file calls the {kind} {key} external: something else makes it"))
        .hint(format!("Make it: docker {kind} create {name}"))
}

/// A word about something that is there and that this project has not made.
fn of_another(project: &Project, kind: &str, name: &str, owner: Option<&String>) -> Option<String> {
    if owner == Some(&project.name) {
        return None;
    }
    let of = owner.map_or("something else".into(), |owner| format!("the project {owner}"));
    Some(format!("the {kind} {name} is there already, made by {of}; it is used as it is (`external: true` says so)"))
}

pub(super) fn networks(project: &Project, services: &[&Service], observed: &Observed, plan: &mut Plan) -> Result<()> {
    let used =
        services.iter().filter(|service| service.network_mode.is_empty()).flat_map(|service| service.networks.keys());
    for key in used.collect::<BTreeSet<_>>() {
        let name = network_name(project, key);
        let external = project.networks.get(key).is_some_and(|network| network.external);
        match observed.networks.get(&name) {
            None if external => {
                return Err(missing("network", key, &name));
            }
            None => plan.steps.push(infrastructure("network", &name, Subject::Network(key.clone()))),
            Some(_) if external => {}
            Some(found) => {
                let owner = found.labels.as_ref().and_then(|labels| labels.get(labels::PROJECT));
                plan.warnings.extend(of_another(project, "network", &name, owner));
                let Some(wanted) = project.networks.get(key) else { continue };
                let driver = if wanted.driver.is_empty() { "bridge" } else { &wanted.driver };
                let mut changed = Vec::new();
                if found.driver.as_deref() != Some(driver) && !(wanted.driver.is_empty()) {
                    changed.push("driver");
                }
                if found.internal.unwrap_or(false) != wanted.internal {
                    changed.push("internal");
                }
                let pools = found.ipam.as_ref().and_then(|ipam| ipam.config.as_ref());
                let has =
                    |subnet: &String| pools.into_iter().flatten().any(|pool| pool.subnet.as_ref() == Some(subnet));
                if !wanted.ipam.config.iter().all(|pool| pool.subnet.is_empty() || has(&pool.subnet)) {
                    changed.push("ipam");
                }
                if !changed.is_empty() {
                    plan.warnings.push(format!(
                        "the network {name} was made with another {}; `dev down`, then `dev up` makes it anew",
                        changed.join(", ")
                    ));
                }
            }
        }
    }
    Ok(())
}

pub(super) fn volumes(project: &Project, services: &[&Service], observed: &Observed, plan: &mut Plan) -> Result<()> {
    let named = services
        .iter()
        .flat_map(|service| &service.volumes)
        .filter(|mount| mount.r#type == MountKind::Volume && !mount.source.is_empty());
    for key in named.map(|mount| &mount.source).collect::<BTreeSet<_>>() {
        let name = volume_name(project, key);
        let external = project.volumes.get(key).is_some_and(|volume| volume.external);
        match observed.volumes.get(&name) {
            None if external => {
                return Err(missing("volume", key, &name));
            }
            None => plan.steps.push(infrastructure("volume", &name, Subject::Volume(key.clone()))),
            Some(_) if external => {}
            Some(found) => {
                let owner = found.labels.get(labels::PROJECT);
                plan.warnings.extend(of_another(project, "volume", &name, owner));
                let wanted = project.volumes.get(key).map(|volume| volume.driver.as_str()).unwrap_or_default();
                if !wanted.is_empty() && wanted != found.driver {
                    plan.warnings.push(format!(
                        "the volume {name} has the driver {}, not {wanted}; it keeps its data and its driver",
                        found.driver
                    ));
                }
            }
        }
    }
    Ok(())
}
