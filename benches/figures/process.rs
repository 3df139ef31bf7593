//! Programs under measurement: started, watched through /proc, and ended.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::Result;

/// The binary under measurement, built by the same `cargo bench`.
pub const STREAMIFY: &str = env!("CARGO_BIN_EXE_streamify");

/// How long a program may take to end after it was asked to.
const END_WAIT: Duration = Duration::from_secs(15);

/// A child process that does not outlive this value.
pub struct Process(Child);

impl Process {
    /// Starts a program; what it says goes to a file, to be shown when it fails.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let out = fs::File::create(log)?;
        let errors = out.try_clone()?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("can't start {}: {error}", command.get_program().display()))?;
        Ok(Self(child))
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Whether it has ended, and not well.
    pub fn has_failed(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(Some(status)) if !status.success())
    }

    /// Processor time so far, in user space and in the kernel, in seconds (proc(5): utime and stime).
    pub fn cpu_seconds(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // The name, in parentheses, may hold spaces: count from its end.
        let fields: Vec<&str> = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let ticks = |index: usize| -> Result<f64> {
            Ok(fields.get(index).ok_or("/proc/PID/stat is shorter than proc(5) tells")?.parse()?)
        };
        let per_second = sysconf(SysconfVar::CLK_TCK)?.unwrap_or(100);
        Ok((ticks(11)? + ticks(12)?) / per_second as f64)
    }

    /// Resident memory at its highest, in bytes (proc(5): `VmHWM`).
    pub fn peak_memory(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let kibibytes = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
        Ok(kibibytes.ok_or("/proc/PID/status has no VmHWM")?.parse::<f64>()? * 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        let pid = Pid::from_raw(self.0.id().cast_signed());
        // It may have ended since; waiting finds that out.
        let _ = kill(pid, Signal::SIGTERM);
        let deadline = Instant::now() + END_WAIT;
        while !self.has_ended() {
            if Instant::now() > deadline {
                let _ = self.0.kill();
                let _ = self.0.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A port of the loopback interface that nothing listens on now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// How long a program takes from its start to its end, its output thrown away.
pub fn time(command: &mut Command) -> Result<f64> {
    let begun = Instant::now();
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("can't run {}: {error}", command.get_program().display()))?;
    let took = begun.elapsed().as_secs_f64();
    if status.success() { Ok(took) } else { Err(format!("{command:?} ended with {status}").into()) }
}

/// Runs a program to its end.
///
/// # Errors
/// A failure, with the end of what it said.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("can't run {}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{} failed:\n{}", command.get_program().display(), last_lines(&String::from_utf8_lossy(&said))).into())
}

/// The end of a log, as much of it as helps.
pub fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// The middle value: one run that was disturbed does not move it.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}
