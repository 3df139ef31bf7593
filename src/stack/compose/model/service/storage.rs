//! Mounts, and files that a service is given.

use serde::{Deserialize, Serialize};

use super::super::values::{Bytes, FileMode, OptOut, Pairs};

record! {
    /// Something that is mounted into the container.
    pub struct Mount {
        r#type: MountKind,
        /// A volume's key in the file, an absolute path of the host, an image; empty: an anonymous volume or tmpfs.
        source: String,
        /// The path in the container.
        target: String,
        read_only: bool,
        consistency: String,
        bind: Option<BindOptions>,
        volume: Option<VolumeOptions>,
        tmpfs: Option<TmpfsOptions>,
        image: Option<ImageOptions>,
    }

    /// Options of a mount of a host's path.
    pub struct BindOptions {
        /// `z` (shared) or `Z` (private).
        selinux: String,
        /// `rprivate`, `private`, `rshared`, `shared`, `rslave`, `slave`.
        propagation: String,
        /// Make the folder on the host where it is missing.
        create_host_path: OptOut,
        /// `enabled`, `disabled`, `writable`, `readonly`.
        recursive: String,
    }

    /// Options of a mount of a volume.
    pub struct VolumeOptions {
        labels: Pairs,
        /// Don't fill a new volume with what the image has there.
        nocopy: bool,
        /// The folder of the volume.
        subpath: String,
    }

    /// Options of a mount in memory.
    pub struct TmpfsOptions {
        size: Bytes,
        /// Permissions.
        mode: u32,
    }

    /// Options of a mount of an image.
    pub struct ImageOptions {
        subpath: String,
    }

    /// A config or secret that a service is given as a file.
    pub struct FileReference {
        /// Its key in the file.
        source: String,
        /// Where it is in the container: absolute, or for a secret a name below `/run/secrets`.
        target: String,
        uid: String,
        gid: String,
        mode: Option<FileMode>,
    }
}

/// What is mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A path of the host.
    Bind,
    /// A named or anonymous volume.
    #[default]
    Volume,
    /// Memory.
    Tmpfs,
    /// A Windows pipe.
    Npipe,
    /// A volume of a cluster.
    Cluster,
    /// An image's files.
    Image,
}

impl super::super::values::Blank for MountKind {
    fn is_blank(&self) -> bool {
        false
    }
}
