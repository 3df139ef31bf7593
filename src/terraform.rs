//! Terraform, or its open fork `OpenTofu`: where the program is, whether it is new enough, and how it is started.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::failure::{Failure, Result};
use crate::settings::{EnvironmentSettings, Settings};

/// The oldest version that keeps its lock in S3 itself, and so the oldest that the roots of a project can ask for.
pub const OLDEST: (u32, u32) = (1, 10);

/// How long the program may take to say its version.
const VERSION: Duration = Duration::from_secs(30);

/// A program that is there.
#[derive(Clone, Debug)]
pub struct Terraform {
    pub program: PathBuf,
    variables: Vec<(String, String)>,
}

impl Terraform {
    /// Finds the program: the flag's, else the setting's, else `terraform` or `tofu` on the PATH.
    ///
    /// # Errors
    /// There is none; the hints say how it is had on this system.
    pub fn find(settings: &Settings, environment: &EnvironmentSettings, flag: Option<&Path>) -> Result<Self> {
        let wanted = flag.map(Path::to_owned).or_else(|| settings.terraform.as_ref().map(PathBuf::from));
        let path = settings.environment.get("PATH").unwrap_or_default();
        let on_path = |name: &Path| {
            std::env::split_paths(path).map(|folder| folder.join(name)).find(|program| is_program(program))
        };
        let program = match &wanted {
            Some(wanted) if wanted.components().count() > 1 => {
                let program = settings.directory.join(wanted);
                Some(program).filter(|program| is_program(program))
            }
            Some(wanted) => on_path(wanted),
            None => ["terraform", "tofu"].iter().find_map(|name| on_path(Path::new(name))),
        };
        let Some(program) = program else {
            let failure = match wanted {
                Some(wanted) => Failure::unreachable(format!("there is no program {}", wanted.display()))
                    .cause("--terraform, STREAMIFY_TERRAFORM or `terraform` in streamify.yaml names it"),
                None => Failure::unreachable("neither terraform nor tofu is on the PATH"),
            };
            return Err(how_to_get(failure));
        };
        Ok(Self { program, variables: variables(settings, environment) })
    }

    /// The program's own name, for messages.
    pub fn name(&self) -> &str {
        self.program.file_name().and_then(|name| name.to_str()).unwrap_or("terraform")
    }

    /// A command that works on a root, with nobody to ask: nothing on standard input.
    pub fn command(&self, root: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(format!("-chdir={}", root.display())).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Its version, such as `1.11.4`.
    ///
    /// # Errors
    /// It does not run, or is older than [`OLDEST`].
    pub async fn version(&self) -> Result<String> {
        let shown = self.program.display();
        let mut command = Command::new(&self.program);
        command.args(["version", "-json"]).stdin(Stdio::null()).kill_on_drop(true);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = tokio::time::timeout(VERSION, command.output())
            .await
            .map_err(|_| Failure::timed_out(format!("{shown} has not said its version in {} s", VERSION.as_secs())))?
            .map_err(|error| how_to_get(Failure::unreachable(format!("can't run {shown}")).because(&error)))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = serde_json::from_str::<serde_json::Value>(json_of(&text))
            .ok()
            .and_then(|value| value.get("terraform_version")?.as_str().map(str::to_owned));
        let Some(version) = version else {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(how_to_get(Failure::unreachable(format!("{shown} does not say its version")).cause(said)));
        };
        let mut numbers = version.split(['.', '-', '+']).map(str::parse::<u32>);
        let major = numbers.next().and_then(std::result::Result::ok).unwrap_or(0);
        let minor = numbers.next().and_then(std::result::Result::ok).unwrap_or(0);
        if (major, minor) >= OLDEST {
            return Ok(version);
        }
        Err(how_to_get(
            Failure::unreachable(format!("{shown} is {version}, which is too old"))
                .cause(format!("{}.{} or newer is needed: older ones have no lock in S3 itself", OLDEST.0, OLDEST.1)),
        ))
    }
}

/// What a command printed, from where its JSON begins: `OpenTofu` warns of a person's own configuration on standard output.
pub fn json_of(text: &str) -> &str {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with(['{', '[']) {
            return &text[start..];
        }
        start += line.len();
    }
    text
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// What every run gets besides the variables of this process. Credentials stay where they are: they are never written.
fn variables(settings: &Settings, environment: &EnvironmentSettings) -> Vec<(String, String)> {
    let own = [("TF_IN_AUTOMATION", "1"), ("TF_INPUT", "0"), ("CHECKPOINT_DISABLE", "1")];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    own.into_iter().chain(aws_variables(settings, environment)).collect()
}

/// What a program that works with AWS by itself is told: the environment's profile, region and endpoint. A pipeline has
/// credentials in variables and no profiles, so those go before.
pub fn aws_variables(settings: &Settings, environment: &EnvironmentSettings) -> Vec<(String, String)> {
    let process = &settings.environment;
    let mut variables: Vec<(String, String)> = Vec::new();
    let has_credentials =
        ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
            .iter()
            .any(|name| process.get(name).is_some());
    if let Some(profile) = environment.profile.as_ref().filter(|_| !has_credentials) {
        variables.push(("AWS_PROFILE".to_owned(), profile.clone()));
    }
    if let Some(region) = &environment.region {
        variables.push(("AWS_REGION".to_owned(), region.clone()));
    }
    if let Some(endpoint) = process.get("STREAMIFY_AWS_ENDPOINT") {
        variables.push(("AWS_ENDPOINT_URL".to_owned(), endpoint.to_owned()));
    }
    variables
}

fn how_to_get(failure: Failure) -> Failure {
    let here = match std::env::consts::OS {
        "macos" => "On macOS: brew install opentofu, or brew tap hashicorp/tap && brew install hashicorp/tap/terraform",
        "linux" => {
            "On Linux: the packages of HashiCorp (developer.hashicorp.com/terraform/install) or OpenTofu \
             (opentofu.org/docs/intro/install), or their single program put on the PATH"
        }
        _ => "developer.hashicorp.com/terraform/install and opentofu.org/docs/intro/install have it for each system",
    };
    failure
        .hint(here)
        .hint(format!("Version {}.{} or newer; --terraform PATH or STREAMIFY_TERRAFORM names it.", OLDEST.0, OLDEST.1))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::settings::{Environment, Flags};

    fn program(folder: &Path, name: &str, version: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\necho '{{\"terraform_version\": \"{version}\"}}'\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn what_is_printed_before_the_json_is_no_part_of_it() {
        assert_eq!(json_of("\nWarning: no file\n\n{\n  \"a\": 1\n}\n"), "{\n  \"a\": 1\n}\n");
        assert_eq!(json_of("{}"), "{}");
        assert_eq!(json_of("no JSON\n"), "no JSON\n");
    }

    #[tokio::test]
    async fn the_fork_is_found_and_old_versions_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let flags = Flags { config: None, directory: Some(folder.path().to_owned()) };
        let settings = Settings::load(&flags, &Environment::from([("PATH", path)])).unwrap();
        let environment = settings.ship.environment("local", "x").unwrap();
        let missing = Terraform::find(&settings, &environment, None).unwrap_err();
        assert!(missing.message.contains("neither") && !missing.hints.is_empty(), "{missing:?}");

        program(folder.path(), "tofu", "1.10.1");
        let tofu = Terraform::find(&settings, &environment, None).unwrap();
        assert_eq!((tofu.name(), tofu.version().await.unwrap().as_str()), ("tofu", "1.10.1"));
        program(folder.path(), "terraform", "1.9.8");
        let old = Terraform::find(&settings, &environment, None).unwrap();
        let refused = old.version().await.unwrap_err();
        assert!(refused.message.contains("1.9.8") && refused.kind.exit_code() == 4, "{refused:?}");

        let named = Terraform::find(&settings, &environment, Some(Path::new("other"))).unwrap_err();
        assert!(named.message.contains("other"), "{named:?}");
    }
}
