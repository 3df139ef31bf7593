//! The private broker: real Apache Kafka, one node, its class data archived so that later starts are quick.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::failure::{Failure, OrFail, Result};
use crate::report::Report;
use crate::settings::Environment;

use super::fetch;
use super::layout::{Layout, private_folder, random};
use super::ports;
use super::process::Launch;

const PROPERTIES: &str = include_str!("../../templates/kafka/server.properties");
const LOGGING: &str = include_str!("../../templates/kafka/log4j2.properties");
const OLDEST_JAVA: u32 = 17;

/// The Java to use and its major version.
pub fn java(environment: &Environment) -> Result<(PathBuf, u32)> {
    let of_home = environment.get("JAVA_HOME").map(|home| Path::new(home).join("bin/java"));
    let missing = |failure: Failure| {
        failure
            .hint("Install it: `apt-get install openjdk-17-jre-headless` or `brew install openjdk`.")
            .hint("Or set JAVA_HOME to a Java 17 or newer.")
    };
    let program = of_home
        .filter(|path| path.is_file())
        .or_else(|| fetch::on_path(environment, "java"))
        .ok_or_else(|| missing(Failure::failed("Kafka needs Java 17 or newer, and there is no java on the PATH")))?;
    let output = std::process::Command::new(&program)
        .arg("-version")
        .output()
        .or_fail(|| format!("can't start {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let version = java_version(&text)
        .ok_or_else(|| missing(Failure::failed(format!("can't tell the version of {}", program.display()))))?;
    if version < OLDEST_JAVA {
        return Err(missing(Failure::failed(format!(
            "Kafka needs Java 17 or newer; {} is {version}",
            program.display()
        ))));
    }
    Ok((program, version))
}

/// From `openjdk version "17.0.15" …`; before 9 it was `1.8.0`.
fn java_version(text: &str) -> Option<u32> {
    let quoted = text.split('"').nth(1)?;
    let mut parts = quoted.split(['.', '-', '+']);
    match parts.next()?.parse().ok()? {
        1 => parts.next()?.parse().ok(),
        version => Some(version),
    }
}

/// A broker that is ready to be started.
pub struct Prepared {
    pub launch: Launch,
    /// What makes the class data archive, where there is none yet.
    archive: Option<Archive>,
}

impl Prepared {
    /// The broker, and what there is to do for it once it is healthy.
    pub fn split(self) -> (Launch, Archiver) {
        (self.launch, Archiver(self.archive))
    }
}

/// Makes the class data archive.
pub struct Archiver(Option<Archive>);

struct Archive {
    java: PathBuf,
    class_path: String,
    classes: PathBuf,
    target: PathBuf,
}

/// Fetches, formats and configures.
pub async fn prepare(layout: &Layout, environment: &Environment, port: u16, report: &dyn Report) -> Result<Prepared> {
    let (java, java_version) = java(environment)?;
    let (libraries, version) = match environment.get("KAFKA_HOME") {
        Some(home) => (Path::new(home).join("libs"), "installed"),
        None => (fetch::kafka(environment, report).await?, fetch::kafka_version()),
    };
    let class_path = class_path(&libraries)?;
    let folder = layout.kafka();
    private_folder(&folder)?;
    let data = folder.join("data");
    let logging = folder.join("log4j2.properties");
    let configuration = folder.join("server.properties");
    let properties = PROPERTIES
        .replace("{{controller_port}}", &ports::free()?.to_string())
        .replace("{{port}}", &port.to_string())
        .replace("{{data}}", &data.display().to_string().replace('\\', "\\\\"));
    fs::write(&configuration, properties).or_fail(|| format!("can't write {}", configuration.display()))?;
    fs::write(&logging, LOGGING).or_fail(|| format!("can't write {}", logging.display()))?;
    let launch = || {
        Launch::new(&java, &folder)
            .arguments([
                "-Xms128m",
                "-Xmx512m",
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Djava.awt.headless=true",
            ])
            .arguments([format!("-Dlog4j2.configurationFile={}", logging.display())])
    };
    let configuration = configuration.display().to_string();
    if !data.join("meta.properties").is_file() {
        report.doing("kafka", "formatting the storage");
        let id = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&random()?[..16]);
        let format =
            launch().arguments(["-cp", &class_path, "kafka.tools.StorageTool", "format", "--ignore-formatted"]);
        // An id may begin with a dash; joined to its option it can't be taken for another one.
        let format = format.arguments([format!("--cluster-id={id}"), format!("--config={configuration}")]);
        let output = format.spawn().or_fail(|| "can't start java".into())?.wait_with_output().await;
        let output = output.or_fail(|| "can't run java".into())?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            return Err(Failure::failed("can't format Kafka's storage").cause(text.trim().to_owned()));
        }
    }
    let target = fetch::cache(environment).join(format!("kafka-{version}-java-{java_version}.jsa"));
    let (launch, archive) = if target.is_file() {
        (launch().arguments(["-Xshare:auto".to_owned(), format!("-XX:SharedArchiveFile={}", target.display())]), None)
    } else {
        let classes = folder.join("classes.txt");
        let option = format!("-XX:DumpLoadedClassList={}", classes.display());
        let archive = Archive { java: java.clone(), class_path: class_path.clone(), classes, target };
        (launch().arguments([option]), Some(archive))
    };
    let launch = launch.arguments(["-cp", &class_path, "kafka.Kafka", &configuration]);
    Ok(Prepared { launch, archive })
}

/// The archive holds only for one class path in one order.
fn class_path(libraries: &Path) -> Result<String> {
    let entries = fs::read_dir(libraries).or_fail(|| format!("can't read Kafka's jars in {}", libraries.display()))?;
    let jars =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "jar"));
    let mut jars: Vec<String> = jars.map(|path| path.display().to_string()).collect();
    jars.sort();
    if jars.is_empty() {
        return Err(Failure::failed(format!("there are no jars in {}", libraries.display()))
            .hint("Remove the folder to fetch them again, or correct KAFKA_HOME."));
    }
    Ok(jars.join(":"))
}

impl Archiver {
    /// Archives the classes that this start loaded, for quicker starts later; nothing depends on it.
    pub async fn archive_classes(&self) {
        let Some(archive) = &self.0 else { return };
        let Ok(list) = fs::read_to_string(&archive.classes) else { return };
        // The broker still appends: the last line may be half written.
        let whole = list.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let list = archive.classes.with_extension("list");
        let temporary = archive.target.with_extension(format!("{}.tmp", std::process::id()));
        if fs::write(&list, whole).is_err() {
            return;
        }
        let folder = archive.classes.parent().unwrap_or(Path::new("/"));
        let launch = Launch::new(&archive.java, folder).arguments([
            "-Xshare:dump".to_owned(),
            "-XX:+UseSerialGC".to_owned(),
            format!("-XX:SharedClassListFile={}", list.display()),
            format!("-XX:SharedArchiveFile={}", temporary.display()),
            "-cp".to_owned(),
            archive.class_path.clone(),
        ]);
        let Ok(child) = launch.spawn() else { return };
        let made = child.wait_with_output().await.is_ok_and(|output| output.status.success());
        let _ = if made { fs::rename(&temporary, &archive.target) } else { fs::remove_file(&temporary) };
        let _ = fs::remove_file(&list);
    }
}

/// Whether the broker answers on the port that it advertises; blocks for up to a second.
pub fn is_ready(port: u16) -> bool {
    let consumer: rdkafka::error::KafkaResult<BaseConsumer> = ClientConfig::new()
        .set("bootstrap.servers", format!("127.0.0.1:{port}"))
        .set("log_level", "0")
        .set("reconnect.backoff.ms", "10")
        .set("reconnect.backoff.max.ms", "20")
        .create();
    consumer.is_ok_and(|consumer| {
        consumer
            .fetch_metadata(None, Duration::from_secs(1))
            .is_ok_and(|metadata| metadata.brokers().iter().any(|broker| i32::from(port) == broker.port()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_tell_their_version_in_two_ways() {
        assert_eq!(java_version("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(java_version("java version \"1.8.0_392\""), Some(8));
        assert_eq!(java_version("openjdk version \"25-ea\""), Some(25));
    }
}
