//! Builds by `BuildKit`, through Docker's own client of it where that is installed: the buildx plugin.
//!
//! A build that mounts secrets, keys or caches is a conversation with the builder, and the plugin is the part of Docker
//! that holds it. Without it the engine's classic builder builds what it can, and what it can't is named.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};

use super::build::{arguments, image_labels};
use super::engine::Engine;
use super::peer;
use crate::failure::{Failure, OrFail, Result};
use crate::report::{Event, Report};
use crate::settings::Environment;
use crate::stack::compose::model::{Build, Project, Service};

/// How many last lines of a build that failed are shown again.
const LAST_LINES: usize = 15;

/// The plugin, unless `DOCKER_BUILDKIT=0` asks for the classic builder.
pub(super) fn program(environment: &Environment) -> Option<PathBuf> {
    let off = environment.get("DOCKER_BUILDKIT").is_some_and(|value| matches!(value, "0" | "false"));
    if off { None } else { peer::plugin("docker-buildx", environment) }
}

/// What only `BuildKit` can do, where the build asks for it.
pub(super) fn needs(build: &Build) -> Option<&'static str> {
    let wants = [
        (!build.secrets.is_empty(), "secrets"),
        (!build.ssh.is_empty(), "ssh"),
        (!build.additional_contexts.is_empty(), "additional_contexts"),
        (!build.cache_to.is_empty(), "cache_to"),
        (build.platforms.len() > 1, "several platforms"),
    ];
    wants.into_iter().find(|(wanted, _)| *wanted).map(|(_, what)| what)
}

/// Says what to do where the plugin is missing.
pub(super) fn missing(service: &Service, what: &str) -> Failure {
    Failure::failed(format!("the build of {} uses {what}, which the classic builder can't", service.name))
        .cause("Docker's buildx plugin is not installed")
        .hint("Install it: apt-get install docker-buildx-plugin, or see https://docs.docker.com/go/buildx/")
}

/// Names with values.
type Variables = Vec<(String, String)>;

/// The arguments of `buildx build`, and the variables that hold values which must not be among them.
fn command_line(
    project: &Project,
    service: &Service,
    build: &Build,
    environment: &Environment,
    anew: bool,
) -> Result<(Vec<String>, Variables)> {
    let mut words: Vec<String> = ["build", "--progress", "plain", "--load"].map(str::to_owned).to_vec();
    let mut variables = Vec::new();
    let mut add = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
    add("--tag", project.image(service));
    for tag in &build.tags {
        add("--tag", tag.clone());
    }
    if !build.dockerfile_inline.is_empty() {
        add("--file", "-".into());
    } else if !build.dockerfile.is_empty() {
        add("--file", PathBuf::from(&build.context).join(&build.dockerfile).display().to_string());
    }
    let mut sorted: Vec<_> = arguments(build, environment).into_iter().collect();
    sorted.sort();
    for (name, value) in sorted {
        // By name alone the plugin takes the value from its environment: an argument list is seen by everybody.
        add("--build-arg", name.clone());
        variables.push((name, value));
    }
    let mut sorted: Vec<_> = image_labels(project, service, build).into_iter().collect();
    sorted.sort();
    for (name, value) in sorted {
        add("--label", format!("{name}={value}"));
    }
    for (flag, value) in [("--target", &build.target), ("--network", &build.network)] {
        if !value.is_empty() {
            add(flag, value.clone());
        }
    }
    let platforms = if build.platforms.is_empty() { service.platform.clone() } else { build.platforms.join(",") };
    if !platforms.is_empty() {
        add("--platform", platforms);
    }
    for (name, context) in &build.additional_contexts {
        add("--build-context", format!("{name}={context}"));
    }
    for (flag, values) in [
        ("--cache-from", &build.cache_from),
        ("--cache-to", &build.cache_to),
        ("--add-host", &build.extra_hosts),
        ("--no-cache-filter", &build.no_cache_filter),
    ] {
        for value in values {
            add(flag, value.clone());
        }
    }
    for key in &build.ssh {
        add("--ssh", key.to_string());
    }
    for (index, reference) in build.secrets.iter().enumerate() {
        let id = if reference.target.is_empty() { &reference.source } else { &reference.target };
        let secret = project.secrets.get(&reference.source);
        match secret.map(|secret| (secret.file.as_str(), secret.resolved.as_ref())) {
            Some((_, Some(value))) => {
                let variable = format!("STREAMIFY_BUILD_SECRET_{index}");
                add("--secret", format!("id={id},env={variable}"));
                variables.push((variable, value.0.clone()));
            }
            Some((file, None)) if !file.is_empty() => add("--secret", format!("id={id},src={file}")),
            _ => {
                return Err(Failure::usage(format!(
                    "the build secret {} of {} has no value",
                    reference.source, service.name
                ))
                .hint("Give it a `file`, or an `environment` variable that is set."));
            }
        }
    }
    if build.shm_size.0 > 0 {
        add("--shm-size", build.shm_size.0.to_string());
    }
    for (wanted, flag) in [(build.no_cache || anew, "--no-cache"), (build.pull, "--pull")] {
        if wanted {
            words.push(flag.to_owned());
        }
    }
    words.push(build.context.clone());
    Ok((words, variables))
}

/// Builds with the plugin.
pub(super) async fn build(
    program: PathBuf,
    engine: &Engine,
    project: &Project,
    service: &Service,
    environment: &Environment,
    anew: bool,
    report: &dyn Report,
) -> Result<()> {
    let own = service.build.clone().unwrap_or_default();
    let (words, variables) = command_line(project, service, &own, environment, anew)?;
    let image = project.image(service);
    let mut command = tokio::process::Command::new(&program);
    command.args(words).envs(variables).env("DOCKER_HOST", &engine.address);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let started = || format!("can't start {}", program.display());
    let mut child = command.spawn().or_fail(started)?;
    if let Some(mut input) = child.stdin.take() {
        // Nothing is read from it but a Dockerfile that the Compose file holds itself.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut input, own.dockerfile_inline.as_bytes()).await;
    }
    let mut last: Vec<String> = Vec::new();
    if let Some(output) = child.stderr.take() {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if line.trim().is_empty() {
                continue;
            }
            report.event(Event::Line { source: image.clone(), text: line.clone() });
            last.push(line);
            last.drain(..last.len().saturating_sub(LAST_LINES));
        }
    }
    let status = child.wait().await.or_fail(started)?;
    if status.success() {
        return Ok(());
    }
    report.failed(&image, "the build failed");
    Err(Failure::failed(format!("can't build {image}")).cause(format!("its last lines:\n{}", last.join("\n"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::compose::model::{FileReference, Hidden, Secret};

    #[test]
    fn values_of_arguments_and_secrets_are_not_on_the_command_line() {
        let mut build = Build { context: "/app".into(), target: "last".into(), ..Build::default() };
        build.args.insert("TOKEN".into(), Some("hunter2".into()));
        build.secrets.push(FileReference { source: "key".into(), ..FileReference::default() });
        let service = Service { name: "web".into(), build: Some(build.clone()), ..Service::default() };
        let mut project = Project { name: "shop".into(), ..Project::default() };
        let secret = Secret { resolved: Some(Hidden("swordfish".into())), ..Secret::default() };
        project.secrets.insert("key".into(), secret);
        let environment = Environment::default();
        let (words, variables) = command_line(&project, &service, &build, &environment, true).unwrap();
        let line = words.join(" ");
        assert!(!line.contains("hunter2") && !line.contains("swordfish"), "{line}");
        for part in [
            "--tag shop-web",
            "--build-arg TOKEN",
            "--target last",
            "--secret id=key,env=STREAMIFY_BUILD_SECRET_0",
            "--no-cache /app",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert_eq!(variables.len(), 2);
        assert_eq!(needs(&build), Some("secrets"));
    }
}
