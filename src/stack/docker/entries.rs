//! What runs, for people and scripts: `ps`, `port`, `top`, `stats`, `events`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bollard::query_parameters::{RestartContainerOptions, StatsOptionsBuilder, TopOptionsBuilder};
use futures_util::{Stream, StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;

use super::apply::{together, within};
use super::engine::{Engine, OrSay, failure, status};
use super::labels;
use super::observe::{AT_ONCE, Container, Phase, PublishedPort, State, containers};
use super::settle::{Goal, explain};
use super::tracker::{Tracker, container_events};
use crate::failure::{Failure, Result};
use crate::report::Report;

/// A container of the project.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    pub service: String,
    pub container: String,
    pub id: String,
    #[serde(flatten)]
    pub state: State,
    /// The engine's own sentence, such as `Up 3 minutes (healthy)`.
    pub status: String,
    pub image: String,
    pub ports: Vec<PublishedPort>,
    /// How this machine reaches its first port: what can be opened in a browser is an address for one.
    pub address: Option<String>,
    pub created: Option<Timestamp>,
    pub one_off: bool,
}

impl Entry {
    fn of(container: Container, host: &str) -> Self {
        // A browser's port is the one that people know first.
        let first = container.ports.iter().find(|port| port.protocol == "tcp");
        let address = first.map(|port| {
            let host =
                if matches!(port.host_ip.as_str(), "" | "0.0.0.0" | "::" | "127.0.0.1") { host } else { &port.host_ip };
            // Databases and brokers are no web pages; a wrong scheme would only mislead.
            let is_web = matches!(port.container_port, 80 | 3000..=3999 | 5000 | 5173 | 8000..=8999);
            let scheme = match port.container_port {
                443 | 8443 => "https://",
                _ if is_web => "http://",
                _ => "",
            };
            format!("{scheme}{host}:{}", port.host_port)
        });
        Self {
            address,
            service: container.service,
            container: container.name,
            id: container.id,
            state: container.state,
            status: container.status,
            image: container.image,
            ports: container.ports,
            created: Timestamp::from_second(container.created).ok(),
            one_off: container.one_off,
        }
    }
}

/// Every container of the project; those that have ended only with `all`, unless they failed.
pub async fn entries(engine: &Engine, project: &str, all: bool) -> Result<Vec<Entry>> {
    let host = engine.address.strip_prefix("tcp://").and_then(|address| address.rsplit_once(':')).map(|(host, _)| host);
    let host = host.filter(|_| !engine.is_local).unwrap_or("localhost");
    let found = containers(engine, project).await?;
    let shown = |container: &Container| all || !container.one_off || container.state.phase == Phase::Running;
    Ok(found.into_iter().filter(shown).map(|container| Entry::of(container, host)).collect())
}

/// The running containers of the services, or of all.
///
/// # Errors
/// A named service has none.
pub async fn running(engine: &Engine, project: &str, services: &[String]) -> Result<Vec<Entry>> {
    let all = entries(engine, project, false).await?;
    for name in services {
        if !all.iter().any(|entry| entry.service == *name && entry.state.phase == Phase::Running) {
            let known: Vec<&str> = all.iter().map(|entry| entry.service.as_str()).collect();
            return Err(Failure::failed(format!("{name} is not running")).hint(if known.is_empty() {
                "Nothing of this project runs: `streamify dev up`.".to_owned()
            } else {
                format!("Start it: `streamify dev up {name}`. There are: {}.", known.join(", "))
            }));
        }
    }
    let wanted = |entry: &Entry| services.is_empty() || services.contains(&entry.service);
    Ok(all.into_iter().filter(|entry| wanted(entry) && entry.state.phase == Phase::Running).collect())
}

/// The n-th running container of a service, from 1.
pub async fn nth(engine: &Engine, project: &str, service: &str, index: u32) -> Result<Entry> {
    let found = running(engine, project, &[service.to_owned()]).await?;
    let count = found.len();
    let of_service: Vec<Entry> = found.into_iter().filter(|entry| !entry.one_off).collect();
    let position = usize::try_from(index.saturating_sub(1)).unwrap_or(0);
    of_service.into_iter().nth(position).ok_or_else(|| {
        Failure::usage(format!("{service} has no container number {index}")).cause(format!("it has {count}"))
    })
}

/// Restarts containers at once, and waits until they are healthy again; their own grace periods hold.
pub async fn restart(
    engine: &Engine,
    project: &str,
    entries: &[Entry],
    limit: Duration,
    report: &dyn Report,
) -> Result<()> {
    let tracker = Tracker::start(engine, project, &[]);
    let tracker = &*tracker;
    let restarts = entries.iter().map(|entry| async move {
        let begun = Instant::now();
        report.started(&entry.service, "restarting");
        tracker.starting(&entry.id, entry.state.health.is_some());
        let restarted = engine.docker.restart_container(&entry.id, None::<RestartContainerOptions>).await;
        restarted.or_say(|| format!("can't restart {}", entry.container))?;
        tracker.restarted(&entry.id);
        let goal = Goal::up();
        match tracker.until(&entry.id, |seen| goal.reached(seen)).await {
            Ok(how) => report.finished(&entry.service, how, begun.elapsed()),
            Err(trouble) => {
                report.failed(&entry.service, &trouble);
                return Err(explain(engine, &entry.id, &entry.service, &trouble).await);
            }
        }
        Ok(())
    });
    let all = stream::iter(restarts).buffer_unordered(AT_ONCE).filter_map(|result: Result<()>| async { result.err() });
    let failed: Vec<Failure> = within(limit, async { Ok(all.collect().await) }).await?;
    together(failed)
}

/// The processes of a container: titles and rows.
#[derive(Clone, Debug, Serialize)]
pub struct Processes {
    pub container: String,
    pub titles: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// The processes of each container.
pub async fn top(engine: &Engine, entries: &[Entry]) -> Result<Vec<Processes>> {
    let mut all = Vec::new();
    for entry in entries {
        let options = TopOptionsBuilder::new().ps_args("-ef").build();
        let found = engine.docker.top_processes(&entry.id, Some(options)).await;
        let found = found.or_say(|| format!("can't list the processes of {}", entry.container))?;
        all.push(Processes {
            container: entry.container.clone(),
            titles: found.titles.unwrap_or_default(),
            rows: found.processes.unwrap_or_default(),
        });
    }
    Ok(all)
}

/// What a container uses.
#[derive(Clone, Debug, Serialize)]
pub struct Usage {
    pub service: String,
    pub container: String,
    /// Of one processor; 250 is two and a half.
    pub cpu_percent: f64,
    pub memory_bytes: u64,
    /// None: no limit but the machine's.
    pub memory_limit_bytes: Option<u64>,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub processes: u64,
}

/// What each container uses now; takes about a second, for the processors' time must be counted twice.
pub async fn usage(engine: &Engine, entries: &[Entry]) -> Result<Vec<Usage>> {
    let reads = entries.iter().map(|entry| async move {
        let options = StatsOptionsBuilder::new().stream(false).one_shot(false).build();
        match engine.docker.stats(&entry.id, Some(options)).next().await {
            Some(Ok(found)) => Ok(Some(measured(entry, &found))),
            Some(Err(error)) if status(&error) == Some(404) => Ok(None),
            Some(Err(error)) => Err(failure(format!("can't measure {}", entry.container), &error)),
            None => Ok(None),
        }
    });
    let found: Vec<Result<Option<Usage>>> = stream::iter(reads).buffered(entries.len().max(1)).collect().await;
    Ok(found.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn measured(entry: &Entry, found: &bollard::models::ContainerStatsResponse) -> Usage {
    let times = |stats: Option<&bollard::models::ContainerCpuStats>| {
        let usage = stats.and_then(|stats| stats.cpu_usage.as_ref()).and_then(|usage| usage.total_usage).unwrap_or(0);
        (usage, stats.and_then(|stats| stats.system_cpu_usage).unwrap_or(0))
    };
    let (now, system) = times(found.cpu_stats.as_ref());
    let (before, system_before) = times(found.precpu_stats.as_ref());
    let processors = found.cpu_stats.as_ref().and_then(|stats| stats.online_cpus).unwrap_or(1);
    let passed = system.saturating_sub(system_before);
    let share = if passed == 0 { 0.0 } else { now.saturating_sub(before) as f64 / passed as f64 };
    let memory = found.memory_stats.as_ref();
    let used = memory.and_then(|memory| memory.usage).unwrap_or(0);
    // The page cache can be taken back at any time; `docker stats` does not count it either.
    let cache = memory
        .and_then(|memory| memory.stats.as_ref())
        .and_then(|stats| stats.get("inactive_file").or_else(|| stats.get("total_inactive_file")).copied());
    let networks = found.networks.as_ref();
    let sum = |of: fn(&bollard::models::ContainerNetworkStats) -> Option<u64>| {
        networks.into_iter().flat_map(|networks| networks.values()).filter_map(of).sum()
    };
    Usage {
        service: entry.service.clone(),
        container: entry.container.clone(),
        cpu_percent: share * f64::from(processors) * 100.0,
        memory_bytes: used.saturating_sub(cache.unwrap_or(0)),
        memory_limit_bytes: memory.and_then(|memory| memory.limit).filter(|limit| *limit < 1 << 60),
        received_bytes: sum(|network| network.rx_bytes),
        sent_bytes: sum(|network| network.tx_bytes),
        processes: found.pids_stats.as_ref().and_then(|pids| pids.current).unwrap_or(0),
    }
}

/// Something that happened to a container.
#[derive(Clone, Debug, Serialize)]
pub struct Happening {
    pub time: Option<Timestamp>,
    pub service: String,
    pub container: String,
    pub action: String,
    /// What the engine says besides: `exitCode`, `signal`.
    pub details: BTreeMap<String, String>,
}

/// What happens to the project's containers, from now on or from a moment on.
pub fn happenings(
    engine: &Engine,
    project: &str,
    since: Option<Timestamp>,
) -> impl Stream<Item = Result<Happening>> + use<> {
    container_events(engine, project, since.map(Timestamp::as_second)).map(|event| {
        let event = event.or_say(|| "the engine's events broke off".into())?;
        let attributes = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
        let details = ["exitCode", "signal", "execDuration"];
        Ok(Happening {
            time: event.time_nano.and_then(|nanoseconds| Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()),
            service: attributes.get(labels::SERVICE).cloned().unwrap_or_default(),
            container: attributes.get("name").cloned().unwrap_or_default(),
            action: event.action.unwrap_or_default(),
            details: details
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), attributes.get(*name)?.clone())))
                .collect(),
        })
    })
}
