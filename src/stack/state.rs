use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::layout::{Layout, write_atomically};
use super::process::Identity;
use crate::failure::{Failure, OrFail, Result};
use crate::settings::Service;

/// What a service is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Starting,
    Healthy,
    /// It died and waits to be started again.
    Restarting,
    /// It died too often, or could not be prepared.
    Failed,
    Stopping,
    #[default]
    Stopped,
}

impl Phase {
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }

    /// Somebody cares for it: it runs, or will without being asked.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Starting | Self::Healthy | Self::Restarting)
    }
}

/// One service as the supervisor sees it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    pub phase: Phase,
    /// The leader of its process group.
    pub process: Option<Identity>,
    pub since: Timestamp,
    pub restarts: u32,
    /// Why it failed, with its last lines.
    pub why: Option<Failure>,
}

/// What the supervisor keeps on disk, so that others can see it and the next one can clean up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    pub supervisor: Option<Identity>,
    /// When the running binary was written; a newer one on disk is worth a restart.
    pub binary: Option<Timestamp>,
    /// Chosen ports, remembered for the next start.
    #[serde(default)]
    pub ports: BTreeMap<Service, u16>,
    pub metrics_port: Option<u16>,
    #[serde(default)]
    pub services: BTreeMap<Service, Status>,
}

impl State {
    /// What is on disk; nothing there is an empty state.
    pub fn read(layout: &Layout) -> Result<Self> {
        let path = layout.state();
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                Failure::failed(format!("{} is damaged", path.display()))
                    .because(&error)
                    .hint("Stop what runs, then remove the file; no data is in it.")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Failure::failed(format!("can't read {}", path.display())).because(&error)),
        }
    }

    pub fn write(&self, layout: &Layout) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).or_fail(|| "can't write the stack's state".into())?;
        write_atomically(&layout.state(), &text)
    }

    pub fn is_running(&self) -> bool {
        self.supervisor.is_some_and(Identity::is_alive)
    }
}

/// When this program's file was written.
pub fn binary_written() -> Option<Timestamp> {
    let written = std::env::current_exe().ok()?.metadata().ok()?.modified().ok()?;
    Timestamp::try_from(written).ok()
}
