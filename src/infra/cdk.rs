//! The same infrastructure in AWS CDK: the app in `infra/cdk` reads what `render` writes, and CDK does the rest.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::render::{Rendered, derived};
use super::variables::Secrecy;
use crate::failure::{Failure, OrFail, Result};
use crate::settings::{EnvironmentSettings, Settings};

/// The app's folder, relative to the project's.
pub const FOLDER: &str = "infra/cdk";

/// The file that the app reads.
///
/// # Errors
/// A value that looks like a secret.
pub fn rendered(settings: &Settings, environment: &EnvironmentSettings) -> Result<Rendered> {
    let secrecy = Secrecy::of(environment, &settings.environment);
    for (name, value) in &environment.variables {
        if let Some((_, why)) = secrecy.find(name, value) {
            return Err(Failure::usage(format!("`{name}` is a secret, and secrets are not written to files"))
                .cause(why)
                .hint("Keep it in the store: streamify secrets set ENV NAME"));
        }
    }
    let mut values = Map::from_iter(derived(settings, environment));
    values.extend(environment.variables.clone());
    Rendered::of(&settings.directory, &file(&environment.name), Some(&Value::Object(values)))
}

fn file(environment: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("streamify.{environment}.json"))
}

/// Where `cdk deploy` leaves its outputs, relative to the app's folder.
pub fn outputs_file(environment: &str) -> String {
    format!("outputs.{environment}.json")
}

/// The arguments of `npx` for one of CDK's commands.
pub fn arguments(command: &str, environment: &str) -> Vec<String> {
    let more: &[&str] = match command {
        "deploy" => &["--all", "--require-approval", "never"],
        "destroy" => &["--all", "--force"],
        "synth" => &["--quiet"],
        _ => &[],
    };
    let mut arguments = ["--no-install", "cdk", command, "--no-notices", "-c"].map(str::to_owned).to_vec();
    arguments.push(format!("environment={environment}"));
    arguments.extend(more.iter().map(|word| (*word).to_owned()));
    if command == "deploy" {
        arguments.extend(["--outputs-file".to_owned(), outputs_file(environment)]);
    }
    arguments
}

/// The app's folder, with its packages installed.
///
/// # Errors
/// What is missing, and how it is had.
pub fn app(project: &Path) -> Result<PathBuf> {
    let folder = project.join(FOLDER);
    if !folder.join("package.json").is_file() {
        return Err(Failure::usage(format!("there is no CDK app in {FOLDER}"))
            .hint("Without --with cdk the same is done with Terraform."));
    }
    if !folder.join("node_modules").is_dir() {
        return Err(Failure::unreachable(format!("the packages of {FOLDER} are not installed"))
            .cause("there is no node_modules")
            .hint(format!("npm ci --prefix {FOLDER}")));
    }
    Ok(folder)
}

/// What the last `cdk deploy` gave, as one object of all stacks' outputs.
///
/// # Errors
/// Nothing was deployed from here.
pub fn outputs(project: &Path, environment: &str) -> Result<Map<String, Value>> {
    let path = project.join(FOLDER).join(outputs_file(environment));
    let text = std::fs::read_to_string(&path)
        .or_fail(|| format!("can't read {}", path.display()))
        .map_err(|failure| failure.hint(format!("streamify infra apply {environment} --with cdk writes it.")))?;
    let stacks: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| Failure::failed(format!("{} is no JSON", path.display())).because(&error))?;
    Ok(stacks.into_iter().filter_map(|(_, outputs)| outputs.as_object().cloned()).flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_its_arguments() {
        let line = |command| arguments(command, "prod").join(" ");
        assert_eq!(line("diff"), "--no-install cdk diff --no-notices -c environment=prod");
        assert_eq!(
            line("deploy"),
            "--no-install cdk deploy --no-notices -c environment=prod --all --require-approval never --outputs-file outputs.prod.json"
        );
        assert_eq!(line("destroy"), "--no-install cdk destroy --no-notices -c environment=prod --all --force");
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(app(folder.path()).unwrap_err().message.contains("no CDK app"));
        std::fs::create_dir_all(folder.path().join(FOLDER)).unwrap();
        std::fs::write(folder.path().join(FOLDER).join("package.json"), "{}").unwrap();
        let failure = app(folder.path()).unwrap_err();
        assert!(failure.hints[0].contains("npm ci"), "{failure:?}");
        assert!(outputs(folder.path(), "prod").unwrap_err().hints[0].contains("apply prod"));
    }
}
