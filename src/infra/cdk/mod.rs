//! The same infrastructure in AWS CDK: the app in `infra/cdk` reads what `render` writes, and CDK does the rest.

mod difference;
mod services;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::render::{Rendered, derived};
use super::variables::{Described, Given, Secrecy, Source, check};
use crate::failure::{Failure, OrFail, Result};
use crate::settings::{Environment, EnvironmentSettings, Settings};

pub use difference::Difference;
pub use services::new_services;

/// The app's folder, relative to the project's.
pub const FOLDER: &str = "infra/cdk";

/// Where `cdk diff` leaves the template that it has looked at, relative to the app's folder.
pub const ASSEMBLY: &str = "cdk.out";

/// What the app says that it takes, beside it.
const VARIABLES: &str = "variables.json";

/// What the app reads.
#[derive(Debug)]
pub struct App {
    pub file: Rendered,
    /// What `streamify.yaml` says and the app has no use for, with the reason.
    pub left_out: Vec<(String, String)>,
    /// Whether it is an app that says what it takes: it then begins services of `-c new=…` without tasks.
    pub is_described: bool,
}

/// The file that the app reads, its values checked against what the app says that it takes.
///
/// # Errors
/// All values that don't fit at once, with their places; a value that looks like a secret.
pub fn rendered(settings: &Settings, environment: &EnvironmentSettings) -> Result<App> {
    let file = |values| Rendered::of(&settings.directory, &file(&environment.name), Some(&Value::Object(values)));
    let Some(described) = Described::read(&settings.directory, FOLDER, VARIABLES)? else {
        return Ok(App { file: file(unchecked(settings, environment)?)?, left_out: Vec::new(), is_described: false });
    };
    let mut given = Given { derived: derived(settings, environment), own: environment.variables.clone() };
    let is_left = |name: &String| described.only_terraform.get(name).map(|why| (name.clone(), why.clone()));
    let left_out: Vec<(String, String)> = given.own.keys().filter_map(is_left).collect();
    given.own.retain(|name, _| !described.only_terraform.contains_key(name));
    let source = Source { file: settings.file.as_deref(), environment: &environment.name };
    let secrecy = Secrecy::of(environment, &settings.environment);
    // Variables of the process that are named for Terraform say nothing here.
    let values = check(&described.root, &given, &secrecy, &source, &Environment::from([]))?;
    Ok(App { file: file(Map::from_iter(values))?, left_out, is_described: true })
}

/// Everything, for an app of a team's own that checks by itself.
fn unchecked(settings: &Settings, environment: &EnvironmentSettings) -> Result<Map<String, Value>> {
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
    Ok(values)
}

fn file(environment: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("streamify.{environment}.json"))
}

/// Where `cdk deploy` leaves its outputs, relative to the app's folder.
pub fn outputs_file(environment: &str) -> String {
    format!("outputs.{environment}.json")
}

/// The arguments of `npx` for one of CDK's commands; `new` are services that ECS does not have yet.
pub fn arguments(command: &str, environment: &str, new: &[String]) -> Vec<String> {
    let more: &[&str] = match command {
        "deploy" => &["--all", "--require-approval", "never"],
        // What is shown is what is deployed then, as the folder has it.
        "diff" => &["--fail", "--output", ASSEMBLY],
        "destroy" => &["--all", "--force"],
        "synth" => &["--quiet"],
        _ => &[],
    };
    let mut arguments = ["--no-install", "cdk", command, "--no-notices", "-c"].map(str::to_owned).to_vec();
    arguments.push(format!("environment={environment}"));
    if !new.is_empty() {
        arguments.extend(["-c".to_owned(), format!("new={}", new.join(","))]);
    }
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

/// What the last `cdk deploy` gave, as one object of all stacks' outputs, in the form of Terraform's: names with
/// underscores, and objects and lists as such.
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
    let outputs = stacks.into_iter().filter_map(|(_, outputs)| outputs.as_object().cloned()).flatten();
    Ok(outputs.map(|(name, value)| (underscored(&name), unfolded(value))).collect())
}

/// `loadBalancer` as `load_balancer`: `CloudFormation` takes no underscore.
fn underscored(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// What is text only because `CloudFormation` knows nothing else.
fn unfolded(value: Value) -> Value {
    let text = value.as_str().filter(|text| text.starts_with(['{', '[']));
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_its_arguments() {
        let line = |command| arguments(command, "prod", &[]).join(" ");
        assert_eq!(line("diff"), "--no-install cdk diff --no-notices -c environment=prod --fail --output cdk.out");
        assert_eq!(
            line("deploy"),
            "--no-install cdk deploy --no-notices -c environment=prod --all --require-approval never --outputs-file outputs.prod.json"
        );
        assert_eq!(line("destroy"), "--no-install cdk destroy --no-notices -c environment=prod --all --force");
        let new = arguments("diff", "prod", &["api".to_owned(), "page".to_owned()]).join(" ");
        assert!(new.contains("-c environment=prod -c new=api,page --fail"), "{new}");
    }

    #[test]
    fn outputs_are_told_as_terraform_tells_them() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(FOLDER)).unwrap();
        let text = r#"{"rooted-prod": {"loadBalancer": "x.elb", "streamify": "{\"cluster\":\"c\"}", "natAddresses": "[\"1.2.3.4\"]"}}"#;
        std::fs::write(folder.path().join(FOLDER).join(outputs_file("prod")), text).unwrap();
        let outputs = Value::Object(outputs(folder.path(), "prod").unwrap());
        let wanted = serde_json::json!({
            "load_balancer": "x.elb", "streamify": {"cluster": "c"}, "nat_addresses": ["1.2.3.4"],
        });
        assert_eq!(outputs, wanted);
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
