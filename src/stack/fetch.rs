//! What is fetched once: by Maven's own client, so that a team's mirrors, proxies and credentials hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::failure::{Failure, OrFail, Result};
use crate::report::{Event, Report, Unit};
use crate::settings::Environment;

use super::layout::reachable_by_others;
use super::process::Launch;

const POM: &str = include_str!("../../templates/kafka/pom.xml");
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";
const POSTGRES_VERSION: &str = "17.6.0";

/// The version of Kafka that is fetched: the pom is the one place that says it.
pub fn kafka_version() -> &'static str {
    POM.split_once("kafka_2.13</artifactId>")
        .and_then(|(_, rest)| rest.split_once("<version>")?.1.split_once('<'))
        .map_or("unknown", |(version, _)| version)
}

/// The folder of fetched programs. Root's goes where the database's user can read it.
pub fn cache(environment: &Environment) -> PathBuf {
    let home = || environment.get("HOME").map(|home| Path::new(home).join(".cache"));
    let folder = environment.get("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let folder = folder.unwrap_or_else(|| PathBuf::from("/var/cache")).join("streamify");
    if nix::unistd::geteuid().is_root() && !reachable_by_others(&folder) {
        PathBuf::from("/var/cache/streamify")
    } else {
        folder
    }
}

/// A program on the `PATH`.
pub fn on_path(environment: &Environment, program: &str) -> Option<PathBuf> {
    std::env::split_paths(environment.get("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Where the fetched jars of Kafka are, or will be.
pub fn kafka_folder(environment: &Environment) -> PathBuf {
    cache(environment).join(format!("kafka-{}", kafka_version()))
}

/// Fetches Kafka's jars, unless they are there.
pub async fn kafka(environment: &Environment, report: &dyn Report) -> Result<PathBuf> {
    let folder = kafka_folder(environment);
    if folder.is_dir() {
        return Ok(folder);
    }
    let _alone = alone(&folder).await?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let temporary = temporary(&folder)?;
    let pom = temporary.path().join("pom.xml");
    fs::write(&pom, POM).or_fail(|| format!("can't write {}", pom.display()))?;
    let jars = temporary.path().join("libs");
    let arguments = [
        "-f".to_owned(),
        pom.display().to_string(),
        format!("{PLUGIN}:copy-dependencies"),
        format!("-DoutputDirectory={}", jars.display()),
        "-DincludeScope=runtime".to_owned(),
    ];
    maven(environment, &arguments, ("kafka", "fetching Apache Kafka"), &jars, report).await?;
    fs::remove_file(&pom).or_fail(|| format!("can't remove {}", pom.display()))?;
    place(&jars, &folder)?;
    Ok(folder)
}

/// Where the packaged `PostgreSQL` is, or will be.
pub fn postgres_folder(environment: &Environment) -> PathBuf {
    cache(environment).join(format!("postgres-{POSTGRES_VERSION}"))
}

/// Fetches the packaged `PostgreSQL`, unless it is there; gives the folder of its programs.
pub async fn postgres(environment: &Environment, report: &dyn Report) -> Result<PathBuf> {
    let folder = postgres_folder(environment);
    if folder.is_dir() {
        return Ok(folder.join("bin"));
    }
    let _alone = alone(&folder).await?;
    if folder.is_dir() {
        return Ok(folder.join("bin"));
    }
    let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let machine = if cfg!(target_arch = "aarch64") { "arm64v8" } else { "amd64" };
    let temporary = temporary(&folder)?;
    let download = temporary.path().join("download");
    let arguments = [
        format!("{PLUGIN}:copy"),
        format!("-Dartifact=io.zonky.test.postgres:embedded-postgres-binaries-{system}-{machine}:{POSTGRES_VERSION}"),
        format!("-DoutputDirectory={}", download.display()),
    ];
    maven(environment, &arguments, ("postgres", "fetching PostgreSQL"), &download, report).await?;
    report.doing("postgres", "unpacking PostgreSQL");
    let unpacked = temporary.path().join("unpacked");
    let target = unpacked.clone();
    tokio::task::spawn_blocking(move || unpack(&download, &target))
        .await
        .or_fail(|| "can't unpack PostgreSQL".into())??;
    place(&unpacked, &folder)?;
    Ok(folder.join("bin"))
}

/// The jar holds one `.txz` archive with the programs.
fn unpack(download: &Path, target: &Path) -> Result<()> {
    let what = || "can't unpack the packaged PostgreSQL".to_owned();
    let jar = fs::read_dir(download).or_fail(what)?.flatten().map(|entry| entry.path()).next();
    let jar = jar.ok_or_else(|| Failure::failed(what()).cause("Maven copied nothing"))?;
    let mut archive = zip::ZipArchive::new(fs::File::open(&jar).or_fail(what)?).or_fail(what)?;
    let name = archive.file_names().flatten().find(|name| name.ends_with(".txz")).map(std::borrow::Cow::into_owned);
    let name = name.ok_or_else(|| Failure::failed(what()).cause("there is no .txz archive in the package"))?;
    let entry = archive.by_name(&name).or_fail(what)?;
    tar::Archive::new(liblzma::read::XzDecoder::new(entry)).unpack(target).or_fail(what)
}

/// One fetch at a time: Maven's local repository is not made for several that fill it at once.
async fn alone(folder: &Path) -> Result<fs::File> {
    let path = folder.with_file_name(".fetch.lock");
    let shown = path.display().to_string();
    let what = || format!("can't lock {shown}");
    let locked = tokio::task::spawn_blocking(move || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let file = fs::File::create(&path)?;
        // Released when the file is dropped, or with the process.
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    });
    locked.await.or_fail(&what)?.or_fail(&what)
}

fn temporary(folder: &Path) -> Result<tempfile::TempDir> {
    let parent = folder.parent().unwrap_or(folder);
    fs::create_dir_all(parent).or_fail(|| format!("can't make the folder {}", parent.display()))?;
    tempfile::tempdir_in(parent).or_fail(|| format!("can't make a folder in {}", parent.display()))
}

/// Puts a finished folder in its place; another process that was quicker did the same work.
fn place(from: &Path, to: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(from, fs::Permissions::from_mode(0o755))
        .and_then(|()| fs::rename(from, to))
        .or_else(|error| if to.is_dir() { Ok(()) } else { Err(error) })
        .or_fail(|| format!("can't make {}", to.display()))
}

async fn maven(
    environment: &Environment,
    arguments: &[String],
    (name, doing): (&str, &str),
    folder: &Path,
    report: &dyn Report,
) -> Result<()> {
    let program = on_path(environment, "mvn").ok_or_else(|| {
        Failure::failed(format!("{doing} needs Maven, and there is no mvn on the PATH"))
            .hint("Install it: `apt-get install maven`, `dnf install maven` or `brew install maven`.")
            .hint("`streamify dev doctor` shows everything that is missing.")
    })?;
    report.doing(name, doing);
    let work = std::env::temp_dir();
    // Strict checksums: a damaged download ends here, not in a broker that behaves oddly.
    let launch = Launch::new(program, &work).arguments(["-B", "-C", "-q"]).arguments(arguments.to_vec());
    let child = launch.spawn().or_fail(|| "can't start mvn".into())?;
    let finished = child.wait_with_output();
    let mut finished = std::pin::pin!(finished);
    let began = Instant::now();
    let output = loop {
        tokio::select! {
            output = &mut finished => break output.or_fail(|| "can't run mvn".into())?,
            () = tokio::time::sleep(Duration::from_millis(250)) => {
                let done = size(folder);
                report.event(Event::Advanced { name: name.into(), done, total: None, unit: Unit::Bytes });
            }
        }
    };
    if output.status.success() {
        report.doing(name, &format!("fetched {} MB in {:.0} s", size(folder) >> 20, began.elapsed().as_secs_f64()));
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("ERROR")).take(3).collect();
    Err(Failure::unreachable(format!("{doing} failed: mvn ended with {}", output.status))
        .cause(lines.join("\n"))
        .hint("Check the network, and the mirrors and proxies in ~/.m2/settings.xml; then try again."))
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|found| found.len()).sum()
}
