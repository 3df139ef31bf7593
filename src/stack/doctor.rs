//! What the stack needs of the machine, checked before it is needed.

use std::path::Path;

use serde::Serialize;

use super::layout::Layout;
use super::state::State;
use super::{fetch, kafka, ports, postgres};
use crate::failure::Failure;
use crate::settings::Settings;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    Ok,
    Warn,
    Fail,
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub grade: Grade,
    pub found: String,
    pub remedy: Option<String>,
}

/// Below this much free space, in bytes, a stack soon gets into trouble.
const LITTLE_SPACE: u64 = 1 << 30;

/// Checks everything.
pub fn diagnose(settings: &Settings) -> Vec<Finding> {
    let environment = &settings.environment;
    let layout = Layout::of(settings);
    let mut findings = Vec::new();
    let mut add = |check, grade, found: String, remedy: Option<String>| {
        findings.push(Finding { check, grade, found, remedy });
    };
    let failed = |failure: &Failure| (failure.to_string(), failure.hints.first().cloned());
    match kafka::java(environment) {
        Ok((program, version)) => add("java", Grade::Ok, format!("{version} at {}", program.display()), None),
        Err(failure) => {
            let (found, remedy) = failed(&failure);
            add("java", Grade::Fail, found, remedy);
        }
    }
    let system = postgres::installed(environment);
    let has_postgres = system.is_some() || fetch::postgres_folder(environment).is_dir();
    let has_kafka = environment.get("KAFKA_HOME").is_some() || fetch::kafka_folder(environment).is_dir();
    match fetch::on_path(environment, "mvn") {
        Some(program) => add("maven", Grade::Ok, program.display().to_string(), None),
        None if has_kafka && has_postgres => {
            add("maven", Grade::Ok, "not installed, and everything is fetched already".into(), None);
        }
        None => {
            let remedy = "install it: apt-get install maven, or brew install maven".to_owned();
            add("maven", Grade::Fail, "not on the PATH; it fetches what is missing".into(), Some(remedy));
        }
    }
    match system {
        Some((folder, version)) => add("postgres", Grade::Ok, format!("{version} in {}", folder.display()), None),
        None => add("postgres", Grade::Ok, "none installed; the packaged one is used".into(), None),
    }
    let state = match State::read(&layout) {
        Ok(state) => {
            let left =
                state.services.values().filter(|status| status.process.is_some_and(super::process::Identity::is_alive));
            match (state.is_running(), left.count()) {
                (true, _) => add("state", Grade::Ok, "the stack is running".into(), None),
                (false, 0) => add("state", Grade::Ok, "the stack is down".into(), None),
                (false, left) => add(
                    "state",
                    Grade::Warn,
                    format!("{left} processes are left of a supervisor that was killed"),
                    Some("`streamify dev up` or `streamify dev down` ends them".into()),
                ),
            }
            state
        }
        Err(failure) => {
            let (found, remedy) = failed(&failure);
            add("state", Grade::Fail, found, remedy);
            State::default()
        }
    };
    if !state.is_running() {
        let used = |(service, port): (&crate::settings::Service, &u16)| {
            let port = *state.ports.get(service).unwrap_or(port);
            (!ports::is_free(port)).then(|| format!("{port} ({service}) is held by {}", ports::holder(port)))
        };
        let used: Vec<String> = settings.dev.ports.iter().filter_map(used).collect();
        if used.is_empty() {
            add("ports", Grade::Ok, "all are free".into(), None);
        } else {
            let remedy = "stop the holder, or use `streamify dev up --port auto`".to_owned();
            add("ports", Grade::Fail, used.join("; "), Some(remedy));
        }
    }
    let existing = layout.data.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    match tempfile::tempfile_in(existing) {
        Ok(_) => add("data folder", Grade::Ok, layout.data.display().to_string(), None),
        Err(error) => add(
            "data folder",
            Grade::Fail,
            format!("can't write in {}: {error}", existing.display()),
            Some("set `dev.data` in streamify.yaml to a folder of yours".into()),
        ),
    }
    let database = layout.postgres();
    if !database.starts_with(&layout.data) {
        let found = format!("the database's user can't reach the data folder; its files are in {}", database.display());
        add("database folder", Grade::Ok, found, None);
    }
    if let Ok(space) = nix::sys::statvfs::statvfs(existing) {
        #[allow(clippy::useless_conversion, reason = "the types differ between systems")]
        let free = u64::from(space.blocks_available()) * u64::from(space.fragment_size());
        let grade = if free < LITTLE_SPACE { Grade::Warn } else { Grade::Ok };
        let remedy = (grade == Grade::Warn).then(|| "free at least 1 GB".to_owned());
        add("disk space", grade, format!("{} MB free", free >> 20), remedy);
    }
    findings
}
