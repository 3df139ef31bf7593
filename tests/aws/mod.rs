//! Secrets, checks and AWS's refusals, against AWS as emulators play it.

mod failures;
mod outputs;
mod permissions;
mod proxy;
mod secrets;
mod verify;

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::aws::variables;
use crate::support::process::folder;

/// A project whose environment `prod` is in the AWS at an endpoint.
pub struct Project {
    pub folder: TempDir,
    variables: Vec<(String, String)>,
    /// Everything that any command has printed, to be searched for values.
    printed: std::sync::Mutex<String>,
}

impl Project {
    /// Writes `streamify.yaml`; its name is in every secret's name, so that tests don't meet.
    pub fn new(endpoint: &str, configuration: &str) -> Self {
        let folder = folder();
        fs::write(folder.path().join("streamify.yaml"), configuration).unwrap();
        Self { folder, variables: variables(endpoint), printed: std::sync::Mutex::default() }
    }

    /// A variable of every command, or without a value none.
    pub fn variable(&mut self, name: &str, value: Option<&str>) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamify"));
        command.current_dir(self.folder.path()).args(arguments).env_clear().envs(self.variables.iter().cloned());
        command
    }

    /// Runs a command with this text on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may end without having read: that is its right.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let ran = Ran::from(child.wait_with_output().unwrap());
        self.printed.lock().unwrap().extend([ran.out.as_str(), &ran.err]);
        ran
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    /// Runs a command that must succeed; what it printed on standard output.
    pub fn good(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.out, ran.err);
        ran.out
    }

    /// The same with `--output json`.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let out = self.good(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// That nothing which was printed so far holds one of these values.
    pub fn never_printed(&self, values: &[&str]) {
        let printed = self.printed.lock().unwrap();
        for value in values {
            assert!(!printed.contains(value), "{value} is in:\n{printed}");
        }
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
