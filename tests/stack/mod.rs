//! The local stack, with real processes in folders and on ports of their own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::process::within;

/// A project of its own; whatever happens, nothing of it is left running.
pub(crate) struct Project(tempfile::TempDir);

impl Project {
    /// Its ports are below those that the system gives to clients, and no other project's of this run.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().unwrap();
        let first = 20_000 + std::process::id() % 500 * 20;
        let mut ports = (0..).map(|_| u16::try_from(first + NEXT.fetch_add(1, Ordering::Relaxed)).unwrap());
        let mut free = || ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
        let names = ["frontend", "backend", "postgres", "kafka", "kafka-ui"];
        let lines: String = names.map(|name| format!("    {name}: {}\n", free())).concat();
        std::fs::write(folder.path().join("streamify.yaml"), format!("dev:\n  ports:\n{lines}")).unwrap();
        Self(folder)
    }

    /// A project whose whole stack is up.
    pub(crate) fn whole() -> Self {
        let project = Self::new();
        project.ok(&["up", "--detach"]);
        project
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, words: &[&str]) -> Output {
        self.tool(&[&["dev"], words].concat())
    }

    /// Any command of the tool, in the project's folder.
    pub(crate) fn tool(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamify"));
        // A Docker daemon may run on this machine; these tests are of the embedded runtime.
        command.args(words).current_dir(self.path()).env("STREAMIFY_RUNTIME", "embedded").output().unwrap()
    }

    /// Runs a command that must go well; gives its standard output.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn up(&self) {
        self.ok(&["up", "postgres", "kafka", "--detach"]);
    }

    pub(crate) fn sql(&self, query: &str) -> String {
        self.ok(&["exec", "postgres", "--", "-qAtc", query]).trim().to_owned()
    }

    pub(crate) fn entry(&self, service: &str) -> Value {
        let entries: Vec<Value> = serde_json::from_str(&self.ok(&["ps", "--output", "json"])).unwrap();
        entries.into_iter().find(|entry| entry["service"] == service).unwrap()
    }

    pub(crate) fn kill(&self, service: &str) -> Value {
        let before = self.entry(service)["pid"].clone();
        kill(&before);
        before
    }

    fn kill_supervisor(&self) {
        let state = std::fs::read(self.path().join(".streamify/state.json")).unwrap();
        kill(&serde_json::from_slice::<Value>(&state).unwrap()["supervisor"]["pid"]);
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.run(&["down", "--volumes", "--yes"]);
    }
}

fn kill(pid: &Value) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

pub(crate) fn eventually(what: &str, is_so: impl FnMut() -> bool) {
    within(Duration::from_secs(30), what, is_so);
}

#[test]
fn a_second_up_does_nothing_and_data_survives_down() {
    let project = Project::new();
    project.up();
    assert_eq!(project.entry("kafka")["state"], "healthy");
    project.sql("create table kept(n int); insert into kept values (7)");
    let pid = project.entry("postgres")["pid"].clone();
    let again = project.run(&["up", "postgres", "kafka", "--detach"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("nothing to do"));
    assert_eq!(project.entry("postgres")["pid"], pid);
    project.ok(&["down"]);
    assert_eq!(project.entry("postgres")["pid"], Value::Null);
    assert!(project.ok(&["logs", "postgres", "--grep", "ready to accept"]).contains("ready to accept connections"));
    assert_eq!(project.ok(&["logs", "postgres", "--grep", "no such words"]), "");
    project.up();
    assert_eq!(project.sql("select n from kept"), "7");
}

#[test]
fn a_killed_supervisor_blocks_nothing_and_loses_nothing() {
    let project = Project::new();
    project.up();
    let port = project.entry("postgres")["port"].clone();
    project.sql("create table kept(n int); insert into kept values (7)");
    project.kill_supervisor();
    project.ok(&["up", "postgres", "kafka", "--detach"]);
    assert_eq!(project.entry("postgres")["port"], port, "the port is remembered");
    assert_eq!(project.sql("select n from kept"), "7");
    project.kill_supervisor();
    project.ok(&["down"]);
}

#[test]
fn a_killed_service_is_started_again() {
    let project = Project::new();
    project.up();
    for service in ["postgres", "kafka"] {
        let before = project.kill(service);
        eventually("a new process is healthy", || {
            let entry = project.entry(service);
            entry["state"] == "healthy" && entry["pid"].is_u64() && entry["pid"] != before
        });
        assert_eq!(project.entry(service)["restarts"], 1);
    }
    assert_eq!(project.sql("select 1"), "1");
}

#[test]
fn a_port_in_use_is_named_with_its_holder_and_nothing_starts() {
    let project = Project::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let output = project.run(&["up", "postgres", "--detach", "--port", &format!("postgres={port}")]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains(&format!("process {}", std::process::id())) && text.contains("--port auto"), "{text}");
    assert!(!project.path().join(".streamify").exists());
}

#[test]
fn a_dry_run_writes_nothing() {
    let project = Project::new();
    let text = project.ok(&["up", "--dry-run"]);
    assert!(text.contains("initialise") && text.contains("migrations"), "{text}");
    assert_eq!(std::fs::read_dir(project.path()).unwrap().count(), 1, "only streamify.yaml");
}
