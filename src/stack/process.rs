//! Processes: who they are, how they are started so that none outlives its supervisor, and how they end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, User};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};

/// A process that can't be mistaken for a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: i32,
    /// Clock ticks since the machine's start: field 22 of `/proc/PID/stat` (`proc_pid_stat(5)`).
    pub started: u64,
}

impl Identity {
    /// The process that has this number now.
    pub fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, started: stat(pid)?.1 })
    }

    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|(state, started, _)| started == self.started && state != 'Z')
    }
}

/// State, start and process group.
fn stat(pid: i32) -> Option<(char, u64, i32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, spaces and parentheses too.
    let fields: Vec<&str> = text.get(text.rfind(')')? + 2..)?.split(' ').collect();
    Some((fields.first()?.chars().next()?, fields.get(19)?.parse().ok()?, fields.get(2)?.parse().ok()?))
}

/// A process's command line, for people.
pub fn command_line(pid: u32) -> Option<String> {
    let text = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&text).replace('\0', " ");
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then(|| line.chars().take(120).collect())
}

/// What a process group holds in memory, in bytes: shared pages are counted once.
pub fn memory(group: i32) -> u64 {
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let of_group = pids.filter(|pid| stat(*pid).is_some_and(|(_, _, group_of)| group_of == group));
    of_group
        .filter_map(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = text.lines().find(|line| line.starts_with("Pss:"))?;
            Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
        })
        .sum()
}

/// How to start one process.
pub struct Launch {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub directory: PathBuf,
    /// Another user to run as; only root can.
    pub user: Option<User>,
    /// What asks it to end, and what it gets when the supervisor dies.
    pub stop: Signal,
}

impl Launch {
    pub fn new(program: impl AsRef<Path>, directory: &Path) -> Self {
        Self {
            program: program.as_ref().into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: directory.into(),
            user: None,
            stop: Signal::SIGTERM,
        }
    }

    pub fn arguments<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it in a process group of its own, its output in pipes. It gets `stop` as soon as the thread
    /// that called this ends, so call it from a thread that lives as long as the process.
    pub fn spawn(&self) -> std::io::Result<Child> {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(user) = &self.user {
            use std::os::unix::process::CommandExt;
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
            command.env("HOME", "/").env("USER", &user.name);
        }
        die_with_parent(&mut command, self.stop);
        let mut command = Command::from(command);
        command.process_group(0).kill_on_drop(true).spawn()
    }
}

/// Ties the child to the thread that starts it.
#[allow(unsafe_code)]
fn die_with_parent(command: &mut std::process::Command, signal: Signal) {
    use std::os::unix::process::CommandExt;
    let parent = nix::unistd::getpid();
    let tie = move || {
        #[cfg(target_os = "linux")]
        nix::sys::prctl::set_pdeathsig(signal)?;
        // The parent may have died before the tie was made.
        if nix::unistd::getppid() == parent { Ok(()) } else { Err(std::io::Error::from_raw_os_error(nix::libc::ESRCH)) }
    };
    // SAFETY: between fork and exec the closure makes only prctl and getppid calls, which are
    // async-signal-safe, and allocates nothing. It runs after the change of user, which would undo the tie.
    unsafe {
        command.pre_exec(tie);
    }
}

/// Starts a process in a session of its own, so that the terminal's signals don't reach it.
#[allow(unsafe_code)]
pub fn spawn_detached(command: &mut std::process::Command) -> std::io::Result<std::process::Child> {
    use std::os::unix::process::CommandExt;
    // SAFETY: setsid is async-signal-safe and nothing else happens between fork and exec.
    unsafe {
        command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into));
    }
    command.spawn()
}

/// Signals a whole process group; a group that is gone needs none.
pub fn signal_group(group: i32, signal: Signal) {
    let _ = killpg(Pid::from_raw(group), signal);
}

/// Ends what is left of a group whose supervisor died: asks, waits, then kills.
pub async fn end(leader: Identity, stop: Signal, grace: Duration) {
    if !leader.is_alive() {
        return;
    }
    let _ = kill(Pid::from_raw(leader.pid), stop);
    let deadline = Instant::now() + grace;
    while leader.is_alive() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if leader.is_alive() {
        signal_group(leader.pid, Signal::SIGKILL);
        while leader.is_alive() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
