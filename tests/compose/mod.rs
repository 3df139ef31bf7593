//! The Compose loader held against Docker Compose itself: the same verdict on every file, and equal meaning.
//!
//! `files/valid` and `files/invalid` hold a case each: a file, or a folder whose files belong together. Comments at its
//! head (or a file `case`) give `# arguments:` for both programs, `# services:` and `# environment:`. Docker Compose is built once by
//! `scripts/compose-peer.sh`.

mod equal;
mod errors;
mod project;
mod robust;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex};

/// The program that the loader is held against.
static PEER: LazyLock<PathBuf> = LazyLock::new(|| {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/compose-peer.sh");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
});

/// One file or folder.
struct Case {
    /// Its path below `files`.
    name: String,
    folder: PathBuf,
    arguments: Vec<String>,
    services: Vec<String>,
    environment: BTreeMap<String, String>,
}

impl Case {
    fn read(path: &Path) -> Self {
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose/files");
        let name = path.strip_prefix(&files).unwrap().display().to_string();
        let (folder, main, mut arguments) = if path.is_dir() {
            let case = path.join("case");
            (path.to_path_buf(), if case.exists() { case } else { path.join("compose.yaml") }, Vec::new())
        } else {
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            (path.parent().unwrap().to_path_buf(), path.to_path_buf(), vec!["-f".to_owned(), file])
        };
        let mut environment = BTreeMap::new();
        let mut services = Vec::new();
        for line in fs::read_to_string(main).unwrap().lines().take_while(|line| line.starts_with('#')) {
            if let Some(list) = line.strip_prefix("# arguments:") {
                arguments.extend(list.split_whitespace().map(str::to_owned));
            } else if let Some(list) = line.strip_prefix("# services:") {
                services.extend(list.split_whitespace().map(str::to_owned));
            } else if let Some(list) = line.strip_prefix("# environment:") {
                let pairs = list.split_whitespace().map(|pair| pair.split_once('=').unwrap());
                environment.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
        }
        Self { name, folder, arguments, services, environment }
    }

    fn run(&self, program: &Path, before: &[&str], after: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", "/home/somebody").env("PWD", &self.folder).envs(&self.environment);
        command.args(before).args(&self.arguments).args(after).args(&self.services).output().unwrap()
    }

    fn ours(&self) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_streamify"));
        self.run(program, &["dev", "config", "--output", "json", "--progress", "plain"], &[])
    }

    fn peers(&self) -> Output {
        self.run(&PEER, &[], &["config", "--format", "json"])
    }
}

fn cases(folder: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose/files").join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| Case::read(path)).collect()
}

/// Runs a check on every case, some at a time, and gathers what it says.
fn on_each(cases: &[Case], check: impl Fn(&Case) -> Option<String> + Sync) -> Vec<String> {
    let said = Mutex::new(Vec::new());
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    if let Some(what) = check(case) {
                        said.lock().unwrap().push(format!("{}: {what}", case.name));
                    }
                }
            });
        }
    });
    let mut said = said.into_inner().unwrap();
    said.sort();
    said
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
