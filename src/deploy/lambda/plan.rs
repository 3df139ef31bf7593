//! What a deploy of functions is going to do, as data. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::super::difference::{Difference, differences};
use super::super::plan::Step;
use super::api::{Alias, Configuration};
use super::archive::Archive;
use super::page::PagePlan;
use super::shift::Course;

/// A function as it is.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    /// Its name.
    pub(super) name: String,
    /// What the next version would be made of, but for its program.
    pub(super) latest: Configuration,
    pub(super) alias: Alias,
    /// The version that the alias names.
    pub(super) live: Configuration,
}

/// What happens to one function.
#[derive(Clone, Debug, Serialize)]
pub struct FunctionPlan {
    /// The function's name.
    pub name: String,
    /// The version that the alias names.
    pub live: String,
    /// The program and the settings that differ.
    pub differences: Vec<Difference>,
    /// Versions that have a part of the traffic from a deploy that was cut short.
    pub left: BTreeMap<String, f64>,
    /// Whether the program has to be uploaded; not where one that was cut short has done it.
    pub is_uploaded: bool,
}

impl FunctionPlan {
    fn of(observed: &Observed, archive: &Archive) -> Self {
        let mut all = Vec::new();
        if observed.live.code_sha256 != archive.sha256 {
            all.push(Difference {
                field: "program".to_owned(),
                before: Some(short(&observed.live.code_sha256)),
                after: Some(short(&archive.sha256)),
            });
        }
        all.extend(differences(&observed.live.settings(), &observed.latest.settings(), ""));
        Self {
            name: observed.name.clone(),
            live: observed.alias.function_version.clone(),
            differences: all,
            left: observed.alias.weights(),
            is_uploaded: observed.latest.code_sha256 == archive.sha256,
        }
    }

    /// Nothing is done to it.
    pub fn is_idle(&self) -> bool {
        self.differences.is_empty() && self.left.is_empty()
    }
}

/// The beginning of a hash, as people compare it.
fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// Everything that a deploy of functions is going to do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    pub environment: String,
    pub alias: String,
    /// By what they do.
    pub functions: BTreeMap<String, FunctionPlan>,
    /// Whether the new version brings the database up to date before anything is shifted.
    pub migration: bool,
    pub course: Course,
    pub page: Option<PagePlan>,
}

impl Plan {
    /// Compares what is wanted with what is.
    pub(super) fn of(
        environment: &str,
        alias: &str,
        observed: &BTreeMap<String, Observed>,
        archive: &Archive,
        course: Course,
        page: Option<PagePlan>,
        wants_migration: bool,
    ) -> Self {
        let functions: BTreeMap<String, FunctionPlan> =
            observed.iter().map(|(role, one)| (role.clone(), FunctionPlan::of(one, archive))).collect();
        let migration = wants_migration && functions.get("events").is_some_and(|one| !one.is_idle());
        Self { environment: environment.to_owned(), alias: alias.to_owned(), functions, migration, course, page }
    }

    /// Functions that change.
    pub fn active(&self) -> impl Iterator<Item = (&String, &FunctionPlan)> {
        self.functions.iter().filter(|(_, one)| !one.is_idle())
    }

    /// Nothing differs and nothing is going on.
    pub fn is_empty(&self) -> bool {
        self.active().next().is_none() && self.page.as_ref().is_none_or(PagePlan::is_empty)
    }

    /// The steps, in the order in which they are done.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (_, one) in self.active() {
            let fields: Vec<&str> = one.differences.iter().map(|one| one.field.as_str()).collect();
            let reason = match fields.len() {
                0 => "an earlier deploy was cut short".to_owned(),
                1..=3 => format!("{} differs from version {}", fields.join(", "), one.live),
                more => format!("{} and {} more differ from version {}", fields[..3].join(", "), more - 3, one.live),
            };
            let action = if one.is_uploaded { "publish" } else { "upload" };
            steps.push(Step { action, resource: one.name.clone(), reason });
        }
        if self.migration {
            let resource = self.functions.get("events").map(|one| one.name.clone()).unwrap_or_default();
            let reason = "with its new version, before any traffic is shifted".to_owned();
            steps.push(Step { action: "migrate", resource, reason });
        }
        for (_, one) in self.active() {
            let reason = format!("{}, away from version {}", self.course.words(), one.live);
            steps.push(Step { action: "shift", resource: format!("{}:{}", one.name, self.alias), reason });
        }
        if let Some(page) = self.page.as_ref().filter(|page| !page.is_empty()) {
            let deleted = if page.delete.is_empty() {
                String::new()
            } else {
                format!(", {} of the page before the last are deleted", page.delete.len())
            };
            let reason = format!("{} files are new or changed{deleted}", page.upload.len());
            steps.push(Step { action: "page", resource: page.bucket.clone(), reason });
        }
        steps
    }

    /// The differences by function, then the steps.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (role, one) in &self.functions {
            let what =
                if one.is_idle() { "nothing to do".to_owned() } else { format!("live: {}:{}", one.name, one.live) };
            let _ = writeln!(text, "{role}  ({what})");
            let width =
                one.differences.iter().map(|one| one.field.len()).filter(|width| *width <= 32).max().unwrap_or(0);
            for difference in &one.differences {
                let _ = writeln!(text, "  {}", difference.line(width));
            }
            for (version, weight) in &one.left {
                let _ = writeln!(text, "  ~ version {version} has {:.0} % of the traffic", weight * 100.0);
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
