//! The backend, in this process or as a program of its own.

use std::path::Path;
use std::time::Duration;

use streamify_backend::{Config, DatabaseConfig, Error, JwtConfig, JwtKey, KafkaConfig, Listeners, Secret, serve};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::api::Api;
use super::kafka::{Broker, topic};
use super::postgres::database;
use super::process::{Process, folder, free_port};

/// A backend that was started by a test.
pub struct Backend {
    pub config: Config,
    pub address: String,
    pub metrics: String,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<(), Error>>,
}

/// A signing key whose secret is one letter, many times.
pub fn key(id: &str, letter: char) -> JwtKey {
    JwtKey { id: id.into(), secret: Secret::new(letter.to_string().repeat(40)) }
}

/// Settings for tests: no limit is in the way unless a test sets it.
pub fn config(database_url: &str, brokers: &str) -> Config {
    Config {
        database: DatabaseConfig::of_url(&Secret::new(database_url)).unwrap(),
        database_connections: 8,
        kafka: KafkaConfig {
            brokers: brokers.into(),
            topic: topic(),
            partitions: 3,
            replicas: 1,
            properties: vec![],
            tokens: None,
        },
        jwt: JwtConfig {
            keys: vec![key("test", 't')],
            issuer: "streamify".into(),
            audience: "streamify-api".into(),
            access_token: Duration::from_secs(900),
            refresh_token: Duration::from_secs(86_400),
        },
        allowed_origins: vec!["http://localhost:3000".into()],
        trusted_proxies: 0,
        request_timeout: Duration::from_secs(15),
        body_bytes: 64 * 1024,
        logins_per_minute: 100_000,
        shutdown_grace: Duration::from_secs(10),
    }
}

/// An address where nobody answers.
pub fn nowhere() -> String {
    format!("127.0.0.1:{}", free_port())
}

impl Backend {
    /// One with a database of its own and no Kafka: for what has nothing to do with events.
    pub async fn without_kafka() -> Self {
        Self::start(config(&database().await, &nowhere())).await
    }

    /// One with a database and a topic of its own, ready to be used.
    pub async fn with_kafka(broker: &Broker) -> Self {
        let backend = Self::start(config(&database().await, &broker.address())).await;
        backend.ready().await;
        backend
    }

    /// Another one beside this one.
    pub async fn replica(&self) -> Self {
        let replica = Self::start(self.config.clone()).await;
        replica.ready().await;
        replica
    }

    pub async fn start(config: Config) -> Self {
        let bind = || async { TcpListener::bind("127.0.0.1:0").await.unwrap() };
        let (api, metrics) = (bind().await, bind().await);
        let address = api.local_addr().unwrap().to_string();
        let metrics_address = metrics.local_addr().unwrap().to_string();
        let shutdown = CancellationToken::new();
        let listeners = Listeners { api, metrics: Some(metrics) };
        let serving = tokio::spawn(serve(config.clone(), listeners, shutdown.clone()));
        Self { config, address, metrics: metrics_address, shutdown, serving }
    }

    pub fn api(&self) -> Api {
        Api::new(&self.address)
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&self) {
        self.api().ready().await;
    }

    /// Asks it to end; what comes of it is to be awaited.
    pub fn stop(self) -> JoinHandle<Result<(), Error>> {
        self.shutdown.cancel();
        self.serving
    }
}

/// `streamify serve` as a process of its own, that can be killed.
pub struct Program {
    pub address: String,
    database_url: String,
    brokers: String,
    folder: tempfile::TempDir,
    process: Option<Process>,
}

impl Program {
    pub async fn start(database_url: &str, brokers: &str) -> Self {
        let mut program = Self {
            address: nowhere(),
            database_url: database_url.into(),
            brokers: brokers.into(),
            folder: folder(),
            process: None,
        };
        program.restart().await;
        program
    }

    /// As `kill -9` does it.
    pub fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    /// Starts it again where it was.
    pub async fn restart(&mut self) {
        let log: &Path = &self.folder.path().join("log");
        let keys = format!("test:{}", "t".repeat(40));
        let environment = [
            ("DATABASE_URL", self.database_url.as_str()),
            ("KAFKA_BROKERS", &self.brokers),
            ("JWT_KEYS", &keys),
            ("STREAMIFY_LOGINS_PER_MINUTE", "1000"),
        ];
        let command = [env!("CARGO_BIN_EXE_streamify"), "serve", "--listen", &self.address];
        self.process = Some(Process::start(&command, log, &environment));
        Api::new(&self.address).ready().await;
    }
}
