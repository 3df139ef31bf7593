//! The project's own stack, as `docker-compose.yml` describes it: brought up by this tool and by Docker Compose in turn.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::support::{Daemon, compose, err};
use crate::support::api::{Api, PASSWORD};
use crate::support::process::{eventually, folder, free_port};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const STREAMIFY: &str = env!("CARGO_BIN_EXE_streamify");

/// The stack under a name, with ports and secrets of its own.
struct App {
    variables: BTreeMap<String, String>,
    _secrets: tempfile::TempDir,
}

impl App {
    fn new() -> Self {
        let daemon = Daemon::shared();
        for (script, words) in [("stand-in-images.sh", [STREAMIFY]), ("image-binary.sh", [STREAMIFY])] {
            let path = format!("{ROOT}/scripts/{script}");
            let status = Command::new(path).args(words).env("DOCKER_HOST", &daemon.host).status().unwrap();
            assert!(status.success(), "{script}");
        }
        let secrets = folder();
        let made = Command::new(STREAMIFY).args(["init", "--secrets"]).current_dir(secrets.path()).output().unwrap();
        assert!(made.status.success(), "{}", err(&made));
        let mut variables: BTreeMap<String, String> =
            ["FRONTEND", "BACKEND", "POSTGRES", "ZOOKEEPER", "KAFKA", "KAFKA_UI"]
                .map(|name| (format!("{name}_PORT"), free_port().to_string()))
                .into();
        let mut set = |name: &str, value: &str| variables.insert(name.to_owned(), value.to_owned());
        set("COMPOSE_PROJECT_NAME", &format!("app{}", std::process::id()));
        set("COMPOSE_ENV_FILES", &secrets.path().join(".env").display().to_string());
        set("STREAMIFY_DOCKERFILE", "templates/Dockerfile.binary");
        set("STREAMIFY_IMAGE", &format!("streamify:test-{}", std::process::id()));
        set("STREAMIFY_RUNTIME", "docker");
        // The releases of this stack are no releases of a person's.
        set("STREAMIFY_DATA", &secrets.path().join("data").display().to_string());
        set("DOCKER_HOST", &daemon.host);
        Self { variables, _secrets: secrets }
    }

    fn command(&self, program: impl AsRef<Path>, words: &[&str]) -> Output {
        let mut command = Command::new(program.as_ref());
        command.args(words).current_dir(ROOT).envs(&self.variables).env_remove("DOCKER_CONTEXT");
        command.stdin(Stdio::null()).output().unwrap()
    }

    fn ok(&self, program: impl AsRef<Path>, words: &[&str]) -> String {
        let output = self.command(program, words);
        assert!(output.status.success(), "{words:?}: {}", err(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn streamify(&self, words: &[&str]) -> String {
        self.ok(STREAMIFY, words)
    }

    fn compose(&self, words: &[&str]) -> String {
        self.ok(compose(), words)
    }

    fn port(&self, name: &str) -> &str {
        &self.variables[&format!("{name}_PORT")]
    }

    fn api(&self) -> Api {
        Api::new(&format!("127.0.0.1:{}", self.port("BACKEND")))
    }

    /// `service state` of each container, in the order of their names.
    fn states(&self) -> Vec<String> {
        let entries: Vec<Value> = serde_json::from_str(&self.streamify(&["dev", "ps", "--output", "json"])).unwrap();
        let word = |entry: &Value| entry["health"].as_str().or(entry["phase"].as_str()).unwrap().to_owned();
        entries.iter().map(|entry| format!("{} {}", entry["service"].as_str().unwrap(), word(entry))).collect()
    }

    /// Waits until the newest event, as who follows the topic from this machine reads it, is of this video.
    fn tells_of(&self, title: &str) {
        let broker = format!("127.0.0.1:{}", self.port("KAFKA"));
        let words = ["kafka", "tail", "video.created", "--brokers", &broker, "--from", "-1", "--exit-at-end"];
        eventually(&format!("the event of {title:?}"), || {
            let text = self.streamify(&[&words[..], &["--output", "json"]].concat());
            let event: Option<Value> = text.lines().last().map(|line| serde_json::from_str(line).unwrap());
            event.is_some_and(|event| event["value"]["data"]["title"] == title)
        });
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.command(STREAMIFY, &["dev", "down", "--volumes", "--yes"]);
    }
}

#[tokio::test]
async fn the_projects_own_stack_lives_with_docker_compose() {
    let mut app = App::new();
    let usual = [
        "backend healthy",
        "frontend healthy",
        "kafka healthy",
        "kafka-ui healthy",
        "migrate exited",
        "postgres healthy",
    ];
    let with_zookeeper: Vec<String> = usual.iter().chain(&["zookeeper healthy"]).map(ToString::to_string).collect();

    let shown = app.streamify(&["dev", "up", "--detach", "--build"]);
    for address in [format!("http://localhost:{}", app.port("FRONTEND")), format!("localhost:{}", app.port("KAFKA"))] {
        assert!(shown.contains(&address), "{shown}");
    }
    assert_eq!(app.states(), with_zookeeper);
    let page = app.api().http.get(format!("http://127.0.0.1:{}/", app.port("FRONTEND"))).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("<title>"));
    let ada = app.api().as_new_user("ada").await;
    ada.add_video("From a container").await;
    app.tells_of("From a container");

    // Docker Compose takes the stack for its own, and takes it down; the data stays.
    let listed = app.compose(&["ps", "--format", "{{.Service}} {{.Health}}"]);
    assert!(listed.contains("backend healthy") && listed.contains("zookeeper healthy"), "{listed}");
    assert!(app.compose(&["logs", "backend"]).contains("listening"));
    app.compose(&["down"]);
    assert!(app.states().is_empty());
    app.compose(&["up", "--detach", "--wait"]);
    let (status, _) = app.api().log_in("ada@example.com", PASSWORD).await;
    assert_eq!(status, 200, "the database outlived `down`");
    // The broker's log as well.
    app.tells_of("From a container");

    // And this tool takes what Compose made for its own.
    assert!(app.streamify(&["dev", "up", "--dry-run"]).contains("nothing to do"));
    app.variables.insert("STREAMIFY_LOG".into(), "debug".into());
    let done: Value = serde_json::from_str(&app.streamify(&["deploy", "local", "--output", "json"])).unwrap();
    let replaced: Vec<_> = done["replaced"].as_array().unwrap().iter().map(|one| &one["service"]).collect();
    assert_eq!(replaced, ["backend", "frontend"], "{done}");
    // The engine's own check comes after the deploy's.
    eventually("all of it is healthy", || app.states() == with_zookeeper);

    // Without ZooKeeper: the same name, another broker.
    app.streamify(&["dev", "down"]);
    app.variables.insert("ZOOKEEPER".into(), "0".into());
    app.variables.insert("COMPOSE_PROFILES".into(), "kraft".into());
    app.streamify(&["dev", "up", "--detach"]);
    let mut kraft: Vec<String> = usual.map(str::to_owned).into();
    kraft[2] = "kafka-kraft healthy".into();
    assert_eq!(app.states(), kraft);
    ada.add_video("Without a keeper").await;
    app.tells_of("Without a keeper");
}
