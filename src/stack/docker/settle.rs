//! When a container is what it should be; and where it isn't, why, in its own words.

use std::time::{Duration, Instant};

use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;

use super::apply::{Works, short};
use super::engine::Engine;
use super::observe::{Health, Phase};
use super::plan::is_job;
use super::tracker::Seen;
use crate::failure::{Failure, Result};
use crate::report::Event;
use crate::stack::compose::model::{Project, Restart};

/// A container that is started again and again is given up after so many ends.
const MOST_DEATHS: u32 = 5;
/// How long a container without a health check must have run to count as running.
const PROBATION: Duration = Duration::from_millis(400);
/// How many last lines are shown of a container in trouble.
const LAST_LINES: usize = 15;

/// What a container should become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Healthy where it has a check, else running, or ended well.
    Up,
    /// Its health check has passed.
    Healthy,
    /// Ended with exit code 0.
    Done,
}

/// What a container should become, and whether the engine starts it again when it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal {
    kind: Kind,
    restarts: Restart,
}

impl Goal {
    /// What is waited for in the containers of a service themselves.
    pub(super) fn of(project: &Project, service: &str) -> Self {
        let Some(service) = project.service(service) else { return Self { kind: Kind::Up, restarts: Restart::No } };
        let kind = if is_job(project, service) { Kind::Done } else { Kind::Up };
        Self { kind, restarts: service.restarts() }
    }

    /// What is waited for where no file says more.
    pub(super) fn up() -> Self {
        Self { kind: Kind::Up, restarts: Restart::No }
    }

    /// What a dependent waits for.
    pub(super) fn healthy(project: &Project, service: &str) -> Self {
        Self { kind: Kind::Healthy, ..Self::of(project, service) }
    }

    /// What a dependent waits for.
    pub(super) fn done(project: &Project, service: &str) -> Self {
        Self { kind: Kind::Done, ..Self::of(project, service) }
    }

    fn starts_again(self, exit_code: i64) -> bool {
        match self.restarts {
            Restart::No => false,
            Restart::Always | Restart::UnlessStopped => true,
            Restart::OnFailure(_) => exit_code != 0,
        }
    }

    /// How it went, as soon as that is settled; the trouble reads after the container's name.
    pub(super) fn reached(self, seen: Seen) -> Option<std::result::Result<&'static str, String>> {
        let code = seen.state.exit_code.unwrap_or(0);
        match (seen.state.phase, seen.state.health) {
            (Phase::Exited | Phase::Dead | Phase::Restarting, _) => {
                if self.starts_again(code) && !(self.kind == Kind::Done && code == 0) {
                    let many = seen.deaths >= MOST_DEATHS;
                    return many
                        .then(|| Err(format!("ended {} times, the last time with exit code {code}", seen.deaths)));
                }
                match (self.kind, code) {
                    (Kind::Up | Kind::Done, 0) => Some(Ok("done")),
                    _ => Some(Err(format!("ended with exit code {code}{}", meaning(code)))),
                }
            }
            (Phase::Removing, _) => Some(Err("was removed".into())),
            (Phase::Paused, _) => Some(Err("is paused".into())),
            (Phase::Running, _) if self.kind == Kind::Done => None,
            (Phase::Running, None) if self.kind == Kind::Healthy => Some(Err("has no health check to wait for".into())),
            (Phase::Running, None) => Some(Ok("running")),
            (Phase::Running, Some(Health::Starting)) if self.kind == Kind::Healthy && seen.ready => Some(Ok("ready")),
            (Phase::Created, _) | (Phase::Running, Some(Health::Starting)) => None,
            (Phase::Running, Some(Health::Healthy)) => Some(Ok("healthy")),
            (Phase::Running, Some(Health::Unhealthy)) => Some(Err("is unhealthy".into())),
        }
    }
}

/// What an exit code usually means.
fn meaning(code: i64) -> &'static str {
    match code {
        126 => " (the command can't be run)",
        127 => " (the command is not there)",
        137 => " (killed; out of memory, where nobody killed it)",
        139 => " (a segmentation fault)",
        143 => " (asked to end)",
        _ => "",
    }
}

/// Waits until one container is what it should be. Trouble is shown at once, with the container's own last words.
/// `begun` is when work on it began; None: it was not touched, and there is a word only if it is waited for.
pub(super) async fn settle(
    works: &Works<'_>,
    id: &str,
    container: &str,
    goal: Goal,
    begun: Option<Instant>,
) -> Result<()> {
    let since = begun.unwrap_or_else(Instant::now);
    let name = short(works.project, container);
    let first = goal.reached(works.tracker.seen(id));
    if first.is_none() {
        let doing = if goal.kind == Kind::Done { "running until it is done" } else { "waiting until it is healthy" };
        works.report.doing(&name, doing);
    }
    let mut reached = works.tracker.until(id, |seen| goal.reached(seen)).await;
    if begun.is_some() && reached == Ok("running") {
        // Without a check nothing says that it works; one that ends at once must not pass for one that does.
        let ends = works.tracker.until(id, |seen| goal.reached(seen).filter(|reached| *reached != Ok("running")));
        reached = tokio::time::timeout(PROBATION, ends).await.unwrap_or(reached);
    }
    match reached {
        Ok(how) => {
            if begun.is_some() || first.is_none() {
                works.report.finished(&name, how, since.elapsed());
            }
            Ok(())
        }
        Err(trouble) => {
            let failure = explain(works.engine, id, &name, &trouble).await;
            works.report.failed(&name, &trouble);
            for cause in &failure.causes {
                for text in cause.lines() {
                    works.report.event(Event::Line { source: name.clone(), text: text.to_owned() });
                }
            }
            // The lines were shown; the failure at the end repeats the first words only.
            Err(Failure::failed(format!("{name} {trouble}")).hint(format!("All of its log: streamify dev logs {name}")))
        }
    }
}

/// The container's last health check and last lines, as causes.
pub(super) async fn explain(engine: &Engine, id: &str, name: &str, trouble: &str) -> Failure {
    let mut failure = Failure::failed(format!("{name} {trouble}"));
    if let Ok(found) = engine.docker.inspect_container(id, None).await {
        let state = found.state.unwrap_or_default();
        if state.oom_killed == Some(true) {
            failure = failure.cause("it used more memory than its limit allows");
        }
        if let Some(error) = state.error.filter(|error| !error.is_empty()) {
            failure = failure.cause(error);
        }
        let checks = state.health.and_then(|health| health.log).unwrap_or_default();
        if let Some(last) = checks.last().filter(|check| check.exit_code != Some(0)) {
            let output = last.output.clone().unwrap_or_default();
            let code = last.exit_code.map_or_else(|| "without an end".to_owned(), |code| format!("exit code {code}"));
            failure = failure.cause(format!("its health check ({code}): {}", output.trim()));
        }
    }
    let lines = last_lines(engine, id).await;
    if !lines.is_empty() {
        failure = failure.cause(format!("its last lines:\n{}", lines.join("\n")));
    }
    failure
}

/// The last lines that a container printed.
pub(super) async fn last_lines(engine: &Engine, id: &str) -> Vec<String> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&LAST_LINES.to_string()).build();
    let mut text = Vec::new();
    let mut stream = engine.docker.logs(id, Some(options));
    while let Some(Ok(part)) = stream.next().await {
        text.extend_from_slice(&part.into_bytes());
    }
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::observe::State;
    use super::*;

    fn seen(phase: Phase, health: Option<Health>, exit_code: Option<i64>, deaths: u32) -> Seen {
        Seen { state: State { phase, health, exit_code }, deaths, ..Seen::default() }
    }

    #[test]
    fn an_end_with_exit_code_0_is_success_unless_the_policy_says_otherwise() {
        let up = |restarts| Goal { kind: Kind::Up, restarts };
        let ended = |code| seen(Phase::Exited, None, Some(code), 1);
        assert_eq!(up(Restart::No).reached(ended(0)), Some(Ok("done")));
        assert_eq!(up(Restart::Always).reached(ended(0)), None);
        assert_eq!(up(Restart::OnFailure(0)).reached(ended(3)), None);
        assert_eq!(up(Restart::No).reached(ended(3)), Some(Err("ended with exit code 3".into())));
        let often = seen(Phase::Exited, None, Some(3), MOST_DEATHS);
        assert!(up(Restart::Always).reached(often).unwrap().unwrap_err().contains("5 times"));
    }

    #[test]
    fn health_is_waited_for_where_there_is_a_check() {
        let goal = |kind| Goal { kind, restarts: Restart::No };
        let running = |health| seen(Phase::Running, health, None, 0);
        assert_eq!(goal(Kind::Up).reached(running(Some(Health::Starting))), None);
        assert_eq!(goal(Kind::Up).reached(running(None)), Some(Ok("running")));
        assert!(goal(Kind::Healthy).reached(running(None)).unwrap().is_err());
        assert_eq!(goal(Kind::Done).reached(running(Some(Health::Healthy))), None);
        assert!(goal(Kind::Up).reached(running(Some(Health::Unhealthy))).unwrap().is_err());
    }
}
