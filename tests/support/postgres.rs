//! One PostgreSQL for all tests, and a database for each.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Connection, PgConnection};
use streamify_backend::MIGRATOR;
use tempfile::TempDir;

use super::process::{Process, eventually, folder, free_port};

/// A running PostgreSQL.
pub struct Server {
    pub port: u16,
    _process: Process,
    folder: TempDir,
}

/// The password of the user `app` of a [`Server::strict`]: all that an address would have to escape.
pub const PASSWORD: &str = "p@ss:w/rd?#%41 &'ü";

impl Server {
    /// One that lets the user `app` in with its password and over TLS alone, as RDS does, with a database of that name.
    pub async fn strict() -> Self {
        let server = tokio::task::spawn_blocking(|| start(true)).await.unwrap();
        let url = format!("postgres://streamify@127.0.0.1:{}/postgres", server.port);
        execute(&url, &format!("create role app login password '{}'", PASSWORD.replace('\'', "''"))).await;
        execute(&url, "create database app owner app").await;
        server
    }

    /// The certificate of a strict one, which signed itself.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.crt")
    }
}

/// A migrated database of one's own.
pub async fn database() -> String {
    empty_database("template_app").await
}

/// A database without a schema.
pub async fn unmigrated_database() -> String {
    empty_database("template1").await
}

async fn empty_database(template: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static TEMPLATE: tokio::sync::Mutex<bool> = tokio::sync::Mutex::const_new(false);
    static SERVER: OnceLock<Server> = OnceLock::new();
    let port = tokio::task::spawn_blocking(|| SERVER.get_or_init(|| start(false)).port).await.unwrap();
    let url = |name: &str| format!("postgres://streamify@127.0.0.1:{port}/{name}");
    // A template must have no other user while it is copied.
    let mut is_made = TEMPLATE.lock().await;
    if !*is_made {
        execute(&url("postgres"), "create database template_app").await;
        let mut connection = PgConnection::connect(&url("template_app")).await.unwrap();
        MIGRATOR.run(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        *is_made = true;
    }
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    execute(&url("postgres"), &format!("create database {name} template {template}")).await;
    url(&name)
}

/// Runs statements; their values come from the tests alone.
pub async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// How many events a database still owes to Kafka.
pub async fn owed(url: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("select count(*) from outbox").fetch_one(&mut connection).await.unwrap()
}

fn start(is_strict: bool) -> Server {
    let programs = programs();
    let folder = folder();
    if is_strict {
        let made = Command::new("openssl")
            .args(["req", "-new", "-x509", "-days", "2", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=test"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-out", "server.crt", "-keyout", "server.key"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let user = own(folder.path());
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let program = |name: &str| programs.join(name).to_str().unwrap().to_owned();
    let (initdb, postgres) = (program("initdb"), program("postgres"));
    let as_user = |command: &[&str]| -> Vec<String> {
        user.iter().map(String::as_str).chain(command.iter().copied()).map(str::to_owned).collect()
    };
    let made = as_user(&[&initdb, "-D", data, "-U", "streamify", "-A", "trust", "-E", "UTF8", "--no-sync"]);
    let made = Command::new(&made[0]).args(&made[1..]).current_dir(folder.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = free_port();
    let port_text = port.to_string();
    let mut settings =
        vec!["fsync=off", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300"];
    let (certificate, key) = (folder.path().join("server.crt"), folder.path().join("server.key"));
    let files = [format!("ssl_cert_file={}", certificate.display()), format!("ssl_key_file={}", key.display())];
    if is_strict {
        let rules = "hostssl all app 127.0.0.1/32 scram-sha-256\nhost all app all reject\n\
                     host all streamify 127.0.0.1/32 trust\n";
        fs::write(Path::new(data).join("pg_hba.conf"), rules).unwrap();
        settings.extend(["ssl=on", &files[0], &files[1]]);
    }
    let mut command = vec![postgres.as_str(), "-D", data, "-p", &port_text];
    for setting in settings {
        command.extend(["-c", setting]);
    }
    let command = as_user(&command);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let log = folder.path().join("log");
    let process = Process::start(&command, &log, &[]);
    let is_up = || fs::read_to_string(&log).is_ok_and(|text| text.contains("ready to accept connections"));
    eventually("PostgreSQL is up", is_up);
    Server { port, _process: process, folder }
}

/// Gives the folder to a user that PostgreSQL accepts; what goes before a command to run it as that user.
fn own(folder: &Path) -> Vec<String> {
    if !nix::unistd::geteuid().is_root() {
        return Vec::new();
    }
    let by_name = |name: &str| nix::unistd::User::from_name(name).unwrap();
    let user = by_name("postgres").or_else(|| by_name("nobody")).unwrap();
    let own = |path: &Path| nix::unistd::chown(path, Some(user.uid), Some(user.gid)).unwrap();
    own(folder);
    for entry in fs::read_dir(folder).unwrap() {
        own(&entry.unwrap().path());
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
    ["setpriv", "--reuid", &uid, "--regid", &gid, "--clear-groups"].map(str::to_owned).to_vec()
}

fn programs() -> PathBuf {
    let configured = Command::new("pg_config").arg("--bindir").output().ok().filter(|output| output.status.success());
    let configured = configured.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|one| one.path().join("bin"));
    let mut found: Vec<PathBuf> =
        configured.into_iter().chain(debian).filter(|at| at.join("initdb").exists()).collect();
    found.sort();
    found.pop().expect("PostgreSQL's server programs are installed: `make setup`")
}
