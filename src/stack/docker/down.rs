//! Taking a project away: by its labels, so that every profile and every left-over goes, with or without its file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bollard::query_parameters::{ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveVolumeOptions};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::apply::{remove, stop, together};
use super::engine::{Engine, OrSay, failure, status};
use super::labels::{self, unprefixed};
use super::observe::{Container, Phase, containers};
use crate::failure::{Failure, Result};
use crate::report::Report;

/// What a project has on the engine, found by its labels.
#[derive(Debug)]
pub struct Remains {
    pub(super) containers: Vec<Container>,
    /// Names.
    pub networks: Vec<String>,
    /// Names.
    pub volumes: Vec<String>,
}

impl Remains {
    /// Whether there is nothing at all but, perhaps, volumes.
    pub fn is_down(&self) -> bool {
        self.containers.is_empty() && self.networks.is_empty()
    }

    /// The containers' names.
    pub fn container_names(&self) -> Vec<&str> {
        self.containers.iter().map(|container| container.name.as_str()).collect()
    }
}

/// Looks for everything that carries the project's label.
pub async fn remains(engine: &Engine, project: &str) -> Result<Remains> {
    let filters = HashMap::from([("label", vec![format!("{}={project}", labels::PROJECT)])]);
    let networks = async {
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let found = engine.docker.list_networks(Some(options)).await.or_say(|| "can't list the networks".into())?;
        Ok(found.into_iter().filter_map(|network| network.name).collect())
    };
    let volumes = async {
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let found = engine.docker.list_volumes(Some(options)).await.or_say(|| "can't list the volumes".into())?;
        Ok(found.volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect())
    };
    let (containers, networks, volumes) = tokio::try_join!(containers(engine, project), networks, volumes)?;
    Ok(Remains { containers, networks, volumes })
}

/// Stops and removes everything; a service after those that depend on it.
///
/// # Errors
/// Everything that could not be removed; the rest is gone.
pub async fn down(
    engine: &Engine,
    project: &str,
    remains: &Remains,
    with_volumes: bool,
    report: &dyn Report,
) -> Result<()> {
    let mut failures = in_reverse(&remains.containers, |container| {
        let name = unprefixed(project, &container.name).to_owned();
        async move {
            let begun = Instant::now();
            report.started(&name, "stopping");
            if container.state.phase != Phase::Exited {
                stop(engine, &container.id, &container.name).await?;
            }
            remove(engine, &container.id, &container.name, with_volumes || container.one_off).await?;
            report.finished(&name, "removed", begun.elapsed());
            Ok(())
        }
    })
    .await;
    let networks: FuturesUnordered<_> =
        remains.networks.iter().map(|name| remove_network(engine, name, report)).collect();
    failures.extend(networks.filter_map(|result| async { result.err() }).collect::<Vec<_>>().await);
    if with_volumes && failures.is_empty() {
        for name in &remains.volumes {
            let begun = Instant::now();
            match engine.docker.remove_volume(name, None::<RemoveVolumeOptions>).await {
                Err(error) if status(&error) != Some(404) => {
                    failures.push(failure(format!("can't remove the volume {name}"), &error));
                }
                _ => report.finished(&format!("volume {name}"), "removed", begun.elapsed()),
            }
        }
    }
    together(failures)
}

/// Stops the containers of the project without removing them.
pub async fn stop_all(engine: &Engine, project: &str, report: &dyn Report) -> Result<()> {
    let all = containers(engine, project).await?;
    let running: Vec<_> = all.into_iter().filter(|container| container.state.phase != Phase::Exited).collect();
    let failures = in_reverse(&running, |container| {
        let name = unprefixed(project, &container.name).to_owned();
        async move {
            let begun = Instant::now();
            report.started(&name, "stopping");
            stop(engine, &container.id, &container.name).await?;
            report.finished(&name, "stopped", begun.elapsed());
            Ok(())
        }
    })
    .await;
    together(failures)
}

/// Does something to all containers at once, but to those of a service only after those of its dependents.
async fn in_reverse<'a, F: Future<Output = Result<()>>>(
    containers: &'a [Container],
    act: impl Fn(&'a Container) -> F,
) -> Vec<Failure> {
    let mut services: BTreeMap<&str, Vec<&Container>> = BTreeMap::new();
    for container in containers {
        services.entry(&container.service).or_default().push(container);
    }
    let mut dependents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for container in containers {
        for dependency in labels::dependencies(&container.labels) {
            if let Some((name, _)) = services.get_key_value(dependency.as_str())
                && *name != container.service
            {
                dependents.entry(name).or_default().insert(&container.service);
            }
        }
    }
    break_circles(&mut dependents);
    let done: BTreeMap<&str, watch::Sender<bool>> =
        services.keys().map(|name| (*name, watch::Sender::new(false))).collect();
    let (act, done, dependents) = (&act, &done, &dependents);
    let all: FuturesUnordered<_> = services
        .iter()
        .map(|(name, containers)| async move {
            for dependent in dependents.get(name).into_iter().flatten() {
                if let Some(flag) = done.get(dependent) {
                    let _ = flag.subscribe().wait_for(|done| *done).await;
                }
            }
            let acts: FuturesUnordered<_> = containers.iter().map(|container| act(container)).collect();
            let failures: Vec<Failure> = acts.filter_map(|result| async { result.err() }).collect().await;
            if let Some(flag) = done.get(name) {
                flag.send_replace(true);
            }
            failures
        })
        .collect();
    all.flat_map(futures_util::stream::iter).collect().await
}

/// Labels may be older than the file and, together, make a circle: nobody would ever begin.
fn break_circles(dependents: &mut BTreeMap<&str, BTreeSet<&str>>) {
    fn reaches<'a>(
        from: &'a str,
        to: &str,
        graph: &BTreeMap<&'a str, BTreeSet<&'a str>>,
        seen: &mut BTreeSet<&'a str>,
    ) -> bool {
        seen.insert(from)
            && graph
                .get(from)
                .is_some_and(|next| next.contains(to) || next.iter().any(|next| reaches(next, to, graph, seen)))
    }
    let names: Vec<&str> = dependents.keys().copied().collect();
    for name in names {
        if reaches(name, name, dependents, &mut BTreeSet::new()) {
            dependents.remove(name);
        }
    }
}

async fn remove_network(engine: &Engine, name: &str, report: &dyn Report) -> Result<()> {
    let begun = Instant::now();
    for wait in [50, 200, 500, 1000] {
        match engine.docker.remove_network(name).await {
            Ok(()) => {
                report.finished(&format!("network {name}"), "removed", begun.elapsed());
                return Ok(());
            }
            Err(error) if status(&error) == Some(404) => return Ok(()),
            // The engine lets go of an endpoint a moment after its container.
            Err(error) if error.to_string().contains("active endpoints") => {
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            Err(error) => return Err(failure(format!("can't remove the network {name}"), &error)),
        }
    }
    let found = engine.docker.inspect_network(name, None).await;
    let users = found.ok().and_then(|network| network.containers).unwrap_or_default();
    let users = users.into_values().filter_map(|user| user.name).collect::<Vec<_>>().join(", ");
    Err(Failure::failed(format!("the network {name} is still used"))
        .cause(format!("by the containers {users}, which are not of this project"))
        .hint(format!("Take them out: docker network disconnect {name} CONTAINER")))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn container(service: &str, depends_on: &str) -> Container {
        Container {
            service: service.into(),
            name: service.into(),
            labels: HashMap::from([(labels::DEPENDS_ON.to_owned(), depends_on.to_owned())]),
            ..Container::default()
        }
    }

    #[tokio::test]
    async fn dependents_go_first_and_a_circle_stops_nobody() {
        let all = [
            container("db", ""),
            container("api", "db:service_healthy:false"),
            container("web", "api:service_started:false"),
        ];
        let order = Mutex::new(Vec::new());
        let failures = in_reverse(&all, |container| {
            order.lock().unwrap().push(container.service.clone());
            async { Ok(()) }
        })
        .await;
        assert!(failures.is_empty());
        assert_eq!(*order.lock().unwrap(), ["web", "api", "db"]);
        let circle = [container("a", "b:service_started:false"), container("b", "a:service_started:false")];
        let done = tokio::time::timeout(Duration::from_secs(5), in_reverse(&circle, |_| async { Ok(()) })).await;
        assert!(done.is_ok());
    }
}
