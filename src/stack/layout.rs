use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::failure::{Failure, OrFail, Result};
use crate::settings::{Secret, Settings};

/// Where everything of one project's local stack is kept.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The data folder, absolute.
    pub data: PathBuf,
    name: String,
    runtime: PathBuf,
}

impl Layout {
    /// The layout that the settings ask for; touches nothing.
    pub fn of(settings: &Settings) -> Self {
        let runtime = settings.environment.get("XDG_RUNTIME_DIR").map(|folder| Path::new(folder).join("streamify"));
        // Sockets have 108 bytes for their path; a data folder may be deeper than that.
        let runtime = runtime
            .filter(|folder| folder.as_os_str().len() < 60)
            .unwrap_or_else(|| PathBuf::from(format!("/tmp/streamify-{}", nix::unistd::geteuid())));
        Self { data: settings.dev.data.clone(), name: settings.name.clone(), runtime }
    }

    pub fn state(&self) -> PathBuf {
        self.data.join("state.json")
    }

    pub fn lock(&self) -> PathBuf {
        self.data.join("supervisor.lock")
    }

    pub fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }

    pub fn log(&self, source: &str) -> PathBuf {
        self.logs().join(format!("{source}.log"))
    }

    pub fn kafka(&self) -> PathBuf {
        self.data.join("kafka")
    }

    /// The control socket: short, private to the user, one for each data folder.
    pub fn socket(&self) -> PathBuf {
        self.runtime.join(format!("{}.sock", self.hash()))
    }

    fn hash(&self) -> String {
        let digest = Sha256::digest(self.data.as_os_str().as_encoded_bytes());
        digest.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    /// Where the database's files are: in the data folder, or, where the unprivileged user that runs
    /// `PostgreSQL` on behalf of root can't get there, under `/var/lib/streamify`.
    pub fn postgres(&self) -> PathBuf {
        if nix::unistd::geteuid().is_root() && !reachable_by_others(&self.data) {
            PathBuf::from(format!("/var/lib/streamify/{}-{}/postgres", self.name, self.hash()))
        } else {
            self.data.join("postgres")
        }
    }

    /// Makes the folders that are missing, closed to everybody else.
    pub fn create(&self) -> Result<()> {
        private_folder(&self.data)?;
        if nix::unistd::geteuid().is_root() {
            // The database's user passes through to its own folder, and can list nothing.
            fs::set_permissions(&self.data, fs::Permissions::from_mode(0o711))
                .or_fail(|| format!("can't set the mode of {}", self.data.display()))?;
        }
        private_folder(&self.logs())?;
        private_folder(&self.runtime)?;
        let found =
            fs::symlink_metadata(&self.runtime).or_fail(|| format!("can't look at {}", self.runtime.display()))?;
        if !found.is_dir() || found.uid() != nix::unistd::geteuid().as_raw() || found.mode() & 0o077 != 0 {
            return Err(Failure::failed(format!("{} is not a private folder of yours", self.runtime.display()))
                .hint("Remove it, or set XDG_RUNTIME_DIR to a folder that only you can enter."));
        }
        Ok(())
    }
}

/// Makes a folder and its parents; only its owner can enter it.
pub(super) fn private_folder(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .or_fail(|| format!("can't make the folder {}", path.display()))
}

/// Whether any user can pass through every existing folder above `path`.
pub(super) fn reachable_by_others(path: &Path) -> bool {
    path.ancestors().skip(1).all(|folder| fs::metadata(folder).map_or(true, |found| found.mode() & 0o001 != 0))
}

/// Writes a file whole or not at all, readable by its owner alone.
pub(super) fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        // Before it takes the old one's place: after a power cut there is the one or the other.
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().or_fail(|| format!("can't write {}", path.display()))
}

/// The stack's own secrets, made once.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secrets {
    postgres_password: String,
    jwt_keys: String,
}

impl Secrets {
    /// Reads them, or makes them at the first start.
    pub fn load_or_create(layout: &Layout) -> Result<Self> {
        let path = layout.data.join("secrets.json");
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                // serde_json's error may quote the content; the place is enough.
                Failure::failed(format!("{} is damaged at line {}", path.display(), error.line()))
                    .hint("Restore it, or start over with `streamify dev reset`.")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let hex = random()?.iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
                let key = base64::engine::general_purpose::STANDARD.encode(random()?);
                let secrets = Self { postgres_password: hex, jwt_keys: format!("dev:{key}") };
                let text = serde_json::to_vec_pretty(&secrets).or_fail(|| "can't write the secrets".into())?;
                write_atomically(&path, &text)?;
                Ok(secrets)
            }
            Err(error) => Err(Failure::failed(format!("can't read {}", path.display())).because(&error)),
        }
    }

    pub fn postgres_password(&self) -> Secret {
        Secret::new(&*self.postgres_password)
    }

    pub fn jwt_keys(&self) -> Secret {
        Secret::new(&*self.jwt_keys)
    }

    pub fn database_url(&self, port: u16) -> Secret {
        Secret::new(format!("postgres://streamify:{}@127.0.0.1:{port}/streamify", self.postgres_password))
    }
}

pub(super) fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .or_fail(|| "can't read random bytes".into())?;
    Ok(bytes)
}
