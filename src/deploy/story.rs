//! What a deploy did, for people, scripts and pipelines.

use std::fmt::Write;

use serde::Serialize;

use super::lambda;
use super::plan::{Plan, Step};
use super::record::{Ending, Record};
use crate::failure::Failure;

/// A deploy from its begin to its end, however it ended.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    pub environment: String,
    /// None: it ended before it could be planned.
    pub plan: Option<Plan>,
    /// The same for an environment of functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub functions: Option<lambda::Plan>,
    /// None: nothing was to be done, or it ended before anything was.
    pub record: Option<Record>,
    /// Requests to AWS, tries that failed among them.
    pub requests: u64,
    #[serde(skip)]
    pub failure: Option<Failure>,
}

impl Story {
    /// Whether anything was changed.
    pub fn has_changed(&self) -> bool {
        self.record.is_some()
    }

    /// One line: how it ended.
    pub fn words(&self) -> String {
        let name = &self.environment;
        match (&self.record, &self.failure) {
            (None, None) => format!("{name}: nothing to do"),
            (None, Some(failure)) => format!("{name}: {}", failure.message),
            (Some(record), _) => {
                let took = record.seconds().map(|seconds| format!(" in {seconds:.1} s")).unwrap_or_default();
                format!("{name}: deploy {} {}{took}", record.number, record.ending.words())
            }
        }
    }

    /// The steps of whichever plan there is, in their order.
    pub fn steps(&self) -> Vec<Step> {
        let of_services = self.plan.as_ref().map(Plan::steps);
        of_services.or_else(|| self.functions.as_ref().map(lambda::Plan::steps)).unwrap_or_default()
    }

    /// The plan as a person reads it, where anything was to be done.
    fn plan_text(&self) -> Option<String> {
        let of_services = self.plan.as_ref().filter(|plan| !plan.is_empty()).map(Plan::text);
        of_services.or_else(|| self.functions.as_ref().filter(|plan| !plan.is_empty()).map(lambda::Plan::text))
    }

    /// The differences, the stages and the result, for `$GITHUB_STEP_SUMMARY`.
    pub fn markdown(&self) -> String {
        let mark = match (&self.record, &self.failure) {
            (_, Some(_)) => "❌",
            (Some(record), _) if record.ending == Ending::Detached => "⏳",
            _ => "✅",
        };
        let mut text = format!("### {mark} {}\n\n", self.words());
        if let Some(failure) = &self.failure {
            let _ = writeln!(text, "**{}**\n", failure.message);
            for cause in &failure.causes {
                let _ = writeln!(text, "```\n{}\n```\n", cause.replace("```", "'''"));
            }
            for hint in &failure.hints {
                let _ = writeln!(text, "- {hint}");
            }
            text.push('\n');
        }
        if let Some(record) = &self.record {
            if !record.services.is_empty() {
                text.push_str("| service | revision | before |\n|---|---|---|\n");
                for (service, one) in &record.services {
                    let name = super::plan::revision_name;
                    let _ = writeln!(text, "| {service} | {} | {} |", name(&one.task_definition), name(&one.before));
                }
                text.push('\n');
            }
            if !record.stages.is_empty() {
                text.push_str("| stage | seconds |\n|---|---:|\n");
                for stage in &record.stages {
                    let _ = writeln!(text, "| {} | {:.1} |", stage.name, stage.seconds);
                }
                text.push('\n');
            }
        }
        if let Some(lines) = self.plan_text() {
            // GitHub colours lines by their first character.
            let lines = lines.lines().map(|line| line.trim_start().replacen("~ ", "! ", 1));
            let _ = writeln!(text, "<details><summary>What changed</summary>\n\n```diff");
            for line in lines {
                let _ = writeln!(text, "{line}");
            }
            text.push_str("```\n\n</details>\n\n");
        }
        let _ = writeln!(text, "{} requests to AWS", self.requests);
        text
    }
}
