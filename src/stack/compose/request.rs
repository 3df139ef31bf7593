//! What to load: files, names and variables as flags and environment give them, resolved as `docker compose` does.

use std::path::{Path, PathBuf};

use super::dotenv;
use super::files::{Files, Step, Stopped, Variables};
use super::problem::Problem;
use super::tree::{Place, Source};

/// What to load.
#[derive(Clone, Default)]
pub struct Request {
    /// The folder that relative paths of flags start from: absolute.
    pub here: PathBuf,
    /// `-f`: the files, in the order of their merge; `-` is standard input. Empty: `COMPOSE_FILE`, or the usual names
    /// in this folder and above it.
    pub files: Vec<PathBuf>,
    /// `-p`: the project's name. `None`: `COMPOSE_PROJECT_NAME`, the files' `name`, or the folder's name.
    pub name: Option<String>,
    /// `--project-directory`: where the files' relative paths start. `None`: the folder of the first file.
    pub directory: Option<PathBuf>,
    /// `--env-file`: files with variables. Empty: `COMPOSE_ENV_FILES`, or `.env` in the project's folder.
    pub environment_files: Vec<PathBuf>,
    /// `--profile`: active profiles. Empty: `COMPOSE_PROFILES`.
    pub profiles: Vec<String>,
    /// The services that a command names: only these are loaded, with what they depend on, whether their profiles are
    /// active or not. Empty: all that the profiles select.
    pub services: Vec<String>,
    /// `--no-deps`: the named services without what they depend on.
    pub without_dependencies: bool,
    /// The environment. Its variables win over those of files.
    pub environment: Variables,
}

/// A request after the environment and `.env` have been asked.
pub(super) struct Resolved {
    pub(super) files: Vec<PathBuf>,
    pub(super) directory: PathBuf,
    /// The name that flag or environment give.
    pub(super) name: Option<String>,
    pub(super) profiles: Vec<String>,
    pub(super) variables: Variables,
    pub(super) environment_files: Vec<PathBuf>,
}

/// The usual names of a Compose file; the first one that is there is taken.
pub const FILE_NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// Those of files that are merged over it.
const OVERRIDES: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];

impl Request {
    pub(super) fn resolve(&self, files: &mut Files<'_>) -> Step<Resolved> {
        let mut variables = self.environment.clone();
        variables.entry("PWD".to_owned()).or_insert_with(|| self.here.display().to_string());
        let mut environment_files = Vec::new();
        // `.env` may name the files, and the files' folder may have a `.env` of its own.
        let mut paths: Vec<PathBuf> = self.files.iter().map(|file| self.absolute(file)).collect();
        self.read_variables(&self.folder(&paths), files, &mut variables, &mut environment_files)?;
        if paths.is_empty() {
            paths = match variables.get("COMPOSE_FILE").filter(|list| !list.is_empty()) {
                Some(list) => {
                    let separator = variables.get("COMPOSE_PATH_SEPARATOR").map_or(":", String::as_str);
                    let separator = if separator.is_empty() { ":" } else { separator };
                    list.split(separator).map(|file| self.absolute(Path::new(file))).collect()
                }
                None => self.usual_files(files)?,
            };
        }
        let directory = self.folder(&paths);
        self.read_variables(&directory, files, &mut variables, &mut environment_files)?;
        let name = match &self.name {
            Some(name) => Some((name, "the project's name")),
            None => variables
                .get("COMPOSE_PROJECT_NAME")
                .filter(|name| !name.is_empty())
                .map(|name| (name, "COMPOSE_PROJECT_NAME")),
        };
        if let Some((name, what)) = name
            && *name != normal_name(name)
        {
            let problem = Problem::new(&nowhere(what), format!("`{name}` can't be used"));
            return files.stop(match normal_name(name) {
                normal if normal.is_empty() => problem.hint("Use lower-case letters, digits, `-` and `_`."),
                normal => problem.hint(format!("Use lower-case letters, digits, `-` and `_`, such as `{normal}`.")),
            });
        }
        let name = name.map(|(name, _)| name.clone());
        let profiles = if self.profiles.is_empty() {
            let list = variables.get("COMPOSE_PROFILES").map_or("", String::as_str);
            list.split(',').map(str::trim).filter(|profile| !profile.is_empty()).map(str::to_owned).collect()
        } else {
            self.profiles.clone()
        };
        Ok(Resolved { files: paths, directory, name, profiles, variables, environment_files })
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        if path == Path::new("-") {
            return path.to_path_buf();
        }
        PathBuf::from(super::short::clean(&self.here.join(path).display().to_string()))
    }

    /// The project's folder.
    fn folder(&self, files: &[PathBuf]) -> PathBuf {
        if let Some(directory) = &self.directory {
            return self.absolute(directory);
        }
        let first = files.iter().find(|file| file.as_path() != Path::new("-"));
        first.and_then(|file| file.parent()).map_or_else(|| self.here.clone(), Path::to_path_buf)
    }

    fn usual_files(&self, files: &mut Files<'_>) -> Step<Vec<PathBuf>> {
        let start = self.directory.as_ref().map_or_else(|| self.here.clone(), |directory| self.absolute(directory));
        let first_of =
            |folder: &Path, names: [&str; 4]| names.iter().map(|name| folder.join(name)).find(|file| file.exists());
        for folder in start.ancestors() {
            if let Some(file) = first_of(folder, FILE_NAMES) {
                return Ok([file].into_iter().chain(first_of(folder, OVERRIDES)).collect());
            }
        }
        let problem = Problem::new(&nowhere(&start.display().to_string()), "there is no Compose file here or above");
        files.stop(
            problem
                .hint(format!("The usual names are {}; another one is named with `-f FILE`.", FILE_NAMES.join(", "))),
        )
    }

    fn read_variables(
        &self,
        folder: &Path,
        files: &mut Files<'_>,
        variables: &mut Variables,
        read: &mut Vec<PathBuf>,
    ) -> Step<()> {
        let listed =
            |list: &str| -> Vec<PathBuf> { list.split(',').map(|file| self.absolute(Path::new(file))).collect() };
        let paths: Vec<PathBuf> = match self.environment.get("COMPOSE_ENV_FILES").filter(|list| !list.is_empty()) {
            _ if !self.environment_files.is_empty() => {
                self.environment_files.iter().map(|file| self.absolute(file)).collect()
            }
            Some(list) => listed(list),
            None => {
                let off = self.environment.get("COMPOSE_DISABLE_ENV_FILE").map(|value| value.to_ascii_lowercase());
                if matches!(off.as_deref(), Some("1" | "t" | "true")) {
                    return Ok(());
                }
                let file = folder.join(".env");
                if file.is_file() { vec![file] } else { Vec::new() }
            }
        };
        let mut own = Variables::new();
        for path in paths {
            if read.contains(&path) {
                continue;
            }
            let source = files.read_private(&path, None)?;
            let known = own.clone();
            let lookup = |name: &str| variables.get(name).or_else(|| known.get(name)).cloned();
            if let Err(problem) = dotenv::parse(&source, &lookup, &mut own) {
                files.problems.push(problem);
                return Err(Stopped);
            }
            read.push(path);
        }
        for (name, value) in own {
            variables.entry(name).or_insert(value);
        }
        Ok(())
    }
}

/// A place for messages about what no file says.
fn nowhere(what: &str) -> Place {
    Place::of_file(&Source::named(what))
}

/// A name as a project can have it: lower case, without what is not allowed.
pub(super) fn normal_name(name: &str) -> String {
    let allowed: String = name
        .to_lowercase()
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(*c))
        .collect();
    allowed.trim_start_matches(['-', '_']).to_owned()
}
