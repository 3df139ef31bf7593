//! From a layout into a registry: only what is not there, the tag last.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt};
use serde::Serialize;

use super::digest::Digest;
use super::layout::Layout;
use super::oci::{self, Descriptor, Index, Manifest};
use super::reference::{Reference, is_repository, is_tag};
use super::registry::{Meter, Registry, Scope, Upload, fallback_tag};
use super::spoken;
use crate::failure::{Failure, OrFail, Result};
use crate::report::Report;

/// Blobs that go out at once.
const PARALLEL: usize = 4;
/// Blobs whose repository is remembered for each registry.
const REMEMBERED: usize = 2000;

/// Where an image goes.
#[derive(Clone, Debug)]
pub struct Target {
    pub repository: String,
    pub tags: Vec<String>,
    /// What the layout must hold, where that is known: another build may have come in between.
    pub expected: Option<Digest>,
    /// Only asks what is there, and sends nothing.
    pub dry_run: bool,
}

/// An image that is in a registry.
#[derive(Clone, Debug, Serialize)]
pub struct Pushed {
    /// As in `streamify.yaml`.
    pub name: String,
    /// By its digest: what to deploy.
    pub image: String,
    pub digest: Digest,
    pub tags: Vec<String>,
    pub blobs: Blobs,
    /// Nothing had to be changed in the registry.
    pub unchanged: bool,
    /// Nothing was sent: the rest says what would be.
    pub dry_run: bool,
    #[serde(skip)]
    pub took: Duration,
}

/// What became of the blobs.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Blobs {
    pub uploaded: usize,
    pub mounted: usize,
    pub present: usize,
    /// What was sent; what was sent twice is counted twice.
    pub bytes_sent: u64,
}

/// Everything of an image that goes out.
struct Cargo {
    root: Descriptor,
    /// The manifests of the platforms, then those of what refers to them.
    manifests: Vec<(Descriptor, Manifest)>,
    /// Each once.
    blobs: Vec<Descriptor>,
}

impl Cargo {
    fn read(layout: &Layout) -> Result<Self> {
        let root = layout.root()?;
        let mut manifests = layout.manifests(&root)?;
        for descriptor in layout.index()?.manifests {
            if descriptor.artifact_type.is_some() {
                let manifest = layout.json(&descriptor)?;
                manifests.push((descriptor, manifest));
            }
        }
        let all = manifests.iter().flat_map(|(_, manifest)| manifest.layers.iter().chain([&manifest.config]));
        let mut blobs: Vec<_> =
            all.map(|blob| (blob.digest.clone(), blob.bare())).collect::<BTreeMap<_, _>>().into_values().collect();
        // The largest first: the others fit beside it.
        blobs.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest)));
        for blob in &blobs {
            if !layout.has(&blob.digest, blob.size) {
                let what = format!("the image in {} is not whole", layout.folder().display());
                return Err(Failure::failed(what)
                    .cause(format!("the blob {} is missing or damaged", blob.digest))
                    .hint("Remove the folder and build again."));
            }
        }
        Ok(Self { root, manifests, blobs })
    }
}

/// Brings an image into a registry.
///
/// # Errors
/// The registry can't be reached, refuses the login, or refuses the image; what arrived stays there for the next try.
pub async fn push(
    name: &str,
    layout: &Layout,
    registry: &Registry,
    target: &Target,
    environment: &crate::settings::Environment,
    report: &Arc<dyn Report>,
) -> Result<Pushed> {
    let begun = Instant::now();
    check(target)?;
    report.started(name, &format!("pushing to {}/{}", registry.name(), target.repository));
    let _lock = layout.lock_shared()?;
    let cargo = Cargo::read(layout)?;
    let digest = cargo.root.digest.clone();
    if target.expected.as_ref().is_some_and(|expected| *expected != digest) {
        let what = format!("the image in {} is not the one that was built", layout.folder().display());
        return Err(Failure::failed(what).cause("another build has changed it meanwhile").hint("Push again."));
    }
    let scope = Scope { repository: target.repository.clone(), push: true, from: None };
    let mut missing = Vec::new();
    for tag in &target.tags {
        if registry.head_manifest(&scope, tag).await?.as_ref() != Some(&digest) {
            missing.push(tag);
        }
    }
    let mut blobs = Blobs::default();
    // The tag comes last, so where it is, everything is; where the image has no tag, its digest is asked for.
    let is_there = missing.len() < target.tags.len();
    let is_there = is_there || registry.head_manifest(&scope, &digest.to_string()).await?.is_some();
    let unchanged = is_there && missing.is_empty();
    if target.dry_run {
        if !is_there {
            blobs = foresee(registry, &scope, &cargo).await?;
        }
        missing.clear();
    } else if is_there && !unchanged {
        // A push that ended early may have left out what refers to the image.
        for (descriptor, manifest) in cargo.manifests.iter().filter(|(one, _)| one.artifact_type.is_some()) {
            let subject = manifest.subject.as_ref().map(|subject| fallback_tag(&subject.digest)).unwrap_or_default();
            let is_known = registry.head_manifest(&scope, &descriptor.digest.to_string()).await?.is_some()
                && registry.head_manifest(&scope, &subject).await?.is_some();
            if !is_known {
                refer(registry, &scope, layout, descriptor, manifest).await?;
            }
        }
    }
    if !is_there && !target.dry_run {
        blobs = send(name, layout, registry, &scope, &cargo, environment, report).await?;
        for (descriptor, _) in cargo.manifests.iter().filter(|(one, _)| one.artifact_type.is_none()) {
            put(registry, &scope, layout, descriptor).await?;
        }
        for (descriptor, manifest) in cargo.manifests.iter().filter(|(one, _)| one.artifact_type.is_some()) {
            refer(registry, &scope, layout, descriptor, manifest).await?;
        }
        if cargo.root.is_index() {
            put(registry, &scope, layout, &cargo.root).await?;
        }
    }
    let root = layout.read(&cargo.root)?;
    for tag in missing {
        registry.put_manifest(&scope, tag, &cargo.root.media_type, root.clone()).await?;
    }
    let took = begun.elapsed();
    let how = match (unchanged, blobs.uploaded) {
        (true, _) => "unchanged".to_owned(),
        (false, count) if target.dry_run => format!("would push {count} blobs, {}", spoken(blobs.bytes_sent)),
        (false, 0) => "pushed, nothing to send".to_owned(),
        (false, count) => format!("pushed, {count} blobs, {}", spoken(blobs.bytes_sent)),
    };
    report.finished(name, &how, took);
    Ok(Pushed {
        name: name.to_owned(),
        image: format!("{}/{}@{digest}", registry.name(), target.repository),
        digest,
        tags: target.tags.clone(),
        blobs,
        unchanged,
        dry_run: target.dry_run,
        took,
    })
}

fn check(target: &Target) -> Result<()> {
    if !is_repository(&target.repository) {
        return Err(Failure::usage(format!("`{}` can't be a repository", target.repository))
            .hint("It has lower-case letters, digits, `.`, `_` and `-`, in parts between slashes."));
    }
    match target.tags.iter().find(|tag| !is_tag(tag)) {
        None => Ok(()),
        Some(tag) => Err(Failure::usage(format!("`{tag}` can't be a tag"))
            .hint("A tag has letters, digits, `.`, `_` and `-`, at most 128 of them.")),
    }
}

async fn put(registry: &Registry, scope: &Scope, layout: &Layout, descriptor: &Descriptor) -> Result<bool> {
    let bytes = layout.read(descriptor)?;
    registry.put_manifest(scope, &descriptor.digest.to_string(), &descriptor.media_type, bytes).await
}

/// Puts what refers to an image. A registry that keeps no lists of referrers gets them under a tag (distribution
/// specification 1.1, "Pushing Manifests with Subject").
async fn refer(
    registry: &Registry,
    scope: &Scope,
    layout: &Layout,
    descriptor: &Descriptor,
    manifest: &Manifest,
) -> Result<()> {
    if put(registry, scope, layout, descriptor).await? {
        return Ok(());
    }
    let Some(subject) = &manifest.subject else { return Ok(()) };
    let tag = fallback_tag(&subject.digest);
    let mut known = match registry.manifest(scope, &tag).await? {
        None => Vec::new(),
        Some((_, bytes)) => serde_json::from_slice::<Index>(&bytes).map(|index| index.manifests).unwrap_or_default(),
    };
    if known.iter().any(|one| one.digest == descriptor.digest) {
        return Ok(());
    }
    known.push(descriptor.clone());
    let bytes = serde_json::to_vec(&Index::of(known)).or_fail(|| "can't write an index".into())?;
    registry.put_manifest(scope, &tag, oci::INDEX, bytes).await.map(|_| ())
}

/// What a push would send.
async fn foresee(registry: &Registry, scope: &Scope, cargo: &Cargo) -> Result<Blobs> {
    let asks = cargo
        .blobs
        .iter()
        .map(|blob| async move { registry.has_blob(scope, &blob.digest).await.map(|is_there| (is_there, blob.size)) });
    let all: Vec<(bool, u64)> = futures_util::stream::iter(asks).buffer_unordered(PARALLEL).try_collect().await?;
    let missing = all.iter().filter(|(is_there, _)| !is_there);
    let uploaded = missing.clone().count();
    let bytes_sent = missing.map(|(_, size)| size).sum();
    Ok(Blobs { uploaded, mounted: 0, present: all.len() - uploaded, bytes_sent })
}

async fn send(
    name: &str,
    layout: &Layout,
    registry: &Registry,
    scope: &Scope,
    cargo: &Cargo,
    environment: &crate::settings::Environment,
    report: &Arc<dyn Report>,
) -> Result<Blobs> {
    let meter = Meter::new(name, cargo.blobs.iter().map(|blob| blob.size).sum(), report);
    let memory = Memory::of(registry, environment);
    let mut sources = memory.read();
    for (_, manifest) in &cargo.manifests {
        // The base's layers are in the base's own repository.
        let base = manifest.annotations.get(oci::BASE_NAME).and_then(|name| Reference::parse(name).ok());
        if let Some(base) = base.filter(|base| base.registry == registry.name()) {
            for layer in &manifest.layers {
                sources.entry(layer.digest.clone()).or_insert_with(|| base.repository.clone());
            }
        }
    }
    let uploads = cargo.blobs.iter().map(|blob| {
        let from = sources.get(&blob.digest).map(String::as_str).filter(|from| *from != scope.repository);
        let (path, meter) = (layout.blob(&blob.digest), &meter);
        async move { registry.upload(scope, blob, &path, from, meter).await }
    });
    let all: Vec<Upload> = futures_util::stream::iter(uploads).buffer_unordered(PARALLEL).try_collect().await?;
    memory.add(sources, cargo, &scope.repository);
    let count = |wanted| all.iter().filter(|one| **one == wanted).count();
    Ok(Blobs {
        uploaded: count(Upload::Sent),
        mounted: count(Upload::Mounted),
        present: count(Upload::Present),
        bytes_sent: meter.sent(),
    })
}

/// Which repository of a registry has which blob, from pushes before: only a hint, and nothing is lost with it.
struct Memory {
    path: PathBuf,
}

impl Memory {
    fn of(registry: &Registry, environment: &crate::settings::Environment) -> Self {
        let file = format!("{}.json", registry.name().replace(':', "_"));
        Self { path: super::cache(environment).join("pushed").join(file) }
    }

    fn read(&self) -> BTreeMap<Digest, String> {
        let text = std::fs::read(&self.path).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn add(&self, mut known: BTreeMap<Digest, String>, cargo: &Cargo, repository: &str) {
        if known.len() > REMEMBERED {
            known.clear();
        }
        known.extend(cargo.blobs.iter().map(|blob| (blob.digest.clone(), repository.to_owned())));
        let write = || -> std::io::Result<()> {
            let folder = self.path.parent().unwrap_or(&self.path);
            std::fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            std::io::Write::write_all(&mut file, &serde_json::to_vec(&known)?)?;
            file.persist(&self.path)?;
            Ok(())
        };
        // Without it the next push sends what it could have mounted.
        let _ = write();
    }
}
