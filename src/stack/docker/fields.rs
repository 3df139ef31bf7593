//! A digest of each field that a container was made from, kept as its label: a later `up` can say which one changed.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::blueprint::network_name;
use super::mounts::{hidden, substance, volume_name};
use crate::failure::{OrFail, Result};
use crate::stack::compose::model::{MountKind, Project, Service};

/// What says nothing about a container that is there: how its image comes to be, how many there are, when it starts.
const APART: [&str; 14] = [
    "attach",
    "build",
    "depends_on",
    "deploy",
    "develop",
    "env_file",
    "extends",
    "label_file",
    "models",
    "profiles",
    "pre_start",
    "pull_policy",
    "pull_refresh_after",
    "scale",
];

/// Fields with the digests of their values; environment, labels and ulimits one level deeper.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Of a service of the project.
    pub(super) fn of(project: &Project, service: &Service) -> Result<Self> {
        let value = serde_json::to_value(service).or_fail(|| format!("can't describe {}", service.name))?;
        let mut fields = Self::default();
        let Value::Object(entries) = value else { return Ok(fields) };
        for (name, value) in entries {
            match value {
                Value::Object(inner) if ["environment", "labels", "ulimits", "sysctls"].contains(&name.as_str()) => {
                    for (key, value) in inner {
                        fields.add(format!("{name}.{key}"), value.to_string().as_bytes());
                    }
                }
                value if !APART.contains(&name.as_str()) => fields.add(name, value.to_string().as_bytes()),
                _ => {}
            }
        }
        fields.add("image", project.image(service).as_bytes());
        if let Some(deploy) = &service.deploy {
            let used = serde_json::json!({"resources": deploy.resources, "restart_policy": deploy.restart_policy});
            fields.add("deploy", used.to_string().as_bytes());
        }
        // What the file's names stand for in the engine is part of it as well.
        for key in service.networks.keys() {
            fields.add(format!("network.{key}"), network_name(project, key).as_bytes());
        }
        for mount in
            service.volumes.iter().filter(|mount| mount.r#type == MountKind::Volume && !mount.source.is_empty())
        {
            fields.add(format!("volume.{}", mount.source), volume_name(project, &mount.source).as_bytes());
        }
        for reference in &service.configs {
            if let Some(config) = project.configs.get(&reference.source) {
                let text = (!config.content.is_empty()).then_some(config.content.as_str());
                let text = text.or_else(|| hidden(config.resolved.as_ref()));
                fields.add(format!("config.{}", reference.source), &substance(&config.file, text));
            }
        }
        for reference in &service.secrets {
            if let Some(secret) = project.secrets.get(&reference.source) {
                let text = hidden(secret.resolved.as_ref());
                fields.add(format!("secret.{}", reference.source), &substance(&secret.file, text));
            }
        }
        Ok(fields)
    }

    /// 48 bits are enough to tell a change, and short enough for a label. A name can't hold a space: it parts them.
    fn add(&mut self, name: impl Into<String>, value: &[u8]) {
        let digest = Sha256::digest(value);
        self.0.insert(name.into().replace(' ', "_"), URL_SAFE_NO_PAD.encode(&digest[..6]));
    }

    /// Reads the label.
    pub(super) fn parse(label: &str) -> Self {
        let pairs = label.split(' ').filter_map(|pair| pair.rsplit_once('='));
        Self(pairs.map(|(name, digest)| (name.to_owned(), digest.to_owned())).collect())
    }

    /// What differs, as a person would say it: `environment.LOG_LEVEL`, `ports`.
    pub(super) fn differences(&self, now: &Self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.0.keys().chain(now.0.keys()) {
            if self.0.get(name) != now.0.get(name) && !names.contains(name) {
                names.push(name.clone());
            }
        }
        names.sort();
        names
    }

    /// One digest of all of it.
    pub(super) fn digest(&self) -> String {
        Sha256::digest(self.to_string()).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }
}

/// `command=… environment.A=…`: names hold no spaces, and digests no `=`.
impl fmt::Display for Fields {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, digest)) in self.0.iter().enumerate() {
            write!(formatter, "{}{name}={digest}", if index > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(change: impl FnOnce(&mut Service)) -> Fields {
        let mut service = Service { name: "web".into(), image: "nginx:1".into(), ..Service::default() };
        service.environment.insert("LOG_LEVEL".into(), Some("info".into()));
        service.labels.insert("a b".into(), "c".into());
        change(&mut service);
        Fields::of(&Project { name: "shop".into(), ..Project::default() }, &service).unwrap()
    }

    #[test]
    fn a_change_is_named_and_what_does_not_matter_is_none() {
        let before = Fields::parse(&service(|_| {}).to_string());
        assert!(before.differences(&service(|service| service.scale = Some(4))).is_empty());
        let changed = service(|service| {
            service.environment.insert("LOG_LEVEL".into(), Some("debug".into()));
            service.environment.insert("NEW".into(), Some(String::new()));
            service.command = Some(vec!["run".into()]);
        });
        assert_eq!(before.differences(&changed), ["command", "environment.LOG_LEVEL", "environment.NEW"]);
        assert!(before.differences(&Fields::parse(&changed.to_string())).len() == 3);
    }

    #[test]
    fn a_value_does_not_show() {
        let fields = service(|service| {
            service.environment.insert("PASSWORD".into(), Some("hunter2".into()));
        });
        assert!(!fields.to_string().contains("hunter2"));
    }
}
