//! AWS, played on this machine: `scripts/aws-emulators.sh` says by what.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use super::process::{Process, eventually, folder, free_port};

/// The account that both emulators play.
pub const ACCOUNT: &str = "123456789012";
/// The region that tests work in.
pub const REGION: &str = "eu-west-1";

/// What plays AWS.
#[derive(Clone, Copy, Debug)]
pub enum Player {
    /// A registry and ECS tasks, where it has a Docker daemon.
    MiniStack,
    /// Wider, but its ECS is a fixed state.
    Moto,
}

/// A running emulator; dropped, it ends.
pub struct Emulator {
    pub port: u16,
    _process: Process,
    _folder: TempDir,
}

impl Emulator {
    /// Starts one on a free port. `environment` is for the emulator, such as a `DOCKER_HOST` for MiniStack.
    pub fn start(player: Player, environment: &[(&str, &str)]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/aws-emulators.sh");
        // Installed before it is started, so that the time to install does not count as time to start.
        let installed = Command::new(&script).arg("install").output().unwrap();
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        let folder = folder();
        let log = folder.path().join("log");
        let port = free_port();
        let name = match player {
            Player::MiniStack => "ministack",
            Player::Moto => "moto",
        };
        // The script replaces itself by the emulator, which has no children.
        let command = [script.to_str().unwrap(), "run", name, &port.to_string()];
        let process = Process::start(&command, &log, environment);
        eventually(&format!("{name} answers"), || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { port, _process: process, _folder: folder }
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// One MiniStack without Docker for all tests whose names are their own.
pub fn ministack() -> &'static Emulator {
    static SHARED: OnceLock<Emulator> = OnceLock::new();
    SHARED.get_or_init(|| Emulator::start(Player::MiniStack, &[]))
}

/// The variables of a process that works with the AWS at `endpoint`, and knows of nothing else on this machine.
pub fn variables(endpoint: &str) -> Vec<(String, String)> {
    let pairs = [
        ("PATH", std::env::var("PATH").unwrap_or_default()),
        ("HOME", nowhere().display().to_string()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A home without files of AWS.
pub fn nowhere() -> PathBuf {
    PathBuf::from("/nonexistent")
}
