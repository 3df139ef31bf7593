//! A folder in the OCI image layout (image specification, `image-layout.md`).
//!
//! Blobs are written beside and put in place whole; `index.json` comes last. Whenever the writer is killed, the layout
//! is the one before or the one after, and the next writer sweeps what was left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;

use super::digest::Digest;
use super::oci::{self, Config, Descriptor, Index, Manifest};
use crate::failure::{Failure, OrFail, Result};
use crate::report::Report;

const MARK: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const TEMPORARY: &str = "temporary";

/// An image on disk.
#[derive(Clone, Debug)]
pub struct Layout {
    folder: PathBuf,
}

/// Keeps others from writing, or from reading what is written, until it is dropped or the process is gone.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "holding it open is what it is for")] File);

impl Layout {
    /// Whether a folder is a layout.
    pub fn is_at(folder: &Path) -> bool {
        folder.join("oci-layout").is_file()
    }

    /// An image that is there.
    ///
    /// # Errors
    /// There is none.
    pub fn open(folder: &Path) -> Result<Self> {
        if Self::is_at(folder) && folder.join("index.json").is_file() {
            return Ok(Self { folder: folder.to_path_buf() });
        }
        Err(Failure::failed(format!("there is no image in {}", folder.display()))
            .hint("Build it first: streamify image build"))
    }

    /// A folder to write an image to, made where it is not there.
    ///
    /// # Errors
    /// The folder holds something else.
    pub fn create(folder: &Path) -> Result<Self> {
        let what = || format!("can't make the layout {}", folder.display());
        if !Self::is_at(folder) && folder.is_dir() {
            let mut inside = fs::read_dir(folder).or_fail(what)?.flatten();
            let is_foreign = |name: &str| !["lock", "blobs", TEMPORARY].contains(&name);
            if inside.any(|entry| is_foreign(&entry.file_name().to_string_lossy())) {
                return Err(Failure::usage(format!("{} holds something that is no image", folder.display()))
                    .hint("Give a new or an empty folder: --layout FOLDER"));
            }
        }
        fs::create_dir_all(folder.join("blobs/sha256")).or_fail(what)?;
        fs::create_dir_all(folder.join(TEMPORARY)).or_fail(what)?;
        Ok(Self { folder: folder.to_path_buf() })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until it is the only writer, and sweeps what a killed one left.
    pub(super) fn lock(&self, report: &dyn Report) -> Result<Lock> {
        let path = self.folder.join("lock");
        let what = || format!("can't lock {}", path.display());
        let file = File::create(&path).or_fail(what)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                report.note(&format!("waiting for another build or push of {}", self.folder.display()));
                file.lock().or_fail(what)?;
            }
            Err(TryLockError::Error(error)) => return Err(Failure::failed(what()).because(&error)),
        }
        for entry in fs::read_dir(self.folder.join(TEMPORARY)).or_fail(what)?.flatten() {
            // What stays is only space, and the next one tries again.
            let _ = fs::remove_file(entry.path());
        }
        Ok(Lock(file))
    }

    /// Waits until nobody writes. A folder that can't be written to needs no lock.
    pub(super) fn lock_shared(&self) -> Result<Option<Lock>> {
        let path = self.folder.join("lock");
        let Ok(file) = File::create(&path) else { return Ok(None) };
        file.lock_shared().or_fail(|| format!("can't lock {}", path.display()))?;
        Ok(Some(Lock(file)))
    }

    /// Where a blob is, or would be.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.hex())
    }

    pub(super) fn has(&self, digest: &Digest, size: u64) -> bool {
        fs::metadata(self.blob(digest)).is_ok_and(|metadata| metadata.len() == size)
    }

    /// A file to write a blob to.
    pub(super) fn temporary(&self) -> Result<NamedTempFile> {
        let folder = self.folder.join(TEMPORARY);
        NamedTempFile::new_in(&folder).or_fail(|| format!("can't make a file in {}", folder.display()))
    }

    /// Puts a whole blob in its place.
    pub(super) fn keep(&self, file: NamedTempFile, digest: &Digest) -> Result<()> {
        let path = self.blob(digest);
        let what = || format!("can't write {}", path.display());
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).or_fail(what)?;
        file.persist(&path).map(|_| ()).map_err(|error| error.error).or_fail(what)
    }

    /// Takes a blob that is elsewhere on this machine: one file under two names where that can be.
    pub(super) fn take(&self, from: &Path, digest: &Digest, size: u64) -> Result<()> {
        if self.has(digest, size) {
            return Ok(());
        }
        let path = self.blob(digest);
        let _ = fs::remove_file(&path);
        if fs::hard_link(from, &path).is_ok() {
            return Ok(());
        }
        let mut file = self.temporary()?;
        let copied = File::open(from).and_then(|mut from| std::io::copy(&mut from, file.as_file_mut()));
        copied.or_fail(|| format!("can't copy {}", from.display()))?;
        self.keep(file, digest)
    }

    /// Writes bytes as a blob.
    pub(super) fn write(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor> {
        let descriptor = Descriptor::of(media_type, bytes);
        if !self.has(&descriptor.digest, descriptor.size) {
            let mut file = self.temporary()?;
            file.write_all(bytes).or_fail(|| format!("can't write in {}", self.folder.display()))?;
            self.keep(file, &descriptor.digest)?;
        }
        Ok(descriptor)
    }

    /// Writes a document as a blob.
    pub(super) fn write_json<T: Serialize>(&self, media_type: &str, document: &T) -> Result<Descriptor> {
        let bytes = serde_json::to_vec(document).or_fail(|| "can't write a document of the image".into())?;
        self.write(media_type, &bytes)
    }

    /// Writes an image of one platform: its configuration, and the manifest that names it and the layers.
    pub(super) fn write_image(
        &self,
        config: &Config,
        layers: Vec<Descriptor>,
        annotations: BTreeMap<String, String>,
    ) -> Result<Descriptor> {
        let manifest = Manifest {
            schema_version: 2,
            media_type: oci::MANIFEST.to_owned(),
            artifact_type: None,
            config: self.write_json(oci::CONFIG, config)?,
            layers,
            subject: None,
            annotations,
        };
        let mut descriptor = self.write_json(oci::MANIFEST, &manifest)?;
        descriptor.platform = Some(config.platform());
        Ok(descriptor)
    }

    /// Reads a blob whole, and checks that it is what its name says.
    pub(super) fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let path = self.blob(&descriptor.digest);
        let bytes = fs::read(&path).or_fail(|| format!("the image in {} is not whole", self.folder.display()))?;
        if Digest::of(&bytes) == descriptor.digest {
            return Ok(bytes);
        }
        Err(Failure::failed(format!("{} is damaged", path.display())).hint("Remove the folder and build again."))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T> {
        let what = || format!("{} is not what the image says it is", self.blob(&descriptor.digest).display());
        serde_json::from_slice(&self.read(descriptor)?).or_fail(what)
    }

    pub(super) fn index(&self) -> Result<Index> {
        let path = self.folder.join("index.json");
        let text = fs::read(&path).or_fail(|| format!("can't read {}", path.display()))?;
        serde_json::from_slice(&text).or_fail(|| format!("{} is no index of an image", path.display()))
    }

    /// The image itself: what stands first, before what is only about it.
    pub(super) fn root(&self) -> Result<Descriptor> {
        let index = self.index()?;
        let root = index.manifests.into_iter().find(|one| one.artifact_type.is_none());
        root.ok_or_else(|| Failure::failed(format!("the layout {} has no image", self.folder.display())))
    }

    /// The tag that the image was built with.
    ///
    /// # Errors
    /// The layout has no image, or one that another tool made and gave no tag.
    pub fn tag(&self) -> Result<String> {
        let tag = self.root()?.annotations.get(oci::REF_NAME).cloned();
        tag.ok_or_else(|| {
            Failure::usage(format!("the image in {} has no tag", self.folder.display())).hint("Give one: --tag 1.2.0")
        })
    }

    /// The manifests below a descriptor: itself, or those of the index that it is.
    pub(super) fn manifests(&self, root: &Descriptor) -> Result<Vec<(Descriptor, Manifest)>> {
        let all = if root.is_index() { self.json::<Index>(root)?.manifests } else { vec![root.clone()] };
        all.into_iter().map(|one| self.json(&one).map(|manifest| (one, manifest))).collect()
    }

    /// Makes this the layout's content, and removes blobs that nothing names any more.
    pub(super) fn finish(&self, index: &Index) -> Result<()> {
        self.put("index.json", &serde_json::to_vec(index).or_fail(|| "can't write the index".into())?)?;
        self.put("oci-layout", MARK.as_bytes())?;
        let mut named = BTreeSet::new();
        for descriptor in &index.manifests {
            named.insert(descriptor.digest.hex().to_owned());
            for (one, manifest) in self.manifests(descriptor)? {
                named.insert(one.digest.hex().to_owned());
                named.insert(manifest.config.digest.hex().to_owned());
                named.extend(manifest.layers.iter().map(|layer| layer.digest.hex().to_owned()));
            }
        }
        let folder = self.folder.join("blobs/sha256");
        for entry in fs::read_dir(&folder).or_fail(|| format!("can't read {}", folder.display()))?.flatten() {
            if !named.contains(entry.file_name().to_string_lossy().as_ref()) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Writes a file of the layout whole or not at all; one that says this already is left alone.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        if fs::read(&path).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        let what = || format!("can't write {}", path.display());
        let mut file = self.temporary()?;
        file.write_all(bytes).or_fail(what)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).or_fail(what)?;
        file.persist(&path).map(|_| ()).map_err(|error| error.error).or_fail(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Recorder;

    #[test]
    fn what_a_killed_writer_left_is_swept_and_foreign_folders_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(&folder.path().join("image")).unwrap();
        let left = layout.folder().join(TEMPORARY).join("left");
        fs::write(&left, "half").unwrap();
        drop(layout.lock(&Recorder::default()).unwrap());
        assert!(!left.exists());
        assert!(Layout::open(layout.folder()).is_err(), "without an index it is no image yet");

        fs::write(folder.path().join("mine"), "").unwrap();
        assert!(Layout::create(folder.path()).unwrap_err().message.contains("no image"));
    }

    #[test]
    fn a_damaged_blob_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        let descriptor = layout.write("text/plain", b"whole").unwrap();
        assert_eq!(layout.read(&descriptor).unwrap(), b"whole");
        fs::write(layout.blob(&descriptor.digest), "whale").unwrap();
        assert!(layout.read(&descriptor).unwrap_err().message.contains("damaged"));
    }
}
