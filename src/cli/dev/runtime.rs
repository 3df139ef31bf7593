//! Which runtime a command is for, and the Compose project where it is Docker.

use std::borrow::Cow;

use super::super::Context;
use super::Choice;
use crate::failure::{Failure, Kind, Result};
use crate::settings::{Runtime, Service, Settings};
use crate::stack::compose::model::Project;
use crate::stack::docker::Engine;
use crate::stack::{self, compose};

/// The runtime that was chosen.
pub(super) enum Chosen {
    Embedded,
    Docker(Box<Place>),
}

/// A project on a daemon.
pub(in crate::cli) struct Place {
    pub(in crate::cli) engine: Engine,
    /// The project's name: what its labels say.
    pub(in crate::cli) name: String,
    /// None: there is no Compose file here; what carries the name can still be looked at and taken down.
    project: Option<Project>,
}

impl Place {
    /// The project, for commands that need its file.
    pub(in crate::cli) fn project(&self) -> Result<&Project> {
        self.project.as_ref().ok_or_else(|| {
            Failure::usage("there is no Compose file here or in a folder above")
                .hint("Name it: `streamify dev -f FILE …`, or run this in the project's folder.")
        })
    }
}

/// Chooses by flag, setting, and what is there: with `auto` Docker, where a daemon answers and there is a Compose file.
pub(super) async fn choose(choice: &Choice, context: &Context) -> Result<Chosen> {
    let settings = context.settings()?;
    let wanted = choice.runtime.unwrap_or(settings.dev.runtime);
    let names_docker = choice.names_docker();
    match wanted {
        Runtime::Embedded if names_docker => {
            Err(Failure::usage("--file and --project-name are for the Docker runtime")
                .hint("Leave them out, or give --runtime docker."))
        }
        Runtime::Embedded => Ok(Chosen::Embedded),
        Runtime::Docker => place(choice, context).await.map(|place| Chosen::Docker(Box::new(place))),
        Runtime::Auto => {
            // A stack that runs is the one that is meant.
            if !names_docker && stack::Stack::of(settings).is_running()? {
                return Ok(Chosen::Embedded);
            }
            if !names_docker && !has_file(settings) {
                return Ok(Chosen::Embedded);
            }
            match place(choice, context).await {
                Ok(place) => Ok(Chosen::Docker(Box::new(place))),
                Err(failure) if failure.kind == Kind::Unreachable && !names_docker => Ok(Chosen::Embedded),
                Err(failure) => Err(failure),
            }
        }
    }
}

/// The project on Docker, for commands that exist only there.
pub(super) async fn docker_only(what: &str, choice: &Choice, context: &Context) -> Result<Box<Place>> {
    match choose(choice, context).await? {
        Chosen::Docker(place) => Ok(place),
        Chosen::Embedded => Err(Failure::failed(format!("`dev {what}` needs the Docker runtime"))
            .cause("this project runs on the embedded one, which has no containers or images")
            .hint("Give --runtime docker, where a Docker daemon runs.")),
    }
}

impl Place {
    /// The project with the named services in it, whether their profiles are active or not: who names one wants it.
    pub(super) fn project_with(
        &self,
        names: &[String],
        choice: &Choice,
        context: &Context,
    ) -> Result<Cow<'_, Project>> {
        let project = self.project()?;
        let sleeps = |name: &String| project.disabled_services.contains_key(name);
        if !names.iter().any(sleeps) {
            return Ok(Cow::Borrowed(project));
        }
        let request = compose::Request { services: names.to_vec(), ..request(choice, context.settings()?) };
        compose::load(&request).map(Cow::Owned)
    }
}

/// The project here on Docker, for commands that deploy it.
pub(in crate::cli) async fn docker_place(context: &Context) -> Result<Place> {
    place(&Choice::default(), context).await
}

async fn place(choice: &Choice, context: &Context) -> Result<Place> {
    let settings = context.settings()?;
    // The file is read while the daemon is asked who it is.
    let engine = Engine::connect(&settings.environment);
    let request = request(choice, settings);
    let loaded = tokio::task::spawn_blocking(move || compose::load(&request));
    let (engine, loaded) = tokio::join!(engine, loaded);
    let loaded = loaded.map_err(|error| Failure::failed("the Compose file could not be read").because(&error))?;
    let engine = engine?;
    let project = match loaded {
        Ok(project) => Some(project),
        Err(_) if choice.files.is_empty() && !has_file(settings) => None,
        Err(failure) => return Err(failure),
    };
    let name = project.as_ref().map(|project| project.name.clone());
    let name = name.or_else(|| choice.name.clone()).unwrap_or_else(|| settings.name.clone());
    Ok(Place { engine, name, project })
}

fn request(choice: &Choice, settings: &Settings) -> compose::Request {
    compose::Request {
        here: settings.directory.clone(),
        files: choice.files.clone(),
        name: choice.name.clone(),
        directory: choice.directory.clone(),
        environment_files: choice.env_files.clone(),
        profiles: choice.active.clone(),
        services: Vec::new(),
        without_dependencies: false,
        environment: settings.environment.variables().clone(),
    }
}

/// The services of the embedded runtime by their names.
pub(super) fn embedded_services(names: &[String]) -> Result<Vec<Service>> {
    names.iter().map(|name| name.parse().map_err(Failure::usage)).collect()
}

/// Whether a Compose file is named by the environment, or lies here or in a folder above.
fn has_file(settings: &Settings) -> bool {
    settings.environment.get("COMPOSE_FILE").is_some()
        || settings
            .directory
            .ancestors()
            .any(|folder| compose::FILE_NAMES.iter().any(|name| folder.join(name).is_file()))
}
