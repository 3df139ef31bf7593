//! The consumer: every replica reads every partition itself, from a little way back, and feeds its hub.
//!
//! There is no consumer group: a group would give each event to one replica, and a rebalance would pause them all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use metrics::counter;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use super::connection::text_frame;
use super::envelope::Head;
use super::hub::{Entry, Hub, RING_EVENTS};
use crate::config::KafkaConfig;
use crate::kafka::SigningIn;

/// How far back the ring is filled at start.
const BACKFILL: Duration = Duration::from_secs(600);
/// Between two looks for new partitions.
const PARTITION_POLL: Duration = Duration::from_secs(30);
/// How long one question to the broker may take.
const ANSWER: Duration = Duration::from_secs(5);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_millis(300);
/// How long one poll waits; bounds how long a shutdown takes.
const POLL: Duration = Duration::from_millis(100);

type Reader = BaseConsumer<SigningIn>;

/// The settings that every reader of the app's topic shares.
fn client(kafka: &KafkaConfig) -> ClientConfig {
    // librdkafka assigns partitions to members of a group only. This one is never joined and commits nothing.
    let group = format!("streamify-reader-{}", uuid::Uuid::new_v4());
    super::client(
        kafka,
        "streamify-consumer",
        &[
            ("group.id", &group),
            ("enable.auto.commit", "false"),
            ("enable.partition.eof", "false"),
            ("auto.offset.reset", "earliest"),
            // Events are small and few; what matters is that they are here at once.
            ("fetch.min.bytes", "1"),
            ("fetch.wait.max.ms", "500"),
            ("fetch.queue.backoff.ms", "1"),
            ("fetch.error.backoff.ms", "100"),
            ("reconnect.backoff.ms", "50"),
            ("reconnect.backoff.max.ms", "1000"),
            ("queued.max.messages.kbytes", "4096"),
        ],
    )
}

/// Reads the topic into the hub until `shutdown`; blocks, so it has a thread of its own.
pub(super) fn run(kafka: &KafkaConfig, hub: &Hub, shutdown: &CancellationToken) {
    while !shutdown.is_cancelled() {
        match read(kafka, hub, shutdown) {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "can't read events; trying again"),
        }
        std::thread::sleep(PAUSE);
    }
}

fn read(kafka: &KafkaConfig, hub: &Hub, shutdown: &CancellationToken) -> Result<(), KafkaError> {
    let consumer = super::consumer(kafka, &client(kafka))?;
    // Where to go on, by partition.
    let mut next: HashMap<i32, i64> = HashMap::new();
    // Until where events were there before this process: they fill the ring, and are not owed to new clients.
    let mut backlog: HashMap<i32, i64> = HashMap::new();
    while !shutdown.is_cancelled() {
        match start(&consumer, &kafka.topic, hub, &mut next, &mut backlog) {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "waiting for the topic"),
        }
        std::thread::sleep(PAUSE);
    }
    let mut looked = Instant::now();
    while !shutdown.is_cancelled() {
        if !hub.is_caught_up() && backlog.iter().all(|(partition, end)| next.get(partition) >= Some(end)) {
            hub.caught_up();
        }
        if looked.elapsed() > PARTITION_POLL {
            looked = Instant::now();
            // A new partition is read from its beginning: what came before this look is owed too.
            if let Err(error) = add_partitions(&consumer, &kafka.topic, hub, &mut next) {
                tracing::debug!(%error, "can't look for new partitions");
            }
        }
        match consumer.poll(POLL) {
            None => {}
            Some(Err(error)) => tracing::debug!(%error, "reading events"),
            Some(Ok(message)) => {
                next.insert(message.partition(), message.offset() + 1);
                let past = backlog.get(&message.partition()).is_some_and(|end| message.offset() < *end);
                take(hub, &message, past);
            }
        }
    }
    Ok(())
}

fn take(hub: &Hub, message: &BorrowedMessage<'_>, past: bool) {
    let Some(entry) = entry(message, past) else {
        counter!("events_unreadable_total").increment(1);
        tracing::warn!(partition = message.partition(), offset = message.offset(), "not an event of this app");
        return;
    };
    let id = entry.id;
    if hub.push(entry, message.offset()) {
        counter!("events_consumed_total").increment(1);
        tracing::debug!(
            event = %id, partition = message.partition(), offset = message.offset(),
            traceparent = header(message, "traceparent"), "event"
        );
    } else {
        counter!("events_duplicate_total").increment(1);
    }
}

/// Reads what is needed of an event; None for what is not one.
fn entry(message: &BorrowedMessage<'_>, past: bool) -> Option<Entry> {
    let payload = message.payload()?;
    let id = serde_json::from_slice::<Head>(payload).ok()?.id;
    let frame = text_frame(std::str::from_utf8(payload).ok()?);
    let timestamp = message.timestamp().to_millis().unwrap_or(0);
    Some(Entry { id, partition: message.partition(), timestamp, past, frame })
}

fn header<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a str> {
    let headers = message.headers()?;
    headers.iter().find(|header| header.key == name).and_then(|header| std::str::from_utf8(header.value?).ok())
}

/// Assigns all partitions, each from a little way back; false while the topic is not there.
fn start(
    consumer: &Reader,
    topic: &str,
    hub: &Hub,
    next: &mut HashMap<i32, i64>,
    backlog: &mut HashMap<i32, i64>,
) -> Result<bool, KafkaError> {
    let partitions = partitions(consumer, topic)?;
    if partitions.is_empty() {
        return Ok(false);
    }
    let since = milliseconds(SystemTime::now() - BACKFILL);
    let starts = offsets_at(consumer, topic, &partitions, since)?;
    // Filling the ring must not push out of it what filled it.
    let most = i64::try_from(RING_EVENTS * 3 / 4 / partitions.len()).unwrap_or(i64::MAX);
    for &partition in &partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, ANSWER)?;
        let wanted = starts.get(&partition).copied().unwrap_or(high).max(low);
        let from = wanted.max(high - most);
        let complete_after = match from {
            _ if from > wanted => None,
            _ if from > low => Some(since),
            _ => Some(i64::MIN),
        };
        hub.begins(partition, from, complete_after);
        // A process that reads again after a failure goes on where it was.
        next.entry(partition).or_insert(from);
        backlog.entry(partition).or_insert(high);
    }
    assign(consumer, topic, next)?;
    Ok(true)
}

/// Since 1970, as Kafka stamps its messages.
fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn add_partitions(consumer: &Reader, topic: &str, hub: &Hub, next: &mut HashMap<i32, i64>) -> Result<(), KafkaError> {
    let before = next.len();
    for partition in partitions(consumer, topic)? {
        next.entry(partition).or_insert_with(|| {
            hub.begins(partition, 0, Some(i64::MIN));
            0
        });
    }
    if next.len() > before { assign(consumer, topic, next) } else { Ok(()) }
}

fn partitions(consumer: &Reader, topic: &str) -> Result<Vec<i32>, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let topic = metadata.topics().iter().find(|candidate| candidate.name() == topic && candidate.error().is_none());
    Ok(topic
        .map(|topic| topic.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect())
        .unwrap_or_default())
}

fn assign(consumer: &Reader, topic: &str, next: &HashMap<i32, i64>) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for (&partition, &offset) in next {
        list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    }
    consumer.assign(&list)
}

/// The offset of the first message at or after a time (milliseconds since 1970); absent where there is none.
fn offsets_at(consumer: &Reader, topic: &str, partitions: &[i32], time: i64) -> Result<HashMap<i32, i64>, KafkaError> {
    let mut list = TopicPartitionList::new();
    for &partition in partitions {
        list.add_partition_offset(topic, partition, Offset::Offset(time))?;
    }
    let found = consumer.offsets_for_times(list, ANSWER)?;
    Ok(found
        .elements()
        .iter()
        .filter_map(|element| match element.offset() {
            Offset::Offset(offset) if offset >= 0 => Some((element.partition(), offset)),
            _ => None,
        })
        .collect())
}

/// What [`replay`] found.
#[derive(Debug)]
pub(super) enum Replay {
    /// Everything after the event that was seen last.
    Missed(Vec<Arc<Entry>>),
    /// Too much, or the topic does not hold that event any more: reload instead.
    Gone,
}

/// Reads from Kafka what came after the event `last`, up to the offsets `until`; blocks.
///
/// Starts `since` (milliseconds since 1970) and gives up after `most` events or `limit`.
pub(super) fn replay(
    kafka: &KafkaConfig,
    last: uuid::Uuid,
    since: i64,
    until: &HashMap<i32, i64>,
    most: usize,
    limit: Duration,
) -> Result<Replay, KafkaError> {
    replay_with(&super::consumer(kafka, &client(kafka))?, &kafka.topic, last, since, until, most, limit)
}

/// The same until where the topic ends now, for who follows it in no other way.
pub(super) fn missed(
    kafka: &KafkaConfig,
    last: uuid::Uuid,
    since: i64,
    most: usize,
    limit: Duration,
) -> Result<Replay, KafkaError> {
    let consumer = super::consumer(kafka, &client(kafka))?;
    let mut until = HashMap::new();
    for partition in partitions(&consumer, &kafka.topic)? {
        until.insert(partition, consumer.fetch_watermarks(&kafka.topic, partition, ANSWER)?.1);
    }
    replay_with(&consumer, &kafka.topic, last, since, &until, most, limit)
}

fn replay_with(
    consumer: &Reader,
    topic: &str,
    last: uuid::Uuid,
    since: i64,
    until: &HashMap<i32, i64>,
    most: usize,
    limit: Duration,
) -> Result<Replay, KafkaError> {
    let deadline = Instant::now() + limit;
    let partitions: Vec<i32> = until.keys().copied().collect();
    let mut next = HashMap::new();
    for (partition, from) in offsets_at(consumer, topic, &partitions, since)? {
        if until.get(&partition).is_some_and(|until| from < *until) {
            next.insert(partition, from);
        }
    }
    if next.is_empty() {
        return Ok(Replay::Gone);
    }
    assign(consumer, topic, &next)?;
    let mut entries: Vec<Arc<Entry>> = Vec::new();
    while next.iter().any(|(partition, next)| until.get(partition) > Some(next)) {
        if entries.len() > most || Instant::now() > deadline {
            return Ok(Replay::Gone);
        }
        if let Some(Ok(message)) = consumer.poll(POLL) {
            next.insert(message.partition(), message.offset() + 1);
            let in_range = until.get(&message.partition()).is_some_and(|until| message.offset() < *until);
            entries.extend(entry(&message, true).filter(|_| in_range).map(Arc::new));
        }
    }
    let Some(seen) = entries.iter().position(|entry| entry.id == last) else { return Ok(Replay::Gone) };
    let partition = entries[seen].partition;
    // Partitions arrive interleaved, each in its order: of the seen event's own, only what follows it was missed.
    let missed = entries
        .iter()
        .enumerate()
        .filter(|(index, entry)| entry.partition != partition || *index > seen)
        .map(|(_, entry)| Arc::clone(entry));
    Ok(Replay::Missed(missed.collect()))
}

/// Makes the topic where it is missing, as often as it takes.
pub(super) async fn ensure_topic(kafka: &KafkaConfig, shutdown: &CancellationToken) {
    loop {
        match create_topic(kafka).await {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, topic = kafka.topic, "can't make the topic yet"),
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

async fn create_topic(kafka: &KafkaConfig) -> Result<(), KafkaError> {
    let admin: AdminClient<SigningIn> = client(kafka).create_with_context(SigningIn(kafka.tokens.clone()))?;
    if let Some(tokens) = &kafka.tokens {
        // Nobody polls this client, so that librdkafka can't ask.
        let given = tokens.make().await.and_then(|token| token.give_to(admin.inner()));
        given.map_err(KafkaError::ClientCreation)?;
    }
    let topic = NewTopic::new(&kafka.topic, kafka.partitions, TopicReplication::Fixed(kafka.replicas));
    let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
    for result in admin.create_topics([&topic], &options).await? {
        match result {
            Ok(name) => tracing::info!(topic = name, partitions = kafka.partitions, "made the topic"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(KafkaError::AdminOp(code)),
        }
    }
    Ok(())
}
