//! Load by wrk: as many requests as a number of connections can have answered.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::process::run;
use crate::server::Server;

const CONNECTIONS: &str = "32";

/// What is asked for.
#[derive(Clone, Copy)]
pub enum Request {
    /// `GET /api/videos`: 20 of them.
    List,
    /// `POST /api/videos`, and its event.
    Create,
}

/// What one run gave.
#[derive(Clone, Copy)]
pub struct Sample {
    pub per_second: f64,
    /// 99th percentile of the latency, in seconds.
    pub p99: f64,
    /// Processor time of the server for one request, in seconds.
    pub cpu: f64,
}

impl Request {
    pub fn name(self) -> &'static str {
        match self {
            Self::List => "list 20 videos",
            Self::Create => "create a video",
        }
    }
}

/// Runs one request over and over.
///
/// # Errors
/// Any request that was not answered with success: figures of failures mean nothing.
pub fn run_load(server: &Server, request: Request, duration: Duration) -> Result<Sample> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/figures/load/videos.lua");
    let mut command = Command::new("wrk");
    command
        .args(["--threads", "1", "--connections", CONNECTIONS, "--timeout", "10s"])
        .args(["--duration", &format!("{}s", duration.as_secs())])
        .arg("--script")
        .arg(script)
        .arg(format!("{}/api/videos", server.address))
        .env("TOKEN", &server.token);
    if matches!(request, Request::Create) {
        let body = serde_json::json!({
            "title": "A video that is added under load",
            "description": "Its description is about as long as the ones that people write.",
            "url": "https://example.com/videos/load.mp4",
        });
        command.env("BODY", body.to_string());
    }
    let before = server.process.cpu_seconds()?;
    let output = run(&mut command)?;
    let cpu = server.process.cpu_seconds()? - before;
    let line = output.lines().find_map(|line| line.strip_prefix("FIGURES ")).ok_or("wrk printed no figures")?;
    let value = |name: &str| -> Result<f64> {
        let pair = line.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        Ok(pair.ok_or_else(|| format!("wrk's figures have no {name}"))?.parse()?)
    };
    let failed = value("failed")?;
    if failed > 0.0 {
        return Err(format!("{failed} requests failed ({}); the server said:\n{}", request.name(), server.log()).into());
    }
    let requests = value("requests")?;
    Ok(Sample {
        per_second: requests / (value("duration_us")? / 1e6),
        p99: value("p99_us")? / 1e6,
        cpu: cpu / requests,
    })
}
