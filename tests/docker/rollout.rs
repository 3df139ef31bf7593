//! `deploy local`: who is replaced in which order, and what is there when it goes wrong.

use std::process::{Command, Output};

use serde_json::Value;

use super::support::{Project, err};
use crate::support::process::{eventually, free_port};

/// Checks of the engine come late; waiters run them by hand, so nobody waits for the interval.
const HEALTHY: &str = "healthcheck: {test: [CMD, test, -f, /tmp/ok], interval: 1s, retries: 2}";

fn web(more: &str, command: &str) -> String {
    format!("{{image: BOX, command: [sh, -c, '{command}'], stop_signal: SIGKILL, {HEALTHY}, {more}}}")
}

const GOOD: &str = "touch /tmp/ok; exec httpd -f -p 80";
const BAD: &str = "echo no database here; sleep 1; exit 3";

impl Project<'_> {
    fn tool(&self, words: &[&str]) -> Command {
        let mut command = self.command(&[]);
        let mut tool = Command::new(command.get_program());
        tool.args(words).current_dir(self.path()).stdin(std::process::Stdio::null());
        for (name, value) in command.env("CI", "true").get_envs() {
            match value {
                Some(value) => tool.env(name, value),
                None => tool.env_remove(name),
            };
        }
        tool
    }

    fn deploy(&self, words: &[&str]) -> Output {
        self.tool(&[&["deploy", "local", "--output", "json"], words].concat()).output().unwrap()
    }

    fn deployed(&self, words: &[&str]) -> Value {
        let output = self.deploy(words);
        assert!(output.status.success(), "{}", err(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn verdicts(&self) -> Vec<String> {
        let output = self.tool(&["history", "local", "--output", "json"]).output().unwrap();
        let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        all.iter().map(|release| release["verdict"].as_str().unwrap().to_owned()).collect()
    }

    /// The containers of the services, without one-off ones.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.ids().into_iter().map(|(name, _)| name.replace(&self.name, "NAME")).collect();
        names.sort();
        names
    }
}

#[test]
fn each_container_is_replaced_as_its_ports_and_data_allow() {
    let port = free_port();
    let file = |level: &str| {
        format!(
            "services:\n  a: {}\n  b: {}\n  c: {}\nvolumes: {{data: {{}}}}\n",
            web(&format!("environment: {{LEVEL: {level}}}"), GOOD),
            web(&format!("environment: {{LEVEL: {level}}}, ports: ['127.0.0.1:{port}:80'], depends_on: [a]"), GOOD),
            web(&format!("environment: {{LEVEL: {level}}}, volumes: ['data:/data'], depends_on: [b]"), GOOD),
        )
    };
    let project = Project::new(&file("1"));
    assert_eq!(project.deployed(&[])["replaced"], serde_json::json!([]), "everything is new");
    let before = project.ids();
    assert!(err(&project.deploy(&[])).contains("nothing to do"));

    project.write(&file("2"));
    let shown = project.deployed(&["--dry-run"]);
    assert_eq!(project.ids(), before, "a dry run changes nothing");
    let done = project.deployed(&[]);
    for list in [&shown["replaced"], &done["replaced"]] {
        let told: Vec<_> = list.as_array().unwrap().iter().map(|one| (&one["service"], &one["order"])).collect();
        let expected =
            [("a", "start-first"), ("b", "try-first"), ("c", "stop-first")].map(|(a, b)| (a.into(), b.into()));
        assert_eq!(told, expected.iter().map(|(a, b)| (a, b)).collect::<Vec<(&Value, &Value)>>());
    }
    assert_eq!(done["replaced"][0]["away_ms"], 0);
    assert!(done["replaced"][1]["away_ms"].as_u64().unwrap() > 0);
    assert_eq!(project.names(), ["NAME-a-1", "NAME-b-1", "NAME-c-1"]);
    assert!(project.ids().iter().zip(&before).all(|(now, before)| now.1 != before.1));
    assert_eq!(project.plan(&[]), "", "`dev up` finds nothing to do");
    assert_eq!(project.verdicts(), ["succeeded", "succeeded"]);
}

#[test]
fn what_is_not_good_is_taken_back_whole() {
    let port = free_port();
    let file = |level: &str, command: &str| {
        format!(
            "services:\n  a: {}\n  b: {}\n",
            web(&format!("environment: {{LEVEL: {level}}}"), GOOD),
            web(&format!("volumes: ['./:/here'], depends_on: [a], ports: ['127.0.0.1:{port}:80']"), command),
        )
    };
    let project = Project::new(&file("1", GOOD));
    project.deployed(&[]);
    let before = project.ids();
    // `a` goes well, and `b` stops before its replacement turns out to be bad: both come back.
    project.write(&file("2", BAD));
    let output = project.deploy(&[]);
    assert_eq!(output.status.code(), Some(5), "{}", err(&output));
    assert!(err(&output).contains("no database here"), "its last lines are shown: {}", err(&output));
    assert!(err(&output).contains("rolled back: b ended with exit code 3"), "{}", err(&output));
    assert_eq!(project.ids(), before);
    assert!(project.entries().iter().all(|entry| entry["phase"] == "running"), "{:?}", project.entries());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(), "the port answers again");

    // With its data read-only the new one is tried first, and the old one never stops.
    project.write(&file("1", BAD).replace("./:/here", "./:/here:ro"));
    let output = project.deploy(&[]);
    assert_eq!(output.status.code(), Some(5), "{}", err(&output));
    assert_eq!(project.ids(), before);
    assert_eq!(project.verdicts(), ["rolled_back", "rolled_back", "succeeded"]);
}

#[test]
fn a_job_that_fails_stops_a_deploy_before_anything_is_replaced() {
    let file = |level: &str, job: &str| {
        format!(
            "services:\n  migrate: {{image: BOX, command: [sh, -c, '{job}'], environment: {{LEVEL: {level}}}}}\n  web: {}\n",
            web(
                &format!(
                    "environment: {{LEVEL: {level}}}, depends_on: {{migrate: {{condition: service_completed_successfully}}}}"
                ),
                GOOD
            ),
        )
    };
    let project = Project::new(&file("1", "exit 0"));
    project.deployed(&[]);
    let before = project.entry("web-1")["id"].clone();
    project.write(&file("2", "echo the column is there already; exit 1"));
    let output = project.deploy(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(err(&output).contains("Nothing that ran before was replaced"), "{}", err(&output));
    assert_eq!((project.entry("web-1")["id"].clone(), project.verdicts()[0].as_str()), (before, "failed"));
    project.write(&file("2", "exit 0"));
    project.deployed(&[]);
}

#[test]
fn a_deploy_that_is_killed_or_interrupted_is_finished_or_taken_back() {
    let file = |level: &str, command: &str| {
        format!(
            "services:\n  a: {}\n",
            web(&format!("environment: {{LEVEL: {level}}}, volumes: ['./:/here']"), command)
        )
    };
    let never = "exec sleep 1000";
    let project = Project::new(&file("1", GOOD));
    project.deployed(&[]);
    let before = project.ids();
    let waits_for_health = |level: &str| {
        project.write(&file(level, never));
        let child = project.tool(&["deploy", "local", "--timeout", "1"]).spawn().unwrap();
        eventually("the old one is stopped and the new one runs", || {
            project.entries().iter().any(|entry| entry["phase"] == "running" && entry["id"] != before[0].1.as_str())
        });
        child
    };
    let mut child = waits_for_health("2");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), nix::sys::signal::Signal::SIGINT)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(project.ids(), before, "taken back");
    assert_eq!(project.entries()[0]["phase"], "running");

    let mut child = waits_for_health("3");
    child.kill().unwrap();
    child.wait().unwrap();
    project.write(&file("4", GOOD));
    project.deployed(&[]);
    assert_eq!(project.names(), ["NAME-a-1"]);
    assert_ne!(project.ids(), before);
    assert_eq!(project.plan(&[]), "");
}

#[test]
fn the_way_back_is_to_the_images_that_were_good() {
    let file = format!("services:\n  web: {}\n", web("build: .", GOOD).replace("image: BOX, ", ""));
    let project = Project::new(&file);
    let build = |version: &str| {
        std::fs::write(project.path().join("version"), version).unwrap();
        let text = "FROM streamify-test/box:1\nCOPY version /version\n";
        std::fs::write(project.path().join("Dockerfile"), text).unwrap();
        project.deployed(&["--build"])
    };
    let version = || project.ok(&["exec", "-T", "web", "cat", "/version"]);
    build("one");
    let output = project.tool(&["rollback", "local"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(err(&output).contains("no release to go back to"), "{}", err(&output));
    build("two");
    assert_eq!(version(), "two");
    let output = project.tool(&["rollback", "local"]).output().unwrap();
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!(version(), "one");
    assert_eq!(project.plan(&[]), "", "the file's image is the old one again");
    assert_eq!(project.verdicts(), ["succeeded"; 3]);

    // An image by reference, for each service that shares the one that is named.
    project.deployed(&["--image", "web=streamify-test/box:1"]);
    let output = project.run(&["exec", "-T", "web", "cat", "/version"]);
    assert!(!output.status.success(), "{}", err(&output));
}
