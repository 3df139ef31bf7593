//! How an image is built.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::service::{FileReference, Ulimit};
use super::values::{Bytes, Pairs, Variables};

record! {
    /// How a service's image is built.
    pub struct Build {
        /// The folder, absolute, or the address of a Git repository or archive.
        context: String,
        /// The Dockerfile, relative to the context unless absolute. `Dockerfile` where the file names none.
        dockerfile: String,
        /// The Dockerfile's text itself, instead of a file.
        dockerfile_inline: String,
        entitlements: Vec<String>,
        args: Variables,
        provenance: String,
        sbom: String,
        ssh: Vec<SshKey>,
        labels: Pairs,
        cache_from: Vec<String>,
        cache_to: Vec<String>,
        no_cache: bool,
        no_cache_filter: Vec<String>,
        /// Further contexts by name: folders, images, `service:NAME`.
        additional_contexts: Pairs,
        /// Pull the base images even where they are there.
        pull: bool,
        /// `host=address`, sorted.
        extra_hosts: Vec<String>,
        isolation: String,
        network: String,
        /// The stage to build.
        target: String,
        secrets: Vec<FileReference>,
        shm_size: Bytes,
        /// Further names of the image.
        tags: Vec<String>,
        ulimits: BTreeMap<String, Ulimit>,
        platforms: Vec<String>,
        privileged: bool,
    }
}

/// A key or agent of SSH that the build may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SshKey {
    /// `default`, or a name of its own.
    pub id: String,
    /// The socket or the key's file; empty: the agent that the environment names.
    pub path: String,
}

impl fmt::Display for SshKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            formatter.write_str(&self.id)
        } else {
            write!(formatter, "{}={}", self.id, self.path)
        }
    }
}

impl Serialize for SshKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
