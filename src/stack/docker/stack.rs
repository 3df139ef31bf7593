//! One Compose project on one daemon: the door of this room.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::apply::{Works, together, within};
use super::engine::Engine;
use super::observe::{Container, Observed, look_up, observe};
use super::plan::{Action, Plan, Step, Subject, Wishes, plan, selection};
use super::plan_images::plan_images;
use super::tracker::Tracker;
use super::{images, ports};
use crate::failure::{Failure, Result};
use crate::report::Report;
use crate::settings::Environment;
use crate::stack::compose::model::{Project, Service};

/// A project on a daemon.
pub struct Stack<'a> {
    pub(super) engine: &'a Engine,
    pub(super) project: &'a Project,
    pub(super) environment: &'a Environment,
}

/// What `up` is going to do.
#[derive(Debug)]
pub struct Prospect {
    /// Pulls and builds. While there are any, `steps` says what follows from the images as they are now.
    pub images: Vec<Step>,
    pub(super) plan: Plan,
    pub(super) observed: Observed,
}

impl Prospect {
    /// Networks, volumes, containers.
    pub fn steps(&self) -> &[Step] {
        &self.plan.steps
    }

    /// What is worth a word: orphans, networks made otherwise.
    pub fn warnings(&self) -> &[String] {
        &self.plan.warnings
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty() && self.plan.steps.is_empty()
    }
}

impl<'a> Stack<'a> {
    pub fn new(engine: &'a Engine, project: &'a Project, environment: &'a Environment) -> Self {
        Self { engine, project, environment }
    }

    pub(super) fn references(&self, wishes: &Wishes) -> Result<BTreeSet<String>> {
        Ok(selection(self.project, wishes)?.into_iter().map(|service| self.project.image(service)).collect())
    }

    /// Looks and plans; changes nothing.
    ///
    /// # Errors
    /// A service that is not there, an image that nothing may bring, a port that somebody else has.
    pub async fn prospect(&self, wishes: &Wishes) -> Result<Prospect> {
        let observed = observe(self.engine, &self.project.name, &self.references(wishes)?).await?;
        let images = plan_images(self.project, wishes, &observed)?;
        let plan = plan(self.project, wishes, &observed, self.engine.api)?;
        ports::check(self.engine, self.project, &plan).await?;
        Ok(Prospect { images, plan, observed })
    }

    /// Carries a prospect out, and waits until everything is healthy, running or done. Says whether it did anything.
    ///
    /// # Errors
    /// All that failed; what does not depend on it is up all the same.
    pub async fn up(&self, prospect: Prospect, wishes: &Wishes, limit: Duration, report: &dyn Report) -> Result<bool> {
        let Prospect { images, mut plan, mut observed } = prospect;
        let mut changed = !images.is_empty();
        if !images.is_empty() {
            images::bring(self, &images, report).await?;
            observed = observe(self.engine, &self.project.name, &self.references(wishes)?).await?;
            plan = super::plan::plan(self.project, wishes, &observed, self.engine.api)?;
        }
        for warning in &plan.warnings {
            report.warning(warning);
        }
        changed |= !plan.steps.is_empty();
        let unchanged = self.unchanged(&plan, &observed, wishes)?;
        let works = self.works(&plan.steps, &mut observed, wishes, report).await?;
        within(limit, works.apply(&plan, &unchanged)).await?;
        Ok(changed)
    }

    /// What carries steps out, ready to begin.
    pub(super) async fn works<'b>(
        &'b self,
        steps: &[Step],
        observed: &mut Observed,
        wishes: &Wishes,
        report: &'b dyn Report,
    ) -> Result<Works<'b>> {
        let tracker = Tracker::start(self.engine, &self.project.name, &observed.containers);
        let mut works = Works::new(self.engine, self.project, tracker, report);
        if steps.iter().any(|step| matches!(step.action, Action::Create | Action::Recreate)) {
            works.hashes = super::peer::hashes(self.project, self.environment).await;
        }
        works.images = std::mem::take(&mut observed.images);
        let selected: BTreeSet<&str> =
            selection(self.project, wishes)?.into_iter().map(|service| service.name.as_str()).collect();
        works.leave_out(|name| selected.contains(name), &observed.containers);
        Ok(works)
    }

    /// The containers that stay as they are, by service; every selected service is among the keys.
    pub(super) fn unchanged(
        &self,
        plan: &Plan,
        observed: &Observed,
        wishes: &Wishes,
    ) -> Result<BTreeMap<String, Vec<Container>>> {
        let touched: BTreeSet<&str> = plan
            .steps
            .iter()
            .filter_map(|step| match &step.subject {
                Subject::Container { there: Some(there), .. } if step.action != Action::Rename => {
                    Some(there.id.as_str())
                }
                _ => None,
            })
            .collect();
        let of = |name: &str| {
            observed.of_service(name).filter(|container| !touched.contains(container.id.as_str())).cloned().collect()
        };
        Ok(selection(self.project, wishes)?
            .into_iter()
            .map(|service| (service.name.clone(), of(&service.name)))
            .collect())
    }

    /// The services that are named, or all.
    fn named(&self, names: &[String]) -> Result<Vec<&Service>> {
        let wishes = Wishes { services: names.to_vec(), no_dependencies: true, ..Wishes::default() };
        selection(self.project, &wishes)
    }

    /// Builds the images of the named services, or of all; says whether there was any.
    pub async fn build(&self, names: &[String], anew: bool, report: &dyn Report) -> Result<bool> {
        let services = self.named(names)?;
        // Services that share an image share its build.
        let mut images: BTreeMap<String, &Service> = BTreeMap::new();
        for service in services.into_iter().filter(|service| service.build.is_some()) {
            images.entry(self.project.image(service)).or_insert(service);
        }
        let builds: FuturesUnordered<_> = images
            .values()
            .map(|service| super::build::build(self.engine, self.project, service, self.environment, anew, report))
            .collect();
        let failed: Vec<Failure> = builds.filter_map(|result| async { result.err() }).collect().await;
        together(failed)?;
        Ok(!images.is_empty())
    }

    /// Pulls the images of the named services, or of all that are not built; says whether there was any.
    pub async fn pull(&self, names: &[String], only_missing: bool, report: &dyn Report) -> Result<bool> {
        let mut wanted: BTreeMap<String, String> = BTreeMap::new();
        for service in self.named(names)?.into_iter().filter(|service| service.build.is_none()) {
            wanted.insert(self.project.image(service), service.platform.clone());
        }
        if only_missing {
            let there = look_up(self.engine, &wanted.keys().cloned().collect()).await?;
            wanted.retain(|reference, _| !there.contains_key(reference));
        }
        let pulls: FuturesUnordered<_> = wanted
            .iter()
            .map(|(reference, platform)| images::pull(self.engine, self.environment, reference, platform, report))
            .collect();
        let failed: Vec<Failure> = pulls.filter_map(|result| async { result.err() }).collect().await;
        together(failed)?;
        Ok(!wanted.is_empty())
    }
}
