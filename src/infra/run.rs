//! One run of Terraform, watched through a file.
//!
//! What it says goes to a file and is read from there: Terraform ends when it writes to a pipe whose reader died, and so
//! would leave what it was making out of its state. With a file it finishes, whatever becomes of this program. It runs in
//! a process group of its own, so that a Ctrl-C reaches it once, from us, and not twice.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, OrFail, Result};
use crate::terraform::{Terraform, json_of};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(40);

/// A folder that only its owner can read: plans hold values of the state in clear.
///
/// # Errors
/// It can't be made.
pub fn private_folder(folder: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .or_fail(|| format!("can't make {}", folder.display()))
}

/// How a run ended.
pub struct Ended {
    pub status: ExitStatus,
    /// What it said on standard error.
    pub err: String,
    /// Whether it was asked to stop.
    pub is_interrupted: bool,
}

/// Where and with what a root is worked on.
pub struct Runner<'a> {
    pub terraform: &'a Terraform,
    /// Absolute.
    pub root: &'a Path,
    /// Private to this environment.
    pub folder: &'a Path,
    pub interrupt: &'a CancellationToken,
}

/// The two files of a run, which are gone with it.
struct Logs {
    out: PathBuf,
    err: PathBuf,
}

impl Drop for Logs {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.out);
        let _ = fs::remove_file(&self.err);
    }
}

impl Runner<'_> {
    /// Runs it to its end and gives each line of its standard output as it comes. `interrupted` is called once, when a
    /// Ctrl-C was passed on.
    ///
    /// # Errors
    /// It can't be started, or the files can't be read.
    pub async fn lines(
        &self,
        arguments: &[String],
        line: &mut (dyn FnMut(&str) + Send),
        interrupted: &mut (dyn FnMut() + Send),
    ) -> Result<Ended> {
        private_folder(self.folder)?;
        let unique = format!("{}-{}", std::process::id(), uuid::Uuid::now_v7().simple());
        let file = |name: &str| self.folder.join(format!("run-{unique}.{name}"));
        let logs = Logs { out: file("out"), err: file("err") };
        let open = |path: &Path| -> Result<File> {
            let opened = OpenOptions::new().create_new(true).append(true).mode(0o600).open(path);
            opened.or_fail(|| format!("can't write {}", path.display()))
        };
        let mut command = self.terraform.command(self.root);
        command.args(arguments).stdout(open(&logs.out)?).stderr(open(&logs.err)?).process_group(0);
        let mut child = command.spawn().map_err(|error| {
            Failure::unreachable(format!("can't run {}", self.terraform.program.display())).because(&error)
        })?;
        let mut tail = Tail {
            file: File::open(&logs.out).or_fail(|| format!("can't read {}", logs.out.display()))?,
            rest: Vec::new(),
        };
        let mut is_interrupted = false;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status.or_fail(|| format!("can't wait for {}", self.terraform.name()))?,
                () = tokio::time::sleep(LOOK) => {}
                () = self.interrupt.cancelled(), if !is_interrupted => {
                    is_interrupted = true;
                    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
                        // One that ended by itself needs no signal.
                        let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
                    }
                    interrupted();
                }
            }
            tail.read(line)?;
        };
        tail.read(line)?;
        tail.end(line);
        let err = fs::read(&logs.err).or_fail(|| format!("can't read {}", logs.err.display()))?;
        Ok(Ended { status, err: String::from_utf8_lossy(&err).into_owned(), is_interrupted })
    }

    /// Runs it and gives what it printed on standard output, from where its JSON begins if there is any.
    ///
    /// # Errors
    /// As [`Runner::lines`].
    pub async fn text(&self, arguments: &[String]) -> Result<(Ended, String)> {
        let mut text = String::new();
        let mut take = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        let ended = self.lines(arguments, &mut take, &mut || ()).await?;
        Ok((ended, json_of(&text).to_owned()))
    }
}

/// Reads whole lines of a file that grows.
struct Tail {
    file: File,
    rest: Vec<u8>,
}

impl Tail {
    fn read(&mut self, line: &mut (dyn FnMut(&str) + Send)) -> Result<()> {
        // At the end of a file a reader has to be put where it is to see what came later.
        let _ = self.file.stream_position().and_then(|place| self.file.seek(SeekFrom::Start(place)));
        self.file.read_to_end(&mut self.rest).or_fail(|| "can't read what Terraform says".to_owned())?;
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let whole: Vec<u8> = self.rest.drain(..=end).collect();
            line(String::from_utf8_lossy(&whole).trim_end_matches(['\n', '\r']));
        }
        Ok(())
    }

    fn end(&mut self, line: &mut (dyn FnMut(&str) + Send)) {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            line(&String::from_utf8_lossy(&rest));
        }
    }
}
