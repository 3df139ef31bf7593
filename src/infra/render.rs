//! The files that a root gets from `streamify.yaml`: typed data in a stable order, never text templates.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::failure::{OrFail, Result};
use crate::settings::{Architecture, EnvironmentSettings, Settings, Store, Strategy};

/// The file of variables; Terraform reads it by its name alone.
pub const VARIABLES_FILE: &str = "streamify.auto.tfvars.json";
/// The file for `terraform init -backend-config=`.
pub const BACKEND_FILE: &str = "backend.tfbackend.json";

/// What follows from `streamify.yaml` for every root, by the variable's name.
pub fn derived(settings: &Settings, environment: &EnvironmentSettings) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::from([
        ("project".to_owned(), json!(settings.name)),
        ("environment".to_owned(), json!(environment.name)),
        ("account".to_owned(), json!(environment.account)),
        ("repositories".to_owned(), json!(repositories(settings, environment))),
        ("secrets".to_owned(), secrets(environment)),
        ("services".to_owned(), services(environment)),
        ("deploy".to_owned(), deploy(environment)),
    ]);
    if let Some(region) = &environment.region {
        values.insert("region".to_owned(), json!(region));
    }
    values
}

/// The ECR repositories of the images that services run. None where another registry holds them.
fn repositories(settings: &Settings, environment: &EnvironmentSettings) -> BTreeSet<String> {
    if environment.registry.is_some() {
        return BTreeSet::new();
    }
    let names = environment.services.values().map(|service| &service.image);
    let repository = |name: &String| {
        let own = settings.ship.images.get(name).and_then(|image| image.repository.clone());
        own.unwrap_or_else(|| format!("{}/{name}", settings.name))
    };
    names.map(repository).collect()
}

fn secrets(environment: &EnvironmentSettings) -> Value {
    let store = match environment.store {
        Store::Ssm => "ssm",
        Store::SecretsManager => "secrets-manager",
    };
    let mut object =
        Map::from_iter([("store".to_owned(), json!(store)), ("prefix".to_owned(), json!(environment.prefix))]);
    if let Some(key) = &environment.kms_key {
        object.insert("kms_key".to_owned(), json!(key));
    }
    Value::Object(object)
}

fn services(environment: &EnvironmentSettings) -> Value {
    let service = |(name, service): (&String, &crate::settings::ServiceSettings)| {
        // `name:key` is one key of a secret; an ARN has colons of its own.
        let whole = |text: &String| match text.strip_prefix("arn:") {
            Some(_) => text.split(':').take(7).collect::<Vec<_>>().join(":"),
            None => text.split(':').next().unwrap_or(text).to_owned(),
        };
        let secrets: BTreeSet<String> = service.secrets.values().map(whole).collect();
        let mut object = Map::from_iter([
            ("cpu".to_owned(), json!(service.cpu)),
            ("memory".to_owned(), json!(service.memory)),
            ("replicas".to_owned(), json!(service.replicas)),
            (
                "architecture".to_owned(),
                json!(match service.architecture {
                    Architecture::X8664 => "X86_64",
                    Architecture::Arm64 => "ARM64",
                }),
            ),
            ("secrets".to_owned(), json!(secrets)),
        ]);
        if let Some(port) = service.port {
            object.insert("port".to_owned(), json!(port));
        }
        if let Some(path) = &service.health_path {
            object.insert("health_path".to_owned(), json!(path));
        }
        (name.clone(), Value::Object(object))
    };
    Value::Object(environment.services.iter().map(service).collect())
}

fn deploy(environment: &EnvironmentSettings) -> Value {
    let deploy = &environment.deploy;
    let strategy = match deploy.strategy.unwrap_or_default() {
        Strategy::Rolling => "rolling",
        Strategy::BlueGreen => "blue-green",
        Strategy::Linear => "linear",
        Strategy::Canary => "canary",
    };
    json!({
        "strategy": strategy,
        "minimum_healthy_percent": deploy.minimum_healthy_percent.unwrap_or(100),
        "maximum_percent": deploy.maximum_percent.unwrap_or(200),
    })
}

/// Where the state is, for `terraform init`. None where `streamify.yaml` does not say.
pub fn backend(environment: &EnvironmentSettings) -> Option<Value> {
    let state = environment.state.as_ref()?;
    let mut object = Map::from_iter([
        ("bucket".to_owned(), json!(state.bucket)),
        ("key".to_owned(), json!(state.key)),
        ("use_lockfile".to_owned(), json!(true)),
        ("encrypt".to_owned(), json!(true)),
    ]);
    if let Some(region) = &state.region {
        object.insert("region".to_owned(), json!(region));
    }
    if let Some(key) = &state.kms_key {
        object.insert("kms_key_id".to_owned(), json!(key));
    }
    Some(Value::Object(object))
}

/// One file that is to have this text, or not to be.
#[derive(Clone, Debug)]
pub struct Rendered {
    pub path: PathBuf,
    /// Relative to the project's folder.
    pub shown: PathBuf,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl Rendered {
    /// Looks at what the file holds now.
    ///
    /// # Errors
    /// It can't be read.
    pub fn of(project: &Path, shown: &Path, value: Option<&Value>) -> Result<Self> {
        let path = project.join(shown);
        let before = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).or_fail(|| format!("can't read {}", path.display())),
        };
        Ok(Self { path, shown: shown.to_owned(), before, after: value.map(text) })
    }

    /// Whether the file is as it has to be.
    pub fn is_current(&self) -> bool {
        self.before == self.after
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// The folder can't be written to.
    pub fn write(&self) -> Result<()> {
        let Some(after) = &self.after else {
            return fs::remove_file(&self.path).or_fail(|| format!("can't remove {}", self.path.display()));
        };
        write_whole(&self.path, after.as_bytes(), 0o644)
    }

    /// What is different, a line for each value.
    pub fn difference(&self) -> Vec<String> {
        let read = |text: &Option<String>| text.as_deref().map(serde_json::from_str::<Value>);
        match (read(&self.before), read(&self.after)) {
            (None, Some(_)) => vec![format!("+ {} is missing", self.shown.display())],
            (Some(_), None) => vec![format!("- {} is not needed any more", self.shown.display())],
            (Some(Ok(before)), Some(Ok(after))) => {
                let mut lines = Vec::new();
                compare(&mut Vec::new(), Some(&before), Some(&after), &mut lines);
                if lines.is_empty() && !self.is_current() {
                    lines.push(format!("~ {} is written in another order or form", self.shown.display()));
                }
                lines
            }
            _ => vec![format!("~ {} is no JSON", self.shown.display())],
        }
    }
}

/// Sorted, indented, with a newline at its end.
fn text(value: &Value) -> String {
    format!("{:#}\n", sorted(value))
}

/// Keys in the order of the alphabet, whatever the parser keeps.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(entries) => {
            let ordered: BTreeMap<&String, &Value> = entries.iter().collect();
            Value::Object(ordered.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(elements) => Value::Array(elements.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

fn compare(path: &mut Vec<String>, before: Option<&Value>, after: Option<&Value>, lines: &mut Vec<String>) {
    match (before, after) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for key in keys {
                path.push(key.clone());
                compare(path, left.get(key), right.get(key), lines);
                path.pop();
            }
        }
        (Some(left), Some(right)) if left == right => {}
        (Some(left), Some(right)) => lines.push(format!("~ {}: {left} → {right}", path.join("."))),
        (Some(left), None) => lines.push(format!("- {}: {left}", path.join("."))),
        (None, Some(right)) => lines.push(format!("+ {}: {right}", path.join("."))),
        (None, None) => {}
    }
}

/// Writes beside the file and renames: a reader sees the old one or the new one.
///
/// # Errors
/// The folder can't be written to.
pub fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().or_fail(|| format!("can't write {}", path.display()))
}
