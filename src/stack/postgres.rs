//! The private `PostgreSQL`: found or fetched, initialised once, started without a helper in between.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{User, chown, geteuid};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor};

use crate::failure::{Failure, OrFail, Result};
use crate::report::Report;
use crate::settings::{Environment, Secret};

use super::fetch;
use super::layout::Layout;
use super::process::Launch;

/// The oldest version that the app runs on.
const OLDEST: u32 = 14;

/// The folder of an installed `PostgreSQL`'s programs, and its major version.
pub fn installed(environment: &Environment) -> Option<(PathBuf, u32)> {
    let mut folders = Vec::new();
    let roots = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"];
    for entry in roots.iter().filter_map(|root| fs::read_dir(root).ok()).flatten().flatten() {
        folders.push(entry.path().join("bin"));
    }
    if let Some(program) = fetch::on_path(environment, "postgres").and_then(|path| fs::canonicalize(path).ok()) {
        folders.extend(program.parent().map(Path::to_path_buf));
    }
    let versions = folders.into_iter().filter(|folder| folder.join("initdb").is_file());
    versions
        .filter_map(|folder| Some((version(&folder)?, folder)))
        .max()
        .map(|(version, folder)| (folder, version))
        .filter(|(_, version)| *version >= OLDEST)
}

fn version(folder: &Path) -> Option<u32> {
    let output = std::process::Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok())
}

/// The folder of the programs to use, fetched where none is installed.
pub async fn programs(environment: &Environment, report: &dyn Report) -> Result<PathBuf> {
    match environment.get("STREAMIFY_POSTGRES").unwrap_or("auto") {
        "packaged" => fetch::postgres(environment, report).await,
        choice @ ("auto" | "system") => match installed(environment) {
            Some((folder, _)) => Ok(folder),
            None if choice == "auto" => fetch::postgres(environment, report)
                .await
                .map_err(|failure| failure.hint("Or install PostgreSQL 14 or newer: `apt-get install postgresql`.")),
            None => Err(Failure::failed("no PostgreSQL 14 or newer is installed")
                .hint("Install it, or set STREAMIFY_POSTGRES=packaged.")),
        },
        other => Err(Failure::usage(format!("the variable STREAMIFY_POSTGRES is not valid: {other}"))
            .hint("It is auto, system or packaged.")),
    }
}

/// Who runs the database: it refuses to run as root.
pub fn user() -> Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name).or_fail(|| format!("can't look up the user {name}"))? {
            return Ok(Some(user));
        }
    }
    Err(Failure::failed("PostgreSQL refuses to run as root, and there is no user postgres or nobody"))
}

/// Initialises the data once and says how to start the server.
pub async fn prepare(
    layout: &Layout,
    environment: &Environment,
    port: u16,
    password: &Secret,
    report: &dyn Report,
) -> Result<Launch> {
    let bin = programs(environment, report).await?;
    let data = layout.postgres();
    if !data.starts_with(&layout.data) && !data.is_dir() {
        report.note(&format!(
            "the database's files are in {}: its user can't get into {}",
            data.display(),
            layout.data.display()
        ));
    }
    let user = user()?;
    if !data.is_dir() {
        report.doing("postgres", "initialising the database");
        initialise(&bin, &data, user.as_ref(), password).await?;
    }
    let found = fs::read_to_string(data.join("PG_VERSION"))
        .or_fail(|| format!("{} is not a database folder", data.display()))?;
    if version(&bin).is_some_and(|version| found.trim() != version.to_string()) {
        return Err(Failure::failed(format!(
            "the data in {} is of PostgreSQL {}, the programs in {} are not",
            data.display(),
            found.trim(),
            bin.display()
        ))
        .hint(format!("Install PostgreSQL {} again,", found.trim()))
        .hint("or start over with `streamify dev reset`, which deletes the data."));
    }
    let configuration = format!(
        "# Written at every start; change nothing here.\n\
         listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\n\
         max_connections = 100\nshared_buffers = 64MB\nlog_destination = 'stderr'\nlogging_collector = off\n\
         log_line_prefix = ''\nlog_checkpoints = off\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n"
    );
    let path = data.join("postgresql.conf");
    fs::write(&path, configuration).or_fail(|| format!("can't write {}", path.display()))?;
    if let Some(user) = &user {
        chown(&path, Some(user.uid), Some(user.gid)).or_fail(|| format!("can't give away {}", path.display()))?;
    }
    let mut launch = Launch::new(bin.join("postgres"), &data).arguments(["-D".to_owned(), data.display().to_string()]);
    launch.user = user;
    // The fast shutdown: clients are cut off, nothing is lost.
    launch.stop = Signal::SIGINT;
    Ok(launch.variable("LC_ALL", "C"))
}

/// Makes the database's files in a folder beside and renames it, so that a killed start leaves nothing half made.
async fn initialise(bin: &Path, data: &Path, user: Option<&User>, password: &Secret) -> Result<()> {
    let parent = data.parent().unwrap_or(data);
    fs::create_dir_all(parent).or_fail(|| format!("can't make {}", parent.display()))?;
    let work = tempfile::Builder::new()
        .prefix("postgres-")
        .tempdir_in(parent)
        .or_fail(|| format!("can't make a folder in {}", parent.display()))?;
    let password_file = work.path().join("password");
    let target = work.path().join("data");
    let own = |path: &Path| match user {
        Some(user) => {
            chown(path, Some(user.uid), Some(user.gid)).or_fail(|| format!("can't give away {}", path.display()))
        }
        None => Ok(()),
    };
    fs::write(&password_file, password.expose()).or_fail(|| "can't write the password's file".into())?;
    fs::set_permissions(&password_file, fs::Permissions::from_mode(0o600))
        .or_fail(|| "can't close the password's file".into())?;
    own(&password_file)?;
    own(work.path())?;
    let mut launch = Launch::new(bin.join("initdb"), work.path()).arguments([
        "--pgdata=data",
        "--username=streamify",
        "--pwfile=password",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--data-checksums",
        "--no-instructions",
    ]);
    launch.user = user.cloned();
    let output = launch.spawn().or_fail(|| "can't start initdb".into())?.wait_with_output().await;
    let output = output.or_fail(|| "can't run initdb".into())?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Failure::failed("can't initialise the database").cause(text));
    }
    fs::rename(&target, data).or_fail(|| format!("can't make {}", data.display()))
}

/// Whether the database answers; makes the app's database at the first time.
pub async fn is_ready(port: u16, password: &Secret) -> bool {
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username("streamify")
        .password(password.expose());
    let attempt = async {
        let connection = match PgConnection::connect_with(&options.clone().database("streamify")).await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("3D000") => {
                let mut connection = PgConnection::connect_with(&options.database("postgres")).await?;
                connection.execute("CREATE DATABASE streamify").await?;
                connection
            }
            other => other?,
        };
        connection.close().await
    };
    matches!(tokio::time::timeout(Duration::from_secs(3), attempt).await, Ok(Ok(())))
}
