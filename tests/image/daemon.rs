//! With a Docker daemon: images that really run.

use std::process::Command;

use super::support::{Project, Registry, SHOP, crane, err, text};
use crate::docker::support::Daemon;

fn docker(words: &[&str]) -> String {
    let output = Command::new("docker").args(words).env("DOCKER_HOST", &Daemon::shared().host).output().unwrap();
    assert!(output.status.success(), "docker {words:?}: {}", err(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn load(project: &Project, words: &[&str]) {
    let mut command = project.command(&[&["build", "--load"], words].concat());
    let output = command.env("DOCKER_HOST", &Daemon::shared().host).output().unwrap();
    assert!(output.status.success(), "{}", err(&output));
}

#[test]
fn this_program_runs_in_its_own_image() {
    let project = Project::new(SHOP);
    load(&project, &["app"]);
    let said = docker(&["run", "--rm", "cinema/app:latest", "--version"]);
    assert_eq!(said.trim(), concat!("streamify ", env!("CARGO_PKG_VERSION")));
    // Names of hosts are looked up, which glibc does by more than one library.
    let arguments = ["run", "--rm", "--add-host", "broker.test:127.0.0.1", "cinema/app:latest"];
    let output = Command::new("docker")
        .args(arguments)
        .args(["kafka", "topics", "--brokers", "broker.test:9"])
        .env("DOCKER_HOST", &Daemon::shared().host)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", err(&output));
    assert_eq!(docker(&["inspect", "--format", "{{.Config.User}}", "cinema/app:latest"]).trim(), "65532:65532");
    docker(&["rmi", "cinema/app:latest"]);
}

#[test]
fn a_daemon_pulls_what_was_pushed_and_runs_it() {
    let registry = Registry::start();
    // Engine 20.10 reads no zstd.
    let project = Project::new("  shop: {binary: busybox, command: [id, -u], compression: gzip}\n");
    project.change(8, 9 << 20);
    let image = text(&project.push(&registry.host)["image"]);
    docker(&["pull", "--quiet", &image]);
    assert_eq!(docker(&["run", "--rm", &image]).trim(), "65532");
    assert!(docker(&["run", "--rm", &image, "ls", "-ld", "/tmp"]).starts_with("drwxrwxrwt"));
    assert!(docker(&["run", "--rm", &image, "cat", "/etc/ssl/certs/ca-certificates.crt"]).contains("BEGIN CERT"));
    docker(&["rmi", &image]);
}

#[test]
fn a_dockerfile_is_built_by_the_daemon_and_pushed_like_the_others() {
    let registry = Registry::start();
    let project = Project::new("  shop: {dockerfile: Dockerfile, labels: {team: cinema}}\n");
    project.write(
        "Dockerfile",
        "FROM streamify-test/box:1\nRUN echo hello >/greeting\nUSER 1000\nCMD [\"cat\", \"/greeting\"]\n",
    );
    let mut command = project.command(&["push", "shop", "--registry", &registry.host, "--output", "json"]);
    command.args(["--compression", "gzip"]);
    let output = command.env("DOCKER_HOST", &Daemon::shared().host).output().unwrap();
    assert!(output.status.success(), "{}", err(&output));
    let pushed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let image = text(&pushed[0]["image"]);
    let shown = project.ok(&["inspect", &image]);
    assert_eq!(shown["platforms"][0]["labels"]["team"], "cinema");
    assert!(!shown.to_string().contains("com.docker.compose"), "{shown}");
    let repository = image.split('@').next().unwrap();
    let manifest =
        crane(&["manifest", "--insecure", &format!("{repository}@{}", text(&shown["platforms"][0]["sbom"]))]);
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let list = crane(&["blob", "--insecure", &format!("{repository}@{}", text(&manifest["layers"][0]["digest"]))]);
    assert!(list.contains("\"/greeting\"") && list.contains("\"/bin/busybox\""), "{list}");
    docker(&["pull", "--quiet", &image]);
    assert_eq!(docker(&["run", "--rm", &image]).trim(), "hello");
    docker(&["rmi", &image]);

    project.write("Dockerfile", "FROM streamify-test/box:1\nRUN exit 7\n");
    let mut command = project.command(&["build", "shop"]);
    let output = command.env("DOCKER_HOST", &Daemon::shared().host).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("exit 7"), "{}", err(&output));
}

#[test]
fn without_a_daemon_only_dockerfiles_are_not_built() {
    let project = Project::new("  shop: {dockerfile: Dockerfile}\n");
    let mut command = project.command(&["build", "shop"]);
    let output = command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", err(&output));
    assert!(project.fails(2, &["build", "shop", "--builder", "own"]).contains("is a Dockerfile"));
}
