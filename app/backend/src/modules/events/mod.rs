//! Events that are never lost: written with the change that they tell of ([`outbox`]), published to Kafka
//! ([`relay`]), read back by every replica ([`consumer`]), kept for a while ([`hub`]), and fanned out to WebSockets
//! ([`announcer`], [`connection`], [`socket`]).

mod announcer;
mod catch_up;
mod connection;
mod consumer;
mod envelope;
mod handshake;
mod hub;
pub(crate) mod outbox;
mod relay;
pub(crate) mod socket;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::response::Response;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, KafkaConfig};
use crate::kafka::SigningIn;

use announcer::Clients;
pub(crate) use connection::LARGEST_MESSAGE;
pub use envelope::{Envelope, NewEvent, SCHEMA_VERSION};
pub(crate) use handshake::Upgrade;
use hub::Hub;
pub(crate) use relay::Outlet;
pub(crate) use socket::Session;

/// How many clients that come back after a long time are served from Kafka at once.
const REPLAYS: usize = 2;

/// The door of the events: everything that runs, and what the rest asks of it.
#[derive(Clone)]
pub(crate) struct Events {
    hub: Arc<Hub>,
    clients: Arc<Clients>,
    kafka: Arc<KafkaConfig>,
    replays: Arc<Semaphore>,
    sockets: TaskTracker,
    shutdown: CancellationToken,
    probe: Arc<tokio::sync::Mutex<Option<Arc<BaseConsumer<SigningIn>>>>>,
    /// Whether this process reads the topic itself.
    follows: bool,
    /// Whether a request wrote events since somebody last asked.
    owes: Arc<AtomicBool>,
}

/// A client's settings: the app's own, and over them those that the configuration gives.
fn client(kafka: &KafkaConfig, id: &str, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &kafka.brokers).set("client.id", id).set("log_level", "3");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    for (name, value) in &kafka.properties {
        config.set(name, value);
    }
    config
}

/// A consumer that is signed in, as far as its configuration asks for that; blocks while it is.
fn consumer(kafka: &KafkaConfig, config: &ClientConfig) -> Result<BaseConsumer<SigningIn>, KafkaError> {
    let signing_in = SigningIn(kafka.tokens.clone());
    let consumer: BaseConsumer<SigningIn> = config.create_with_context(signing_in.clone())?;
    signing_in.begin(consumer.client());
    Ok(consumer)
}

/// What is at work in the background, to be waited for at the end.
pub(crate) struct Running {
    relay: tokio::task::JoinHandle<()>,
    announcer: tokio::task::AbortHandle,
    consumer: std::thread::JoinHandle<()>,
    sockets: TaskTracker,
}

impl Events {
    /// Starts the relay and the consumer. Kafka and PostgreSQL may be away: both are awaited in the background.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(config: &Config, shutdown: &CancellationToken) -> std::io::Result<(Self, Running)> {
        let events = Self { shutdown: shutdown.clone(), follows: true, ..Self::at_rest(config) };

        let options = config
            .database
            .options()
            .application_name("streamify-relay")
            // A delete that a crash undoes costs a second delivery with the same id, never a loss.
            .options([("synchronous_commit", "off")]);
        let pool = PgPoolOptions::new()
            .max_connections(5)
            .acquire_timeout(Duration::from_secs(5))
            .test_before_acquire(false)
            .connect_lazy_with(options);
        let relay = relay::run(pool, config.kafka.clone(), shutdown.clone(), config.shutdown_grace);
        let topic = {
            let (kafka, shutdown) = (Arc::clone(&events.kafka), shutdown.clone());
            async move { consumer::ensure_topic(&kafka, &shutdown).await }
        };
        let relay = tokio::spawn(async move {
            tokio::join!(topic, relay);
        });
        let (hub, clients) = (Arc::clone(&events.hub), Arc::clone(&events.clients));
        let announcer = tokio::spawn(async move { announcer::run(&hub, &clients).await }).abort_handle();

        let (kafka, hub, ended) = (Arc::clone(&events.kafka), Arc::clone(&events.hub), shutdown.clone());
        let consumer = std::thread::Builder::new()
            .name("events-consumer".into())
            .spawn(move || consumer::run(&kafka, &hub, &ended))?;
        let running = Running { relay, announcer, consumer, sockets: events.sockets.clone() };
        Ok((events, running))
    }

    /// Events without anything in the background: for a process that is frozen between two requests. What requests
    /// write is published by an [`Outlet`].
    pub(crate) fn at_rest(config: &Config) -> Self {
        Self {
            hub: Arc::new(Hub::new()),
            clients: Arc::default(),
            kafka: Arc::new(config.kafka.clone()),
            replays: Arc::new(Semaphore::new(REPLAYS)),
            sockets: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            probe: Arc::default(),
            follows: false,
            owes: Arc::default(),
        }
    }

    /// Remembers that a request wrote events which are to be published.
    pub(crate) fn owe(&self) {
        self.owes.store(true, Ordering::Relaxed);
    }

    /// Whether a request wrote events since this was last asked.
    pub(crate) fn take_owed(&self) -> bool {
        self.owes.swap(false, Ordering::Relaxed)
    }

    /// Makes the topic where it is missing, for at most `patience`; whether it is there.
    pub(crate) async fn ensure_topic(&self, patience: Duration) -> bool {
        let made = consumer::ensure_topic(&self.kafka, &self.shutdown);
        tokio::time::timeout(patience, made).await.is_ok()
    }

    /// Answers a request for a WebSocket with one that follows the events; `verify` looks at tokens.
    pub(crate) fn upgrade(
        &self,
        upgrade: Upgrade,
        verify: impl Fn(&str) -> Option<Session> + Send + Sync + 'static,
    ) -> Response {
        let events = self.clone();
        let (opening, answer) = upgrade.accept();
        self.sockets.spawn(async move {
            if let Some(socket) = opening.await {
                socket::serve(socket, &events, &verify, &events.shutdown).await;
            }
        });
        answer
    }

    /// Whether events can go out and come in; the reason where they can't.
    pub(crate) async fn kafka_ready(&self) -> Result<(), String> {
        // Kept between calls: making a client for each would open connections for each.
        let mut kept = self.probe.lock().await;
        let consumer = if let Some(consumer) = &*kept {
            Arc::clone(consumer)
        } else {
            let kafka = Arc::clone(&self.kafka);
            let make = move || {
                let config = client(&kafka, "streamify-health", &[("reconnect.backoff.max.ms", "500")]);
                consumer(&kafka, &config)
            };
            let made = tokio::task::spawn_blocking(make).await.map_err(|error| error.to_string())?;
            Arc::clone(kept.insert(Arc::new(made.map_err(|error| error.to_string())?)))
        };
        drop(kept);
        let topic = self.kafka.topic.clone();
        let ask = move || {
            // It reads nothing: this is where librdkafka asks for its next token.
            drop(consumer.poll(Duration::ZERO));
            match consumer.fetch_metadata(Some(&topic), Duration::from_secs(1)) {
                Err(error) => Err(format!("the broker does not answer: {error}")),
                Ok(metadata) => match metadata.topics().first() {
                    Some(found) if found.error().is_none() && !found.partitions().is_empty() => Ok(()),
                    _ => Err(format!("there is no topic {topic} yet")),
                },
            }
        };
        tokio::task::spawn_blocking(ask).await.map_err(|error| error.to_string())??;
        if !self.follows || self.hub.is_caught_up() { Ok(()) } else { Err("recent events are still being read".into()) }
    }
}

impl Running {
    /// Waits until the sockets are closed, the outbox is empty or the grace is over, and the consumer has stopped.
    pub(crate) async fn finish(self) {
        self.sockets.close();
        self.sockets.wait().await;
        // Each of these ends by itself after the shutdown; a panic of theirs was logged where it happened.
        let _ = self.relay.await;
        let _ = tokio::task::spawn_blocking(move || self.consumer.join()).await;
        self.announcer.abort();
    }
}
