use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::failure::{Failure, Result};
use crate::settings::Environment;

/// The profile that was asked for, and whether AWS's own files have it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Profile {
    pub name: Option<String>,
    is_there: bool,
}

impl Profile {
    /// The name that the SDK is told; one that is not there would only get into the way of a pipeline's credentials.
    pub fn to_load(&self) -> Option<&str> {
        self.name.as_deref().filter(|_| self.is_there)
    }
}

/// Variables that bring credentials by themselves.
const CREDENTIALS: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// The file's profile, else `AWS_PROFILE`. One that is not there is a mistake, unless the credentials come from variables.
pub(super) fn choose(from_file: Option<&str>, process: &Environment) -> Result<Profile> {
    let Some(name) = from_file.or_else(|| process.get("AWS_PROFILE")) else {
        return Ok(Profile { name: None, is_there: false });
    };
    let known = names(process);
    let is_there = known.contains(name);
    if !is_there && !CREDENTIALS.iter().any(|variable| process.get(variable).is_some()) {
        let where_from = if from_file.is_some() { "streamify.yaml names it" } else { "AWS_PROFILE names it" };
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let failure = Failure::usage(format!("there is no AWS profile `{name}`")).cause(where_from);
        return Err(if known.is_empty() {
            failure.hint(format!("No profile is set up yet: aws configure sso --profile {name}"))
        } else {
            failure.hint(format!("There is {}.", known.join(", ")))
        });
    }
    Ok(Profile { name: Some(name.to_owned()), is_there })
}

/// The names of all profiles in AWS's two files: `[profile x]` and `[default]` in the one, `[x]` in the other.
fn names(process: &Environment) -> BTreeSet<String> {
    let file = |variable: &str, usual: &str| {
        let home = process.get("HOME").map(|home| PathBuf::from(home).join(usual));
        process.get(variable).map(PathBuf::from).or(home).and_then(|path| fs::read_to_string(path).ok())
    };
    let sections = |text: String| -> Vec<String> {
        let inside = |line: &str| Some(line.trim().strip_prefix('[')?.split(']').next()?.trim().to_owned());
        text.lines().filter_map(inside).collect()
    };
    let config = file("AWS_CONFIG_FILE", ".aws/config").map(sections).unwrap_or_default();
    let credentials = file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials").map(sections).unwrap_or_default();
    let of_config = |section: String| match section.strip_prefix("profile") {
        Some(name) if name.starts_with(char::is_whitespace) => Some(name.trim().to_owned()),
        _ => (section == "default").then_some(section),
    };
    config.into_iter().filter_map(of_config).chain(credentials).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_that_is_not_there_is_named_beside_those_that_are() {
        let folder = tempfile::tempdir().unwrap();
        let (config, credentials) = (folder.path().join("config"), folder.path().join("credentials"));
        fs::write(&config, "[default]\nregion = x\n[profile prod ]\n[sso-session corp]\n").unwrap();
        fs::write(&credentials, "[staging]\naws_access_key_id = a\n").unwrap();
        let variables = [
            ("AWS_CONFIG_FILE", config.to_str().unwrap()),
            ("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap()),
        ];
        let process = Environment::from(variables);
        assert_eq!(choose(Some("prod"), &process).unwrap().to_load(), Some("prod"));
        assert_eq!(choose(None, &process).unwrap().name, None);
        let failure = choose(Some("prd"), &process).unwrap_err();
        assert!(failure.message.contains("`prd`"), "{failure:?}");
        assert_eq!(failure.hints, ["There is default, prod, staging."]);

        let pipeline = Environment::from([variables[0], variables[1], ("AWS_ACCESS_KEY_ID", "x")]);
        assert_eq!(choose(Some("prd"), &pipeline).unwrap().to_load(), None);
    }
}
