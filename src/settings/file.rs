//! `streamify.yaml`: its shape, its JSON schema, and errors with line and column.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, OrFail, Result};

/// The file's usual name.
pub const FILE_NAME: &str = "streamify.yaml";

/// streamify.yaml: one file for the local stack and every environment.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// The project's name: lower case, digits, `-` and `_`. Default: the folder's name.
    pub name: Option<String>,
    /// The local stack.
    pub dev: Dev,
    /// The backend and the page.
    pub server: Server,
    /// `PostgreSQL`. Where it is comes from the environment only, with its password: `DATABASE_URL`, or `DATABASE_HOST`
    /// and its like.
    pub database: Database,
    /// Kafka.
    pub kafka: Kafka,
    /// The program that `streamify infra` plans and applies with, a path or a name. Default: `terraform`, else `tofu`.
    pub terraform: Option<String>,
    /// What `streamify image` builds. `app`, this program itself, is always there.
    pub images: BTreeMap<String, super::ship::Image>,
    /// What `streamify deploy` rolls out.
    pub services: BTreeMap<String, super::ship::ShippedService>,
    /// Where to, by name. `local`, a Docker host, is always there.
    pub environments: BTreeMap<String, super::ship::Environment>,
}

/// The local stack.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dev {
    /// Where its data is kept, relative to this file. Default: `.streamify`.
    pub data: Option<PathBuf>,
    /// Seconds until `dev up` gives up waiting. Default: 120.
    #[schemars(range(min = 1))]
    pub wait_timeout: Option<u64>,
    /// What it runs on. Default: auto, which is Docker where a daemon answers and there is a Compose file.
    pub runtime: Option<Runtime>,
    /// The port of each service.
    pub ports: Ports,
}

/// What the local stack runs on.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// Docker where a daemon answers and there is a Compose file, else embedded.
    Auto,
    /// Containers.
    Docker,
    /// Private processes of the project.
    Embedded,
}

impl From<Runtime> for super::Runtime {
    fn from(runtime: Runtime) -> Self {
        match runtime {
            Runtime::Auto => Self::Auto,
            Runtime::Docker => Self::Docker,
            Runtime::Embedded => Self::Embedded,
        }
    }
}

/// The port of each service of the local stack.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ports {
    /// The page. Default: 3000.
    pub frontend: Option<u16>,
    /// The API. Default: 3001.
    pub backend: Option<u16>,
    /// `PostgreSQL`. Default: 5432.
    pub postgres: Option<u16>,
    /// The Kafka broker. Default: 9092.
    pub kafka: Option<u16>,
    /// The Kafka panel. Default: 8080.
    #[serde(rename = "kafka-ui")]
    pub kafka_ui: Option<u16>,
}

/// The backend and the page.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// The API's address. Default: `127.0.0.1:3001`.
    pub listen: Option<String>,
    /// The page's address. Default: `127.0.0.1:3000`.
    pub page_listen: Option<String>,
    /// The address of `/metrics`. Default: none.
    pub metrics_listen: Option<String>,
    /// The API's address as the browser sees it. Default: empty, the page's own.
    pub api_base: Option<String>,
    /// Origins (scheme, host and port) that may call the API.
    pub allowed_origins: Option<Vec<String>>,
    /// How long an access token is good for, in minutes. Default: 15.
    #[schemars(range(min = 1))]
    pub access_token_minutes: Option<u64>,
    /// How long a refresh token is good for, in days. Default: 30.
    #[schemars(range(min = 1))]
    pub refresh_token_days: Option<u64>,
    /// How many proxies stand before the API, whose `X-Forwarded-For` is believed. Default: 0.
    pub trusted_proxies: Option<u8>,
    /// Tries of login or register that one address, and one account, has in a minute. Default: 20.
    #[schemars(range(min = 1))]
    pub logins_per_minute: Option<u32>,
}

/// `PostgreSQL`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// The most connections that one backend holds. Default: 10.
    #[schemars(range(min = 2))]
    pub max_connections: Option<u32>,
}

/// Kafka.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    /// `host:port`, several separated by commas. Default: the local stack's broker.
    pub brokers: Option<String>,
    /// The topic of the app's events. Default: `video.created`.
    pub topic: Option<String>,
    /// How brokers are spoken to. Default: plaintext.
    pub security: Option<super::KafkaSecurity>,
    /// Further properties of librdkafka, such as `security.protocol`.
    pub properties: BTreeMap<String, String>,
}

/// The nearest `streamify.yaml` in the folder or above it.
pub fn find(directory: &Path) -> Option<PathBuf> {
    directory.ancestors().map(|folder| folder.join(FILE_NAME)).find(|file| file.is_file())
}

/// Reads and checks the file.
///
/// # Errors
/// Names the file, the line and the column of what is wrong.
pub fn read(path: &Path) -> Result<File> {
    let text =
        std::fs::read_to_string(path).or_fail(|| format!("can't read {}", path.display())).map_err(|failure| {
            Failure { kind: crate::failure::Kind::Usage, ..failure }.hint("Write one with: streamify init")
        })?;
    parse(&text, path)
}

/// Reads the text of a file; `path` is for messages.
pub fn parse(text: &str, path: &Path) -> Result<File> {
    // A file of comments alone is a file that changes nothing.
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(File::default());
    }
    serde_saphyr::from_str(text).map_err(|error| located(text, path, &error))
}

fn located(text: &str, path: &Path, error: &serde_saphyr::Error) -> Failure {
    let message = error.without_snippet().to_string();
    // The place stands before the message already.
    let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
    let place = error.location().map_or_else(
        || path.display().to_string(),
        |location| format!("{}:{}:{}", path.display(), location.line(), location.column()),
    );
    let failure = Failure::usage(format!("{place}: the configuration is not valid")).cause(message.clone());
    let failure = match error.location().and_then(|location| excerpt(text, location.line(), location.column())) {
        Some(excerpt) => failure.cause(excerpt),
        None => failure,
    };
    match closest_field(&message) {
        Some(name) => failure.hint(format!("Did you mean `{name}`?")),
        None => failure.hint("`streamify config schema` prints every setting with its meaning."),
    }
}

/// The line with a mark below the column.
fn excerpt(text: &str, line: u64, column: u64) -> Option<String> {
    let index = usize::try_from(line.checked_sub(1)?).ok()?;
    let spaces = " ".repeat(usize::try_from(column.saturating_sub(1)).ok()?);
    Some(format!("{}\n{spaces}^", text.lines().nth(index)?))
}

/// "unknown field `x`, expected one of a, b" names what there is: the nearest of them is the likely intent.
fn closest_field(message: &str) -> Option<String> {
    let (wrong, rest) = message.split_once("unknown field `")?.1.split_once('`')?;
    let names = rest.split_once("expected one of")?.1.split(" at line ").next()?;
    let names = names.split(',').map(|name| name.trim_matches(|c: char| c == '`' || c.is_whitespace()));
    nearest(wrong, names).map(str::to_owned)
}

/// The name that was likely meant, if one is near enough.
pub fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (distance(wrong, name), name))
        .filter(|(distance, name)| *distance <= name.len() / 2)
        .min()
        .map(|(_, name)| name)
}

/// The number of letters to insert, delete or change (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in right.iter().enumerate() {
            let change = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_field_names_place_and_likely_intent() {
        let failure = parse("name: app\ndev:\n  prots:\n    kafka: 1\n", Path::new("streamify.yaml")).unwrap_err();
        assert!(failure.message.starts_with("streamify.yaml:3:3:"), "{failure:?}");
        assert_eq!(failure.hints, ["Did you mean `ports`?"], "{failure:?}");
        assert_eq!(failure.kind.exit_code(), 2);
    }

    #[test]
    fn a_wrong_type_names_its_place() {
        let failure = parse("dev:\n  ports:\n    kafka: many\n", Path::new("streamify.yaml")).unwrap_err();
        assert!(failure.message.starts_with("streamify.yaml:3:12:"), "{failure:?}");
    }

    #[test]
    fn anchors_and_merge_keys_are_read() {
        let text = "dev:\n  ports: &ports\n    kafka: 19092\nkafka:\n  properties:\n    <<: {a: b}\n    c: d\n";
        let file = parse(text, Path::new("streamify.yaml")).unwrap();
        assert_eq!(file.dev.ports.kafka, Some(19092));
        assert_eq!(file.kafka.properties.len(), 2);
    }

    #[test]
    fn comments_alone_are_an_empty_file() {
        assert!(parse("# nothing\n\n", Path::new("streamify.yaml")).unwrap().name.is_none());
    }
}
