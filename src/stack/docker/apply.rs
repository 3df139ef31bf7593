//! Carries a plan out: everything that can go on at once does, along the graph of dependencies.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, ImageInspect, NetworkConnectRequest, NetworkingConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
    RestartContainerOptions, StopContainerOptions,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Semaphore, watch};

use super::blueprint::Blueprint;
use super::engine::{ApiVersion, Engine, OrSay, failure, status};
use super::observe::{AT_ONCE, Container};
use super::plan::{Action, Plan, Step, Subject};
use super::settle::{Goal, settle};
use super::tracker::Tracker;
use super::{files, labels, probe};
use crate::failure::{Failure, Result};
use crate::report::Report;
use crate::stack::compose::model::{Condition, Project};

/// More failures of one run than these are only counted.
const MOST_CAUSES: usize = 6;

/// Where a service is on its way.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// Its containers' ids, once all of them are started.
    started: Option<Vec<String>>,
    failed: bool,
}

/// Everything that the steps share while they are carried out.
pub(super) struct Works<'a> {
    pub(super) engine: &'a Engine,
    pub(super) project: &'a Project,
    pub(super) tracker: Arc<Tracker>,
    pub(super) report: &'a dyn Report,
    /// Compose's own hashes of the services, where Compose is there to count them.
    pub(super) hashes: HashMap<String, String>,
    /// The images, by reference.
    pub(super) images: BTreeMap<String, ImageInspect>,
    /// How many creates and starts the engine is given at once.
    pub(super) slots: Semaphore,
    services: BTreeMap<String, watch::Sender<Progress>>,
    /// The containers whose check is being run by hand.
    probed: Mutex<BTreeSet<String>>,
}

impl<'a> Works<'a> {
    pub(super) fn new(engine: &'a Engine, project: &'a Project, tracker: Arc<Tracker>, report: &'a dyn Report) -> Self {
        let services = project.services.keys().map(|name| (name.clone(), watch::Sender::default())).collect();
        Self {
            engine,
            project,
            tracker,
            report,
            hashes: HashMap::new(),
            images: BTreeMap::new(),
            slots: Semaphore::new(AT_ONCE),
            services,
            probed: Mutex::default(),
        }
    }

    /// Carries everything out. `unchanged` are the containers that stay as they are, by service; they are waited for
    /// as well.
    ///
    /// # Errors
    /// All that failed, the first in front; what does not depend on it was carried out all the same.
    pub(super) async fn apply(&self, plan: &Plan, unchanged: &BTreeMap<String, Vec<Container>>) -> Result<()> {
        let (infrastructure, rest): (Vec<&Step>, Vec<&Step>) =
            plan.steps.iter().partition(|step| matches!(step.subject, Subject::Network(_) | Subject::Volume(_)));
        let made: FuturesUnordered<_> = infrastructure.into_iter().map(|step| self.make(step)).collect();
        let failed: Vec<Failure> = made.filter_map(|result| async { result.err() }).collect().await;
        if let Some(failure) = failed.into_iter().next() {
            return Err(failure);
        }
        // What only goes away goes first: its names and ports may be needed.
        for action in [Action::Remove, Action::Rename] {
            let cleared: FuturesUnordered<_> =
                rest.iter().filter(|step| step.action == action).map(|step| self.clear(step)).collect();
            let failed: Vec<Failure> = cleared.filter_map(|result| async { result.err() }).collect().await;
            if let Some(failure) = failed.into_iter().next() {
                return Err(failure);
            }
        }
        let rest = rest.into_iter().filter(|step| !matches!(step.action, Action::Remove | Action::Rename));
        let mut by_service: BTreeMap<&str, Vec<&Step>> = BTreeMap::new();
        for step in rest {
            by_service.entry(step.service().unwrap_or_default()).or_default().push(step);
        }
        for service in unchanged.keys() {
            by_service.entry(service).or_default();
        }
        let none = Vec::new();
        let services: FuturesUnordered<_> = by_service
            .iter()
            .map(|(name, steps)| self.service(name, steps, unchanged.get(*name).unwrap_or(&none)))
            .collect();
        let failed: Vec<Failure> = services.flat_map(futures_util::stream::iter).collect().await;
        together(failed)
    }

    async fn make(&self, step: &Step) -> Result<()> {
        let started = Instant::now();
        match &step.subject {
            Subject::Network(key) => self.make_network(key).await?,
            Subject::Volume(key) => self.make_volume(key).await?,
            _ => return Ok(()),
        }
        self.report.finished(&step.resource, "made", started.elapsed());
        Ok(())
    }

    async fn clear(&self, step: &Step) -> Result<()> {
        let Subject::Container { there: Some(there), .. } = &step.subject else { return Ok(()) };
        let begun = Instant::now();
        if step.action == Action::Rename {
            let name = there.was_to_be().unwrap_or(&there.name);
            self.rename(&there.id, name).await?;
            self.report.finished(&short(self.project, name), "took its place", begun.elapsed());
            return Ok(());
        }
        let name = short(self.project, &there.name);
        self.report.started(&name, "stopping");
        self.before_stop(there).await;
        stop(self.engine, &there.id, &there.name).await?;
        remove(self.engine, &there.id, &there.name, true).await?;
        self.report.finished(&name, "removed", begun.elapsed());
        Ok(())
    }

    pub(super) async fn rename(&self, id: &str, name: &str) -> Result<()> {
        let options = RenameContainerOptionsBuilder::new().name(name).build();
        self.engine.docker.rename_container(id, options).await.or_say(|| format!("can't rename a container to {name}"))
    }

    /// Brings all containers of one service up, and waits until they are what they should be.
    async fn service(&self, name: &str, steps: &[&Step], unchanged: &[Container]) -> Vec<Failure> {
        let Some(progress) = self.services.get(name) else { return Vec::new() };
        let begun = Instant::now();
        let starts: FuturesUnordered<_> = steps.iter().map(|step| self.bring(step)).collect();
        let results: Vec<Result<(String, String)>> = starts.collect().await;
        let mut failures = Vec::new();
        let mut running: Vec<(String, String)> =
            unchanged.iter().map(|container| (container.id.clone(), container.name.clone())).collect();
        for result in results {
            match result {
                Ok(container) => running.push(container),
                Err(failure) => failures.push(failure),
            }
        }
        let ids = running.iter().map(|(id, _)| id.clone()).collect();
        progress.send_replace(Progress { started: Some(ids), failed: !failures.is_empty() });
        let goal = Goal::of(self.project, name);
        let changed = !steps.is_empty();
        let settled: FuturesUnordered<_> =
            running.iter().map(|(id, container)| settle(self, id, container, goal, changed.then_some(begun))).collect();
        let troubles: Vec<Failure> = settled.filter_map(|result| async { result.err() }).collect().await;
        failures.extend(troubles);
        failures
    }

    /// Makes and starts one container; gives its id and name.
    async fn bring(&self, step: &Step) -> Result<(String, String)> {
        let Subject::Container { blueprint: Some(blueprint), there } = &step.subject else {
            return Err(Failure::failed(format!("{} can't be brought up", step.resource)));
        };
        let name = short(self.project, &blueprint.name);
        let result = self.bring_inner(step, blueprint, there.as_deref(), &name).await;
        if let Err(failure) = &result {
            self.report.failed(&name, &failure.to_string());
        }
        result
    }

    async fn bring_inner(
        &self,
        step: &Step,
        blueprint: &Blueprint,
        there: Option<&Container>,
        name: &str,
    ) -> Result<(String, String)> {
        let has_check = self.has_check(blueprint);
        match (step.action, there) {
            (Action::Create, _) => {
                self.report.started(name, "making");
                let id = self.create(blueprint, None).await?;
                self.wait_for(&blueprint.service, name).await?;
                let id = self.start_or_renew(id, &blueprint.name, blueprint, name, has_check).await?;
                Ok((id, blueprint.name.clone()))
            }
            (Action::Recreate, Some(old)) => {
                self.report.started(name, &format!("making anew: {}", step.reason));
                let id = self.create(blueprint, Some(old)).await?;
                self.wait_for(&blueprint.service, name).await?;
                self.report.doing(name, "stopping the old one");
                self.before_stop(old).await;
                stop(self.engine, &old.id, &old.name).await?;
                // Its anonymous volumes are the new one's now.
                remove(self.engine, &old.id, &old.name, false).await?;
                self.rename(&id, &old.name).await?;
                let id = self.start_or_renew(id, &old.name, blueprint, name, has_check).await?;
                Ok((id, old.name.clone()))
            }
            (Action::Restart, Some(there)) => {
                self.report.started(name, &format!("restarting: {}", step.reason));
                self.wait_for(&blueprint.service, name).await?;
                self.tracker.starting(&there.id, has_check);
                let restarted = self.engine.docker.restart_container(&there.id, None::<RestartContainerOptions>).await;
                restarted.or_say(|| format!("can't restart {}", there.name))?;
                self.tracker.started(&there.id);
                Ok((there.id.clone(), there.name.clone()))
            }
            (_, Some(there)) => {
                self.report.started(name, "starting");
                self.wait_for(&blueprint.service, name).await?;
                let id = self.start_or_renew(there.id.clone(), &there.name, blueprint, name, has_check).await?;
                Ok((id, there.name.clone()))
            }
            (_, None) => Err(Failure::failed(format!("{name} is not there"))),
        }
    }

    /// Whether the container will have a health check: the file's, or the image's where the file says nothing.
    pub(super) fn has_check(&self, blueprint: &Blueprint) -> bool {
        let own = blueprint.body.healthcheck.as_ref().and_then(|check| check.test.as_ref());
        match own.and_then(|test| test.first()) {
            Some(first) => first != "NONE",
            None => {
                let image = blueprint.body.image.as_ref().and_then(|reference| self.images.get(reference));
                let check = image.and_then(|image| image.config.as_ref()?.healthcheck.as_ref()?.test.as_ref());
                check.and_then(|test| test.first()).is_some_and(|first| first != "NONE")
            }
        }
    }

    /// Waits for what the service depends on.
    async fn wait_for(&self, service: &str, name: &str) -> Result<()> {
        let Some(service) = self.project.service(service) else { return Ok(()) };
        for (dependency, on) in &service.depends_on {
            let Some(progress) = self.services.get(dependency) else { continue };
            let met = self.condition(dependency, progress, on.condition, name).await;
            match met {
                Err(failure) if on.required => return Err(failure),
                Err(failure) => self.report.warning(&format!("{failure}; {name} does not need it")),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    async fn condition(
        &self,
        dependency: &str,
        progress: &watch::Sender<Progress>,
        condition: Condition,
        name: &str,
    ) -> Result<()> {
        let not_started = |why: String| Failure::failed(format!("{name} was not started: {why}"));
        let mut changes = progress.subscribe();
        // Only services that take part in this run make progress; the others were not asked for.
        let found = changes.wait_for(|progress| progress.started.is_some()).await;
        let found = found.map(|progress| progress.clone()).unwrap_or_default();
        if found.failed {
            return Err(not_started(format!("{dependency} could not be started")));
        }
        if condition == Condition::Started {
            return Ok(());
        }
        for id in found.started.unwrap_or_default() {
            let goal = match condition {
                Condition::Completed => Goal::done(self.project, dependency),
                _ => Goal::healthy(self.project, dependency),
            };
            if goal.reached(self.tracker.seen(&id)).is_none() {
                let wanted = if condition == Condition::Healthy { "healthy" } else { "done" };
                self.report.doing(name, &format!("waiting until {dependency} is {wanted}"));
            }
            let reached = self.tracker.until(&id, |seen| goal.reached(seen));
            let reached = match condition {
                Condition::Healthy => self.sooner(&id, reached).await,
                _ => reached.await,
            };
            reached.map_err(|trouble| not_started(format!("{dependency} {trouble}")))?;
        }
        Ok(())
    }

    /// Waits for a container's health, and meanwhile runs its check by hand, unless another waiter does already.
    pub(super) async fn sooner<T>(&self, id: &str, reached: impl Future<Output = T>) -> T {
        let mut reached = std::pin::pin!(reached);
        let is_first = self.probed.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
        if is_first {
            tokio::select! {
                reached = &mut reached => return reached,
                () = probe::passes(self.engine, id) => self.tracker.ready(id),
            }
        }
        reached.await
    }

    /// Services that take no part in this run count as started: `--no-deps`, or one that is left out.
    pub(super) fn leave_out(&self, taking_part: impl Fn(&str) -> bool, there: &[Container]) {
        for (name, progress) in &self.services {
            if !taking_part(name) {
                let of_it = there.iter().filter(|container| container.service == *name && !container.one_off);
                let ids = of_it.map(|container| container.id.clone()).collect();
                progress.send_replace(Progress { started: Some(ids), failed: false });
            }
        }
    }

    /// Makes a container, with its networks and its files; a replacement under a name of its own for the time being.
    pub(super) async fn create(&self, blueprint: &Blueprint, replaces: Option<&Container>) -> Result<String> {
        let mut body = blueprint.body.clone();
        let mut name = blueprint.name.clone();
        self.complete_labels(blueprint, &mut body, replaces);
        if let Some(old) = replaces {
            name = format!("{}_{}", &old.id[..old.id.len().min(12)], old.name);
            self.keep_anonymous_volumes(old, &mut body).await?;
        }
        let several = self.engine.has(ApiVersion::SEVERAL_ENDPOINTS);
        let (first, later) = blueprint.endpoints.split_at(if several {
            blueprint.endpoints.len()
        } else {
            blueprint.endpoints.len().min(1)
        });
        body.networking_config =
            (!first.is_empty()).then(|| NetworkingConfig { endpoints_config: Some(first.iter().cloned().collect()) });
        let options = CreateContainerOptionsBuilder::new().name(&name).platform(&blueprint.platform).build();
        let slot = self.slots.acquire().await;
        let created = self.engine.docker.create_container(Some(options), body).await;
        drop(slot);
        let id = created.map_err(|error| Self::cannot_create(blueprint, &name, &error))?.id;
        for (network, endpoint) in later {
            let request = NetworkConnectRequest { container: id.clone(), endpoint_config: Some(endpoint.clone()) };
            self.engine
                .docker
                .connect_network(network, request)
                .await
                .or_say(|| format!("can't put {name} into the network {network}"))?;
        }
        files::write(self.engine, &id, &name, &blueprint.files).await?;
        Ok(id)
    }

    fn complete_labels(&self, blueprint: &Blueprint, body: &mut ContainerCreateBody, replaces: Option<&Container>) {
        let all = body.labels.get_or_insert_default();
        let hash = self.hashes.get(&blueprint.service).cloned().unwrap_or_else(|| blueprint.fields.digest());
        all.insert(labels::CONFIG_HASH.into(), hash);
        let image = body.image.as_ref().and_then(|reference| self.images.get(reference));
        if let Some(id) = image.and_then(|image| image.id.clone()) {
            all.insert(labels::IMAGE.into(), id);
        }
        if let Some(old) = replaces {
            all.insert(labels::REPLACE.into(), old.name.clone());
        }
    }

    /// What the old container keeps in volumes without a name goes on in the new one.
    async fn keep_anonymous_volumes(&self, old: &Container, body: &mut ContainerCreateBody) -> Result<()> {
        let found = self.engine.docker.inspect_container(&old.id, None).await;
        let found = found.or_say(|| format!("can't look at {}", old.name))?;
        let host = body.host_config.get_or_insert_default();
        for mount in found.mounts.unwrap_or_default() {
            let (Some(name), Some(target)) = (mount.name, mount.destination) else { continue };
            let is_anonymous = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            let mounts = host.mounts.get_or_insert_default();
            let given = mounts.iter_mut().find(|mount| mount.target.as_ref() == Some(&target));
            match given {
                Some(given) if is_anonymous && given.source.is_none() => given.source = Some(name),
                None if is_anonymous
                    && !host.binds.iter().flatten().any(|bind| bind.split(':').nth(1) == Some(target.as_str())) =>
                {
                    host.binds.get_or_insert_default().push(format!("{name}:{target}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn cannot_create(blueprint: &Blueprint, name: &str, error: &bollard::errors::Error) -> Failure {
        let failure = failure(format!("can't make {name}"), error);
        match status(error) {
            Some(409) => failure.hint(format!("Another container has that name: docker rm {name}")),
            Some(404) if error.to_string().contains("No such image") => {
                failure.hint(format!("Pull it: streamify dev pull {}", blueprint.service))
            }
            _ => failure,
        }
    }
}

/// The name as people know it: without the project in front, and without `-1` behind.
pub(super) fn short(project: &Project, name: &str) -> String {
    let short = labels::unprefixed(&project.name, name);
    let single = short
        .strip_suffix("-1")
        .filter(|service| project.service(service).is_some_and(|service| service.replicas() <= 1));
    single.unwrap_or(short).to_owned()
}

/// Stops a container within its own grace period; one that is gone already is no failure.
pub(super) async fn stop(engine: &Engine, id: &str, name: &str) -> Result<()> {
    match engine.docker.stop_container(id, None::<StopContainerOptions>).await {
        Err(error) if status(&error) != Some(404) => Err(failure(format!("can't stop {name}"), &error)),
        _ => Ok(()),
    }
}

/// Removes a container; one that is gone already, or is on its way, is no failure.
pub(super) async fn remove(engine: &Engine, id: &str, name: &str, with_anonymous_volumes: bool) -> Result<()> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(with_anonymous_volumes).build();
    match engine.docker.remove_container(id, Some(options)).await {
        Err(error) if !matches!(status(&error), Some(404 | 409)) => {
            Err(failure(format!("can't remove {name}"), &error))
        }
        _ => Ok(()),
    }
}

/// One failure out of several: the first one's message, the others among its causes.
pub(super) fn together(mut failures: Vec<Failure>) -> Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    // What merely waited for a failed one says nothing new.
    failures.sort_by_key(|failure| failure.message.contains("was not started"));
    let mut first = failures.remove(0);
    let mut more = 0;
    for other in failures {
        // A whole stack that fails for one reason should not hide it below a hundred repetitions.
        if first.causes.len() < MOST_CAUSES {
            first.causes.push(other.to_string());
        } else {
            more += 1;
        }
        for hint in other.hints {
            if !first.hints.contains(&hint) && first.hints.len() < MOST_CAUSES {
                first.hints.push(hint);
            }
        }
    }
    if more > 0 {
        first.causes.push(format!("and {more} more"));
    }
    Err(first)
}

/// How long a run may wait in all.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(Failure::timed_out(format!("not everything was up after {} s; what was started goes on", limit.as_secs()))
            .hint("`streamify dev ps` shows what is missing, `streamify dev logs` why.")
            .hint("Run `streamify dev up` again to go on, with more time: --wait-timeout SECONDS."))
    })
}
