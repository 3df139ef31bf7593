//! Every setting, resolved once: flags, then environment, then `streamify.yaml`, then defaults.
//!
//! The only reader of the environment. What comes out is typed, and remembers where each value came from.

mod database;
mod environment;
mod file;
mod kafka;
mod place;
mod ship;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
pub use streamify_backend::Secret;

use crate::failure::{Failure, Result};

pub use database::DatabaseSettings;
pub use environment::{Environment, VARIABLES};
pub use file::nearest;
pub use file::{FILE_NAME, File, find as find_file, read as read_file};
pub use kafka::{KafkaSecurity, KafkaSettings};
pub use place::{Position, position};
pub use ship::{
    APP_IMAGE, Architecture, Compression, Deploy, EnvironmentSettings, Image, Migration, RollbackOn, ServiceSettings,
    ShipSettings, State, Store, Strategy, Target,
};

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Flag,
    Environment,
    File,
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

/// One resolved setting, for `config show`. A secret's value is masked.
#[derive(Clone, Debug, Serialize)]
pub struct Resolved {
    pub key: &'static str,
    pub value: String,
    pub source: Source,
}

/// What the command line says about settings.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub config: Option<PathBuf>,
    pub directory: Option<PathBuf>,
}

/// The services of the local stack, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// The page
    Frontend,
    /// The API
    Backend,
    /// The database
    Postgres,
    /// The broker
    Kafka,
    /// The Kafka panel
    KafkaUi,
}

impl Service {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Frontend, Self::Backend, Self::Postgres, Self::Kafka, Self::KafkaUi];

    /// Its name, as in `docker-compose.yml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
            Self::KafkaUi => "kafka-ui",
        }
    }

    /// The port that the team knows it by.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Frontend => 3000,
            Self::Backend => 3001,
            Self::Postgres => 5432,
            Self::Kafka => 9092,
            Self::KafkaUi => 8080,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Service {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|service| service.name() == text)
            .ok_or_else(|| format!("there is no service `{text}`; there are {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// What the local stack runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// Docker where a daemon answers and there is a Compose file, else embedded
    #[default]
    Auto,
    /// Containers
    Docker,
    /// Private processes of the project
    Embedded,
}

impl fmt::Display for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Auto => "auto",
            Self::Docker => "docker",
            Self::Embedded => "embedded",
        })
    }
}

impl FromStr for Runtime {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "docker" => Ok(Self::Docker),
            "embedded" => Ok(Self::Embedded),
            _ => Err("it is auto, docker or embedded".to_owned()),
        }
    }
}

/// Every setting.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Lower case, digits, `-` and `_`.
    pub name: String,
    /// The project's folder, absolute: where the configuration file is, or the working folder.
    pub directory: PathBuf,
    /// The configuration file, where there is one.
    pub file: Option<PathBuf>,
    pub dev: DevSettings,
    pub server: ServerSettings,
    pub database: DatabaseSettings,
    pub kafka: KafkaSettings,
    pub ship: ShipSettings,
    /// The program that plans and applies, a path or a name. None: `terraform`, else `tofu`, on the PATH.
    pub terraform: Option<String>,
    /// The environment that the rest came from, for what is not a setting: `PATH`, `HOME`, `JAVA_HOME`.
    pub environment: Environment,
    resolved: Vec<Resolved>,
}

/// The local stack.
#[derive(Clone, Debug)]
pub struct DevSettings {
    /// Absolute.
    pub data: PathBuf,
    pub ports: BTreeMap<Service, u16>,
    pub wait_timeout: Duration,
    pub runtime: Runtime,
}

/// The backend and the page.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    pub listen: SocketAddr,
    pub page_listen: SocketAddr,
    pub metrics_listen: Option<SocketAddr>,
    pub api_base: String,
    pub allowed_origins: Vec<String>,
    pub access_token: Duration,
    pub refresh_token: Duration,
    pub trusted_proxies: u8,
    /// Tries of login or register that one address, and one account, has in a minute.
    pub logins_per_minute: u32,
    /// `id:secret` pairs separated by commas; the first one signs.
    pub jwt_keys: Option<Secret>,
    /// A filter in the form of the tracing crates.
    pub log: String,
    pub log_json: bool,
}

/// Takes values from the layers and remembers where each came from.
struct Layers<'a> {
    environment: &'a Environment,
    file: Option<&'a Path>,
    resolved: Vec<Resolved>,
}

impl Layers<'_> {
    fn optional<T: FromStr + fmt::Display>(
        &mut self,
        key: &'static str,
        variable: Option<&str>,
        from_file: Option<T>,
    ) -> Result<Option<T>>
    where
        T::Err: fmt::Display,
    {
        let from_environment = match variable.and_then(|name| self.environment.get(name).map(|text| (name, text))) {
            None => None,
            Some((name, text)) => Some(text.parse::<T>().map_err(|error| {
                Failure::usage(format!("the variable {name} is not valid: {text}")).cause(error.to_string())
            })?),
        };
        let (value, source) = match (from_environment, from_file) {
            (Some(value), _) => (value, Source::Environment),
            (None, Some(value)) => (value, Source::File),
            (None, None) => return Ok(None),
        };
        self.resolved.push(Resolved { key, value: value.to_string(), source });
        Ok(Some(value))
    }

    fn value<T: FromStr + fmt::Display>(
        &mut self,
        key: &'static str,
        variable: Option<&str>,
        from_file: Option<T>,
        default: T,
    ) -> Result<T>
    where
        T::Err: fmt::Display,
    {
        Ok(if let Some(value) = self.optional(key, variable, from_file)? {
            value
        } else {
            self.resolved.push(Resolved { key, value: default.to_string(), source: Source::Default });
            default
        })
    }

    fn address(&mut self, key: &'static str, variable: &str, from_file: Option<String>) -> Result<Option<SocketAddr>> {
        let wrong = |text: &str, file: Option<&Path>| {
            let place = file.map_or_else(String::new, |file| format!("{}: ", file.display()));
            Failure::usage(format!("{place}{key} is not an address: {text}"))
                .hint("An address is an IP and a port, such as 127.0.0.1:3001 or [::1]:3001.")
        };
        match self.optional(key, Some(variable), from_file)? {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| wrong(&text, self.file)),
        }
    }

    fn secret(&mut self, key: &'static str, variable: &str) -> Option<Secret> {
        let value = self.environment.get(variable)?;
        self.resolved.push(Resolved { key, value: "[redacted]".into(), source: Source::Environment });
        Some(Secret::new(value))
    }
}

impl Settings {
    /// Resolves every setting.
    ///
    /// # Errors
    /// A file or a variable that is not valid, with its place.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self> {
        let here = match &flags.directory {
            Some(directory) => absolute(directory)?,
            None => absolute(Path::new("."))?,
        };
        if !here.is_dir() {
            return Err(Failure::usage(format!("there is no folder {}", here.display())));
        }
        let named = flags.config.clone().or_else(|| environment.get("STREAMIFY_CONFIG").map(PathBuf::from));
        let path = match named {
            Some(path) => Some(absolute(&here.join(path))?),
            None => file::find(&here),
        };
        let file = path.as_deref().map(file::read).transpose()?.unwrap_or_default();
        let directory = path.as_deref().and_then(Path::parent).map_or(here, Path::to_path_buf);
        Self::resolve(file, path, directory, environment)
    }

    fn resolve(file: File, path: Option<PathBuf>, directory: PathBuf, environment: &Environment) -> Result<Self> {
        let mut layers = Layers { environment, file: path.as_deref(), resolved: Vec::new() };

        let default_name = project_name(&directory);
        let name = layers.value("name", Some("STREAMIFY_NAME"), file.name, default_name)?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c)) {
            return Err(Failure::usage(format!("`{name}` can't be the project's name"))
                .hint("Use lower-case letters, digits, `-` and `_`."));
        }

        let from_file = file.dev.data.map(|data| data.display().to_string());
        let data = layers.value("dev.data", Some("STREAMIFY_DATA"), from_file, ".streamify".to_owned())?;
        let ports = [
            ("dev.ports.frontend", Service::Frontend, file.dev.ports.frontend),
            ("dev.ports.backend", Service::Backend, file.dev.ports.backend),
            ("dev.ports.postgres", Service::Postgres, file.dev.ports.postgres),
            ("dev.ports.kafka", Service::Kafka, file.dev.ports.kafka),
            ("dev.ports.kafka-ui", Service::KafkaUi, file.dev.ports.kafka_ui),
        ];
        let ports = ports
            .into_iter()
            .map(|(key, service, port)| Ok((service, layers.value(key, None, port, service.default_port())?)))
            .collect::<Result<_>>()?;
        let wait_timeout = layers.value("dev.wait_timeout", None, file.dev.wait_timeout, 120)?;
        let runtime =
            layers.value("dev.runtime", Some("STREAMIFY_RUNTIME"), file.dev.runtime.map(Into::into), Runtime::Auto)?;
        let wait_timeout = Duration::from_secs(wait_timeout);
        let dev = DevSettings { data: directory.join(data), ports, wait_timeout, runtime };

        let default_page = SocketAddr::from(([127, 0, 0, 1], Service::Frontend.default_port()));
        let default_api = SocketAddr::from(([127, 0, 0, 1], Service::Backend.default_port()));
        let origins = layers.optional(
            "server.allowed_origins",
            Some("STREAMIFY_ALLOWED_ORIGINS"),
            file.server.allowed_origins.map(|origins| origins.join(",")),
        )?;
        let split = |text: String| text.split(',').map(|origin| origin.trim().to_owned()).collect();
        let server = ServerSettings {
            listen: layers.address("server.listen", "STREAMIFY_LISTEN", file.server.listen)?.unwrap_or(default_api),
            page_listen: layers
                .address("server.page_listen", "STREAMIFY_PAGE_LISTEN", file.server.page_listen)?
                .unwrap_or(default_page),
            metrics_listen: layers.address(
                "server.metrics_listen",
                "STREAMIFY_METRICS_LISTEN",
                file.server.metrics_listen,
            )?,
            api_base: layers.value(
                "server.api_base",
                Some("STREAMIFY_API_BASE"),
                file.server.api_base,
                String::new(),
            )?,
            allowed_origins: origins.map(split).unwrap_or_default(),
            access_token: Duration::from_secs(
                60 * layers.value("server.access_token_minutes", None, file.server.access_token_minutes, 15)?,
            ),
            refresh_token: Duration::from_secs(
                86_400 * layers.value("server.refresh_token_days", None, file.server.refresh_token_days, 30)?,
            ),
            trusted_proxies: layers.value(
                "server.trusted_proxies",
                Some("STREAMIFY_TRUSTED_PROXIES"),
                file.server.trusted_proxies,
                0,
            )?,
            logins_per_minute: layers.value(
                "server.logins_per_minute",
                Some("STREAMIFY_LOGINS_PER_MINUTE"),
                file.server.logins_per_minute,
                20,
            )?,
            jwt_keys: layers.secret("server.jwt_keys", "JWT_KEYS"),
            log: layers.value("server.log", Some("STREAMIFY_LOG"), None, "info".to_owned())?,
            log_json: log_format(&mut layers)?,
        };
        let database = DatabaseSettings::resolve(&mut layers, file.database.max_connections)?;
        let kafka = KafkaSettings::resolve(&mut layers, file.kafka)?;
        let ship =
            ShipSettings::resolve(file.images, file.services, file.environments).map_err(|failure| match &path {
                Some(path) => Failure { message: format!("{}: {}", path.display(), failure.message), ..failure },
                None => failure,
            })?;
        let terraform = layers.optional("terraform", Some("STREAMIFY_TERRAFORM"), file.terraform)?;
        let resolved = layers.resolved;
        Ok(Self {
            name,
            directory,
            file: path,
            dev,
            server,
            database,
            kafka,
            ship,
            terraform,
            environment: environment.clone(),
            resolved,
        })
    }

    /// Every setting with its value and where it came from.
    pub fn resolved(&self) -> &[Resolved] {
        &self.resolved
    }
}

fn log_format(layers: &mut Layers<'_>) -> Result<bool> {
    let format = layers.value("server.log_format", Some("STREAMIFY_LOG_FORMAT"), None, "text".to_owned())?;
    match format.as_str() {
        "text" => Ok(false),
        "json" => Ok(true),
        other => Err(Failure::usage(format!("the variable STREAMIFY_LOG_FORMAT is not valid: {other}"))
            .hint("It is `text` or `json`.")),
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("can't use the path {}", path.display())).because(&error))?;
    // `std::path::absolute` keeps `.` parts out but not `..`; a folder that exists has one true name.
    Ok(std::fs::canonicalize(&absolute).unwrap_or(absolute))
}

/// The folder's name in the alphabet that Compose allows for projects.
pub fn project_name(directory: &Path) -> String {
    let folder = directory.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let allowed: String =
        folder.chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(*c)).collect();
    let name = allowed.trim_start_matches(['-', '_']).to_owned();
    if name.is_empty() { "streamify".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(file: &str, environment: &Environment) -> Result<Settings> {
        let path = Path::new("/project/streamify.yaml");
        Settings::resolve(file::parse(file, path)?, Some(path.to_owned()), "/project".into(), environment)
    }

    #[test]
    fn the_environment_goes_before_the_file_and_the_file_before_defaults() {
        let environment = Environment::from([("KAFKA_BROKERS", "a:1"), ("DATABASE_URL", "postgres://u:hidden@h/d")]);
        let settings = resolve("kafka: {brokers: 'b:2', topic: t}\ndev: {ports: {kafka: 7}}", &environment).unwrap();
        assert_eq!(settings.kafka.brokers.as_deref(), Some("a:1"));
        assert_eq!(settings.kafka.topic, "t");
        assert_eq!(settings.dev.ports[&Service::Kafka], 7);
        assert_eq!(settings.dev.ports[&Service::Backend], 3001);
        let source = |key| settings.resolved().iter().find(|entry| entry.key == key).unwrap().source;
        assert_eq!(source("kafka.brokers"), Source::Environment);
        assert_eq!(source("kafka.topic"), Source::File);
        assert_eq!(source("dev.ports.backend"), Source::Default);
        assert!(!format!("{settings:?}").contains("hidden"));
        assert!(!serde_json::to_string(settings.resolved()).unwrap().contains("hidden"));
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let failure = resolve("", &Environment::from([("STREAMIFY_LISTEN", "nowhere")])).unwrap_err();
        assert!(failure.message.contains("server.listen") && failure.message.contains("nowhere"), "{failure:?}");
    }

    #[test]
    fn a_project_is_named_after_its_folder() {
        let names = ["/My App", "/__x", "/", "/ünï"].map(|path| project_name(Path::new(path)));
        assert_eq!(names, ["myapp", "x", "streamify", "n"]);
    }
}
