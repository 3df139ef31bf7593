//! An environment to deploy to: ECS played by the tests' own server, the rest by an emulator.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::aws::{ACCOUNT, Emulator, REGION, ministack, variables};
use crate::support::ecs::Ecs;
use crate::support::process::folder;
pub use crate::support::ran::{Ran, SECRET};

/// Services, and how they are deployed.
pub const FILE: &str = "\
name: cinema
services:
  backend:
    command: [serve]
    port: 3001
    replicas: 2
    environment: {LOG_LEVEL: info}
    secrets: {JWT_KEYS: jwt-keys}
  page: {command: [serve, --page], replicas: 1, depends_on: [backend]}
environments:
  prod:
    account: '123456789012'
    region: eu-west-1
    deploy: {migration: {service: backend}}
";

pub struct World {
    pub ecs: Ecs,
    pub folder: TempDir,
}

pub fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap())
}

/// A client of the emulator.
macro_rules! client {
    ($sdk:ident, $emulator:expr) => {
        $sdk::Client::from_conf(
            $sdk::config::Builder::new()
                .behavior_version($sdk::config::BehaviorVersion::latest())
                .region($sdk::config::Region::new(REGION))
                .endpoint_url($emulator.endpoint())
                .credentials_provider(aws_credential_types::Credentials::new("test", "test", None, None, "tests"))
                .build(),
        )
    };
}

/// The table of the lock and the history.
pub async fn deploys_table(emulator: &Emulator, table: &str) {
    let dynamodb = client!(aws_sdk_dynamodb, emulator);
    let key = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build();
    let hash = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build();
    dynamodb
        .create_table()
        .table_name(table)
        .attribute_definitions(key.unwrap())
        .key_schema(hash.unwrap())
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
}

async fn prepare(emulator: &Emulator, table: &str, prefix: &str) {
    deploys_table(emulator, table).await;
    let ssm = client!(aws_sdk_ssm, emulator);
    let put = ssm.put_parameter().name(format!("{prefix}jwt-keys")).value(SECRET);
    put.r#type(aws_sdk_ssm::types::ParameterType::SecureString).send().await.unwrap();
}

impl World {
    /// Two services, `page` after `backend`.
    pub fn new() -> Self {
        Self::with(FILE)
    }

    /// With another `streamify.yaml`.
    pub fn with(file: &str) -> Self {
        let emulator = ministack();
        let folder = folder();
        let own = folder.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_owned();
        let table = format!("deploys-{own}");
        let prefix = format!("/{own}/");
        runtime().block_on(prepare(emulator, &table, &prefix));
        let file = file
            .replace("    region: eu-west-1\n", &format!("    region: eu-west-1\n    secrets: {{prefix: {prefix}}}\n"));
        std::fs::write(folder.path().join("streamify.yaml"), file).unwrap();
        let ecs = Ecs::start(&emulator.endpoint());
        let service = |name: &str| {
            json!({
                "name": format!("cinema-prod-{name}"), "execution_role": format!("arn:aws:iam::{ACCOUNT}:role/execution"),
                "task_role": format!("arn:aws:iam::{ACCOUNT}:role/{name}"), "security_groups": ["sg-1"],
                "target_group": null, "log_group": format!("/{own}/{name}"),
            })
        };
        let outputs = json!({
            "cluster": "cinema-prod", "subnets": ["subnet-1", "subnet-2"], "assign_public_ip": false,
            "deploys_table": table, "secrets": {},
            "services": {"backend": service("backend"), "page": service("page")},
        });
        std::fs::write(folder.path().join("outputs.json"), outputs.to_string()).unwrap();
        ecs.state().add_service("cinema-prod-backend", 2);
        ecs.state().add_service("cinema-prod-page", 1);
        Self { ecs, folder }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The tool with this environment; a deploy without the checks of `verify`, which have tests of their own: the
    /// emulator has no roles and no network of this environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        match arguments.split_first() {
            Some((&"deploy", rest)) => self.bare(&[&["deploy", "--skip-verify"], rest].concat()),
            _ => self.bare(arguments),
        }
    }

    /// The tool with this environment, as it is.
    pub fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_streamify"));
        // After a `--` it would be the other program's.
        let end = arguments.iter().position(|word| *word == "--").unwrap_or(arguments.len());
        command.args(&arguments[..end]).args(["--outputs", "outputs.json"]);
        command.args(&arguments[end..]);
        command.current_dir(self.folder.path()).env_clear();
        command
            .envs(variables(&ministack().endpoint()))
            .env("AWS_ENDPOINT_URL_ECS", self.ecs.endpoint())
            .env("STREAMIFY_LEASE_SECONDS", "4")
            .env("AWS_MAX_ATTEMPTS", "4")
            .env("USER", "anna")
            .stdin(Stdio::null());
        command
    }

    /// Runs the tool to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let ran = Ran::of(&self.command(arguments).output().unwrap());
        self.nothing_wrong();
        ran
    }

    /// Runs the tool with more variables.
    pub fn run_with(&self, variables: &BTreeMap<&str, String>, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).envs(variables).output().unwrap())
    }

    /// Starts the tool.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Deploys an image of this letter.
    pub fn deploy(&self, letter: char, more: &[&str]) -> Ran {
        let image = image(letter);
        self.run(&[&["deploy", "prod", "--image", &image], more].concat())
    }

    /// Every request and every answer was one of ECS's model.
    pub fn nothing_wrong(&self) {
        assert_eq!(self.ecs.state().wrong, Vec::<String>::new());
    }

    /// The history, the newest first.
    pub fn history(&self) -> Vec<Value> {
        let ran = self.run(&["history", "prod", "--output", "json"]);
        serde_json::from_str::<Value>(&ran.out).unwrap_or_else(|_| panic!("{ran:?}")).as_array().unwrap().clone()
    }
}

/// `--image` of this letter.
pub fn image(letter: char) -> String {
    format!("app={}", reference(letter))
}

pub fn reference(letter: char) -> String {
    format!("registry.example/app@sha256:{}", letter.to_string().repeat(64))
}
