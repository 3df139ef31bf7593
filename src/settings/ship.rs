//! What is shipped and where to: the `images`, `services` and `environments` of `streamify.yaml`.
//!
//! A service is described once; an environment says only what is different in it. What Terraform made (subnets, roles,
//! target groups) is not written here: `streamify deploy` takes it from Terraform's outputs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};

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
    /// Where its secrets are.
    pub secrets: SecretStore,
    /// What services have here that is different. Only named services are different; all of them run.
    pub services: BTreeMap<String, ShippedService>,
    /// How it is deployed.
    pub deploy: Deploy,
    /// Variables of its Terraform root, beside those that follow from this file.
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

/// Everything that is shipped, checked: each name that one part says of another is there.
#[derive(Clone, Debug, Default)]
pub struct ShipSettings {
    /// By name; `app` is always there.
    pub images: BTreeMap<String, Image>,
    /// By name, without what environments change.
    pub services: BTreeMap<String, ShippedService>,
    environments: BTreeMap<String, Environment>,
}

/// One environment with its services as they are in it.
#[derive(Clone, Debug)]
pub struct EnvironmentSettings {
    pub name: String,
    pub target: Target,
    pub account: Option<String>,
    pub region: Option<String>,
    pub profile: Option<String>,
    pub registry: Option<String>,
    /// Relative to the project's folder.
    pub terraform: PathBuf,
    pub store: Store,
    /// Begins and ends with a slash.
    pub prefix: String,
    pub kms_key: Option<String>,
    pub services: BTreeMap<String, ServiceSettings>,
    pub deploy: Deploy,
    pub variables: BTreeMap<String, serde_json::Value>,
}

/// A service in one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSettings {
    /// One of the images.
    pub image: String,
    /// None: the image's own.
    pub command: Option<Vec<String>>,
    pub port: Option<u16>,
    pub health_path: Option<String>,
    pub health_command: Option<Vec<String>>,
    /// 1024 are one processor.
    pub cpu: u32,
    /// MiB.
    pub memory: u32,
    pub replicas: u32,
    pub depends_on: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, String>,
    pub architecture: Architecture,
    /// Seconds.
    pub stop_timeout: u32,
}

/// The image that holds this program.
pub const APP_IMAGE: &str = "app";

impl ShipSettings {
    /// Checks what the file says against itself.
    pub(super) fn resolve(
        mut images: BTreeMap<String, Image>,
        services: BTreeMap<String, ShippedService>,
        environments: BTreeMap<String, Environment>,
    ) -> Result<Self> {
        images.entry(APP_IMAGE.to_owned()).or_default();
        for (name, image) in &images {
            check_name("image", name)?;
            let kinds = [image.binary.is_some(), image.folder.is_some(), image.dockerfile.is_some()];
            let count = kinds.into_iter().filter(|is| *is).count();
            if count > 1 || (count == 0 && name != APP_IMAGE) {
                return Err(Failure::usage(format!("the image `{name}` has {count} of binary, folder and dockerfile"))
                    .hint("Give exactly one of them: it says what is in the image."));
            }
        }
        for name in services.keys() {
            check_name("service", name)?;
        }
        let ship = Self { images, services, environments };
        for (name, environment) in &ship.environments {
            check_name("environment", name)?;
            if let Some(service) = environment.services.keys().find(|service| !ship.services.contains_key(*service)) {
                return Err(Failure::usage(format!("environments.{name}.services names `{service}`"))
                    .cause("there is no such service under `services`")
                    .hint(known("service", ship.services.keys())));
            }
            ship.environment(name, "project").and_then(|environment| environment.check(&ship))?;
        }
        Ok(ship)
    }

    /// The names of the environments.
    pub fn environment_names(&self) -> impl Iterator<Item = &String> {
        self.environments.keys()
    }

    /// One environment. `local` is always there, on Docker.
    ///
    /// # Errors
    /// There is none of this name; those that are there are named.
    pub fn environment(&self, name: &str, project: &str) -> Result<EnvironmentSettings> {
        let local = Environment { target: Some(Target::Docker), ..Environment::default() };
        let environment = match (self.environments.get(name), name) {
            (Some(environment), "local") => {
                &Environment { target: environment.target.or(Some(Target::Docker)), ..environment.clone() }
            }
            (Some(environment), _) => environment,
            (None, "local") => &local,
            (None, _) => {
                return Err(Failure::usage(format!("there is no environment `{name}` in streamify.yaml"))
                    .hint(known("environment", self.environments.keys())));
            }
        };
        let prefix = environment.secrets.prefix.clone().unwrap_or_else(|| format!("/{project}/{name}/"));
        let empty = ShippedService::default();
        let services = self
            .services
            .iter()
            .map(|(key, service)| (key.clone(), merged(service, environment.services.get(key).unwrap_or(&empty))));
        Ok(EnvironmentSettings {
            name: name.to_owned(),
            target: environment.target.unwrap_or_default(),
            account: environment.account.clone(),
            region: environment.region.clone(),
            profile: environment.profile.clone(),
            registry: environment.registry.clone(),
            terraform: environment.terraform.clone().unwrap_or_else(|| format!("terraform/environments/{name}").into()),
            store: environment.secrets.store.unwrap_or_default(),
            prefix: format!("/{}/", prefix.trim_matches('/')),
            kms_key: environment.secrets.kms_key.clone(),
            services: services.collect(),
            deploy: environment.deploy.clone(),
            variables: environment.variables.clone(),
        })
    }
}

impl EnvironmentSettings {
    fn check(&self, ship: &ShipSettings) -> Result<()> {
        let wrong = |what: String| Failure::usage(format!("in the environment `{}`, {what}", self.name));
        if self.account.as_ref().is_some_and(|id| id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(wrong("`account` is not an AWS account".into())
                .hint("It has twelve digits; write it in quotes, so that a leading zero stays."));
        }
        for (name, service) in &self.services {
            if !ship.images.contains_key(&service.image) {
                return Err(wrong(format!(
                    "the service `{name}` has the image `{}`, which is not there",
                    service.image
                ))
                .hint(known("image", ship.images.keys())));
            }
            if let Some(other) = service.depends_on.iter().find(|other| !self.services.contains_key(*other)) {
                return Err(wrong(format!("the service `{name}` depends on `{other}`, which is not there"))
                    .hint(known("service", self.services.keys())));
            }
            if let Some(variable) = service.secrets.keys().find(|variable| service.environment.contains_key(*variable))
            {
                return Err(wrong(format!("the service `{name}` has {variable} as a variable and as a secret"))
                    .hint("Leave one of them out."));
            }
        }
        if let Some(migration) = &self.deploy.migration
            && !self.services.contains_key(&migration.service)
        {
            return Err(wrong(format!("the migration is of the service `{}`, which is not there", migration.service))
                .hint(known("service", self.services.keys())));
        }
        self.order().map(|_| ())
    }

    /// The services in the order in which they are rolled out: each after those that it depends on, else by name.
    ///
    /// # Errors
    /// Services that wait for each other, named.
    pub fn order(&self) -> Result<Vec<&str>> {
        let mut order: Vec<&str> = Vec::new();
        while order.len() < self.services.len() {
            let is_ready = |(name, service): &(&String, &ServiceSettings)| {
                !order.contains(&name.as_str())
                    && service.depends_on.iter().all(|other| order.contains(&other.as_str()))
            };
            let Some((name, _)) = self.services.iter().find(is_ready) else {
                let left: Vec<&str> =
                    self.services.keys().map(String::as_str).filter(|name| !order.contains(name)).collect();
                return Err(Failure::usage(format!("services wait for each other: {}", left.join(", ")))
                    .hint("Take one `depends_on` away."));
            };
            order.push(name);
        }
        Ok(order)
    }
}

/// What the environment says goes before what holds everywhere; variables and secrets are put together.
fn merged(everywhere: &ShippedService, here: &ShippedService) -> ServiceSettings {
    let (base, over) = (everywhere.clone(), here.clone());
    let together = |mut base: BTreeMap<String, String>, over| {
        base.extend(over);
        base
    };
    ServiceSettings {
        image: over.image.or(base.image).unwrap_or_else(|| APP_IMAGE.to_owned()),
        command: over.command.or(base.command),
        port: over.port.or(base.port),
        health_path: over.health_path.or(base.health_path),
        health_command: over.health_command.or(base.health_command),
        cpu: over.cpu.or(base.cpu).unwrap_or(256),
        memory: over.memory.or(base.memory).unwrap_or(512),
        replicas: over.replicas.or(base.replicas).unwrap_or(1),
        depends_on: if over.depends_on.is_empty() { base.depends_on } else { over.depends_on },
        environment: together(base.environment, over.environment),
        secrets: together(base.secrets, over.secrets),
        architecture: over.architecture.or(base.architecture).unwrap_or_default(),
        stop_timeout: over.stop_timeout.or(base.stop_timeout).unwrap_or(30),
    }
}

/// Names stand in those of AWS resources, of containers and of registries.
fn check_name(what: &str, name: &str) -> Result<()> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.len() <= 32 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_allowed) {
        return Ok(());
    }
    Err(Failure::usage(format!("`{name}` can't be the name of a service, image or environment"))
        .cause(format!("it is the name of an {what}").replace("an service", "a service"))
        .hint("Use lower-case letters, digits and `-`, a letter first, 32 of them at most."))
}

fn known<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() {
        return format!("streamify.yaml has no {what} yet; `streamify config schema` prints how one is written.");
    }
    format!("There is {}.", names.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::file;
    use super::*;

    fn ship(text: &str) -> Result<ShipSettings> {
        let file = file::parse(text, Path::new("streamify.yaml"))?;
        ShipSettings::resolve(file.images, file.services, file.environments)
    }

    #[test]
    fn an_environment_says_only_what_is_different() {
        let text = "services:\n  backend: {memory: 1024, environment: {A: x, B: y}}\n  page: {depends_on: [backend]}\n\
                    environments:\n  prod:\n    services: {backend: {replicas: 3, environment: {B: z}}}\n";
        let prod = ship(text).unwrap().environment("prod", "cinema").unwrap();
        let backend = &prod.services["backend"];
        assert_eq!((backend.memory, backend.replicas, backend.cpu), (1024, 3, 256));
        assert_eq!(backend.environment["A"], "x");
        assert_eq!(backend.environment["B"], "z");
        assert_eq!(prod.prefix, "/cinema/prod/");
        assert_eq!(prod.order().unwrap(), ["backend", "page"]);
    }

    #[test]
    fn what_is_not_there_is_named_beside_what_is() {
        let wrong = |text: &str| ship(text).map(|_| ()).unwrap_err();
        let failure = wrong("services: {a: {}}\nenvironments: {prod: {services: {b: {}}}}");
        assert!(failure.message.contains("`b`") && failure.hints[0].contains("There is a."), "{failure:?}");
        let failure = wrong("services: {a: {depends_on: [b]}, b: {depends_on: [a]}}\nenvironments: {prod: {}}");
        assert!(failure.message.contains("a, b"), "{failure:?}");
        let failure = wrong("services: {a: {image: web}}\nenvironments: {prod: {}}");
        assert!(failure.message.contains("`web`"), "{failure:?}");
        let failure = wrong("images: {web: {}}");
        assert!(failure.message.contains("0 of"), "{failure:?}");
        assert!(wrong("environments: {prod: {account: '12'}}").hints[0].contains("twelve"));
        assert!(ship("").unwrap().environment("prod", "cinema").unwrap_err().message.contains("`prod`"));
    }

    #[test]
    fn the_local_environment_is_always_there_on_docker() {
        assert_eq!(ship("").unwrap().environment("local", "cinema").unwrap().target, Target::Docker);
        let named = ship("environments: {local: {registry: 'localhost:5000'}}").unwrap();
        assert_eq!(named.environment("local", "cinema").unwrap().target, Target::Docker);
    }
}
