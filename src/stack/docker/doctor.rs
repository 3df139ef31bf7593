//! What the stack needs of Docker and of the machine below it, checked before it is needed.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::engine::{ApiVersion, Engine, OrSay};
use super::observe::{containers, look_up, observe};
use super::plan::{Wishes, plan};
use super::{credentials, labels, peer, ports};
use crate::failure::{Failure, Result};
use crate::settings::Environment;
use crate::stack::compose::model::Project;
use crate::stack::{Finding, Grade};

/// Below this much free space where the engine keeps its data, in bytes, pulls and builds soon fail.
const LITTLE_SPACE: u64 = 5 << 30;
/// Tokens and certificates stop working when clocks are further apart, in seconds.
const CLOCK_APART: i64 = 30;

/// Checks everything; `project` is what the Compose file says, where there is one.
pub async fn diagnose(engine: &Engine, project: Option<&Project>, environment: &Environment) -> Vec<Finding> {
    let mut findings = Findings::default();
    findings.ok("daemon", format!("Docker {} at {} ({})", engine.version, engine.address, engine.source));
    if engine.has(ApiVersion::SEVERAL_ENDPOINTS) {
        findings.ok("api", format!("{}", engine.api));
    } else {
        findings.add(
            "api",
            Grade::Warn,
            format!("{}: health checks have no start interval, so slow ones are found late", engine.api),
            Some("update to Docker 25 or newer".into()),
        );
    }
    if let Err(failure) = machine(engine, project, &mut findings).await {
        findings.failure("daemon", &failure);
    }
    if let Err(failure) = networks(engine, &mut findings).await {
        findings.failure("networks", &failure);
    }
    match peer::program(environment) {
        Some(program) => findings.ok("docker compose", format!("{}", program.display())),
        None => findings.ok("docker compose", "not installed; it is not needed".into()),
    }
    if let Some(project) = project
        && let Err(failure) = of_project(engine, project, environment, &mut findings).await
    {
        findings.failure("project", &failure);
    }
    findings.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, check: &'static str, grade: Grade, found: String, remedy: Option<String>) {
        self.0.push(Finding { check, grade, found, remedy });
    }

    fn ok(&mut self, check: &'static str, found: String) {
        self.add(check, Grade::Ok, found, None);
    }

    fn failure(&mut self, check: &'static str, failure: &Failure) {
        self.add(check, Grade::Fail, failure.to_string(), failure.hints.first().cloned());
    }
}

async fn machine(engine: &Engine, project: Option<&Project>, findings: &mut Findings) -> Result<()> {
    let info = engine.docker.info().await.or_say(|| "the daemon does not say what it is".into())?;
    for warning in info
        .warnings
        .unwrap_or_default()
        .into_iter()
        .filter(|warning| warning.contains("insecure") || warning.contains("bridge-nf"))
    {
        findings.add("daemon", Grade::Warn, warning, None);
    }
    if let Some(root) = info.docker_root_dir.filter(|_| engine.is_local)
        && let Ok(space) = nix::sys::statvfs::statvfs(root.as_str())
    {
        #[allow(clippy::useless_conversion, reason = "the types differ between systems")]
        let free = u64::from(space.blocks_available()) * u64::from(space.fragment_size());
        let grade = if free < LITTLE_SPACE { Grade::Warn } else { Grade::Ok };
        let remedy = (grade == Grade::Warn).then(|| "docker system prune frees what nothing uses".to_owned());
        findings.add("disk space", grade, format!("{} GB free in {root}", free >> 30), remedy);
    }
    if let Some(total) = info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()) {
        let wanted: i64 = project.into_iter().flat_map(|project| project.services.values()).map(memory).sum();
        let wanted = u64::try_from(wanted).unwrap_or(0);
        let found = format!("{} MB; the services' limits add up to {} MB", total >> 20, wanted >> 20);
        if wanted > total {
            let remedy = "give Docker more memory (Docker Desktop: Settings, Resources), or lower the limits";
            findings.add("memory", Grade::Warn, found, Some(remedy.into()));
        } else {
            findings.ok("memory", found);
        }
    }
    if let Some(time) = info.system_time.and_then(|time| time.parse::<Timestamp>().ok()) {
        let apart = Timestamp::now().duration_since(time).as_secs().abs();
        if apart > CLOCK_APART {
            let remedy = "set the clocks: timedatectl set-ntp true; restart Docker Desktop after a sleep";
            let found = format!("the daemon's clock is {apart} s away from this machine's");
            findings.add("clock", Grade::Warn, found, Some(remedy.into()));
        } else {
            findings.ok("clock", "the same as the daemon's".into());
        }
    }
    Ok(())
}

fn memory(service: &crate::stack::compose::model::Service) -> i64 {
    let of_deploy = || service.deploy.as_ref()?.resources.limits.as_ref().map(|limits| limits.memory.0);
    let one = if service.mem_limit.0 > 0 { service.mem_limit.0 } else { of_deploy().unwrap_or(0) };
    one * service.replicas()
}

/// Networks of projects that have no container left use up the address pools.
async fn networks(engine: &Engine, findings: &mut Findings) -> Result<()> {
    let observed = observe(engine, "", &BTreeSet::new()).await?;
    let mut stale = Vec::new();
    for (name, network) in &observed.networks {
        let Some(owner) = network.labels.as_ref().and_then(|labels| labels.get(labels::PROJECT)) else { continue };
        if containers(engine, owner).await?.is_empty() {
            stale.push(name.clone());
        }
    }
    if stale.is_empty() {
        findings.ok("networks", format!("{}, none left over", observed.networks.len()));
    } else {
        let remedy = format!("docker network rm {}", stale.join(" "));
        findings.add(
            "networks",
            Grade::Warn,
            format!("left over, without containers: {}", stale.join(", ")),
            Some(remedy),
        );
    }
    Ok(())
}

async fn of_project(
    engine: &Engine,
    project: &Project,
    environment: &Environment,
    findings: &mut Findings,
) -> Result<()> {
    let references: BTreeSet<String> = project.services.values().map(|service| project.image(service)).collect();
    let built: BTreeSet<String> = project
        .services
        .values()
        .filter(|service| service.build.is_some())
        .map(|service| project.image(service))
        .collect();
    let there = look_up(engine, &references).await?;
    let missing: Vec<&String> = references.iter().filter(|reference| !there.contains_key(*reference)).collect();
    let to_pull: Vec<&&String> = missing.iter().filter(|reference| !built.contains(**reference)).collect();
    findings.ok("images", format!("{} of {} are here", references.len() - missing.len(), references.len()));
    let registries: BTreeSet<&str> = to_pull.iter().map(|reference| credentials::registry(reference)).collect();
    for registry in registries {
        match credentials::for_registry(environment, registry) {
            Ok(known) => {
                let who = if known.is_some() { "known" } else { "none; enough for public images" };
                findings.ok("credentials", format!("{registry}: {who}"));
            }
            Err(failure) => findings.failure("credentials", &failure),
        }
    }
    let observed = observe(engine, &project.name, &references).await?;
    let planned = plan(project, &Wishes::default(), &observed, engine.api)?;
    match ports::check(engine, project, &planned).await {
        Ok(()) => findings.ok("ports", "all are free, or held by this project".into()),
        Err(failure) => {
            findings.add("ports", Grade::Fail, failure.causes.join("; "), failure.hints.first().cloned());
        }
    }
    Ok(())
}
