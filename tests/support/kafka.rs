//! Real brokers: Kafka 4 with `KRaft`, and Kafka 3.9 with `ZooKeeper`.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tempfile::TempDir;

use super::msk;
use super::process::{Process, eventually, folder, free_port};

/// Which Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Kraft,
    ZooKeeper,
    /// `KRaft` with a second listener that signs in as Amazon MSK does.
    Msk,
}

/// A broker that can be killed and started again; its data stays.
pub struct Broker {
    kind: Kind,
    folder: TempDir,
    port: u16,
    /// Where clients have to sign in.
    signed_port: u16,
    running: Mutex<Option<Process>>,
    _zookeeper: Option<Process>,
}

/// One message as it is in the topic.
#[derive(Clone, Debug)]
pub struct Stored {
    pub key: String,
    pub value: String,
    pub headers: Vec<(String, String)>,
}

impl Broker {
    /// The broker of this kind that all tests share.
    pub fn shared(kind: Kind) -> &'static Self {
        static KRAFT: OnceLock<Broker> = OnceLock::new();
        static ZOOKEEPER: OnceLock<Broker> = OnceLock::new();
        static MSK: OnceLock<Broker> = OnceLock::new();
        match kind {
            Kind::Kraft => KRAFT.get_or_init(|| Self::new(kind)),
            Kind::ZooKeeper => ZOOKEEPER.get_or_init(|| Self::new(kind)),
            Kind::Msk => MSK.get_or_init(|| Self::new(kind)),
        }
    }

    /// A broker of one's own.
    pub fn new(kind: Kind) -> Self {
        let broker = Self::prepared(kind);
        broker.start();
        broker
    }

    /// A broker of one's own that is not started yet.
    pub fn prepared(kind: Kind) -> Self {
        let folder = folder();
        let (port, other, signed_port) = (free_port(), free_port(), free_port());
        let data = folder.path().join("data").display().to_string();
        let (signed, own) = match kind {
            Kind::Msk => {
                let settings = msk::settings(folder.path(), &class_path(kind));
                (format!(",SASL_SSL://127.0.0.1:{signed_port}"), settings)
            }
            _ => (String::new(), String::new()),
        };
        let settings = format!(
            "advertised.listeners=PLAINTEXT://127.0.0.1:{port}{signed}\nlog.dirs={data}\n{own}\
             offsets.topic.replication.factor=1\nauto.create.topics.enable=false\n"
        );
        let mut zookeeper = None;
        let mode = match kind {
            Kind::Kraft | Kind::Msk => format!(
                "listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{other}{signed}\n\
                     process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n\
                     controller.quorum.voters=1@127.0.0.1:{other}\n\
                     listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL\n"
            ),
            Kind::ZooKeeper => {
                let at = folder.path().join("zookeeper.properties");
                let kept = folder.path().join("zookeeper").display().to_string();
                let text = format!(
                    "clientPort={other}\nclientPortAddress=127.0.0.1\ndataDir={kept}\ntickTime=500\n\
                     admin.enableServer=false\nmaxClientCnxns=0\n"
                );
                fs::write(&at, text).unwrap();
                let main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
                zookeeper = Some(java(kind, folder.path(), &[main, at.to_str().unwrap()], "zookeeper.log"));
                eventually("ZooKeeper is up", || TcpStream::connect(("127.0.0.1", other)).is_ok());
                format!(
                    "listeners=PLAINTEXT://127.0.0.1:{port}\nbroker.id=1\n\
                     zookeeper.connect=127.0.0.1:{other}\nzookeeper.session.timeout.ms=4000\n"
                )
            }
        };
        let at = folder.path().join("server.properties");
        fs::write(&at, settings + &mode).unwrap();
        if kind != Kind::ZooKeeper {
            let formatted = Command::new("java")
                .args(["-cp", &class_path(kind), "kafka.tools.StorageTool", "format"])
                .args(["-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", at.to_str().unwrap()])
                .output()
                .unwrap();
            assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
        }
        Self { kind, folder, port, signed_port, running: Mutex::new(None), _zookeeper: zookeeper }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where clients have to sign in, on a [`Kind::Msk`].
    pub fn signed_address(&self) -> String {
        format!("127.0.0.1:{}", self.signed_port)
    }

    /// The certificate that it shows there.
    pub fn certificate(&self) -> PathBuf {
        msk::certificate(self.folder.path())
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("kafka.log")).unwrap()
    }

    /// Starts it, and waits until it answers.
    pub fn start(&self) {
        let settings = self.folder.path().join("server.properties");
        let launch = || java(self.kind, self.folder.path(), &["kafka.Kafka", settings.to_str().unwrap()], "kafka.log");
        *self.running.lock().unwrap() = Some(launch());
        let client: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", self.address()).set("log_level", "0").create().unwrap();
        let answers = || {
            let metadata = client.fetch_metadata(None, Duration::from_millis(500));
            metadata.is_ok_and(|metadata| !metadata.brokers().is_empty())
        };
        eventually("Kafka is up", answers);
    }

    /// As `kill -9` does it.
    pub fn kill(&self) {
        self.running.lock().unwrap().take().expect("it runs").kill();
        if self.kind == Kind::ZooKeeper {
            // A broker can't come back before ZooKeeper has noticed that it went.
            std::thread::sleep(Duration::from_secs(5));
        }
    }

    /// Makes a topic of one's own; gives its name.
    pub fn make_topic(&self, partitions: i32) -> String {
        let name = topic();
        self.make_topic_named(&name, partitions);
        name
    }

    /// Makes a topic of this name.
    pub fn make_topic_named(&self, name: &str, partitions: i32) {
        let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", self.address()).create().unwrap();
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new();
        let made = block_on(admin.create_topics([&topic], &options));
        assert!(made.unwrap()[0].is_ok());
    }

    /// Writes messages (key, value, milliseconds since 1970) to a topic, and waits until the broker has them.
    pub fn write(&self, topic: &str, messages: &[(String, String, i64)]) {
        let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> = ClientConfig::new()
            .set("bootstrap.servers", self.address())
            .set("queue.buffering.max.messages", "1000000")
            .create()
            .unwrap();
        for (key, value, time) in messages {
            let record = BaseRecord::to(topic).key(key).payload(value).timestamp(*time).headers(OwnedHeaders::new());
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(Duration::from_secs(60)).unwrap();
    }

    /// All that a topic holds now, each partition in its order.
    pub fn read(&self, topic: &str) -> Vec<Stored> {
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", self.address()).set("group.id", "none").create().unwrap();
        let wait = Duration::from_secs(10);
        let metadata = consumer.fetch_metadata(Some(topic), wait).unwrap();
        let mut list = TopicPartitionList::new();
        let mut left = 0;
        for partition in metadata.topics()[0].partitions() {
            let (low, high) = consumer.fetch_watermarks(topic, partition.id(), wait).unwrap();
            left += high - low;
            list.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut stored = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        while left > 0 {
            assert!(Instant::now() < deadline, "{left} messages did not come");
            let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) else { continue };
            left -= 1;
            let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
            let headers = message
                .headers()
                .map(|headers| headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect());
            stored.push(Stored {
                key: text(message.key()),
                value: text(message.payload()),
                headers: headers.unwrap_or_default(),
            });
        }
        stored
    }
}

/// For tests without a runtime of their own.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A topic of one's own.
pub fn topic() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("videos-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn java(kind: Kind, folder: &Path, arguments: &[&str], log: &str) -> Process {
    let class_path = format!("{}:{}", class_path(kind), msk::classes(folder).display());
    let variables = msk::variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut command =
        vec!["java", "-Xms64m", "-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &class_path];
    command.extend(arguments);
    Process::start(&command, &folder.join(log), &variables)
}

/// The jars, fetched once.
fn class_path(kind: Kind) -> String {
    static FETCHING: Mutex<()> = Mutex::new(());
    let (pom, name) = match kind {
        Kind::Kraft | Kind::Msk => ("templates/kafka/pom.xml", "test-kafka-kraft"),
        Kind::ZooKeeper => ("tests/support/zookeeper-kafka.xml", "test-kafka-zookeeper"),
    };
    let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join(pom);
    let version = version(&fs::read_to_string(&pom).unwrap());
    let folder = cache().join(format!("{name}-{version}"));
    let _fetching = FETCHING.lock().unwrap();
    if !folder.is_dir() {
        let temporary = folder.with_extension(std::process::id().to_string());
        let fetched = Command::new("mvn")
            .args(["-q", "-B", "-C", "-f"])
            .arg(&pom)
            .arg("org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies")
            .arg(format!("-DoutputDirectory={}", temporary.display()))
            .arg("-DincludeScope=runtime")
            .output()
            .expect("Maven is installed: `make setup`");
        assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stdout));
        fs::rename(temporary, &folder).unwrap();
    }
    format!("{}/*", folder.display())
}

fn version(pom: &str) -> String {
    let (_, after) = pom.split_once("kafka_2.13</artifactId>").unwrap();
    after.split_once("<version>").unwrap().1.split_once('<').unwrap().0.to_owned()
}

fn cache() -> PathBuf {
    let environment = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = environment("XDG_CACHE_HOME").or_else(|| Some(environment("HOME")?.join(".cache")));
    let folder = folder.unwrap_or_else(std::env::temp_dir).join("streamify");
    fs::create_dir_all(&folder).unwrap();
    folder
}
