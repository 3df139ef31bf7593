//! What an image is: on disk or in a registry.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::digest::Digest;
use super::layout::Layout;
use super::oci::{self, Config, Descriptor, Index, Manifest};
use super::reference::Reference;
use super::registry::{Registry, Scope};
use crate::failure::{Failure, OrFail, Result};

/// An image as it is found.
#[derive(Clone, Debug, Serialize)]
pub struct Inspected {
    /// Where it was found.
    pub image: String,
    pub digest: Digest,
    pub media_type: String,
    pub platforms: Vec<InspectedPlatform>,
}

/// One platform of it.
#[derive(Clone, Debug, Serialize)]
pub struct InspectedPlatform {
    pub platform: String,
    pub digest: Digest,
    pub created: Option<String>,
    /// Empty: root.
    pub user: String,
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub environment: Vec<String>,
    pub working_directory: String,
    pub ports: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub layers: Vec<InspectedLayer>,
    /// The list of contents that refers to it, where there is one.
    pub sbom: Option<Digest>,
}

/// One layer, lowest first.
#[derive(Clone, Debug, Serialize)]
pub struct InspectedLayer {
    pub digest: Digest,
    pub media_type: String,
    /// Compressed bytes.
    pub size: u64,
    pub created_by: Option<String>,
}

/// Where documents come from.
enum Source<'a> {
    Layout(&'a Layout),
    Registry(&'a Registry, Scope),
}

impl Source<'_> {
    async fn manifest<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T> {
        match self {
            Self::Layout(layout) => layout.json(descriptor),
            Self::Registry(registry, scope) => {
                let found = registry.manifest(scope, &descriptor.digest.to_string()).await?;
                let (_, bytes) = found.ok_or_else(|| {
                    Failure::failed(format!("the registry {} has lost a part of the image", registry.name()))
                        .cause(format!("{} is not there", descriptor.digest))
                })?;
                serde_json::from_slice(&bytes).or_fail(|| format!("{} is no manifest", descriptor.digest))
            }
        }
    }

    async fn config(&self, descriptor: &Descriptor) -> Result<Config> {
        match self {
            Self::Layout(layout) => layout.json(descriptor),
            Self::Registry(registry, scope) => registry.document(scope, descriptor).await,
        }
    }

    async fn referrers(&self, digest: &Digest) -> Result<Vec<Descriptor>> {
        match self {
            Self::Registry(registry, scope) => registry.referrers(scope, digest).await,
            Self::Layout(layout) => {
                let mut all = Vec::new();
                for one in layout.index()?.manifests.into_iter().filter(|one| one.artifact_type.is_some()) {
                    let manifest: Manifest = layout.json(&one)?;
                    if manifest.subject.is_some_and(|subject| subject.digest == *digest) {
                        all.push(one);
                    }
                }
                Ok(all)
            }
        }
    }
}

/// Looks at an image on disk.
///
/// # Errors
/// It is not whole.
pub async fn inspect_layout(layout: &Layout) -> Result<Inspected> {
    let _lock = layout.lock_shared()?;
    let root = layout.root()?;
    look(&Source::Layout(layout), layout.folder().display().to_string(), root).await
}

/// Looks at an image in a registry.
///
/// # Errors
/// It is not there, or the registry can't be reached or refuses the login.
pub async fn inspect_registry(registry: &Registry, reference: &Reference) -> Result<Inspected> {
    let scope = Scope { repository: reference.repository.clone(), ..Scope::default() };
    let found = registry.manifest(&scope, &reference.wanted()).await?;
    let (root, _) = found.ok_or_else(|| {
        Failure::failed(format!("there is no image {reference}"))
            .hint("Look at its name and tag; what this project built is shown by: streamify image inspect NAME")
    })?;
    look(&Source::Registry(registry, scope), reference.to_string(), root).await
}

async fn look(source: &Source<'_>, image: String, root: Descriptor) -> Result<Inspected> {
    let all = if root.is_index() { source.manifest::<Index>(&root).await?.manifests } else { vec![root.clone()] };
    let mut platforms = Vec::new();
    for one in all {
        // Builders attach what they know as images for a platform that is none.
        if one.platform.as_ref().is_some_and(|platform| platform.os == "unknown") {
            continue;
        }
        let manifest: Manifest = source.manifest(&one).await?;
        let config = source.config(&manifest.config).await?;
        let sbom =
            source.referrers(&one.digest).await?.into_iter().find(|one| {
                one.artifact_type.as_deref().is_some_and(|kind| kind == oci::SBOM || kind.contains("spdx"))
            });
        let mut history = config.history.iter().filter(|step| !step.empty_layer);
        let layers = manifest.layers.into_iter().map(|layer| InspectedLayer {
            digest: layer.digest,
            media_type: layer.media_type,
            size: layer.size,
            created_by: history.next().and_then(|step| step.created_by.clone()),
        });
        platforms.push(InspectedPlatform {
            platform: config.platform().to_string(),
            digest: one.digest,
            layers: layers.collect(),
            created: config.created,
            user: config.config.user,
            entrypoint: config.config.entrypoint,
            command: config.config.cmd,
            environment: config.config.env,
            working_directory: config.config.working_dir,
            ports: config.config.exposed_ports.into_keys().collect(),
            labels: config.config.labels,
            sbom: sbom.map(|one| one.digest),
        });
    }
    Ok(Inspected { image, digest: root.digest, media_type: root.media_type, platforms })
}
