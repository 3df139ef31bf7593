//! A story told by the tool's own commands, in a folder with this project's own `streamify.yaml` and program. A `make
//! demo-…` shows every command with what it says; as a test it is silent.

#![allow(clippy::print_stdout, reason = "a demo is shown")]

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use super::process::folder;
use super::ran::Ran;

/// Where a story is told.
pub struct Story {
    /// All that a process knows of this machine.
    pub variables: Vec<(String, String)>,
    folder: TempDir,
    is_shown: bool,
}

/// A command that goes on.
pub struct Going {
    shown: String,
    child: Child,
    /// What it says goes to one file, in the order in which a terminal would show it.
    said: PathBuf,
}

impl Story {
    /// `configuration` is what becomes of the project's `streamify.yaml`; images are made of the program under test.
    pub fn new(configuration: impl Fn(String) -> String, secrets: &str) -> Self {
        let is_shown = std::env::var_os("STREAMIFY_DEMO").is_some();
        let story = Self { variables: Vec::new(), folder: folder(), is_shown };
        let own = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("streamify.yaml")).unwrap();
        let own = configuration(format!("{own}\nimages:\n  app: {{binary: streamify}}\n"));
        fs::write(story.file("streamify.yaml"), own).unwrap();
        // The program that is shipped is this one, as small as a release of it.
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(story.file("streamify")).arg(env!("CARGO_BIN_EXE_streamify"));
        assert!(strip.status().unwrap().success());
        fs::write(story.file(".env"), secrets).unwrap();
        story
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Another version of the program.
    pub fn change(&self, what: &str) {
        let mut program = fs::OpenOptions::new().append(true).open(self.file("streamify")).unwrap();
        program.write_all(what.as_bytes()).unwrap();
    }

    /// Says what comes next.
    pub fn chapter(&self, text: &str) {
        if self.is_shown {
            println!("\n\u{1b}[1m# {text}\u{1b}[0m");
        }
    }

    /// Starts the tool; `more` are arguments that are the test's own affair and not shown.
    pub fn start(&self, arguments: &str, more: &[&str]) -> Going {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamify"));
        command.args(arguments.split(' ')).args(more);
        if self.is_shown && std::io::stdout().is_terminal() {
            command.arg("--colour=always");
        }
        self.spawn(&format!("streamify {arguments}"), command)
    }

    /// Starts another program.
    pub fn spawn(&self, shown: &str, mut command: Command) -> Going {
        let (file, said) = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap().keep().unwrap();
        command.current_dir(self.folder()).env_clear().envs(self.variables.iter().cloned()).stdin(Stdio::null());
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Going { shown: shown.to_owned(), child: command.spawn().unwrap(), said }
    }

    /// Waits for its end, and shows it.
    pub fn ended(&self, mut going: Going) -> Ran {
        let status = going.child.wait().unwrap();
        let ran = Ran::of(&Output { status, stdout: fs::read(&going.said).unwrap(), stderr: Vec::new() });
        fs::remove_file(going.said).unwrap();
        if self.is_shown {
            println!("\n\u{1b}[2m$\u{1b}[0m {}", going.shown);
            println!("{}\u{1b}[2m(exit code {})\u{1b}[0m", ran.out, ran.code.unwrap_or(-1));
        }
        ran
    }

    /// Runs the tool to its end.
    pub fn run(&self, arguments: &str) -> Ran {
        self.ended(self.start(arguments, &[]))
    }
}
