//! The relay: from the outbox to Kafka, several replicas side by side, each event at least once.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge};
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::envelope::SCHEMA_VERSION;
use super::outbox::{self, Owed};
use crate::config::KafkaConfig;
use crate::kafka::SigningIn;

/// Rows a batch; small enough that a failed one costs little to send again.
const BATCH: i64 = 500;
/// A batch as large as this tells of a burst: then the next one may gather for a moment, since each costs the database
/// and the broker nearly the same whatever it holds. A lone event never waits.
const BURST: usize = 8;
const GATHER: Duration = Duration::from_millis(3);
/// Looks without being woken: a notification can be lost with its connection.
const SAFETY_POLL: Duration = Duration::from_secs(1);
/// Between two looks at how much is owed, for the metrics.
const DEPTH_POLL: Duration = Duration::from_secs(5);
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Publishes what the outbox holds until `shutdown`, and then what is left in it, for at most `grace`.
///
/// `pool` should have `synchronous_commit` off: a delete that a crash undoes costs a second delivery, never a loss.
pub(super) async fn run(pool: PgPool, kafka: KafkaConfig, shutdown: CancellationToken, grace: Duration) {
    let wake = Notify::new();
    tokio::select! {
        () = async { tokio::join!(listen(&pool, &wake), watch_depth(&pool)); } => {}
        () = work(&pool, &kafka, &wake, &shutdown) => {}
    }
    if tokio::time::timeout(grace, drain(&pool, &kafka)).await.is_err() {
        tracing::warn!("the outbox still holds events; the next start publishes them");
    }
}

/// Wakes the worker when a transaction that wrote events commits.
async fn listen(pool: &PgPool, wake: &Notify) {
    loop {
        let listener = async {
            let mut listener = PgListener::connect_with(pool).await?;
            listener.listen("outbox").await?;
            // What was written while nobody listened.
            wake.notify_one();
            loop {
                listener.recv().await?;
                wake.notify_one();
            }
        };
        let result: Result<(), sqlx::Error> = listener.await;
        if let Err(error) = result {
            tracing::warn!(%error, "lost the connection that tells of new events; looking every second meanwhile");
        }
        tokio::time::sleep(SAFETY_POLL).await;
    }
}

async fn watch_depth(pool: &PgPool) {
    loop {
        if let Ok(mut connection) = pool.acquire().await
            && let Ok((count, age)) = outbox::depth(&mut connection).await
        {
            gauge!("outbox_events").set(count as f64);
            gauge!("outbox_oldest_seconds").set(age);
        }
        tokio::time::sleep(DEPTH_POLL).await;
    }
}

async fn work(pool: &PgPool, kafka: &KafkaConfig, wake: &Notify, shutdown: &CancellationToken) {
    let mut producer = None;
    let mut pause = Duration::from_millis(50);
    loop {
        match publish(pool, kafka, &mut producer).await {
            Ok(published) => {
                pause = Duration::from_millis(50);
                if published >= BURST {
                    tokio::time::sleep(GATHER).await;
                }
                if published > 0 {
                    // The next event of a key became eligible when this batch committed, without a notification.
                    continue;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "events wait in the outbox");
                counter!("outbox_failures_total").increment(1);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = shutdown.cancelled() => return,
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
        }
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(SAFETY_POLL) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Publishes what is owed when it is asked to, for a process that is frozen between two requests and has nothing in
/// the background.
pub(crate) struct Outlet {
    pool: PgPool,
    kafka: KafkaConfig,
    /// Kept between two drains: a producer costs a connection.
    producer: tokio::sync::Mutex<Option<Sender>>,
}

impl Outlet {
    /// Nothing is connected yet.
    pub(crate) fn new(pool: PgPool, kafka: KafkaConfig) -> Self {
        Self { pool, kafka, producer: tokio::sync::Mutex::default() }
    }

    /// Publishes until nothing is owed that nobody else publishes at this moment; tells how much that was.
    ///
    /// # Errors
    /// `PostgreSQL` or Kafka are away: what was not published is owed still.
    pub(crate) async fn drain(&self) -> Result<usize, PublishError> {
        let mut producer = self.producer.lock().await;
        let mut published = 0;
        loop {
            match publish(&self.pool, &self.kafka, &mut producer).await? {
                0 => return Ok(published),
                count => published += count,
            }
        }
    }
}

/// Publishes until nothing is owed.
async fn drain(pool: &PgPool, kafka: &KafkaConfig) {
    let mut producer = None;
    loop {
        match publish(pool, kafka, &mut producer).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Why a batch was not published; all of it is owed still.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error("PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
}

/// One batch: take, send, wait for every acknowledgement, commit.
async fn publish(pool: &PgPool, kafka: &KafkaConfig, producer: &mut Option<Sender>) -> Result<usize, PublishError> {
    let mut transaction = pool.begin().await?;
    let batch = outbox::take(&mut transaction, BATCH).await?;
    if batch.is_empty() {
        return Ok(0);
    }
    let sender = match producer {
        Some(sender) => sender,
        None => producer.insert(connect(kafka)?),
    };
    let sent = send(sender, &kafka.topic, &batch).await;
    if sent.is_err() && sender.client().fatal_error().is_some() {
        // librdkafka: after a fatal error the idempotent producer can't go on; a new one gets a new identity.
        *producer = None;
    }
    sent?;
    transaction.commit().await?;
    counter!("events_published_total").increment(batch.len() as u64);
    Ok(batch.len())
}

async fn send(producer: &Sender, topic: &str, batch: &[Owed]) -> Result<(), PublishError> {
    let outcome = Arc::new(Outcome::default());
    let refused = batch.iter().find_map(|event| {
        let key = event.key.to_string();
        let record = BaseRecord::with_opaque_to(topic, Arc::clone(&outcome))
            .key(&key)
            .payload(&event.payload)
            .headers(headers(event));
        outcome.expected.fetch_add(1, Ordering::Relaxed);
        let (error, record) = producer.send(record).err()?;
        drop(record);
        outcome.one_less();
        Some(error)
    });
    // Those that were taken are waited for even so: the next batch must not overtake them.
    outcome.all_known().await;
    match refused.or_else(|| outcome.error()) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// What became of a batch: told once, when all of it is known.
struct Outcome {
    /// Deliveries that are not known yet, and one for the sending itself.
    expected: AtomicUsize,
    known: Notify,
    error: Mutex<Option<KafkaError>>,
}

impl Default for Outcome {
    fn default() -> Self {
        Self { expected: AtomicUsize::new(1), known: Notify::new(), error: Mutex::default() }
    }
}

impl Outcome {
    fn one_less(&self) {
        if self.expected.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.known.notify_one();
        }
    }

    /// Waits until every delivery is known; called once, after the last was added.
    async fn all_known(&self) {
        self.one_less();
        self.known.notified().await;
    }

    fn error(&self) -> Option<KafkaError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Hears of deliveries, and that a token is wanted, on the producer's own thread.
struct Deliveries(SigningIn);

impl ClientContext for Deliveries {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.0.token()
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Outcome>;

    fn delivery(&self, result: &DeliveryResult<'_>, outcome: Arc<Outcome>) {
        if let Err((error, _)) = result {
            *outcome.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
        outcome.one_less();
    }
}

type Sender = ThreadedProducer<Deliveries>;

/// What a reader may want to know without parsing the value; the trace context is W3C's.
fn headers(event: &Owed) -> OwnedHeaders {
    let id = event.id.to_string();
    let version = SCHEMA_VERSION.to_string();
    let mut headers = OwnedHeaders::new_with_capacity(4)
        .insert(Header { key: "id", value: Some(&id) })
        .insert(Header { key: "schema_version", value: Some(&version) })
        .insert(Header { key: "content-type", value: Some("application/json") });
    if let Some(traceparent) = &event.traceparent {
        headers = headers.insert(Header { key: "traceparent", value: Some(traceparent) });
    }
    headers
}

fn connect(kafka: &KafkaConfig) -> Result<Sender, KafkaError> {
    let settings = [
        ("enable.idempotence", "true"),
        ("acks", "all"),
        // A batch is sent at once: it is whole already, and waiting for more costs latency.
        ("linger.ms", "0"),
        // Longer than a broker's restart would hold a transaction open; the outbox keeps the event meanwhile.
        ("message.timeout.ms", "10000"),
        // The same partition for a key as Java's clients choose.
        ("partitioner", "murmur2_random"),
        ("compression.type", "none"),
    ];
    super::client(kafka, "streamify-relay", &settings).create_with_context(Deliveries(SigningIn(kafka.tokens.clone())))
}
