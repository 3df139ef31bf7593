//! The Docker runtime beside Docker Compose: the same files on the same daemon, in turns.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Result;
use crate::process::{Process, STREAMIFY, median, run};
use crate::report::{Line, Target, Unit};

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// A daemon of the figures' own, and Docker Compose.
struct Ground {
    folder: TempDir,
    host: String,
    compose: String,
}

/// What one command took: seconds, and bytes at its peak.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    memory: f64,
}

#[derive(Clone, Copy)]
enum Tool {
    Ours,
    Compose,
}

pub fn measure(quick: bool) -> Result<Vec<Line>> {
    let ground = Ground::new()?;
    let (rounds, no_ops, many) = if quick { (1, 2, 20) } else { (3, 10, 100) };
    let mut lines = Vec::new();
    let chain = ground.project("chain", &chain(6))?;
    let [cold, no_op, _, _] = ground.turns(&chain, rounds, no_ops)?;
    lines.push(time("6 in a chain: cold up", &cold, Some(0.7)));
    lines.push(time("6 in a chain: up with nothing to do", &no_op, Some(0.1)));
    let crowd = ground.project("crowd", &crowd(many))?;
    let [cold, no_op, ps, down] = ground.turns(&crowd, 1, no_ops)?;
    lines.push(time(&format!("{many}: cold up"), &cold, Some(0.7)));
    lines.push(time(&format!("{many}: up with nothing to do"), &no_op, Some(0.5)));
    lines.push(time(&format!("{many}: ps"), &ps, Some(0.5)));
    lines.push(time(&format!("{many}: down"), &down, Some(1.0)));
    let peak = |costs: &[Cost]| costs.iter().map(|cost| cost.memory).fold(0.0, f64::max);
    let memory = Line::new(format!("{many}: memory of up at its peak"), Unit::Memory, peak(&cold[0]));
    lines.push(memory.beside("docker compose", peak(&cold[1])).target(Target::RatioAtMost(0.5)));
    Ok(lines)
}

fn time(what: &str, [ours, theirs]: &[Vec<Cost>; 2], target: Option<f64>) -> Line {
    let seconds = |costs: &[Cost]| median(&costs.iter().map(|cost| cost.seconds).collect::<Vec<_>>());
    let line = Line::new(what, Unit::Time, seconds(ours)).beside("docker compose", seconds(theirs));
    match target {
        Some(ratio) => line.target(Target::RatioAtMost(ratio)),
        None => line,
    }
}

/// Services that each wait until the one before is healthy.
fn chain(length: usize) -> String {
    let mut text = String::from("services:\n");
    for number in 0..length {
        let after = match number {
            0 => String::new(),
            _ => format!("\n    depends_on: {{s{}: {{condition: service_healthy}}}}", number - 1),
        };
        let _ = write!(
            text,
            "  s{number}:\n    image: streamify-test/box:1\n    command: sleep 100000\n    stop_signal: SIGKILL\n    \
             healthcheck: {{test: [CMD, 'true'], interval: 1s, timeout: 5s, retries: 5}}{after}\n"
        );
    }
    text
}

/// Services that have nothing to do with each other.
fn crowd(size: usize) -> String {
    let mut text = String::from("services:\n");
    for number in 0..size {
        let _ = write!(
            text,
            "  s{number}:\n    image: streamify-test/box:1\n    command: sleep 100000\n    stop_signal: SIGKILL\n"
        );
    }
    text
}

impl Ground {
    fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("streamify-figures-").tempdir_in("/var/tmp")?;
        eprintln!("  starting a Docker daemon");
        let daemon = folder.path().join("daemon");
        let host = run(script("test-daemon.sh").arg("start").arg(&daemon))?.trim().to_owned();
        let mut ground = Self { folder, host, compose: String::new() };
        eprintln!("  building Docker Compose, where it is not there");
        run(&mut script("compose-peer.sh"))?.trim().clone_into(&mut ground.compose);
        Ok(ground)
    }

    fn project(&self, name: &str, file: &str) -> Result<TempDir> {
        let folder = tempfile::Builder::new().prefix(name).tempdir_in(self.folder.path())?;
        std::fs::write(folder.path().join("compose.yaml"), format!("name: figures-{name}\n{file}"))?;
        Ok(folder)
    }

    /// What cold ups, ups with nothing to do, listings and downs cost, each for ours and for Docker Compose.
    fn turns(&self, project: &TempDir, rounds: usize, no_ops: usize) -> Result<[[Vec<Cost>; 2]; 4]> {
        let mut costs: [[Vec<Cost>; 2]; 4] = Default::default();
        for round in 1..=rounds {
            for tool in [Tool::Ours, Tool::Compose] {
                eprintln!("  round {round} of {rounds}: {}", tool.name());
                let mut take = |which: usize, words: &[&str]| -> Result<()> {
                    costs[which][tool as usize].push(self.cost(tool, words, project.path())?);
                    Ok(())
                };
                let up: &[&str] = match tool {
                    Tool::Ours => &["up", "--detach"],
                    Tool::Compose => &["up", "--detach", "--wait"],
                };
                take(0, up)?;
                for _ in 0..no_ops {
                    take(1, up)?;
                    take(2, &["ps"])?;
                }
                take(3, &["down"])?;
            }
        }
        Ok(costs)
    }

    fn cost(&self, tool: Tool, words: &[&str], folder: &Path) -> Result<Cost> {
        let mut command = match tool {
            Tool::Ours => {
                let mut command = Command::new(STREAMIFY);
                command.args(["dev", "--runtime", "docker"]);
                command
            }
            Tool::Compose => Command::new(&self.compose),
        };
        command.args(words).current_dir(folder).env("DOCKER_HOST", &self.host).env_remove("DOCKER_CONTEXT");
        let log = folder.join("log");
        let begun = Instant::now();
        let mut process = Process::start(&mut command, &log)?;
        let mut memory: f64 = 0.0;
        while !process.has_ended() {
            // It is gone when it has ended meanwhile; the last value before is its peak, within a millisecond.
            memory = process.peak_memory().unwrap_or(0.0).max(memory);
            if begun.elapsed() > PATIENCE {
                return Err(format!("{} {words:?} took more than {} s", tool.name(), PATIENCE.as_secs()).into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let seconds = begun.elapsed().as_secs_f64();
        if process.has_failed() {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("{} {words:?} failed:\n{}", tool.name(), crate::process::last_lines(&said)).into());
        }
        Ok(Cost { seconds, memory })
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // With its containers; the folder goes with this value.
        if let Err(error) = run(script("test-daemon.sh").arg("stop").arg(self.folder.path().join("daemon"))) {
            eprintln!("the daemon in {} may still run: {error}", self.folder.path().display());
        }
    }
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "streamify",
            Self::Compose => "docker compose",
        }
    }
}

fn script(name: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name))
}
