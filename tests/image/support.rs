//! Registries of the tests' own, a proxy that counts and breaks, and projects with images.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{Process, eventually, folder, free_port};

pub const STREAMIFY: &str = env!("CARGO_BIN_EXE_streamify");
/// The password of [`Registry::closed`].
pub const PASSWORD: &str = "hunter2-secret";
/// The same for `htpasswd`, by bcrypt.
const HASHED: &str = "$2y$05$abcdefghijklmnopqrstuuco6HW5qgMYWmvqwt2HG533btIvodevS";

/// Debian's registry, on a port of its own.
pub struct Registry {
    pub host: String,
    _process: Process,
    _folder: TempDir,
}

impl Registry {
    pub fn start() -> Self {
        Self::with("")
    }

    /// One that wants the user `me` with [`PASSWORD`].
    pub fn closed() -> Self {
        Self::with("auth: {htpasswd: {realm: tests, path: FOLDER/htpasswd}}\n")
    }

    /// One with more in its configuration.
    pub fn with(extra: &str) -> Self {
        let folder = folder();
        let (path, port) = (folder.path().display().to_string(), free_port());
        std::fs::write(folder.path().join("htpasswd"), format!("me:{HASHED}\n")).unwrap();
        let config = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: FOLDER/data}}}}\n\
             http:\n  addr: 127.0.0.1:{port}\n{extra}"
        );
        let file = folder.path().join("config.yml");
        std::fs::write(&file, config.replace("FOLDER", &path)).unwrap();
        let log = folder.path().join("log");
        let process = Process::start(&["docker-registry", "serve", file.to_str().unwrap()], &log, &[]);
        eventually("the registry listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { host: format!("127.0.0.1:{port}"), _process: process, _folder: folder }
    }
}

/// What a proxy does to a request, instead of passing it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Passes so many bytes of a longer body on, and hangs up on both sides.
    CutAfter(usize),
    /// Passes it on, and hangs up instead of passing the answer back.
    LoseAnswer,
    /// Passes so many bytes of the answer back, and hangs up.
    CutAnswer(usize),
    /// Answers 429 and asks for a second's patience.
    Busy,
}

/// Between the tool and a registry: writes down every request, and breaks those that it is told to.
pub struct Proxy {
    pub host: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// `METHOD /path`, without what follows a question mark.
    seen: Vec<String>,
    /// The method that breaks, and how, in turn.
    faults: Vec<(&'static str, Fault)>,
}

impl Proxy {
    pub fn to(registry: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (host, registry) = (listener.local_addr().unwrap().to_string(), registry.to_owned());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (registry, state) = (registry.clone(), Arc::clone(&shared));
                // Whoever hangs up has the reason at the other end.
                std::thread::spawn(move || drop(pass(client, &registry, &state)));
            }
        });
        Self { host, state }
    }

    pub fn fail(&self, method: &'static str, fault: Fault) {
        self.state.lock().unwrap().faults.push((method, fault));
    }

    /// The requests since the last call.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().seen)
    }

    pub fn is_out_of_faults(&self) -> bool {
        self.state.lock().unwrap().faults.is_empty()
    }
}

/// One request and its answer; each has a connection of its own.
fn pass(client: TcpStream, registry: &str, state: &Mutex<State>) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if client.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut words = head.split([' ', '?']);
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let fault = {
        let mut state = state.lock().unwrap();
        state.seen.push(format!("{method} {path}"));
        let is_met = |fault: Fault| !matches!(fault, Fault::CutAfter(bytes) if bytes as u64 >= length);
        let found = state.faults.iter().position(|(at, fault)| *at == method && is_met(*fault));
        found.map(|index| state.faults.remove(index).1)
    };
    let mut body = (&mut client).take(length);
    if fault == Some(Fault::Busy) {
        std::io::copy(&mut body, &mut std::io::sink())?;
        let answer =
            "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return client.get_mut().write_all(answer.as_bytes());
    }
    let mut server = TcpStream::connect(registry)?;
    server.write_all(head.as_bytes())?;
    server.write_all(b"connection: close\r\n\r\n")?;
    if let Some(Fault::CutAfter(bytes)) = fault {
        std::io::copy(&mut body.take(bytes as u64), &mut server)?;
        // The tool hears of it only when the registry has taken what came: else its question of how much that is would
        // race with the bytes.
        server.shutdown(Shutdown::Write)?;
        let _ = std::io::copy(&mut server, &mut std::io::sink());
        return client.get_mut().shutdown(Shutdown::Both);
    }
    std::io::copy(&mut body, &mut server)?;
    if fault == Some(Fault::LoseAnswer) {
        std::io::copy(&mut server, &mut std::io::sink())?;
        return client.get_mut().shutdown(Shutdown::Both);
    }
    let most = if let Some(Fault::CutAnswer(bytes)) = fault { bytes as u64 } else { u64::MAX };
    std::io::copy(&mut server.take(most), client.get_mut())?;
    client.get_mut().shutdown(Shutdown::Write)
}

/// A folder with a `streamify.yaml`, its own cache and its own logins.
pub struct Project {
    folder: TempDir,
}

impl Project {
    /// With these `images`; `busybox` is a program in its folder.
    pub fn new(images: &str) -> Self {
        let project = Self { folder: folder() };
        project.write("streamify.yaml", &format!("name: cinema\nimages:\n{images}"));
        std::fs::copy("/bin/busybox", project.path().join("busybox")).unwrap();
        project
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Makes the program another one that does the same; `size` bytes of noise follow it.
    pub fn change(&self, seed: u64, size: usize) {
        let mut program = std::fs::read("/bin/busybox").unwrap();
        let mut random = fastrand::Rng::with_seed(seed);
        program.extend(std::iter::repeat_with(|| random.u8(..)).take(size));
        std::fs::write(self.path().join("busybox"), program).unwrap();
    }

    /// Logs in, as `docker login` leaves it.
    pub fn log_in(&self, host: &str, password: &str) {
        use base64::Engine as _;
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("me:{password}"));
        self.write("docker/config.json", &serde_json::json!({ "auths": { host: { "auth": auth } } }).to_string());
    }

    /// `streamify image …`
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(STREAMIFY);
        command.arg("image").args(words).current_dir(self.path()).stdin(Stdio::null());
        command.env("XDG_CACHE_HOME", self.path().join("cache")).env("DOCKER_CONFIG", self.path().join("docker"));
        for name in ["SOURCE_DATE_EPOCH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "DOCKER_CONTEXT"] {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs a command that must go well; gives what it says as JSON.
    pub fn ok(&self, words: &[&str]) -> Value {
        let output = self.run(&[words, &["--output", "json"]].concat());
        assert!(output.status.success(), "{words:?}: {}", err(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command that must fail with this exit code; gives what it says of that.
    pub fn fails(&self, code: i32, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", err(&output));
        err(&output)
    }

    /// Builds the only image; gives its digest.
    pub fn build(&self) -> String {
        text(&self.ok(&["build", "shop"])[0]["digest"])
    }

    /// Pushes the only image.
    pub fn push(&self, host: &str) -> Value {
        self.ok(&["push", "shop", "--registry", host])[0].clone()
    }

    pub fn layout(&self) -> PathBuf {
        self.path().join(".streamify/images/shop")
    }
}

/// A static program with its own root and nothing else.
pub const SHOP: &str = "  shop: {binary: busybox, command: [echo, hello from the shop]}\n";

/// The same for crane, which reads no zstd.
pub const SHOP_IN_GZIP: &str = "  shop: {binary: busybox, compression: gzip}\n";

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

pub fn openssl(folder: &Path, words: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    command.args(words).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {words:?}: {}", err(&output));
    output.stdout
}

pub fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// How many of the requests have this method.
pub fn count(seen: &[String], method: &str) -> usize {
    seen.iter().filter(|line| line.starts_with(&format!("{method} "))).count()
}

/// Another program finds every blob of the image there, and each as its digest says.
pub fn is_whole(image: &str) {
    crane(&["validate", "--insecure", "--remote", image]);
}

/// Runs crane, built once; gives its standard output.
pub fn crane(words: &[&str]) -> String {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/crane-peer.sh");
        let output = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "crane could not be built");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    });
    let output = Command::new(program).args(words).output().unwrap();
    assert!(output.status.success(), "crane {words:?}: {}", err(&output));
    String::from_utf8(output.stdout).unwrap()
}
