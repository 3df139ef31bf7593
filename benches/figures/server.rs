//! The backend and its peers: the same API, started and used in the same way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;

use crate::Result;
use crate::process::{Process, STREAMIFY, free_port, last_lines, run};

/// For these runs alone; HS256 wants 32 bytes.
const JWT_KEY: &str = "a key that signs nothing but figures";
const READY_WAIT: Duration = Duration::from_secs(30);

/// Which program answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ours,
    Prisma,
    Pg,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Ours, Self::Prisma, Self::Pg];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "streamify",
            Self::Prisma => "Fastify + Prisma",
            Self::Pg => "Fastify + pg",
        }
    }

    fn command(self, port: u16, database_url: &str, kafka: &str, folder: &Path) -> Command {
        let mut command = if self == Self::Ours {
            let mut command = Command::new(STREAMIFY);
            // A folder without a configuration file: defaults, and what is set here.
            command.arg("serve").current_dir(folder);
            command
                .env("STREAMIFY_LISTEN", format!("127.0.0.1:{port}"))
                .env("STREAMIFY_LOG", "warn")
                .env("STREAMIFY_LOGINS_PER_MINUTE", "1000")
                .env("JWT_KEYS", format!("figures:{JWT_KEY}"));
            command
        } else {
            let mut command = Command::new(peer_node());
            command.arg("src/main.js").current_dir(peer_folder());
            command
                .env("STORE", if self == Self::Prisma { "prisma" } else { "pg" })
                .env("NODE_ENV", "production")
                .env("PORT", port.to_string())
                .env("JWT_KEY", JWT_KEY);
            command
        };
        command.env("DATABASE_URL", database_url).env("KAFKA_BROKERS", kafka);
        command
    }
}

fn peer_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/fastify")
}

/// The Node that the peers run on, once they are installed.
pub fn peer_node() -> PathBuf {
    peer_folder().join("node_modules/.bin/node")
}

/// Installs the peers' packages where they are missing or older than what is locked.
pub fn install_peers() -> Result<()> {
    let folder = peer_folder();
    let changed = |path: &str| fs::metadata(folder.join(path)).and_then(|data| data.modified()).ok();
    let generated = changed("node_modules/.prisma/client/index.js");
    let is_fresh = |source: &str| generated.is_some() && changed(source) <= generated;
    if ["package-lock.json", "prisma/schema.prisma"].into_iter().all(is_fresh) {
        return Ok(());
    }
    eprintln!("  installing the peers' packages");
    run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    run(Command::new("npm").args(["run", "generate"]).current_dir(&folder)).map(drop)
}

/// A running server with one user who is logged in.
pub struct Server {
    pub process: Process,
    /// `http://host:port`.
    pub address: String,
    /// The user's access token.
    pub token: String,
    folder: TempDir,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub async fn start(kind: Kind, database_url: &str, kafka: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let mut command = kind.command(port, database_url, kafka, folder.path());
        let process = Process::start(&mut command, &folder.path().join("log"))?;
        let address = format!("http://127.0.0.1:{port}");
        let mut server = Self { process, address, token: String::new(), folder };
        let client = Client::new();
        if let Err(error) = server.wait_until_ready(&client).await {
            return Err(format!("{} {error}; it said:\n{}", kind.name(), server.log()).into());
        }
        server.token = log_in(&client, &server.address).await?;
        Ok(server)
    }

    /// The end of what it said.
    pub fn log(&self) -> String {
        last_lines(&fs::read_to_string(self.folder.path().join("log")).unwrap_or_default())
    }

    async fn wait_until_ready(&mut self, client: &Client) -> Result<()> {
        let deadline = Instant::now() + READY_WAIT;
        let url = format!("{}/health/ready", self.address);
        loop {
            if client.get(&url).send().await.is_ok_and(|response| response.status().is_success()) {
                return Ok(());
            }
            if self.process.has_ended() {
                return Err("ended before it was ready".into());
            }
            if Instant::now() > deadline {
                return Err(format!("was not ready after {} s", READY_WAIT.as_secs()).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn log_in(client: &Client, address: &str) -> Result<String> {
    let (email, password) = ("figures@example.com", "correct horse battery");
    let registration = json!({ "email": email, "password": password, "name": "Figures" });
    client.post(format!("{address}/api/auth/register")).json(&registration).send().await?.error_for_status()?;
    let credentials = json!({ "email": email, "password": password });
    let login = client.post(format!("{address}/api/auth/login")).json(&credentials).send().await?;
    Ok(login.error_for_status()?.json::<Tokens>().await?.access_token)
}
