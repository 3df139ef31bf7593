//! What is shipped and where to: the `images`, `services` and `environments` of `streamify.yaml`.
//!
//! A service is described once; an environment says only what is different in it. What Terraform made (subnets, roles,
//! target groups) is not written here: `streamify deploy` takes it from Terraform's outputs.

mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::failure::{Failure, Result};

pub use file::{Architecture, Compression, Deploy, Image, Migration, RollbackOn, State, Store, Strategy, Target};
pub(super) use file::{Environment, ShippedService};

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
    /// With its key and, where one is known, its region.
    pub state: Option<State>,
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
            state: environment.state.clone().map(|state| State {
                key: Some(state.key.unwrap_or_else(|| format!("{project}/{name}/terraform.tfstate"))),
                region: state.region.or_else(|| environment.region.clone()),
                ..state
            }),
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
        if self.state.as_ref().is_some_and(|state| state.bucket.is_empty()) {
            return Err(wrong("`state.bucket` is empty".into()).hint("Name the bucket, or take `state` away."));
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
