//! Ports of the host that are in somebody else's hands, named before anything is made.

use std::collections::{BTreeMap, BTreeSet};

use bollard::query_parameters::ListContainersOptions;

use super::engine::{Engine, OrSay};
use super::labels;
use super::observe::Container;
use super::plan::{Action, Plan, Subject};
use crate::failure::{Failure, Result};
use crate::stack::compose::model::{Port, Project};
use crate::stack::ports::{holder, is_free};

/// A port of the host with its protocol.
type HostPort = (u16, String);

/// Looks at the ports that the plan's containers are going to have.
///
/// # Errors
/// Every port that is taken, at once, each with its holder.
pub(super) async fn check(engine: &Engine, project: &Project, plan: &Plan) -> Result<()> {
    let wanted = wanted(project, plan)?;
    if wanted.is_empty() {
        return Ok(());
    }
    // Containers that are about to go, or to be made anew, give their ports back.
    let going: BTreeSet<&str> = plan
        .steps
        .iter()
        .filter(|step| !matches!(step.action, Action::Create))
        .filter_map(|step| match &step.subject {
            Subject::Container { there: Some(there), .. } => Some(there.id.as_str()),
            _ => None,
        })
        .collect();
    let running = engine.docker.list_containers(None::<ListContainersOptions>).await;
    let running = running.or_say(|| "can't list the running containers".into())?;
    let running: Vec<Container> = running.into_iter().map(Container::read).collect();
    let mut taken = Vec::new();
    for ((port, protocol), (service, address)) in &wanted {
        let holds = |container: &&Container| {
            container.ports.iter().any(|published| {
                published.host_port == *port && published.protocol == *protocol && overlap(&published.host_ip, address)
            })
        };
        match running.iter().find(holds) {
            Some(container) if going.contains(container.id.as_str()) => {}
            Some(container) => taken.push(format!("{port} ({service}) is held by {}", described(container))),
            None if protocol == "tcp" && engine.is_local && !is_free(*port) => {
                taken.push(format!("{port} ({service}) is held by {}", holder(*port)));
            }
            None => {}
        }
    }
    let Some(first) = taken.first() else { return Ok(()) };
    let message = if taken.len() == 1 {
        format!("port {} is in use", first.split(' ').next().unwrap_or_default())
    } else {
        format!("{} ports are in use", taken.len())
    };
    let mut failure = Failure::failed(message);
    failure.causes = taken;
    Err(failure.hint("Stop the holder, or publish another port in the Compose file."))
}

fn described(container: &Container) -> String {
    match container.labels.get(labels::PROJECT) {
        Some(project) => format!("the container {} of the project {project}", container.name),
        None => format!("the container {}", container.name),
    }
}

/// Whether two addresses of the host can't both have the port.
fn overlap(one: &str, other: &str) -> bool {
    let any = |address: &str| matches!(address, "" | "0.0.0.0" | "::");
    any(one) || any(other) || one == other
}

/// The fixed ports of what is going to start, with the service and the address.
fn wanted(project: &Project, plan: &Plan) -> Result<BTreeMap<HostPort, (String, String)>> {
    let mut wanted: BTreeMap<HostPort, (String, String)> = BTreeMap::new();
    for step in &plan.steps {
        let Subject::Container { blueprint: Some(blueprint), .. } = &step.subject else { continue };
        let ports = project.service(&blueprint.service).map(|service| service.ports.as_slice()).unwrap_or_default();
        for port in ports {
            let Some(number) = fixed(port) else { continue };
            let protocol = if port.protocol.is_empty() { "tcp" } else { &port.protocol };
            let key = (number, protocol.to_owned());
            match wanted.get(&key) {
                Some((other, address)) if overlap(address, &port.host_ip) && *other != blueprint.name => {
                    return Err(Failure::usage(format!(
                        "{other} and {} can't both have port {number}",
                        blueprint.name
                    ))
                    .hint("Publish another port, or a range such as 8000-8009:80 where a service is scaled."));
                }
                _ => {
                    wanted.insert(key, (blueprint.name.clone(), port.host_ip.clone()));
                }
            }
        }
    }
    Ok(wanted.into_iter().map(|(key, (name, address))| (key, (super::apply::short(project, &name), address))).collect())
}

fn fixed(port: &Port) -> Option<u16> {
    port.published.parse().ok().filter(|port| *port != 0)
}
