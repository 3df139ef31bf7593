//! A Docker daemon of the tests' own, and projects on it.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::support::process::folder;

const STREAMIFY: &str = env!("CARGO_BIN_EXE_streamify");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/test-daemon.sh");

/// A daemon; it is stopped, with all that it kept, when the test process is gone.
pub struct Daemon {
    pub host: String,
    pub folder: String,
    _keeper: Child,
}

impl Daemon {
    /// One that may be killed: it has a network of its own, so that its coming and going disturbs no other one.
    pub fn apart(name: &str) -> Self {
        Self::start(name, &["apart"])
    }

    fn start(name: &str, how: &[&str]) -> Self {
        let folder = format!("/var/tmp/streamify-test-{name}-{}", std::process::id());
        let host = script(&[&["start", &folder], how].concat());
        // Statics are never dropped: the end of this pipe is what tells that the tests are over.
        let keeper = Command::new("sh")
            .args([
                "-c",
                "trap '' INT; cat >/dev/null; exec \"$1\" stop \"$2\" >/dev/null 2>&1",
                "keeper",
                SCRIPT,
                &folder,
            ])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Self { host: host.trim().to_owned(), folder, _keeper: keeper }
    }

    /// The one that most tests share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Daemon> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("docker", &[]))
    }

    /// As a crash would end it.
    pub fn kill(&self) {
        script(&["kill", &self.folder]);
    }

    /// After a crash; what it kept is there.
    pub fn start_again(&self) {
        script(&["start", &self.folder]);
    }

    /// A call of the engine's API; JSON, one value a line where it is a stream.
    pub fn get(&self, path: &str) -> Vec<Value> {
        let socket = self.host.strip_prefix("unix://").unwrap();
        let output = Command::new("curl")
            .args(["-fsS", "--unix-socket", socket, &format!("http://docker{path}")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::Deserializer::from_slice(&output.stdout).into_iter().map(Result::unwrap).collect()
    }
}

fn script(words: &[&str]) -> String {
    // What the daemon inherits must not be a pipe that somebody waits for.
    let output = Command::new(SCRIPT).args(words).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A project of its own on a daemon; nothing of it is left.
pub struct Project<'a> {
    pub daemon: &'a Daemon,
    pub name: String,
    folder: tempfile::TempDir,
}

impl<'a> Project<'a> {
    /// With this Compose file; `NAME` in it is the project's name, `BOX` the image.
    pub fn on(daemon: &'a Daemon, file: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let project = Self { daemon, name, folder: folder() };
        project.write(file);
        project
    }

    pub fn new(file: &str) -> Project<'static> {
        Project::on(Daemon::shared(), file)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, file: &str) {
        let text = file.replace("BOX", "streamify-test/box:1").replace("NAME", &self.name);
        std::fs::write(self.path().join("compose.yaml"), format!("name: {}\n{text}", self.name)).unwrap();
    }

    /// `streamify dev …`
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(STREAMIFY);
        command.arg("dev").args(words).current_dir(self.path()).env("DOCKER_HOST", &self.daemon.host);
        command.env("STREAMIFY_RUNTIME", "docker").env_remove("DOCKER_CONTEXT").stdin(Stdio::null());
        command
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs a command that must go well; gives its standard output.
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {}", err(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// `up --detach` with what is said meanwhile.
    pub fn up(&self, words: &[&str]) -> String {
        let output = self.run(&[&["up", "--detach"], words].concat());
        assert!(output.status.success(), "{words:?}: {}", err(&output));
        err(&output)
    }

    /// The plan, a line a step, with the project's name out of it.
    pub fn plan(&self, words: &[&str]) -> String {
        let text = self.ok(&[&["up", "--dry-run", "--output", "json"], words].concat());
        let steps: Vec<Value> = serde_json::from_str(&text).unwrap();
        let line = |step: &Value| {
            let after = step["after"].as_array().map(|after| {
                let names: Vec<_> = after.iter().map(|one| one.as_str().unwrap()).collect();
                format!("; after {}", names.join(", "))
            });
            let text = |key: &str| step[key].as_str().unwrap().to_owned();
            format!("{} {}: {}{}", text("action"), text("resource"), text("reason"), after.unwrap_or_default())
        };
        steps.iter().map(line).collect::<Vec<_>>().join("\n").replace(&self.name, "NAME")
    }

    pub fn entries(&self) -> Vec<Value> {
        serde_json::from_str(&self.ok(&["ps", "--all", "--output", "json"])).unwrap()
    }

    pub fn entry(&self, container: &str) -> Value {
        let name = format!("{}-{container}", self.name);
        let found = self.entries().into_iter().find(|entry| entry["container"] == *name);
        found.unwrap_or_else(|| panic!("there is no {name}: {:?}", self.entries()))
    }

    /// The ids of the containers, by name.
    pub fn ids(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.entries().iter().map(|entry| (text(&entry["container"]), text(&entry["id"]))).collect()
    }

    /// Everything of the project that the engine has: containers, networks, volumes.
    pub fn remains(&self) -> usize {
        let filter = format!("filters=%7B%22label%22%3A%5B%22com.docker.compose.project%3D{}%22%5D%7D", self.name);
        let count = |value: &Value| value.as_array().map_or(0, Vec::len);
        let containers = count(&self.daemon.get(&format!("/containers/json?all=1&{filter}"))[0]);
        let networks = count(&self.daemon.get(&format!("/networks?{filter}"))[0]);
        containers + networks + count(&self.daemon.get(&format!("/volumes?{filter}"))[0]["Volumes"])
    }

    /// Docker Compose itself, on the same project.
    pub fn compose(&self, words: &[&str]) -> String {
        let mut command = Command::new(compose());
        command.args(words).current_dir(self.path()).env("DOCKER_HOST", &self.daemon.host).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), err(&output));
        assert!(output.status.success(), "docker compose {words:?}: {text}");
        text
    }

    /// As [`Project::command`], with Docker Compose installed where the tool looks for it.
    pub fn beside_compose(&self, words: &[&str]) -> String {
        let mut command = self.command(words);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", Path::new(compose()).parent().unwrap().display()));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", err(&output));
        err(&output)
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        self.run(&["down", "--volumes", "--yes"]);
    }
}

/// The program, built once.
pub fn compose() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/compose-peer.sh");
        let output = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "Docker Compose could not be built");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}

pub fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
