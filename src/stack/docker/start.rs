//! Starting a container, with its hooks; and one that the engine can't start any more.

use bollard::query_parameters::StartContainerOptions;

use super::apply::{Works, remove};
use super::blueprint::Blueprint;
use super::engine::failure;
use super::hooks;
use super::observe::{Container, Phase};
use crate::failure::Result;

impl Works<'_> {
    /// Starts a container; gives its id. An engine that was killed may still hold a task for it and refuse to start it
    /// for ever: then it is made anew, with its volumes.
    pub(super) async fn start_or_renew(
        &self,
        id: String,
        full_name: &str,
        blueprint: &Blueprint,
        name: &str,
        has_check: bool,
    ) -> Result<String> {
        let Err(failure) = self.start(&id, &blueprint.service, name, has_check).await else { return Ok(id) };
        if !failure.causes.iter().any(|cause| cause.contains("task") && cause.contains("already exists")) {
            return Err(failure);
        }
        self.report.warning(&format!("the engine was killed while it started {name}; the container is made anew"));
        let old = Container { id, name: full_name.to_owned(), ..Container::default() };
        let new = self.create(blueprint, Some(&old)).await?;
        remove(self.engine, &old.id, full_name, false).await?;
        self.rename(&new, full_name).await?;
        self.start(&new, &blueprint.service, name, has_check).await?;
        Ok(new)
    }

    pub(super) async fn start(&self, id: &str, service: &str, name: &str, has_check: bool) -> Result<()> {
        self.report.doing(name, "starting");
        self.tracker.starting(id, has_check);
        let slot = self.slots.acquire().await;
        let started = self.engine.docker.start_container(id, None::<StartContainerOptions>).await;
        drop(slot);
        started.map_err(|error| {
            let failure = failure(format!("can't start {name}"), &error);
            if failure
                .causes
                .iter()
                .any(|cause| cause.contains("port is already allocated") || cause.contains("address already in use"))
            {
                failure.hint("`streamify dev doctor` names who holds the port.")
            } else {
                failure
            }
        })?;
        self.tracker.started(id);
        let hooks = self.project.service(service).map(|service| service.post_start.as_slice()).unwrap_or_default();
        hooks::run(self.engine, id, name, hooks).await
    }

    /// A hook that fails must not keep a container running.
    pub(super) async fn before_stop(&self, container: &Container) {
        let hooks = self.project.service(&container.service).map(|service| service.pre_stop.as_slice());
        if container.state.phase == Phase::Running
            && let Err(failure) =
                hooks::run(self.engine, &container.id, &container.name, hooks.unwrap_or_default()).await
        {
            self.report.warning(&failure.to_string());
        }
    }
}
