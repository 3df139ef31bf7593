//! What `dev up` is going to do on Docker, as data: every step names its resource, its action and its reason.
//!
//! Nothing here talks to the engine. Images come first, in a plan of their own: whether a container must be made anew
//! depends on what a pull or a build brings.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::blueprint::{Blueprint, blueprint};
use super::engine::ApiVersion;
use super::foreign;
use super::host::lives_with;
use super::observe::{Container, Observed, Phase};
use super::plan_shared::{networks, volumes};
use crate::failure::{Failure, Result};
use crate::stack::compose::model::{Condition, Project, Service};

/// What is done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Build,
    Pull,
    Create,
    Recreate,
    Rename,
    Start,
    Restart,
    Remove,
}

impl Action {
    pub fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Pull => "pull",
            Self::Create => "create",
            Self::Recreate => "recreate",
            Self::Rename => "rename",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Remove => "remove",
        }
    }
}

/// What a step is about.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// Its key in the file.
    Network(String),
    /// Its key in the file.
    Volume(String),
    /// The reference, and the services that run it.
    Image { reference: String, services: Vec<String> },
    Container {
        /// None: one that no blueprint is left for.
        blueprint: Option<Box<Blueprint>>,
        /// The one that is there.
        there: Option<Box<Container>>,
    },
}

/// One step.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    pub action: Action,
    /// `network shop_default`, `container shop-web-1`.
    pub resource: String,
    pub reason: String,
    /// The fields that changed, as the file names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// What it waits for, such as `db healthy`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    #[serde(skip)]
    pub(super) subject: Subject,
}

impl Step {
    /// As a line: `recreate container shop-web-1: ports changed`.
    pub fn text(&self) -> String {
        let after = if self.after.is_empty() { String::new() } else { format!("; after {}", self.after.join(", ")) };
        format!("{} {}: {}{after}", self.action.word(), self.resource, self.reason)
    }

    /// The service that the step is for, where it is for one.
    pub(super) fn service(&self) -> Option<&str> {
        match &self.subject {
            Subject::Container { blueprint: Some(blueprint), .. } => Some(&blueprint.service),
            Subject::Container { there: Some(there), .. } => Some(&there.service),
            _ => None,
        }
    }
}

/// When images are pulled, besides what the file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Pull {
    /// As each service's `pull_policy` says
    #[default]
    Policy,
    /// What is not here
    Missing,
    /// Every image, to see whether there is a newer one
    Always,
    /// Nothing
    Never,
}

/// What is wanted of `up`.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Empty: all of them.
    pub services: Vec<String>,
    pub build: bool,
    pub pull: Pull,
    pub force_recreate: bool,
    /// Only the named services, not what they depend on.
    pub no_dependencies: bool,
    /// Numbers of containers that go before the file's.
    pub scale: BTreeMap<String, u32>,
    pub remove_orphans: bool,
}

/// The services that are meant: the named ones with what they depend on, or all.
pub(super) fn selection<'a>(project: &'a Project, wishes: &Wishes) -> Result<Vec<&'a Service>> {
    for name in wishes.services.iter().chain(wishes.scale.keys()) {
        if project.service(name).is_none() {
            let known = project.services.keys().cloned().collect::<Vec<_>>().join(", ");
            let failure = Failure::usage(format!("there is no service `{name}`"));
            return Err(match project.disabled_services.get(name) {
                Some(service) => failure
                    .cause(format!("it belongs to the profile {}", service.profiles.join(", ")))
                    .hint(format!("Give --profile {}.", service.profiles.first().map_or("NAME", String::as_str))),
                None => failure.hint(format!("There are: {known}.")),
            });
        }
    }
    if wishes.services.is_empty() {
        return Ok(project.services.values().collect());
    }
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut left: Vec<&str> = wishes.services.iter().map(String::as_str).collect();
    while let Some(name) = left.pop() {
        if let Some(service) = project.service(name)
            && names.insert(name)
            && !wishes.no_dependencies
        {
            left.extend(service.depends_on.keys().map(String::as_str));
        }
    }
    Ok(names.into_iter().filter_map(|name| project.service(name)).collect())
}

/// What is to be done once the images are there, and what is worth a word.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) warnings: Vec<String>,
}

/// Networks, volumes and containers, in an order in which they could be done one after another.
pub(super) fn plan(project: &Project, wishes: &Wishes, observed: &Observed, api: ApiVersion) -> Result<Plan> {
    let services = selection(project, wishes)?;
    let mut plan = Plan::default();
    networks(project, &services, observed, &mut plan)?;
    volumes(project, &services, observed, &mut plan)?;
    let mut anew: BTreeSet<&str> = BTreeSet::new();
    for service in in_order(&services) {
        containers(project, service, wishes, observed, api, &mut anew, &mut plan)?;
    }
    orphans(project, wishes, observed, &mut plan);
    Ok(plan)
}

/// Dependencies first; the loader has refused circles.
pub(super) fn in_order<'a>(services: &[&'a Service]) -> Vec<&'a Service> {
    fn visit<'a>(
        service: &'a Service,
        all: &BTreeMap<&str, &'a Service>,
        done: &mut Vec<&'a Service>,
        seen: &mut BTreeSet<&'a str>,
    ) {
        if seen.insert(&service.name) {
            for name in service.depends_on.keys() {
                if let Some(other) = all.get(name.as_str()) {
                    visit(other, all, done, seen);
                }
            }
            done.push(service);
        }
    }
    let all = services.iter().map(|service| (service.name.as_str(), *service)).collect();
    let (mut done, mut seen) = (Vec::new(), BTreeSet::new());
    for service in services {
        visit(service, &all, &mut done, &mut seen);
    }
    done
}

fn container_step(
    action: Action,
    name: &str,
    reason: impl Into<String>,
    blueprint: Option<Blueprint>,
    there: Option<&Container>,
) -> Step {
    Step {
        action,
        resource: format!("container {name}"),
        reason: reason.into(),
        changed: Vec::new(),
        after: Vec::new(),
        subject: Subject::Container { blueprint: blueprint.map(Box::new), there: there.cloned().map(Box::new) },
    }
}

fn containers<'a>(
    project: &Project,
    service: &'a Service,
    wishes: &Wishes,
    observed: &Observed,
    api: ApiVersion,
    anew: &mut BTreeSet<&'a str>,
    plan: &mut Plan,
) -> Result<()> {
    let wanted = wishes.scale.get(&service.name).copied().map_or(service.replicas(), i64::from);
    let wanted = usize::try_from(wanted).unwrap_or(0);
    if wanted > 1 && !service.container_name.is_empty() {
        return Err(Failure::usage(format!("{} can't have {wanted} containers", service.name))
            .cause(format!("they would all be called {}", service.container_name))
            .hint("Leave `container_name` out."));
    }
    let mut there: Vec<Container> = observed.of_service(&service.name).cloned().collect();
    let of_it = |container: &&Container| container.service == service.name && !container.one_off;
    for container in observed.containers.iter().filter(of_it) {
        if let Some(name) = container.was_to_be() {
            left_over(container, name, &mut there, plan);
        }
    }
    there.sort_by_key(|container| container.number);
    let surplus = there.split_off(there.len().min(wanted));
    for container in &surplus {
        let reason = format!("{wanted} of {} are wanted", service.name);
        plan.steps.push(container_step(Action::Remove, &container.name, reason, None, Some(container)));
    }
    let after = after(project, service);
    let restarts = service.depends_on.iter().any(|(name, on)| on.restart && anew.contains(name.as_str()));
    for index in 0..wanted {
        let found = there.get(index);
        let number = found.map_or_else(|| free_number(&there, index), |container| container.number);
        let blueprint = blueprint(project, service, number, api)?;
        let name = found.map_or_else(|| blueprint.name.clone(), |container| container.name.clone());
        let Some(found) = found else {
            anew.insert(&service.name);
            let mut step = container_step(Action::Create, &name, "it is not there", Some(blueprint), None);
            step.after.clone_from(&after);
            plan.steps.push(step);
            continue;
        };
        let (reason, changed) = difference(project, service, wishes, observed, &blueprint, found, anew);
        if let Some(reason) = reason {
            anew.insert(&service.name);
            let mut step = container_step(Action::Recreate, &name, reason, Some(blueprint), Some(found));
            step.changed = changed;
            step.after.clone_from(&after);
            plan.steps.push(step);
            continue;
        }
        let action = match found.state.phase {
            Phase::Running | Phase::Restarting if restarts => {
                let of = service.depends_on.iter().filter(|(name, on)| on.restart && anew.contains(name.as_str()));
                let names = of.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
                Some((Action::Restart, format!("{names} is made anew")))
            }
            Phase::Running | Phase::Restarting => None,
            Phase::Exited if is_finished_job(project, service, found) => None,
            Phase::Exited => {
                let code = found.state.exit_code.map_or_else(String::new, |code| format!(" with exit code {code}"));
                Some((Action::Start, format!("it has ended{code}")))
            }
            Phase::Paused => Some((Action::Restart, "it is paused".into())),
            Phase::Created | Phase::Removing | Phase::Dead => {
                Some((Action::Start, "it was made but never started".into()))
            }
        };
        if let Some((action, reason)) = action {
            let mut step = container_step(action, &name, reason, Some(blueprint), Some(found));
            step.after.clone_from(&after);
            plan.steps.push(step);
        }
    }
    Ok(())
}

/// A replacement that never took its place, which an interrupted run left. It takes it now where the one before it is
/// gone or was stopped for it; else it goes away.
fn left_over(container: &Container, name: &str, there: &mut Vec<Container>, plan: &mut Plan) {
    let before = there.iter().position(|other| other.number == container.number);
    let mut add = |action, reason: String, container: &Container| {
        plan.steps.push(container_step(action, &container.name, reason, None, Some(container)));
    };
    match before {
        Some(index) if !(container.is_good() && there[index].state.phase == Phase::Exited) => {
            let reason = "an update that was interrupted left it; the one that it was to replace is there";
            add(Action::Remove, reason.into(), container);
            return;
        }
        Some(index) => {
            let old = there.remove(index);
            add(Action::Remove, format!("an update that was interrupted stopped it; {} runs", container.name), &old);
        }
        None => {}
    }
    add(Action::Rename, format!("an update that was interrupted left it; it becomes {name}"), container);
    there.push(Container { name: name.to_owned(), ..container.clone() });
}

/// Somebody waits for it to have ended well, and it has: running it again would do its work twice.
pub(super) fn is_finished_job(project: &Project, service: &Service, container: &Container) -> bool {
    container.state.phase == Phase::Exited && container.state.exit_code == Some(0) && is_job(project, service)
}

/// Somebody waits for it to have ended well.
pub(super) fn is_job(project: &Project, service: &Service) -> bool {
    let awaited =
        |other: &Service| other.depends_on.get(&service.name).is_some_and(|on| on.condition == Condition::Completed);
    project.services.values().any(awaited)
}

fn free_number(there: &[Container], index: usize) -> u32 {
    let taken: BTreeSet<u32> = there.iter().map(|container| container.number).collect();
    let free = (1..).filter(|number| !taken.contains(number));
    // The n-th container beyond those that are there takes the n-th number that is free.
    free.clone().nth(index - there.len()).unwrap_or(1)
}

/// `db healthy`, `migrations done`.
fn after(project: &Project, service: &Service) -> Vec<String> {
    let one = |(name, on): (&String, &crate::stack::compose::model::DependsOn)| {
        project.service(name)?;
        Some(match on.condition {
            Condition::Started => format!("{name} has started"),
            Condition::Healthy => format!("{name} is healthy"),
            Condition::Completed => format!("{name} is done"),
        })
    };
    service.depends_on.iter().filter_map(one).collect()
}

/// Why a container must be made anew, with the fields that changed.
fn difference(
    project: &Project,
    service: &Service,
    wishes: &Wishes,
    observed: &Observed,
    blueprint: &Blueprint,
    found: &Container,
    anew: &BTreeSet<&str>,
) -> (Option<String>, Vec<String>) {
    let because = |reason: String| (Some(reason), Vec::new());
    let named = wishes.services.is_empty() || wishes.services.contains(&service.name);
    if wishes.force_recreate && named {
        return because("it is asked for".into());
    }
    if let Some(other) = lives_with(service).find(|name| anew.contains(name)) {
        return because(format!("it lives with {other}, which is made anew"));
    }
    let reference = project.image(service);
    let image = observed.images.get(&reference);
    let changed = match (&found.fields, observed.foreign.get(&found.id)) {
        (Some(fields), _) => fields.differences(&blueprint.fields),
        (None, Some(there)) => foreign::differences(blueprint, there, image.and_then(|image| image.config.as_ref())),
        (None, None) => Vec::new(),
    };
    if !changed.is_empty() {
        let (verb, list) = (if changed.len() == 1 { "has" } else { "have" }, changed.join(", "));
        return (Some(format!("{list} {verb} changed")), changed);
    }
    if let Some(id) = image.and_then(|image| image.id.as_ref())
        && !found.image_id.is_empty()
        && *id != found.image_id
    {
        return (Some(format!("{reference} is another image now")), vec!["image".into()]);
    }
    for (name, _) in &blueprint.endpoints {
        let there = found.networks.get(name);
        let now = observed.networks.get(name).and_then(|network| network.id.as_ref());
        match (there, now) {
            (None, _) => return (Some(format!("it is not in the network {name}")), vec!["networks".into()]),
            (Some(id), Some(now)) if !id.is_empty() && id != now => {
                return because(format!("the network {name} is another one now"));
            }
            (Some(_), None) => return because(format!("the network {name} is made anew")),
            _ => {}
        }
    }
    if found.networks.keys().any(|name| !blueprint.endpoints.iter().any(|(wanted, _)| wanted == name))
        && !blueprint.endpoints.is_empty()
    {
        return (Some("it is in a network that the file does not give it".into()), vec!["networks".into()]);
    }
    (None, Vec::new())
}

/// Containers of services that the file no longer has.
fn orphans(project: &Project, wishes: &Wishes, observed: &Observed, plan: &mut Plan) {
    let known = |name: &str| project.services.contains_key(name) || project.disabled_services.contains_key(name);
    let orphans: Vec<&Container> =
        observed.containers.iter().filter(|container| !container.one_off && !known(&container.service)).collect();
    for container in &orphans {
        if wishes.remove_orphans {
            let reason = format!("the file has no service {}", container.service);
            plan.steps.push(container_step(Action::Remove, &container.name, reason, None, Some(container)));
        }
    }
    if !wishes.remove_orphans && !orphans.is_empty() {
        let names = orphans.iter().map(|container| container.name.as_str()).collect::<Vec<_>>().join(", ");
        plan.warnings.push(format!("of no service in the file: {names}; --remove-orphans removes them"));
    }
}
