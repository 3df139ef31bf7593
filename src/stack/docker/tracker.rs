//! The state of a project's containers as it changes: the engine's events, and now and then a look to be sure.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::engine::Engine;
use super::labels;
use super::observe::{Container, Health, Phase, State, containers};

/// Events can be lost with their connection; a look this often bounds what that costs.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// What is known of one container.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) state: State,
    /// How often it has ended since it is watched.
    pub(super) deaths: u32,
    /// Its check has passed when it was run by hand: enough for who waits for it, before the engine says so.
    pub(super) ready: bool,
    /// It has a health check; a container that does not run tells nothing of it.
    pub(super) has_check: bool,
    /// It is being started: what a look sees is still its last run.
    pub(super) starting: bool,
}

impl Seen {
    fn run(&mut self) {
        self.starting = false;
        self.state.phase = Phase::Running;
    }
}

/// Follows the containers of one project. Dropped, it stops.
pub(super) struct Tracker {
    seen: Arc<Mutex<HashMap<String, Seen>>>,
    changes: watch::Sender<u64>,
    _stop: DropGuard,
}

impl Tracker {
    /// Starts to follow; `known` is what was observed a moment ago.
    pub(super) fn start(engine: &Engine, project: &str, known: &[Container]) -> Arc<Self> {
        let stop = CancellationToken::new();
        let seen = known
            .iter()
            .map(|container| {
                let has_check = container.state.health.is_some();
                (container.id.clone(), Seen { state: container.state, has_check, ..Seen::default() })
            })
            .collect::<HashMap<_, _>>();
        let tracker = Arc::new(Self {
            seen: Arc::new(Mutex::new(seen)),
            changes: watch::Sender::new(0),
            _stop: stop.clone().drop_guard(),
        });
        // The task must not keep the tracker alive that stops it.
        let (seen, changes) = (tracker.seen.clone(), tracker.changes.clone());
        let (engine, project) = (engine.clone(), project.to_owned());
        let from = Timestamp::now();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = follow(&engine, &project, from, &seen, &changes) => {}
            }
        });
        tracker
    }

    /// What is known of a container.
    pub(super) fn seen(&self, id: &str) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied().unwrap_or_default()
    }

    /// Says that a container was just started: what its last run left is no longer true.
    pub(super) fn starting(&self, id: &str, has_check: bool) {
        let health = has_check.then_some(Health::Starting);
        let state = State { phase: Phase::Created, health, exit_code: None };
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.to_owned(), Seen { state, has_check, starting: true, ..Seen::default() });
    }

    /// Says that the engine has started it; an event that came meanwhile knows better.
    pub(super) fn started(&self, id: &str) {
        change(&self.seen, &self.changes, id, |seen| {
            if seen.starting {
                seen.run();
            }
        });
    }

    /// Says that a restart is over. The end of the run before was part of it, and is no trouble of this one.
    pub(super) fn restarted(&self, id: &str) {
        change(&self.seen, &self.changes, id, |seen| {
            seen.run();
            seen.state.exit_code = None;
            seen.deaths = 0;
        });
    }

    /// Says that its check has passed.
    pub(super) fn ready(&self, id: &str) {
        change(&self.seen, &self.changes, id, |seen| seen.ready = true);
    }

    /// Waits until `settled` gives an answer for the container.
    pub(super) async fn until<T>(&self, id: &str, mut settled: impl FnMut(Seen) -> Option<T>) -> T {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            if let Some(answer) = settled(self.seen(id)) {
                return answer;
            }
            // The sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }
}

fn change(seen: &Mutex<HashMap<String, Seen>>, changes: &watch::Sender<u64>, id: &str, update: impl FnOnce(&mut Seen)) {
    update(seen.lock().unwrap_or_else(PoisonError::into_inner).entry(id.to_owned()).or_default());
    changes.send_modify(|count| *count += 1);
}

async fn follow(
    engine: &Engine,
    project: &str,
    from: Timestamp,
    seen: &Mutex<HashMap<String, Seen>>,
    changes: &watch::Sender<u64>,
) {
    // The connection takes a moment, and a container may die within it: what happened meanwhile is asked for as well.
    // Another machine's clock may be another one; there the look now and then finds it.
    let mut since = engine.is_local.then(|| from.as_second());
    let earliest = if engine.is_local { i64::try_from(from.as_nanosecond()).unwrap_or(0) } else { 0 };
    loop {
        let mut events = std::pin::pin!(container_events(engine, project, since.take()));
        let mut look = tokio::time::interval_at(tokio::time::Instant::now() + LOOK_EVERY, LOOK_EVERY);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) if event.time_nano.is_some_and(|time| time < earliest) => {}
                    Some(Ok(event)) => take(&event, seen, changes),
                    _ => break,
                },
                _ = look.tick() => look_again(engine, project, seen, changes).await,
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        look_again(engine, project, seen, changes).await;
    }
}

/// What happens to the containers of a project from now on, or from a moment on.
pub(super) fn container_events(
    engine: &Engine,
    project: &str,
    since: Option<i64>,
) -> impl futures_util::Stream<Item = Result<EventMessage, bollard::errors::Error>> + use<> {
    let filters = HashMap::from([
        ("type", vec!["container".to_owned()]),
        ("label", vec![format!("{}={project}", labels::PROJECT)]),
    ]);
    let mut options = EventsOptionsBuilder::new().filters(&filters);
    if let Some(since) = since {
        options = options.since(&since.to_string());
    }
    let docker = engine.docker.clone();
    docker.events(Some(options.build()))
}

/// Takes one event in.
fn take(event: &EventMessage, seen: &Mutex<HashMap<String, Seen>>, changes: &watch::Sender<u64>) {
    let Some(actor) = &event.actor else { return };
    let (Some(id), Some(action)) = (actor.id.as_deref(), event.action.as_deref()) else { return };
    let exit_code = || actor.attributes.as_ref()?.get("exitCode")?.parse().ok();
    change(seen, changes, id, |seen| match action {
        "start" => {
            seen.run();
            // A check of an earlier run says nothing of this one.
            seen.state.health = seen.has_check.then_some(Health::Starting);
            seen.ready = false;
        }
        "die" => {
            seen.state.phase = Phase::Exited;
            seen.state.exit_code = exit_code();
            seen.deaths += 1;
            seen.ready = false;
        }
        "pause" => seen.state.phase = Phase::Paused,
        "unpause" => seen.state.phase = Phase::Running,
        "destroy" => seen.state.phase = Phase::Removing,
        "health_status: healthy" => seen.state.health = Some(Health::Healthy),
        "health_status: unhealthy" => seen.state.health = Some(Health::Unhealthy),
        _ => {}
    });
}

async fn look_again(engine: &Engine, project: &str, seen: &Mutex<HashMap<String, Seen>>, changes: &watch::Sender<u64>) {
    let Ok(found) = containers(engine, project).await else { return };
    for container in found {
        change(seen, changes, &container.id, |seen| {
            seen.has_check |= container.state.health.is_some();
            if !seen.starting {
                seen.state = container.state;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::EventActor;

    use super::*;

    #[test]
    fn events_change_what_is_known_and_a_start_forgets_an_old_check() {
        let known = Seen { has_check: true, ..Seen::default() };
        let seen = Mutex::new(HashMap::from([("c".to_owned(), known)]));
        let changes = watch::Sender::new(0);
        let tell = |action: &str, attributes: &[(&str, &str)]| {
            let attributes = attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let actor = EventActor { id: Some("c".into()), attributes: Some(attributes) };
            take(
                &EventMessage { action: Some(action.into()), actor: Some(actor), ..EventMessage::default() },
                &seen,
                &changes,
            );
            seen.lock().unwrap()["c"]
        };
        tell("start", &[]);
        assert_eq!(tell("health_status: unhealthy", &[]).state.word(), "unhealthy");
        let dead = tell("die", &[("exitCode", "3")]);
        assert_eq!((dead.state.exit_code, dead.deaths), (Some(3), 1));
        assert_eq!(tell("start", &[]).state.word(), "starting");
        assert_eq!(tell("health_status: healthy", &[]).state.word(), "healthy");
        assert_eq!(*changes.borrow(), 5);
    }
}
