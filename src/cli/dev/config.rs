use std::path::PathBuf;

use super::super::{Context, Outcome};
use crate::failure::{Failure, Result};
use crate::stack::compose::{self, Project, Request};
use crate::terminal::Output;

/// Show the Compose files as one, complete and checked
///
/// Variables, `include`, `extends`, several files and profiles are resolved, short forms are written out, and paths are
/// absolute. The result is YAML, or JSON with `--output json`, and means what `docker compose config` prints.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  streamify dev config\n  \
                        streamify dev config -f compose.yaml -f compose.debug.yaml --profile tools\n  \
                        streamify dev config backend --output json\n  \
                        streamify dev config --images")]
pub(super) struct Arguments {
    /// Only these services, and what they depend on
    #[arg(value_name = "SERVICE")]
    service: Vec<String>,
    #[command(flatten)]
    selection: Selection,
    /// Only the names of the services
    #[arg(long, group = "what")]
    services: bool,
    /// Only the images
    #[arg(long, group = "what")]
    images: bool,
    /// Only the names of the volumes
    #[arg(long, group = "what")]
    volumes: bool,
    /// Only the names of the networks
    #[arg(long, group = "what")]
    networks: bool,
    /// Only the names of the profiles
    #[arg(long, group = "what")]
    profiles: bool,
}

/// Which Compose project a command is about.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Selection {
    /// A Compose file; several are merged [default: compose.yaml or docker-compose.yml, here or above]
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// The project's name [default: the file's `name`, or the folder's]
    #[arg(short, long, value_name = "NAME")]
    project_name: Option<String>,
    /// Where relative paths start [default: the folder of the first file]
    #[arg(long, value_name = "FOLDER")]
    project_directory: Option<PathBuf>,
    /// A file with variables [default: .env]
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Services of this profile too; `*` is all
    #[arg(long, value_name = "NAME")]
    profile: Vec<String>,
}

impl Selection {
    /// Loads the project, or only some services with what they depend on, and tells what is worth a word about its
    /// files.
    pub(super) fn load(&self, services: &[String], context: &Context) -> Result<Project> {
        let here = context.flags.directory.clone().unwrap_or_else(|| PathBuf::from("."));
        let here = std::path::absolute(&here)
            .map_err(|error| Failure::usage(format!("can't use the path {}", here.display())).because(&error))?;
        let project = compose::load(&Request {
            here,
            files: self.file.clone(),
            name: self.project_name.clone(),
            directory: self.project_directory.clone(),
            environment_files: self.env_file.clone(),
            profiles: self.profile.clone(),
            services: services.to_vec(),
            without_dependencies: false,
            environment: context.environment.variables().clone(),
        })?;
        let report = context.terminal.report();
        for note in &project.notes {
            report.warning(&format!("{}:{}:{}: {}", note.file.display(), note.line, note.column, note.message));
        }
        Ok(project)
    }
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Outcome> {
    let project = arguments.selection.load(&arguments.service, context)?;
    let names: Option<Vec<String>> = if arguments.services {
        Some(project.services.keys().cloned().collect())
    } else if arguments.images {
        let mut images: Vec<String> = project.services.values().map(|service| project.image(service)).collect();
        images.sort();
        images.dedup();
        Some(images)
    } else if arguments.volumes {
        Some(project.volumes.keys().cloned().collect())
    } else if arguments.networks {
        Some(project.networks.keys().cloned().collect())
    } else if arguments.profiles {
        Some(project.known_profiles.clone())
    } else {
        None
    };
    match (names, context.terminal.output()) {
        (Some(names), _) => context.terminal.result(|_| names.join("\n"), &names)?,
        (None, Output::Json) => context.terminal.result(|_| String::new(), &compose::json(&project)?)?,
        (None, Output::Human) => context.terminal.text(&compose::yaml(&project)?)?,
    }
    Ok(Outcome::Done)
}
