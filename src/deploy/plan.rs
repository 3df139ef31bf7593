//! What a deploy is going to do, as data: what is different by field, and each step with its reason. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use aws_sdk_ecs::operation::register_task_definition::builders::RegisterTaskDefinitionInputBuilder;
use aws_sdk_ecs::types::DeploymentConfiguration;
use serde::Serialize;
use serde_json::{Value, json};

use super::difference::{Difference, differences};
use super::normal::leaves;
use super::shape;
use crate::failure::{OrFail, Result};

/// A service as it is to be.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) container: String,
    pub(super) definition: RegisterTaskDefinitionInputBuilder,
    pub(super) configuration: DeploymentConfiguration,
    /// The number of tasks, where it is to be set; None leaves it to whoever scales.
    pub(super) replicas: Option<i32>,
    pub(super) depends_on: Vec<String>,
}

impl Wanted {
    /// The definition in the one form that is compared.
    pub(super) fn leaves(&self) -> Result<BTreeMap<String, Value>> {
        let input = self.definition.clone().build().or_fail(|| "can't render a task definition".to_owned())?;
        Ok(leaves(&shape::json(&input)?))
    }
}

/// A revision of a task definition.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Revision {
    pub(super) arn: String,
    pub(super) leaves: BTreeMap<String, Value>,
}

/// A service as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    /// The ECS service's name.
    pub(super) name: String,
    /// What the service is told to run.
    pub(super) revision: Revision,
    /// The newest of its family, where it is another one: a deploy that was cut short may have registered it.
    pub(super) newest: Option<Revision>,
    pub(super) configuration: Option<DeploymentConfiguration>,
    pub(super) desired: i32,
    /// Whether a rollout of `revision` is still going on.
    pub(super) is_rolling_out: bool,
    pub(super) is_exec_enabled: bool,
}

/// Where the revision that is wanted comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    /// It is live.
    Live(String),
    /// It is registered already and not live.
    Registered(String),
    /// It has to be registered.
    New,
}

/// What happens to one service.
#[derive(Clone, Debug, Serialize)]
pub struct ServicePlan {
    /// The ECS service's name.
    pub name: String,
    /// The live revision, such as `streamify-prod-backend:41`.
    pub live: String,
    pub(super) origin: Origin,
    /// Fields of the task definition.
    pub definition: Vec<Difference>,
    /// Fields of the service.
    pub settings: Vec<Difference>,
    /// A rollout of this very revision goes on already: it is watched, not begun again.
    pub is_adopted: bool,
    #[serde(skip)]
    pub(super) wanted: Wanted,
}

/// One step, as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    pub action: &'static str,
    pub resource: String,
    pub reason: String,
}

/// The one-off task before services change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MigrationPlan {
    /// Whose revision it runs with.
    pub service: String,
    pub command: Vec<String>,
    /// Minutes.
    pub timeout: u64,
}

/// Everything that a deploy is going to do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    pub environment: String,
    pub services: BTreeMap<String, ServicePlan>,
    /// Only where its service's definition changes.
    pub migration: Option<MigrationPlan>,
    /// Names of services, each after those that it depends on; those of one level don't depend on each other.
    pub levels: Vec<Vec<String>>,
}

impl ServicePlan {
    fn of(wanted: &Wanted, live: &Live) -> Result<Self> {
        let asked = wanted.leaves()?;
        let origin = if live.revision.leaves == asked {
            Origin::Live(live.revision.arn.clone())
        } else {
            match &live.newest {
                Some(newest) if newest.leaves == asked => Origin::Registered(newest.arn.clone()),
                _ => Origin::New,
            }
        };
        let before = match &live.configuration {
            Some(configuration) => shape::json(configuration)?,
            None => json!({}),
        };
        let mut settings =
            differences(&leaves(&before), &leaves(&shape::json(&wanted.configuration)?), &wanted.container);
        if let Some(replicas) = wanted.replicas.filter(|replicas| *replicas != live.desired) {
            settings.push(Difference {
                field: "desiredCount".to_owned(),
                before: Some(live.desired.to_string()),
                after: Some(replicas.to_string()),
            });
        }
        Ok(Self {
            name: live.name.clone(),
            live: revision_name(&live.revision.arn).to_owned(),
            definition: differences(&live.revision.leaves, &asked, &wanted.container),
            settings,
            is_adopted: live.is_rolling_out && matches!(origin, Origin::Live(_)),
            origin,
            wanted: wanted.clone(),
        })
    }

    /// Whether the service itself is told something.
    pub fn is_update(&self) -> bool {
        self.rolls_out() || !self.settings.is_empty()
    }

    /// Whether new tasks are started.
    pub fn rolls_out(&self) -> bool {
        !matches!(self.origin, Origin::Live(_))
    }

    /// Nothing is done to it, and nothing of it is waited for.
    pub fn is_idle(&self) -> bool {
        !self.is_update() && !self.is_adopted
    }
}

impl Plan {
    /// Compares what is wanted with what is.
    pub(super) fn of(
        environment: &str,
        wanted: &BTreeMap<String, Wanted>,
        live: &BTreeMap<String, Live>,
        migration: Option<MigrationPlan>,
    ) -> Result<Self> {
        let mut services = BTreeMap::new();
        for (name, wanted) in wanted {
            if let Some(live) = live.get(name) {
                services.insert(name.clone(), ServicePlan::of(wanted, live)?);
            }
        }
        let migration = migration.filter(|one| services.get(&one.service).is_some_and(ServicePlan::rolls_out));
        Ok(Self { environment: environment.to_owned(), levels: levels(wanted), services, migration })
    }

    /// Nothing differs and nothing is going on.
    pub fn is_empty(&self) -> bool {
        self.services.values().all(ServicePlan::is_idle)
    }

    /// Services that change or are watched.
    pub fn active(&self) -> impl Iterator<Item = (&String, &ServicePlan)> {
        self.services.iter().filter(|(_, plan)| !plan.is_idle())
    }

    /// The steps, in the order in which they are done.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let fields = |all: &[Difference]| {
            let names: Vec<&str> = all.iter().map(|one| one.field.as_str()).collect();
            match names.len() {
                0..=3 => names.join(", "),
                more => format!("{} and {} more", names[..3].join(", "), more - 3),
            }
        };
        let changing = |name: &String| self.services.get(name).filter(|plan| !plan.is_idle());
        if let Some(migration) = &self.migration {
            steps.push(Step {
                action: "migrate",
                resource: migration.command.join(" "),
                reason: format!("with the new revision of {}, before any service changes", migration.service),
            });
        }
        for name in self.levels.iter().flatten() {
            let Some(plan) = changing(name) else { continue };
            if plan.origin == Origin::New {
                let verb = if plan.definition.len() == 1 { "differs" } else { "differ" };
                let reason = format!("{} {verb} from {}", fields(&plan.definition), plan.live);
                steps.push(Step { action: "register", resource: plan.name.clone(), reason });
            }
        }
        for name in self.levels.iter().flatten() {
            let Some(plan) = changing(name) else { continue };
            let after =
                match plan.wanted.depends_on.iter().filter(|other| changing(other).is_some()).collect::<Vec<_>>() {
                    others if others.is_empty() => String::new(),
                    others => format!(", after {}", others.into_iter().cloned().collect::<Vec<_>>().join(", ")),
                };
            let (action, reason) = match &plan.origin {
                Origin::New => ("update", "to the new revision".to_owned()),
                Origin::Registered(arn) => ("update", format!("to {}, registered before", revision_name(arn))),
                Origin::Live(_) if plan.is_adopted => ("watch", format!("{} is being rolled out already", plan.live)),
                Origin::Live(_) => ("set", format!("{}, without a rollout", fields(&plan.settings))),
            };
            steps.push(Step { action, resource: plan.name.clone(), reason: format!("{reason}{after}") });
        }
        steps
    }

    /// The differences by service, then the steps; lines begin with `~`, `+` and `-` where they stand for a change.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, plan) in &self.services {
            let what = if plan.is_idle() { "nothing to do".to_owned() } else { format!("live: {}", plan.live) };
            let _ = writeln!(text, "{name}  ({what})");
            let all: Vec<&Difference> = plan.definition.iter().chain(&plan.settings).collect();
            let width = all.iter().map(|one| one.field.len()).filter(|width| *width <= 32).max().unwrap_or(0);
            for one in all {
                let _ = writeln!(text, "  {}", one.line(width));
            }
        }
        let steps = self.steps();
        if !steps.is_empty() {
            text.push('\n');
        }
        for (index, step) in steps.iter().enumerate() {
            let _ = writeln!(text, "{}. {} {}: {}", index + 1, step.action, step.resource, step.reason);
        }
        text
    }
}

/// `family:revision` of an ARN, and of a function's version `function:version`.
pub(super) fn revision_name(arn: &str) -> &str {
    let last = arn.rsplit('/').next().unwrap_or(arn);
    last.split_once(":function:").map_or(last, |(_, name)| name)
}

/// Groups services by how far they are from those that depend on nothing; who waits for each other was refused before.
fn levels(wanted: &BTreeMap<String, Wanted>) -> Vec<Vec<String>> {
    let mut levels: Vec<Vec<String>> = Vec::new();
    let mut placed: Vec<&String> = Vec::new();
    while placed.len() < wanted.len() {
        let is_ready = |name: &&String| {
            let is_placed = |other: &String| placed.contains(&other) || !wanted.contains_key(other);
            !placed.contains(name) && wanted[*name].depends_on.iter().all(is_placed)
        };
        let level: Vec<&String> = wanted.keys().filter(is_ready).collect();
        if level.is_empty() {
            break;
        }
        levels.push(level.iter().map(|name| (*name).clone()).collect());
        placed.extend(level);
    }
    levels
}
