//! Terraform's stream of JSON lines while it plans and applies, told as progress.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::diagnostics::Diagnostic;
use super::plan::resources;
use crate::report::{Event, Report};

/// One line (<https://developer.hashicorp.com/terraform/internals/machine-readable-ui>); only what is used of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    #[serde(rename = "type")]
    sort: String,
    hook: Hook,
    diagnostic: Option<Diagnostic>,
    changes: Option<Counts>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Hook {
    resource: Resource,
    action: String,
    elapsed_seconds: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resource {
    addr: String,
}

/// What a plan or an apply came to.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Counts {
    pub add: u64,
    pub change: u64,
    pub remove: u64,
}

/// Listens to one run.
pub struct Listener<'a> {
    report: &'a dyn Report,
    is_live: bool,
    /// The name of the whole, for what belongs to no resource.
    name: &'static str,
    started: Instant,
    refreshed: usize,
    pub diagnostics: Vec<Diagnostic>,
    /// Resources that are worked on now, with what is done.
    pub running: BTreeMap<String, String>,
    /// Resources that were made, changed or destroyed.
    pub done: Vec<String>,
    pub failed: Vec<String>,
    pub counts: Option<Counts>,
}

impl<'a> Listener<'a> {
    pub fn new(report: &'a dyn Report, is_live: bool, name: &'static str) -> Self {
        Self {
            report,
            is_live,
            name,
            started: Instant::now(),
            refreshed: 0,
            diagnostics: Vec::new(),
            running: BTreeMap::new(),
            done: Vec::new(),
            failed: Vec::new(),
            counts: None,
        }
    }

    /// Since the run began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Takes a line. One that is no JSON is a remark of the program for people.
    pub fn line(&mut self, text: &str) {
        let Ok(line) = serde_json::from_str::<Line>(text) else { return };
        let Line { sort, hook, diagnostic, changes } = line;
        let address = hook.resource.addr;
        match sort.as_str() {
            "refresh_complete" => {
                self.refreshed += 1;
                if self.is_live {
                    self.report.doing(self.name, &format!("looked at {}", resources(self.refreshed)));
                }
            }
            "apply_start" if hook.action != "read" => {
                let doing = doing(&hook.action);
                self.report.started(&address, doing);
                self.running.insert(address, doing.to_owned());
            }
            // A log gets a line a minute of what takes long, a terminal every one.
            "apply_progress" if self.is_live || hook.elapsed_seconds % 60 == 0 => {
                let doing = self.running.get(&address).cloned().unwrap_or_default();
                self.report.doing(&address, &format!("{doing}, {} s so far", hook.elapsed_seconds));
            }
            "provision_start" => self.report.doing(&address, "running its provisioner"),
            "apply_complete" if hook.action != "read" => {
                self.running.remove(&address);
                self.report.finished(&address, done(&hook.action), Duration::from_secs(hook.elapsed_seconds));
                // What is made anew ends twice.
                if !self.done.contains(&address) {
                    self.done.push(address);
                }
            }
            "apply_errored" => {
                self.running.remove(&address);
                self.report.failed(&address, &format!("not {} after {} s", done(&hook.action), hook.elapsed_seconds));
                self.failed.push(address);
            }
            "change_summary" => self.counts = changes,
            "diagnostic" => self.diagnostics.extend(diagnostic.inspect(|one| {
                if one.severity == "warning" {
                    self.report.event(Event::Warning(one.text("")));
                }
            })),
            _ => {}
        }
    }
}

fn doing(action: &str) -> &'static str {
    match action {
        "create" => "creating",
        "delete" => "destroying",
        "update" => "changing",
        _ => "working",
    }
}

fn done(action: &str) -> &'static str {
    match action {
        "create" => "created",
        "delete" => "destroyed",
        "update" => "changed",
        _ => "done",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Recorder;

    #[test]
    fn resources_are_followed_from_start_to_end() {
        let recorder = Recorder::default();
        let mut listener = Listener::new(&recorder, false, "apply");
        let hook = |sort: &str, action: &str, seconds: u64| {
            format!(
                r#"{{"type":"{sort}","hook":{{"resource":{{"addr":"a.b"}},"action":"{action}","elapsed_seconds":{seconds}}}}}"#
            )
        };
        listener.line(&hook("apply_start", "create", 0));
        listener.line(&hook("apply_progress", "create", 10));
        listener.line(&hook("apply_progress", "create", 60));
        assert_eq!(listener.running["a.b"], "creating");
        listener.line(&hook("apply_complete", "create", 61));
        listener.line(&hook("apply_errored", "delete", 3));
        listener.line(r#"{"type":"diagnostic","diagnostic":{"severity":"error","summary":"no","detail":""}}"#);
        listener.line("not JSON");
        assert_eq!(
            (listener.done.as_slice(), listener.failed.as_slice()),
            (&["a.b".to_owned()][..], &["a.b".to_owned()][..])
        );
        assert_eq!(listener.diagnostics.len(), 1);
        let told = recorder.events();
        assert_eq!(told.len(), 4, "{told:?}");
        assert_eq!(told[1], Event::Doing { name: "a.b".into(), doing: "creating, 60 s so far".into() });
    }
}
