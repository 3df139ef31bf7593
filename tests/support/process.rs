//! Children that can't outlive the tests.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Runs the command behind it, and kills it when standard input ends: whatever becomes of the
/// test process, even by SIGKILL, the system closes that pipe.
const KEEPER: &str = r#"trap '' INT
exec 2>/dev/null
log=$1; shift
"$@" >>"$log" 2>&1 </dev/null &
cat >/dev/null
kill -9 $!
wait $!"#;

/// A running program.
pub struct Process {
    keeper: Child,
}

impl Process {
    /// Starts a command, its output appended to `log`.
    pub fn start(command: &[&str], log: &Path, environment: &[(&str, &str)]) -> Self {
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(log)
            .args(command)
            .envs(environment.iter().copied())
            .current_dir(log.parent().unwrap())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Self { keeper }
    }

    /// As `kill -9` does it.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The keeper kills its child and ends.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A new folder for files of a test run, which is gone when the test process is.
pub fn folder() -> TempDir {
    static ALL: OnceLock<(PathBuf, Child)> = OnceLock::new();
    let (all, _) = ALL.get_or_init(|| {
        let all = tempfile::tempdir().unwrap().keep();
        std::fs::set_permissions(&all, std::fs::Permissions::from_mode(0o755)).unwrap();
        // Statics are never dropped: the end of this pipe is what tells that the tests are over.
        let script = "trap '' INT; cat >/dev/null; sleep 1; rm -rf \"$1\"";
        let sweeper = Command::new("sh").args(["-c", script, "sweeper"]).arg(&all).stdin(Stdio::piped()).spawn();
        (all, sweeper.unwrap())
    });
    tempfile::tempdir_in(all).unwrap()
}

/// A port that nobody has; somebody could take it before it is used, but hardly will.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until something is so.
pub fn eventually(what: &str, is_so: impl FnMut() -> bool) {
    within(Duration::from_secs(60), what, is_so);
}

/// The same, for at most `limit`.
pub fn within(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
