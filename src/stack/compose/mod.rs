//! The Compose format: files in, one checked [`Project`] out.
//!
//! The way of a file: `yaml` gives a tree in which every node knows its place; variables are filled in (`interpolate`);
//! `include`, `extends` and several files become one document (`files`, `merge`), which is held against the official
//! schema (`schema`), written out in long form (`canonical`), completed (`defaults`, `paths`, `normalise`), read into
//! the types (`decode`) and checked as a whole (`check`).

mod canonical;
mod check;
mod decode;
mod defaults;
mod dotenv;
mod files;
mod finish;
mod interpolate;
mod merge;
pub mod model;
mod normalise;
mod output;
mod paths;
mod problem;
mod request;
mod schema;
mod short;
mod template;
mod tree;
mod unsupported;
mod yaml;

pub use model::Project;
pub use output::{json, yaml};
pub use request::{FILE_NAMES, Request};

use std::collections::BTreeMap;
use std::path::Path;

use files::{Files, Step};

use crate::failure::Result;

/// Loads a project.
///
/// # Errors
/// Everything that is wrong with the files, as far as it can be told together: each with file, line, column, what is
/// wrong and, where there is one, what to try.
pub fn load(request: &Request) -> Result<Project> {
    let mut files = Files::new(&request.here);
    match attempt(request, &mut files) {
        Ok(project) => Ok(project),
        Err(files::Stopped) => Err(problem::failure(files.problems)),
    }
}

/// Reads a file of variables as a project's `.env` is read. Its values may be secrets: no error shows one.
///
/// # Errors
/// No file, or a line that is none; with its place.
pub fn variables(file: &Path, environment: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let here = file.parent().unwrap_or(Path::new("."));
    let mut files = Files::new(here);
    let mut own = BTreeMap::new();
    let read = files.read_private(file, None).and_then(|source| {
        // The parser takes what stands above from what it has found so far.
        dotenv::parse(&source, &|name| environment.get(name).cloned(), &mut own).map_err(|problem| {
            files.problems.push(problem);
            files::Stopped
        })
    });
    match read {
        Ok(()) => Ok(own),
        Err(files::Stopped) => Err(problem::failure(files.problems)),
    }
}

fn attempt(request: &Request, files: &mut Files<'_>) -> Step<Project> {
    let mut resolved = request.resolve(files)?;
    let name = finish::project_name(&resolved, files)?;
    resolved.variables.insert("COMPOSE_PROJECT_NAME".to_owned(), name.clone());
    let document = files.project(&resolved.files, &resolved.directory, &resolved.variables)?;
    finish::project(document, name, resolved, request, files)
}
