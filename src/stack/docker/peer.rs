//! Docker Compose's own count of a service: its hash. Written on what is made here, so that Compose finds nothing changed.
//!
//! The way Compose counts changes between its versions, so it is asked, where it is installed. Where it isn't, the
//! label holds a hash of ours: should Compose come later, its first `up` makes the containers anew, once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::discovery::configuration_folder;
use crate::settings::Environment;
use crate::stack::compose::model::Project;

/// Reading a few files takes Compose far less; a hash is not worth waiting longer for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Docker Compose, as a plugin of Docker's command line or on its own.
pub(super) fn program(environment: &Environment) -> Option<PathBuf> {
    plugin("docker-compose", environment)
}

/// A plugin of Docker's command line, or a program of that name.
pub(super) fn plugin(name: &str, environment: &Environment) -> Option<PathBuf> {
    let mut folders = Vec::new();
    folders.extend(configuration_folder(environment).map(|folder| folder.join("cli-plugins")));
    let usual = ["/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec"];
    folders.extend(usual.map(|folder| Path::new(folder).join("docker/cli-plugins")));
    folders
        .extend(environment.get("PATH").into_iter().flat_map(|path| std::env::split_paths(path).collect::<Vec<_>>()));
    folders.into_iter().map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// The services' hashes by name; empty where Compose is not there or does not understand the files.
pub(super) async fn hashes(project: &Project, environment: &Environment) -> HashMap<String, String> {
    let Some(program) = program(environment) else { return HashMap::new() };
    if project.files.is_empty() {
        return HashMap::new();
    }
    let mut command = tokio::process::Command::new(program);
    command.args(["--project-name", &project.name]).arg("--project-directory").arg(&project.directory);
    for file in &project.files {
        command.arg("--file").arg(file);
    }
    for file in &project.environment_files {
        command.arg("--env-file").arg(file);
    }
    for profile in &project.profiles {
        command.args(["--profile", profile]);
    }
    command.args(["config", "--hash", "*"]).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let Ok(Ok(output)) = output else { return HashMap::new() };
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| line.split_once(' ')).map(|(name, hash)| (name.into(), hash.trim().into())).collect()
}
