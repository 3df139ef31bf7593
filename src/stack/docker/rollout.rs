//! A rollout on a Docker host: one container after another behind its health check. The old ones are kept, stopped, until
//! all of it is good, and come back when it is not.
//!
//! A kill at any moment leaves what the next `deploy` or `up` understands: a replacement has the name that Compose gives
//! one as well (`ID_NAME`), and takes its place where it is good and the old one was stopped for it; else it goes away.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bollard::models::{ImageInspect, RestartPolicy, RestartPolicyNameEnum};
use bollard::query_parameters::StartContainerOptions;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::apply::{Works, remove, short, stop, within};
use super::blueprint::Blueprint;
use super::engine::OrSay;
use super::labels;
use super::observe::{Container, Phase, containers, observe};
use super::plan::{Action, Plan, Step, Subject, Wishes, is_job};
use super::settle::{Goal, settle};
use super::stack::{Prospect, Stack};
use crate::failure::{Failure, Kind, Result};
use crate::report::Report;
use crate::stack::compose::model::{MountKind, Project, Service};

/// In which order an old and a new container change places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The new one is healthy before the old one stops: nobody misses it.
    StartFirst,
    /// A port of the host can be had by one of them only: the new one proves itself without it before the old one stops.
    TryFirst,
    /// Both may not run at once: they would write to the same data, or have the same address.
    StopFirst,
}

impl Order {
    /// For people, after "replaced".
    pub fn words(self) -> &'static str {
        match self {
            Self::StartFirst => "the new one is healthy before the old one stops",
            Self::TryFirst => "tried without its port, then both change places",
            Self::StopFirst => "the old one stops first, since both have the same data or address",
        }
    }

    fn of(service: &Service, image: Option<&ImageInspect>) -> Self {
        let rule = service.deploy.as_ref().and_then(|deploy| deploy.update_config.as_ref());
        let writes = service.volumes.iter().any(|mount| {
            !mount.read_only && matches!(mount.r#type, MountKind::Bind | MountKind::Volume | MountKind::Cluster)
        });
        let declares =
            image.and_then(|image| image.config.as_ref()?.volumes.as_ref()).is_some_and(|volumes| !volumes.is_empty());
        let has_address = service.networks.values().flatten().any(|attachment| {
            !attachment.ipv4_address.is_empty()
                || !attachment.ipv6_address.is_empty()
                || !attachment.mac_address.is_empty()
        });
        let shares = writes || declares || !service.volumes_from.is_empty();
        let is_alone = has_address || !service.network_mode.is_empty() || !service.mac_address.is_empty();
        let has_port = service.ports.iter().any(|port| !port.published.is_empty() && port.published != "0");
        match rule.map(|rule| rule.order.as_str()) {
            Some("stop-first") => Self::StopFirst,
            Some("start-first") if !has_port && !is_alone => Self::StartFirst,
            _ if shares || is_alone => Self::StopFirst,
            _ if has_port => Self::TryFirst,
            _ => Self::StartFirst,
        }
    }
}

/// A container that is to change.
#[derive(Clone, Debug, Serialize)]
pub struct Replacement {
    pub service: String,
    pub container: String,
    pub order: Order,
    pub reason: String,
}

/// A container that has changed.
#[derive(Clone, Debug, Serialize)]
pub struct Replaced {
    #[serde(flatten)]
    pub what: Replacement,
    /// The new image's id.
    pub image: String,
    /// Until it was healthy, in milliseconds.
    pub took_ms: u64,
    /// For how long neither was healthy, in milliseconds; 0 where the new one was there first.
    pub away_ms: u64,
}

impl Prospect {
    /// The containers that a rollout replaces, in its order.
    pub fn replacements(&self, project: &Project) -> Vec<Replacement> {
        self.plan.steps.iter().filter_map(|step| replacement(project, step, &self.observed.images)).collect()
    }
}

/// A job runs anew and is not replaced; what does not run has nobody to be kept for.
fn replacement(project: &Project, step: &Step, images: &BTreeMap<String, ImageInspect>) -> Option<Replacement> {
    let Subject::Container { blueprint: Some(blueprint), there: Some(there) } = &step.subject else { return None };
    let service = project.service(&blueprint.service)?;
    if step.action != Action::Recreate || there.state.phase != Phase::Running || is_job(project, service) {
        return None;
    }
    Some(Replacement {
        service: service.name.clone(),
        container: there.name.clone(),
        order: Order::of(service, images.get(&project.image(service))),
        reason: step.reason.clone(),
    })
}

impl Stack<'_> {
    /// Brings everything that is missing up, runs the jobs, and then replaces containers one after another. `limit` is
    /// for each of the two.
    ///
    /// # Errors
    /// What failed; [`Kind::RolledBack`] where containers had been replaced and the old ones are back.
    pub async fn roll_out(
        &self,
        prospect: Prospect,
        wishes: &Wishes,
        limit: Duration,
        report: &dyn Report,
        interrupt: &CancellationToken,
    ) -> Result<Vec<Replaced>> {
        let Prospect { images, mut plan, mut observed } = prospect;
        if !images.is_empty() {
            super::images::bring(self, &images, report).await?;
            observed = observe(self.engine, &self.project.name, &self.references(wishes)?).await?;
            plan = super::plan::plan(self.project, wishes, &observed, self.engine.api)?;
        }
        for warning in &plan.warnings {
            report.warning(warning);
        }
        pin(&mut plan, &mut observed.images);
        let is_replaced = |step: &Step| replacement(self.project, step, &observed.images).is_some();
        let (replaced, others): (Vec<Step>, Vec<Step>) = plan.steps.iter().cloned().partition(is_replaced);
        let before = Plan { steps: others, warnings: Vec::new() };
        let unchanged = self.unchanged(&before, &observed, wishes)?;
        let works = self.works(&plan.steps, &mut observed, wishes, report).await?;
        within(limit, works.apply(&before, &unchanged))
            .await
            .map_err(|failure| failure.hint("Nothing that ran before was replaced."))?;
        let mut done = Vec::new();
        let all = async {
            for step in &replaced {
                done.push(works.replace(step).await?);
            }
            Ok(())
        };
        let too_long = || Failure::timed_out(format!("it was not healthy after {} s", limit.as_secs()));
        let result = tokio::select! {
            result = tokio::time::timeout(limit, all) => result.unwrap_or_else(|_| Err(too_long())),
            () = interrupt.cancelled() => Err(Failure::interrupted(2)),
        };
        match result {
            Ok(()) => works.settle_in(&replaced).await.map(|()| done),
            Err(why) => Err(works.take_back(&replaced, why).await),
        }
    }
}

/// From here on the image is what it is now, whatever becomes of its name meanwhile.
fn pin(plan: &mut Plan, images: &mut BTreeMap<String, ImageInspect>) {
    for step in &mut plan.steps {
        if let Subject::Container { blueprint: Some(blueprint), .. } = &mut step.subject
            && let Some(image) = blueprint.body.image.as_ref().and_then(|reference| images.get(reference)).cloned()
            && let Some(id) = image.id.clone()
        {
            blueprint.body.image = Some(id.clone());
            images.insert(id, image);
        }
    }
}

impl Works<'_> {
    async fn replace(&self, step: &Step) -> Result<Replaced> {
        let (Subject::Container { blueprint: Some(blueprint), there: Some(old) }, Some(what)) =
            (&step.subject, replacement(self.project, step, &self.images))
        else {
            return Err(Failure::failed(format!("{} can't be replaced", step.resource)));
        };
        let name = short(self.project, &old.name);
        let begun = Instant::now();
        self.report.started(&name, &format!("replacing: {}", step.reason));
        if what.order == Order::TryFirst {
            self.try_out(blueprint, &name).await?;
        }
        let id = self.create(blueprint, Some(old)).await?;
        let mut away = Duration::ZERO;
        if what.order == Order::StartFirst {
            self.start_healthy(&id, &old.name, blueprint, &name, begun).await?;
            self.leave(old, &name).await?;
        } else {
            let left = Instant::now();
            self.leave(old, &name).await?;
            self.start_healthy(&id, &old.name, blueprint, &name, begun).await?;
            away = left.elapsed();
        }
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let image = blueprint.body.image.clone().unwrap_or_default();
        Ok(Replaced { what, image, took_ms: milliseconds(begun.elapsed()), away_ms: milliseconds(away) })
    }

    /// Runs the new one beside the old one, without the host's ports and without the service's name, until it is healthy.
    async fn try_out(&self, blueprint: &Blueprint, name: &str) -> Result<()> {
        let mut trial = blueprint.clone();
        trial.name = trial_name(&blueprint.name);
        let all = trial.body.labels.get_or_insert_default();
        all.insert(labels::ONE_OFF.into(), "True".into());
        all.remove(labels::FIELDS);
        let host = trial.body.host_config.get_or_insert_default();
        host.port_bindings = None;
        host.restart_policy = Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None });
        for (_, endpoint) in &mut trial.endpoints {
            endpoint.aliases = Some(vec![trial.name.clone()]);
        }
        // One of a run that was killed.
        remove(self.engine, &trial.name, &trial.name, true).await?;
        self.report.doing(name, "trying the new one beside the old one");
        let id = self.create(&trial, None).await?;
        self.start_healthy(&id, &trial.name, &trial, name, Instant::now()).await?;
        stop(self.engine, &id, &trial.name).await?;
        remove(self.engine, &id, &trial.name, true).await
    }

    async fn start_healthy(
        &self,
        id: &str,
        full_name: &str,
        blueprint: &Blueprint,
        name: &str,
        begun: Instant,
    ) -> Result<()> {
        let has_check = self.has_check(blueprint);
        self.start(id, &blueprint.service, name, has_check).await?;
        if !has_check {
            self.report.warning(&format!("{name} has no health check: it counts as healthy as soon as it runs"));
        }
        self.until_healthy(id, full_name, &blueprint.service, has_check, begun).await
    }

    async fn until_healthy(
        &self,
        id: &str,
        full_name: &str,
        service: &str,
        has_check: bool,
        begun: Instant,
    ) -> Result<()> {
        let goal = if has_check { Goal::healthy(self.project, service) } else { Goal::of(self.project, service) };
        self.sooner(id, settle(self, id, full_name, goal, Some(begun))).await
    }

    async fn leave(&self, old: &Container, name: &str) -> Result<()> {
        self.report.doing(name, "stopping the old one");
        self.before_stop(old).await;
        stop(self.engine, &old.id, &old.name).await
    }

    /// All are good: the old ones go, and the new ones get their names.
    async fn settle_in(&self, replaced: &[Step]) -> Result<()> {
        for (old, new) in self.pairs(replaced).await? {
            remove(self.engine, &old.id, &old.name, false).await?;
            if let Some(new) = new {
                self.rename(&new.id, &old.name).await?;
            }
        }
        Ok(())
    }

    /// The old ones come back, the last one first; gives the failure that says why.
    async fn take_back(&self, replaced: &[Step], why: Failure) -> Failure {
        self.report.warning(&format!("taking back: {}", why.message));
        let mut troubles = Vec::new();
        match self.pairs(replaced).await {
            Err(failure) => troubles.push(failure),
            Ok(pairs) => {
                for (old, new) in pairs.into_iter().rev() {
                    if let Err(failure) = self.come_back(&old, new.as_ref()).await {
                        troubles.push(failure);
                    }
                }
            }
        }
        if let Err(trouble) = super::apply::together(troubles) {
            let mut failure = Failure::failed(format!("{}, and the old containers are not all back", why.message));
            failure.causes = why.causes;
            return failure.cause(trouble.to_string()).hint("`streamify dev ps` shows what runs.");
        }
        // A signal's exit code stays a signal's.
        if matches!(why.kind, Kind::Interrupted(_)) {
            return why.cause("the old containers are back");
        }
        Failure { kind: Kind::RolledBack, message: format!("rolled back: {}", why.message), ..why }
    }

    async fn come_back(&self, old: &Container, new: Option<&Container>) -> Result<()> {
        let name = short(self.project, &old.name);
        let begun = Instant::now();
        let trial = trial_name(&old.name);
        remove(self.engine, &trial, &trial, true).await?;
        if let Some(new) = new {
            self.report.doing(&name, "stopping the new one");
            stop(self.engine, &new.id, &new.name).await?;
            remove(self.engine, &new.id, &new.name, false).await?;
        }
        if old.state.phase == Phase::Running {
            return Ok(());
        }
        let found = self.engine.docker.inspect_container(&old.id, None).await;
        let found = found.or_say(|| format!("can't look at {}", old.name))?;
        let check = found.config.and_then(|config| config.healthcheck?.test?.into_iter().next());
        let has_check = check.is_some_and(|first| first != "NONE");
        self.tracker.starting(&old.id, has_check);
        let started = self.engine.docker.start_container(&old.id, None::<StartContainerOptions>).await;
        started.or_say(|| format!("can't start {} again", old.name))?;
        self.tracker.started(&old.id);
        self.until_healthy(&old.id, &old.name, &old.service, has_check, begun).await
    }

    /// The old containers as they are now, each with its replacement as far as there is one.
    async fn pairs(&self, replaced: &[Step]) -> Result<Vec<(Container, Option<Container>)>> {
        let all = containers(self.engine, &self.project.name).await?;
        let old = |step: &Step| match &step.subject {
            Subject::Container { there: Some(there), .. } => all.iter().find(|one| one.id == there.id),
            _ => None,
        };
        let new = |old: &Container| all.iter().find(|one| one.was_to_be() == Some(&old.name)).cloned();
        Ok(replaced.iter().filter_map(old).map(|old| (old.clone(), new(old))).collect())
    }
}

/// The name of a container that is only tried.
fn trial_name(name: &str) -> String {
    format!("{name}-trial")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::compose::{self, Request};

    fn order(service: &str) -> Order {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("services: {{a: {{image: x, {service}}}}}\nvolumes: {{data: {{}}}}\n");
        std::fs::write(folder.path().join("compose.yaml"), text).unwrap();
        let request = Request { here: folder.path().to_owned(), ..Request::default() };
        Order::of(compose::load(&request).unwrap().service("a").unwrap(), None)
    }

    #[test]
    fn what_both_would_write_to_or_listen_on_says_who_goes_first() {
        assert_eq!(order("read_only: true"), Order::StartFirst);
        assert_eq!(order("ports: ['80']"), Order::StartFirst);
        assert_eq!(order("ports: ['8080:80']"), Order::TryFirst);
        assert_eq!(order("volumes: ['data:/data']"), Order::StopFirst);
        assert_eq!(order("volumes: ['data:/data:ro'], ports: ['8080:80']"), Order::TryFirst);
        assert_eq!(order("network_mode: host"), Order::StopFirst);
        assert_eq!(order("deploy: {update_config: {order: stop-first}}"), Order::StopFirst);
        assert_eq!(order("volumes: ['data:/data'], deploy: {update_config: {order: start-first}}"), Order::StartFirst);
    }
}
