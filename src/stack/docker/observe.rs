//! What is there: one list of containers, one of networks, one of volumes, and the images that are needed, at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{
    ContainerInspectResponse, ContainerSummary, ContainerSummaryStateEnum, ImageInspect, Network, Volume,
};
use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptions, ListVolumesOptions};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::engine::{Engine, OrSay, status};
use super::fields::Fields;
use super::labels;
use crate::failure::Result;

/// How many requests are on their way to the daemon at once.
pub(super) const AT_ONCE: usize = 16;

/// What a container is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    #[default]
    Created,
    Running,
    Paused,
    Restarting,
    Exited,
    Removing,
    Dead,
}

/// What its health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Starting,
    Healthy,
    Unhealthy,
}

/// A container's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct State {
    pub phase: Phase,
    /// None: it has no health check.
    pub health: Option<Health>,
    /// Of the last run, once there was one that ended.
    pub exit_code: Option<i64>,
}

impl State {
    /// From the list's words: `running` with `Up 3 minutes (healthy)`, `exited` with `Exited (1) 2 hours ago`.
    fn read(state: Option<ContainerSummaryStateEnum>, status: &str) -> Self {
        use ContainerSummaryStateEnum as Word;
        let phase = match state {
            Some(Word::RUNNING | Word::STOPPING) => Phase::Running,
            Some(Word::PAUSED) => Phase::Paused,
            Some(Word::RESTARTING) => Phase::Restarting,
            Some(Word::EXITED) => Phase::Exited,
            Some(Word::REMOVING) => Phase::Removing,
            Some(Word::DEAD) => Phase::Dead,
            _ => Phase::Created,
        };
        let health = match status {
            text if text.contains("(healthy)") => Some(Health::Healthy),
            text if text.contains("(unhealthy)") => Some(Health::Unhealthy),
            text if text.contains("(health: starting)") => Some(Health::Starting),
            _ => None,
        };
        let within = |text: &str| text.split_once('(')?.1.split_once(')')?.0.parse().ok();
        let exit_code =
            if matches!(phase, Phase::Exited | Phase::Restarting | Phase::Dead) { within(status) } else { None };
        Self { phase, health, exit_code }
    }

    /// In a word, for people.
    pub fn word(self) -> &'static str {
        match (self.phase, self.health) {
            (Phase::Running, None) => "running",
            (Phase::Running, Some(Health::Starting)) => "starting",
            (Phase::Running, Some(Health::Healthy)) => "healthy",
            (Phase::Running, Some(Health::Unhealthy)) => "unhealthy",
            (Phase::Created, _) => "created",
            (Phase::Paused, _) => "paused",
            (Phase::Restarting, _) => "restarting",
            (Phase::Exited, _) => "exited",
            (Phase::Removing, _) => "removing",
            (Phase::Dead, _) => "dead",
        }
    }
}

/// A container of the project.
#[derive(Clone, Debug, Default)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) service: String,
    pub(super) number: u32,
    pub(super) one_off: bool,
    pub(super) state: State,
    /// The list's own sentence, such as `Up 3 minutes (healthy)`.
    pub(super) status: String,
    pub(super) image: String,
    pub(super) image_id: String,
    /// Unix seconds.
    pub(super) created: i64,
    pub(super) labels: HashMap<String, String>,
    /// Networks by name with their ids.
    pub(super) networks: BTreeMap<String, String>,
    /// Ports as `(host address, host port, container port, protocol)`.
    pub(super) ports: Vec<PublishedPort>,
    /// What it was made from, where this program made it.
    pub(super) fields: Option<Fields>,
}

/// A port of a container on the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PublishedPort {
    pub host_ip: String,
    pub host_port: u16,
    pub container_port: u16,
    pub protocol: String,
}

impl Container {
    pub(super) fn read(summary: ContainerSummary) -> Self {
        let labels = summary.labels.unwrap_or_default();
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let status = summary.status.unwrap_or_default();
        let networks = summary.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let mut ports: Vec<_> = summary
            .ports
            .unwrap_or_default()
            .into_iter()
            .filter_map(|port| {
                Some(PublishedPort {
                    host_ip: port.ip.unwrap_or_default(),
                    host_port: port.public_port?,
                    container_port: port.private_port,
                    protocol: port.typ.map(|protocol| protocol.to_string()).unwrap_or_default(),
                })
            })
            .collect();
        ports.sort();
        Self {
            id: summary.id.unwrap_or_default(),
            // A link of another container gives a second name, below that one's.
            name: summary
                .names
                .unwrap_or_default()
                .iter()
                .map(|name| name.trim_start_matches('/'))
                .find(|name| !name.contains('/'))
                .unwrap_or_default()
                .to_owned(),
            service: label(labels::SERVICE),
            number: label(labels::NUMBER).parse().unwrap_or(0),
            one_off: label(labels::ONE_OFF) == "True",
            state: State::read(summary.state, &status),
            status,
            image: summary.image.unwrap_or_default(),
            image_id: summary.image_id.unwrap_or_default(),
            created: summary.created.unwrap_or_default(),
            networks: networks
                .into_iter()
                .map(|(name, endpoint)| (name, endpoint.network_id.unwrap_or_default()))
                .collect(),
            ports,
            fields: labels.get(labels::FIELDS).map(|label| Fields::parse(label)),
            labels,
        }
    }

    /// The name of the one whose place it was made to take. It never did: the run that made it was interrupted, and it
    /// has the name that both this program and Compose give it meanwhile, `ID_NAME` with the other one's id.
    pub(super) fn was_to_be(&self) -> Option<&str> {
        let (id, name) = self.name.split_once('_')?;
        let is_id = id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        // The label alone says nothing: it stays on a container that has taken the place.
        (is_id && self.labels.contains_key(labels::REPLACE)).then_some(name)
    }

    /// It runs, and its health check, where it has one, agrees.
    pub(super) fn is_good(&self) -> bool {
        self.state.phase == Phase::Running && matches!(self.state.health, None | Some(Health::Healthy))
    }
}

/// What was found before anything was touched.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    pub(super) containers: Vec<Container>,
    /// All of the engine's networks, by name.
    pub(super) networks: BTreeMap<String, Network>,
    /// All of the engine's volumes, by name.
    pub(super) volumes: BTreeMap<String, Volume>,
    /// The images that were asked about; one that is not there is absent.
    pub(super) images: BTreeMap<String, ImageInspect>,
    /// Containers that another tool made, in full: they carry no digests to compare with.
    pub(super) foreign: BTreeMap<String, ContainerInspectResponse>,
}

impl Observed {
    /// The containers of a service, by number, without one-off and left-over ones.
    pub(super) fn of_service<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Container> {
        self.containers.iter().filter(move |container| {
            container.service == service && !container.one_off && container.was_to_be().is_none()
        })
    }
}

/// The project's containers, running or not.
pub(super) async fn containers(engine: &Engine, project: &str) -> Result<Vec<Container>> {
    let filters = HashMap::from([("label", vec![format!("{}={project}", labels::PROJECT)])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = engine.docker.list_containers(Some(options)).await.or_say(|| "can't list the containers".into())?;
    let mut containers: Vec<_> = found.into_iter().map(Container::read).collect();
    containers.sort_by(|a, b| (&a.service, a.number, &a.name).cmp(&(&b.service, b.number, &b.name)));
    Ok(containers)
}

/// Looks at everything at once. `images` are the references that services run.
pub(super) async fn observe(engine: &Engine, project: &str, images: &BTreeSet<String>) -> Result<Observed> {
    let containers = containers(engine, project);
    let networks = async {
        let found = engine.docker.list_networks(None::<ListNetworksOptions>).await;
        found.or_say(|| "can't list the networks".into())
    };
    let volumes = async {
        let found = engine.docker.list_volumes(None::<ListVolumesOptions>).await;
        Ok(found.or_say(|| "can't list the volumes".into())?.volumes.unwrap_or_default())
    };
    let images = look_up(engine, images);
    let (containers, networks, volumes, images) = tokio::try_join!(containers, networks, volumes, images)?;
    let strangers = containers.iter().filter(|container| container.fields.is_none() && !container.one_off);
    let foreign = stream::iter(strangers.map(|container| container.id.clone()))
        .map(|id| async move {
            match engine.docker.inspect_container(&id, None).await {
                Ok(found) => Ok(Some((id, found))),
                Err(error) if status(&error) == Some(404) => Ok(None),
                Err(error) => Err(error).or_say(|| format!("can't look at the container {id}")),
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|found| async { Ok(found) })
        .try_collect()
        .await?;
    Ok(Observed {
        containers,
        networks: networks.into_iter().filter_map(|network| Some((network.name.clone()?, network))).collect(),
        volumes: volumes.into_iter().map(|volume| (volume.name.clone(), volume)).collect(),
        images,
        foreign,
    })
}

/// The images among these that are there.
pub(super) async fn look_up(engine: &Engine, images: &BTreeSet<String>) -> Result<BTreeMap<String, ImageInspect>> {
    stream::iter(images)
        .map(|reference| async move {
            match engine.docker.inspect_image(reference).await {
                Ok(image) => Ok(Some((reference.clone(), image))),
                Err(error) if status(&error) == Some(404) => Ok(None),
                Err(error) => Err(error).or_say(|| format!("can't look at the image {reference}")),
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|found| async { Ok(found) })
        .try_collect()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_words_are_understood() {
        use ContainerSummaryStateEnum as Word;
        let read = |state, text: &str| State::read(Some(state), text);
        assert_eq!(read(Word::RUNNING, "Up 3 minutes (healthy)").word(), "healthy");
        assert_eq!(read(Word::RUNNING, "Up 1 second (health: starting)").word(), "starting");
        assert_eq!(read(Word::RUNNING, "Up 1 second").health, None);
        assert_eq!(read(Word::EXITED, "Exited (137) 2 hours ago").exit_code, Some(137));
        assert_eq!(read(Word::RESTARTING, "Restarting (1) 5 seconds ago").exit_code, Some(1));
        assert_eq!(read(Word::CREATED, "Created").exit_code, None);
    }
}
