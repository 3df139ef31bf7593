//! A Compose project as everything after the loader sees it: merged, checked, in long form, with absolute paths.
//!
//! Names and shapes are those of the Compose specification (<https://github.com/compose-spec/compose-spec>), so that
//! the types read from its canonical form and are written as `docker compose config` writes it. Fields without a word
//! mean what the specification says of the key of that name. Maps are sorted; an empty text, list or map, 0 and false
//! are what an absent key is, unless the field says otherwise.

#[macro_use]
mod values;
mod build;
mod resources;
mod service;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use build::{Build, SshKey};
pub use resources::{Config, Ipam, IpamPool, Model, Network, Secret, Volume};
pub use service::{
    BindOptions, BlockIo, Condition, Credential, DependsOn, Deploy, Develop, Device, DeviceRequest, DiscreteResource,
    EnvFile, Extends, FileReference, GenericResource, HealthCheck, Hook, ImageOptions, Job, Limits, Logging, Mount,
    MountKind, NetworkAttachment, Placement, Port, PreStartHook, Preference, Provider, Resources, RestartRule,
    Schedule, Service, ServiceModel, ThrottledDevice, TmpfsOptions, Triggers, Ulimit, UpdateRule, VolumeOptions, Watch,
    WatchAction, WeightedDevice,
};
pub use values::{Bytes, Duration, FileMode, Hidden, OptOut, Pairs, PullPolicy, Restart, Variables};

/// A whole project.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Project {
    /// Lower case, digits, `-` and `_`; prefixes the names of everything that is made.
    pub name: String,
    /// The services that the active profiles select, by name.
    pub services: BTreeMap<String, Service>,
    /// Networks that services use, by their key in the file; `default` is added where a service names none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, Network>,
    /// Named volumes that services use, by their key in the file.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Volume>,
    /// Configs that services use, by their key in the file.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub configs: BTreeMap<String, Config>,
    /// Secrets that services use, by their key in the file.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
    /// Jobs, by name. They are read and checked; nothing runs them yet, and [`Project::notes`] says so.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub jobs: BTreeMap<String, Job>,
    /// Language models, by name. They are read and checked; nothing runs them yet, and [`Project::notes`] says so.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Model>,
    /// The `x-` keys of the top level, as they stand in the file.
    #[serde(flatten)]
    pub extensions: BTreeMap<String, Value>,
    /// Services that no active profile selects.
    #[serde(skip)]
    pub disabled_services: BTreeMap<String, Service>,
    /// The folder that relative paths start from: absolute.
    #[serde(skip)]
    pub directory: PathBuf,
    /// The files it was read from, absolute, in the order of their merge; included and extended ones are not listed.
    #[serde(skip)]
    pub files: Vec<PathBuf>,
    /// The files that gave variables for interpolation, absolute.
    #[serde(skip)]
    pub environment_files: Vec<PathBuf>,
    /// The active profiles.
    #[serde(skip)]
    pub profiles: Vec<String>,
    /// Every profile that any service names, sorted.
    #[serde(skip)]
    pub known_profiles: Vec<String>,
    /// What was read but is worth a word: what can't be run yet, what is deprecated, variables that are not set.
    #[serde(skip)]
    pub notes: Vec<Note>,
}

/// Something that the reader of the file should know, with its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Note {
    /// The file, as it was named.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What kind of note it is.
    pub kind: NoteKind,
    /// One sentence without a full stop.
    pub message: String,
}

/// What kind a [`Note`] is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// Read and checked, but not carried out yet.
    Unsupported,
    /// Still understood; there is a newer way to say it.
    Deprecated,
    /// A variable is not set, and stood for nothing.
    UnsetVariable,
}

impl Project {
    /// The service of that name among those that the active profiles select.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(name)
    }

    /// The image that a service runs: the one that is named, or what its build is tagged as (`project-service`).
    pub fn image(&self, service: &Service) -> String {
        if service.image.is_empty() { format!("{}-{}", self.name, service.name) } else { service.image.clone() }
    }
}
