//! The shape of `images`, `services` and `environments` in `streamify.yaml`, as they are written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An image that `streamify image` builds. Exactly one of `binary`, `folder` and `dockerfile` says what is in it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Image {
    /// A program for Linux, put at `/usr/local/bin` under its own name. The image `app` has this by default.
    pub binary: Option<PathBuf>,
    /// A folder that becomes the image's root, each of its top folders a layer of its own.
    pub folder: Option<PathBuf>,
    /// A Dockerfile, built by a Docker daemon.
    pub dockerfile: Option<PathBuf>,
    /// The folder that the Dockerfile is built from. Default: this file's.
    pub context: Option<PathBuf>,
    /// The image below it, by digest, or `scratch`. Default: for a static program `scratch`.
    pub base: Option<String>,
    /// Its name in the registry. Default: the project's name and the image's, as in `streamify/app`.
    pub repository: Option<String>,
    /// Such as `linux/amd64`; one program for each is then looked for where `{arch}` stands in `binary`. Default: the
    /// program's own.
    pub platforms: Vec<String>,
    /// What runs. Default: the program.
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments, unless a service gives others.
    pub command: Option<Vec<String>>,
    /// User and group by number. Default: `65532:65532`, never root.
    pub user: Option<String>,
    /// The folder it starts in.
    pub working_directory: Option<String>,
    /// Variables in the image. Never a secret: whoever can pull the image can read them.
    pub environment: BTreeMap<String, String>,
    /// Ports that it listens on.
    pub ports: Vec<u16>,
    /// Labels beside the revision, source and version, which are always there.
    pub labels: BTreeMap<String, String>,
    /// How layers are compressed. Default: zstd.
    pub compression: Option<Compression>,
}

/// How layers are compressed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Smaller and faster; Docker 23, containerd 1.5 and Fargate read it.
    #[default]
    Zstd,
    /// Read by everything.
    Gzip,
}

/// A service, as it is in every environment that says nothing else.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShippedService {
    /// The image, one of `images`. Default: `app`.
    pub image: Option<String>,
    /// The arguments of the image's program.
    pub command: Option<Vec<String>>,
    /// The port that the load balancer asks.
    pub port: Option<u16>,
    /// The path that the load balancer asks to know whether it is healthy.
    pub health_path: Option<String>,
    /// The command that its container asks itself with to know whether it is healthy, such as
    /// `[streamify, serve, --check]`.
    pub health_command: Option<Vec<String>>,
    /// Processor, in units of which 1024 are one. Default: 256.
    pub cpu: Option<u32>,
    /// Memory in MiB. Default: 512.
    pub memory: Option<u32>,
    /// How many tasks run. With auto scaling only the first deploy sets it. Default: 1.
    pub replicas: Option<u32>,
    /// Services that are rolled out before it.
    pub depends_on: Vec<String>,
    /// Variables.
    pub environment: BTreeMap<String, String>,
    /// Variables whose values are secrets: the variable, and the secret's name in the environment's store.
    /// `name:key` takes one key of a secret that is JSON.
    pub secrets: BTreeMap<String, String>,
    /// Processor architecture. Default: `x86_64`.
    pub architecture: Option<Architecture>,
    /// Seconds between the signal to stop and the kill. Default: 30.
    #[schemars(range(min = 2, max = 120))]
    pub stop_timeout: Option<u32>,
}

/// A processor's architecture, in the words of ECS.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Architecture {
    /// 64-bit Intel and AMD.
    #[default]
    #[serde(rename = "x86_64")]
    X8664,
    /// 64-bit ARM (Graviton).
    #[serde(rename = "arm64")]
    Arm64,
}

/// Where services run.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Environment {
    /// What it runs on. Default: `fargate`; `docker` for the environment `local`.
    pub target: Option<Target>,
    /// The AWS account, twelve digits: whoever holds credentials for another one is stopped before anything happens.
    #[schemars(regex(pattern = r"^[0-9]{12}$"))]
    pub account: Option<String>,
    /// The AWS region. Default: the profile's.
    pub region: Option<String>,
    /// The profile of the AWS configuration. Default: `AWS_PROFILE`.
    pub profile: Option<String>,
    /// The registry that images are pushed to. Default: ECR of this account and region.
    pub registry: Option<String>,
    /// The folder of its Terraform root. Default: `terraform/environments/NAME`.
    pub terraform: Option<PathBuf>,
    /// Where Terraform keeps what it knows of this environment. Default: what the root itself says, else a file beside it.
    pub state: Option<State>,
    /// Where its secrets are.
    pub secrets: SecretStore,
    /// What services have here that is different. Only named services are different; all of them run.
    pub services: BTreeMap<String, ShippedService>,
    /// How it is deployed.
    pub deploy: Deploy,
    /// Variables of its Terraform root, beside those that follow from this file. Never a secret: they are written to a
    /// file and into the state.
    pub variables: BTreeMap<String, serde_json::Value>,
}

/// What an environment runs on.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// ECS on Fargate.
    #[default]
    Fargate,
    /// A Docker host.
    Docker,
    /// AWS Lambda.
    Lambda,
}

/// The S3 object that holds an environment's Terraform state. It is encrypted and locked by a file beside it.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The bucket's name.
    pub bucket: String,
    /// The object's name. Default: `PROJECT/ENVIRONMENT/terraform.tfstate`.
    #[serde(default)]
    pub key: Option<String>,
    /// The bucket's region. Default: the environment's.
    #[serde(default)]
    pub region: Option<String>,
    /// The KMS key that encrypts it, its ARN or id. Default: the bucket's own.
    #[serde(default)]
    pub kms_key: Option<String>,
}

/// Where an environment's secrets are.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretStore {
    /// Where new ones are kept. Reading looks in both. Default: `ssm`.
    pub store: Option<Store>,
    /// What stands before their names. Default: `/PROJECT/ENVIRONMENT/`.
    pub prefix: Option<String>,
    /// The KMS key that encrypts them, its ARN, id or alias. Default: the account's own for the store.
    pub kms_key: Option<String>,
}

/// A service of AWS that keeps secrets.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// Parameters of type `SecureString` in Systems Manager.
    #[default]
    Ssm,
    /// Secrets Manager.
    SecretsManager,
}

/// How an environment is deployed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deploy {
    /// How new tasks take over, or a function's new version. Default: `rolling`; for functions `canary`.
    pub strategy: Option<Strategy>,
    /// The least percentage of tasks that stay healthy meanwhile. Default: 100.
    pub minimum_healthy_percent: Option<u32>,
    /// The most percentage of tasks that run meanwhile. Default: 200.
    pub maximum_percent: Option<u32>,
    /// Minutes that both revisions stay after the traffic has moved (all but `rolling`). Default: 5.
    pub bake_minutes: Option<u32>,
    /// Percentage of the traffic that moves first (`canary`), or in each step (`linear`). Default: 10.
    #[schemars(range(min = 1, max = 100))]
    pub step_percent: Option<u32>,
    /// Minutes between the steps (`canary` and `linear`). Default: 5.
    pub step_minutes: Option<u32>,
    /// What takes the rollout back. Default: `[failure, alarm]`.
    pub rollback_on: Option<Vec<RollbackOn>>,
    /// Names of `CloudWatch` alarms that stop a rollout.
    pub alarms: Vec<String>,
    /// Minutes until the tool stops to watch. Default: 30.
    #[schemars(range(min = 1))]
    pub timeout_minutes: Option<u64>,
    /// The one-off task that brings the database up to date before services change.
    pub migration: Option<Migration>,
    /// Good revisions that are kept to come back to. Default: 10.
    pub keep: Option<usize>,
}

/// How new tasks take over.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Task by task.
    #[default]
    Rolling,
    /// All at once, beside the old ones.
    BlueGreen,
    /// The traffic in equal steps.
    Linear,
    /// A little of the traffic first, then the rest.
    Canary,
}

/// What takes a rollout back.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RollbackOn {
    /// Tasks that don't start or don't become healthy.
    Failure,
    /// An alarm of `alarms`.
    Alarm,
    /// The end of `timeout_minutes`.
    Timeout,
}

/// A one-off task with the new image.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Migration {
    /// The service whose image, variables, secrets and roles it has.
    pub service: String,
    /// The arguments of the image's program. Default: `[migrate, run]`.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// Minutes until it is stopped and the deploy has failed. Default: 15.
    #[serde(default)]
    pub timeout_minutes: Option<u64>,
}
