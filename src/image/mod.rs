//! Images without a daemon: built into an OCI layout, pushed to a registry, looked at.
//!
//! [`build`] packs a program or a folder into layers ([`Layout`]); [`push`] brings a layout into a registry, only what
//! is not there; [`inspect`] tells what an image is, on disk or in a registry. [`load`] hands a layout to a Docker
//! daemon, and [`import`] takes back what such a daemon built from a Dockerfile.

mod base;
mod build;
mod compress;
mod daemon;
mod digest;
mod facts;
mod inspect;
mod layer;
mod layout;
mod oci;
mod plan;
mod program;
mod push;
mod reference;
mod registry;
mod sbom;
mod skeleton;

use std::path::PathBuf;

use crate::settings::{Environment, Image};

pub use build::{Built, BuiltLayer, BuiltPlatform, build, built_layout};
pub use daemon::{import, load};
pub use digest::Digest;
pub use inspect::{Inspected, InspectedPlatform, inspect_layout, inspect_registry};
pub use layout::Layout;
pub use push::{Pushed, Target, push};
pub use reference::Reference;
pub use registry::{Credentials, DockerConfig, Login, Registry};

/// An image to build.
#[derive(Clone, Debug)]
pub struct Order {
    /// As in `streamify.yaml`.
    pub name: String,
    pub image: Image,
    /// The project's folder, absolute: paths of the entry are relative to it.
    pub directory: PathBuf,
    /// Where the image goes.
    pub layout: PathBuf,
    /// This program, which the image `app` holds where its entry names no other.
    pub program: PathBuf,
    pub environment: Environment,
}

/// The folder of what is fetched once and kept for all projects.
fn cache(environment: &Environment) -> PathBuf {
    let home = || environment.get("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let folder = environment.get("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    folder.unwrap_or_else(|| PathBuf::from("/var/cache")).join("streamify/images")
}

/// Bytes as people say them.
pub fn spoken(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
