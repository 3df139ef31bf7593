//! A layer's archive: sorted entries with fixed times and owners, so that the same files are the same bytes.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::digest::{Digest, Hasher};
use crate::failure::{Failure, OrFail, Result};

/// What stands under a name.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Folder,
    File(PathBuf),
    Bytes(Vec<u8>),
    Link(PathBuf),
}

/// Permissions and content.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub mode: u32,
    pub content: Content,
}

/// The files of one layer by their path in the image, without a slash at the start. Root owns them all: whoever runs
/// in the container can't change them.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// What is in it, for people.
    pub title: String,
    entries: BTreeMap<PathBuf, Entry>,
}

impl Layer {
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), entries: BTreeMap::new() }
    }

    /// Adds an entry and the folders above it.
    pub fn add(&mut self, path: impl AsRef<Path>, mode: u32, content: Content) {
        let path = path.as_ref();
        let path = path.strip_prefix("/").unwrap_or(path);
        for folder in path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
            let entry = Entry { mode: 0o755, content: Content::Folder };
            self.entries.entry(folder.to_path_buf()).or_insert(entry);
        }
        self.entries.insert(path.to_path_buf(), Entry { mode, content });
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Writes the archive; gives the names and digests of the files in it.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<Vec<(String, Digest)>> {
        let mut archive = tar::Builder::new(out);
        let mut files = Vec::new();
        for (path, entry) in &self.entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(entry.mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_size(0);
            let name = path.to_string_lossy().into_owned();
            match &entry.content {
                Content::Folder => {
                    header.set_entry_type(tar::EntryType::Directory);
                    archive.append_data(&mut header, path.join(""), io::empty())?;
                }
                Content::Link(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    archive.append_link(&mut header, path, target)?;
                }
                Content::Bytes(bytes) => {
                    header.set_size(bytes.len() as u64);
                    archive.append_data(&mut header, path, bytes.as_slice())?;
                    files.push((name, Digest::of(bytes)));
                }
                Content::File(source) => {
                    let explain =
                        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", source.display()));
                    let file = File::open(source).map_err(explain)?;
                    let size = file.metadata().map_err(explain)?.len();
                    header.set_size(size);
                    let mut hashed =
                        Hashed { inner: io::Read::take(file, size), hasher: Hasher::default(), left: size };
                    archive.append_data(&mut header, path, io::BufReader::with_capacity(1 << 20, &mut hashed))?;
                    if hashed.left > 0 {
                        return Err(io::Error::other(format!("{} shrank while it was read", source.display())));
                    }
                    files.push((name, hashed.hasher.finish()));
                }
            }
        }
        archive.finish()?;
        Ok(files)
    }

    /// The digest of the archive, without keeping it.
    pub fn diff_id(&self) -> io::Result<Digest> {
        let mut out = io::BufWriter::with_capacity(1 << 20, Hasher::default());
        self.write(&mut out)?;
        Ok(out.into_inner().map_err(io::IntoInnerError::into_error)?.finish())
    }

    /// What identifies the layer, apart from the content of its files; and what tells whether a file has changed.
    ///
    /// A file that was written only just now has no stamp: a further change in the same instant could not be seen.
    pub fn identity(&self) -> Result<(Digest, Option<Stamp>)> {
        let (mut identity, mut stamp, mut size) = (Hasher::default(), Hasher::default(), 0);
        let just_now = SystemTime::now().checked_sub(SETTLED).and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let mut is_settled = true;
        for (path, entry) in &self.entries {
            let what = match &entry.content {
                Content::Folder => "folder".to_owned(),
                Content::Link(target) => format!("link {}", target.display()),
                Content::Bytes(bytes) => Digest::of(bytes).to_string(),
                Content::File(source) => {
                    let metadata = fs::metadata(source).or_fail(|| format!("can't read {}", source.display()))?;
                    let changed = (metadata.ctime(), metadata.ctime_nsec());
                    is_settled &= just_now
                        .is_none_or(|limit| changed < (limit.as_secs().cast_signed(), i64::from(limit.subsec_nanos())));
                    size += metadata.len();
                    let text = format!(
                        "{} {} {}.{} {}.{}\0",
                        metadata.len(),
                        metadata.ino(),
                        metadata.mtime(),
                        metadata.mtime_nsec(),
                        changed.0,
                        changed.1
                    );
                    stamp.update(text.as_bytes());
                    format!("file {}", source.display())
                }
            };
            identity.update(path.as_os_str().as_encoded_bytes());
            identity.update(format!("\0{:o}\0{what}\0", entry.mode).as_bytes());
        }
        let stamp = is_settled.then(|| Stamp { of: stamp.finish(), size });
        Ok((identity.finish(), stamp))
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        let one = |entry: &Entry| match &entry.content {
            Content::File(source) => fs::metadata(source).map_or(0, |metadata| metadata.len()),
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Folder | Content::Link(_) => 0,
        };
        self.entries.values().map(one).sum()
    }
}

/// Clocks of file systems go in steps of a few milliseconds.
pub(super) const SETTLED: Duration = Duration::from_millis(20);

/// Sizes, numbers and times of all files of a layer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Stamp {
    of: Digest,
    /// Bytes of the files.
    pub size: u64,
}

struct Hashed<R> {
    inner: R,
    hasher: Hasher,
    left: u64,
}

impl<R: io::Read> io::Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

/// A folder as layers: one for each top folder, and one for the files beside them.
///
/// # Errors
/// The folder is not there or empty; something in it is no file, folder or link.
pub(super) fn of_folder(root: &Path) -> Result<Vec<Layer>> {
    if !root.is_dir() {
        return Err(Failure::usage(format!("there is no folder {}", root.display()))
            .hint("It is the `folder` of an image in streamify.yaml, relative to that file."));
    }
    let mut layers = Vec::new();
    let mut beside = Layer::new("files of the root");
    for path in children(root)? {
        let name = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
        let metadata = look(&path)?;
        if metadata.is_dir() {
            let mut layer = Layer::new(format!("folder /{}", name.display()));
            layer.add(&name, 0o755, Content::Folder);
            descend(root, &path, &mut layer)?;
            layers.push(layer);
        } else {
            add(root, &path, &metadata, &mut beside)?;
        }
    }
    if !beside.is_empty() {
        layers.push(beside);
    }
    if layers.is_empty() {
        return Err(Failure::usage(format!("the folder {} is empty", root.display()))
            .hint("Build what belongs into it first; an image without files is of no use."));
    }
    Ok(layers)
}

fn descend(root: &Path, folder: &Path, layer: &mut Layer) -> Result<()> {
    for path in children(folder)? {
        let metadata = look(&path)?;
        add(root, &path, &metadata, layer)?;
        if metadata.is_dir() {
            descend(root, &path, layer)?;
        }
    }
    Ok(())
}

fn add(root: &Path, path: &Path, metadata: &Metadata, layer: &mut Layer) -> Result<()> {
    let name = path.strip_prefix(root).unwrap_or(path);
    let kind = metadata.file_type();
    if kind.is_dir() {
        layer.add(name, 0o755, Content::Folder);
    } else if kind.is_symlink() {
        let target = fs::read_link(path).or_fail(|| format!("can't read the link {}", path.display()))?;
        layer.add(name, 0o777, Content::Link(target));
    } else if kind.is_file() {
        // What the umask of whoever made the file left of it does not matter in an image.
        let mode = if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
        layer.add(name, mode, Content::File(path.to_path_buf()));
    } else {
        return Err(Failure::usage(format!("{} is no file, folder or link", path.display()))
            .hint("Sockets, pipes and devices can't be in an image: take it out of the folder."));
    }
    Ok(())
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let what = || format!("can't read the folder {}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).or_fail(what)? {
        paths.push(entry.or_fail(what)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn look(path: &Path) -> Result<Metadata> {
    fs::symlink_metadata(path).or_fail(|| format!("can't look at {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_does_not_depend_on_times_order_or_umask() {
        let make = |order: [&str; 2], mode: u32| {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("web")).unwrap();
            for name in order {
                let path = folder.path().join("web").join(name);
                fs::write(&path, name).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
            of_folder(folder.path()).unwrap()[0].diff_id().unwrap()
        };
        assert_eq!(make(["a", "b"], 0o600), make(["b", "a"], 0o664));
        assert_ne!(make(["a", "b"], 0o600), make(["a", "b"], 0o700));
    }

    #[test]
    fn each_top_folder_is_a_layer() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["etc/a/b", "srv/x"] {
            fs::create_dir_all(folder.path().join(path).parent().unwrap()).unwrap();
            fs::write(folder.path().join(path), path).unwrap();
        }
        fs::write(folder.path().join("top"), "").unwrap();
        std::os::unix::fs::symlink("srv/x", folder.path().join("link")).unwrap();
        let layers = of_folder(folder.path()).unwrap();
        let titles: Vec<_> = layers.iter().map(|layer| layer.title.as_str()).collect();
        assert_eq!(titles, ["folder /etc", "folder /srv", "files of the root"]);
        let mut bytes = Vec::new();
        layers[0].write(&mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names: Vec<_> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
        assert_eq!(names, ["etc/", "etc/a/", "etc/a/b"].map(PathBuf::from));
        let empty = tempfile::tempdir().unwrap();
        assert!(of_folder(empty.path()).unwrap_err().message.contains("empty"));
    }
}
