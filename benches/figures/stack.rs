//! The database server and the broker that the servers under measurement use.

use std::process::Command;

use tempfile::TempDir;

use crate::Result;
use crate::process::{STREAMIFY, free_port, run};

/// Servers that are there, or a local stack of the figures' own.
pub struct Stack {
    /// Names a database of the server; the figures make their own beside it.
    pub database: String,
    /// `host:port`.
    pub kafka: String,
    /// Ends with this value.
    _own: Option<Project>,
}

impl Stack {
    /// Uses servers that run already.
    pub fn given(database: &str, kafka: &str) -> Self {
        Self { database: database.to_owned(), kafka: kafka.to_owned(), _own: None }
    }

    /// Brings a stack up in a temporary project.
    pub fn start() -> Result<Self> {
        eprintln!("bringing a stack up");
        let project = Project::new()?;
        project.up()?;
        Ok(Self {
            database: project.database_url()?,
            kafka: format!("127.0.0.1:{}", project.kafka),
            _own: Some(project),
        })
    }
}

/// A temporary project whose stack has free ports, and ends with this value.
pub struct Project {
    folder: TempDir,
    ports: Vec<(&'static str, u16)>,
    kafka: u16,
}

impl Project {
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("streamify-figures-").tempdir()?;
        let kafka = free_port()?;
        let ports = vec![
            ("frontend", free_port()?),
            ("backend", free_port()?),
            ("postgres", free_port()?),
            ("kafka", kafka),
            ("kafka-ui", free_port()?),
        ];
        Ok(Self { folder, ports, kafka })
    }

    /// `streamify dev VERB` in this project.
    pub fn dev(&self, verb: &str) -> Command {
        let mut command = Command::new(STREAMIFY);
        command.args(["dev", verb]).current_dir(self.folder.path());
        command
    }

    /// `streamify dev up --detach` with this project's ports.
    pub fn up_command(&self) -> Command {
        let mut command = self.dev("up");
        command.arg("--detach");
        for (service, port) in &self.ports {
            command.arg("--port").arg(format!("{service}={port}"));
        }
        command
    }

    /// Brings it up and waits until it is healthy.
    pub fn up(&self) -> Result<()> {
        run(&mut self.up_command()).map(drop)
    }

    /// The local stack's database, as its services are told of it.
    fn database_url(&self) -> Result<String> {
        let mut command = self.dev("exec");
        command.args(["backend", "--", "printenv", "DATABASE_URL"]);
        Ok(run(&mut command)?.trim().to_owned())
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // The folder goes with this value; a stack that did not end is told of, since it would stay.
        if let Err(error) = run(&mut self.dev("down")) {
            eprintln!("the stack in {} may still run: {error}", self.folder.path().display());
        }
    }
}
