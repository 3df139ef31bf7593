//! The image below: fetched by its digest once, and kept for all projects.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;

use super::digest::{Digest, Hasher};
use super::oci::{Config, Descriptor, Index, Manifest, Platform};
use super::reference::Reference;
use super::registry::{Credentials, Registry, STALLED, Scope, TRIES};
use super::{Order, spoken};
use crate::failure::{Failure, Kind, OrFail, Result};
use crate::report::{Event, Report, Unit};

/// Bytes between two words about how far a download is.
const TELL: u64 = 1 << 20;

/// One platform of a base image, on this machine.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub reference: Reference,
    /// The one that it was named by.
    pub digest: Digest,
    pub config: Config,
    /// Lowest first, with where they are.
    pub layers: Vec<(Descriptor, PathBuf)>,
}

impl Base {
    /// Fetches every platform that the order wants; asks the registry nothing when all is here.
    ///
    /// # Errors
    /// The registry can't be reached or does not have it; it is not there for a platform.
    pub async fn fetch(
        reference: &Reference,
        order: &Order,
        credentials: &Arc<dyn Credentials>,
        report: &dyn Report,
    ) -> Result<Vec<Self>> {
        let Some(digest) = &reference.digest else {
            return Err(Failure::usage(format!("the base {reference} has no digest")));
        };
        let store = Store {
            folder: super::cache(&order.environment).join("blobs"),
            registry: Registry::new(&reference.registry, &order.environment, Arc::clone(credentials))?,
            scope: Scope { repository: reference.repository.clone(), ..Scope::default() },
            report,
        };
        let root = store.manifest(digest).await?;
        let manifests = match serde_json::from_slice::<Index>(&root) {
            Ok(index) => index.manifests,
            Err(_) => vec![Descriptor::of(super::oci::MANIFEST, &root)],
        };
        let wanted: Vec<Platform> = order.image.platforms.iter().filter_map(|text| Platform::parse(text)).collect();
        let native = super::plan::expected(order);
        let mut bases = Vec::new();
        for one in manifests {
            let is_wanted = |platform: &Platform| match wanted.as_slice() {
                [] => native.as_ref().is_none_or(|native| platform.fits(native)),
                wanted => wanted.iter().any(|wanted| platform.fits(wanted)),
            };
            // Lists of contents and the like have a platform that is none.
            if one.platform.as_ref().is_some_and(|platform| !is_wanted(platform)) {
                continue;
            }
            let bytes = store.manifest(&one.digest).await?;
            let manifest: Manifest = store.read(&bytes, &one.digest)?;
            let config = store.blob(&manifest.config).await?;
            let bytes = std::fs::read(&config).or_fail(|| format!("can't read {}", config.display()))?;
            let config: Config = store.read(&bytes, &manifest.config.digest)?;
            if one.platform.is_none() && !is_wanted(&config.platform()) {
                continue;
            }
            let mut layers = Vec::new();
            for layer in &manifest.layers {
                layers.push((as_oci(layer), store.blob(layer).await?));
            }
            bases.push(Self { reference: reference.clone(), digest: digest.clone(), config, layers });
        }
        if bases.is_empty() {
            return Err(Failure::usage(format!("the base {reference} is not there for a platform that is wanted"))
                .hint(format!("What there is: streamify image inspect {reference}")));
        }
        Ok(bases)
    }

    /// The one for a platform.
    ///
    /// # Errors
    /// There is none.
    pub fn of<'a>(bases: &'a [Self], platform: &Platform) -> Result<&'a Self> {
        bases.iter().find(|base| base.config.platform().fits(platform)).ok_or_else(|| {
            let reference = bases.first().map(|base| base.reference.to_string()).unwrap_or_default();
            Failure::usage(format!("the base {reference} is not there for {platform}"))
                .hint(format!("What there is: streamify image inspect {reference}"))
        })
    }
}

/// Docker's names of layers in the words of the OCI; the bytes are the same.
fn as_oci(layer: &Descriptor) -> Descriptor {
    let kind = match layer.media_type.as_str() {
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.diff.tar" => "application/vnd.oci.image.layer.v1.tar",
        other => other,
    };
    Descriptor { media_type: kind.to_owned(), ..layer.bare() }
}

/// Blobs under their digests. Each is put in place whole, so several builds can use it at once without a lock.
struct Store<'a> {
    folder: PathBuf,
    registry: Registry,
    scope: Scope,
    report: &'a dyn Report,
}

impl Store<'_> {
    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("sha256").join(digest.hex())
    }

    fn read<T: DeserializeOwned>(&self, bytes: &[u8], digest: &Digest) -> Result<T> {
        serde_json::from_slice(bytes).or_fail(|| {
            format!("{digest} of {}/{} is not what it should be", self.registry.name(), self.scope.repository)
        })
    }

    fn temporary(&self) -> Result<NamedTempFile> {
        let folder = self.folder.join("sha256");
        let made = std::fs::create_dir_all(&folder).and_then(|()| NamedTempFile::new_in(&folder));
        made.or_fail(|| format!("can't write in {}", folder.display()))
    }

    async fn manifest(&self, digest: &Digest) -> Result<Vec<u8>> {
        let path = self.path(digest);
        if let Ok(bytes) = std::fs::read(&path)
            && Digest::of(&bytes) == *digest
        {
            return Ok(bytes);
        }
        let found = self.registry.manifest(&self.scope, &digest.to_string()).await?;
        let (_, bytes) = found.ok_or_else(|| {
            Failure::failed(format!("{}/{}@{digest} is not there", self.registry.name(), self.scope.repository))
                .hint("Look at the base's name and digest in streamify.yaml.")
        })?;
        let mut file = self.temporary()?;
        file.write_all(&bytes).or_fail(|| format!("can't write {}", path.display()))?;
        persist(file, &path)?;
        Ok(bytes)
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<PathBuf> {
        let path = self.path(&descriptor.digest);
        if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() == descriptor.size) {
            return Ok(path);
        }
        let begun = Instant::now();
        let name = format!("base {}", descriptor.digest.short());
        self.report.started(&name, "fetching");
        let mut tries = 0;
        loop {
            tries += 1;
            match self.fetch(&name, descriptor, &path).await {
                Ok(()) => break,
                // The call itself was tried often enough; a stream that broke is not known to be lost for good.
                Err(failure) if failure.kind == Kind::Unreachable && tries < TRIES => self.report.doing(&name, "again"),
                Err(failure) => {
                    self.report.failed(&name, &failure.to_string());
                    return Err(failure);
                }
            }
        }
        self.report.finished(&name, &format!("fetched, {}", spoken(descriptor.size)), begun.elapsed());
        Ok(path)
    }

    async fn fetch(&self, name: &str, descriptor: &Descriptor, path: &Path) -> Result<()> {
        let what =
            || format!("can't fetch {} of {}/{}", descriptor.digest, self.registry.name(), self.scope.repository);
        let mut response = self.registry.blob(&self.scope, &descriptor.digest).await?;
        let (mut file, mut hasher, mut done, mut told) = (self.temporary()?, Hasher::default(), 0, 0);
        loop {
            let part = tokio::time::timeout(STALLED, response.chunk()).await;
            let part = part.map_err(|_| {
                Failure::unreachable(what()).cause(format!("nothing has come for {} s", STALLED.as_secs()))
            })?;
            let part = part.map_err(|error| Failure::unreachable(what()).because(&error.without_url()))?;
            let Some(part) = part else { break };
            done += part.len() as u64;
            if done > descriptor.size {
                return Err(Failure::failed(what()).cause("it is longer than its manifest says"));
            }
            hasher.update(&part);
            file.write_all(&part).or_fail(what)?;
            // Often enough for the eye, and not a line of a log for every packet.
            if done >= told + TELL || done == descriptor.size {
                told = done;
                let (total, unit) = (Some(descriptor.size), Unit::Bytes);
                self.report.event(Event::Advanced { name: name.to_owned(), done, total, unit });
            }
        }
        let came = hasher.finish();
        if came != descriptor.digest {
            return Err(Failure::failed(what()).cause(format!("what came has another digest, {came}")));
        }
        persist(file, path)
    }
}

fn persist(file: NamedTempFile, path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let readable = file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644));
    readable
        .and_then(|()| file.persist(path).map(|_| ()).map_err(|error| error.error))
        .or_fail(|| format!("can't write {}", path.display()))
}
