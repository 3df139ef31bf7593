//! Messages in batches, straight from librdkafka's queue.
//!
//! The safe wrapper hands out one event a message, with a reference count and two lookups for each; asked for a
//! thousand at once, librdkafka gives pointers into its fetch buffers at a quarter of the cost. What is unsafe about
//! that is in this file alone.
#![allow(unsafe_code)] // The batch call has no safe wrapper.

use std::ffi::{CStr, c_void};
use std::ptr;
use std::slice;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

use super::connection::{Connection, Quiet};
use super::record::{Headers, Record, TimeKind};
use crate::failure::{Failure, Result};

/// Messages asked for at once.
const BATCH: usize = 4096;
/// The pause after a token that could not be had.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);

/// Reads assigned partitions without joining a group.
pub struct Reader {
    // Dropped before the consumer that it belongs to: fields drop in order.
    queue: Queue,
    consumer: BaseConsumer<Quiet>,
    batch: Vec<*mut sys::rd_kafka_message_t>,
    connection: Connection,
    /// When the next token is due; the batch call takes librdkafka's own question from the queue and drops it.
    renewal: Option<Instant>,
}

// SAFETY: librdkafka's handles may be used from any thread; between calls the batch is empty.
unsafe impl Send for Reader {}

struct Queue(*mut sys::rd_kafka_queue_t);

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the handle came from `rd_kafka_queue_get_consumer` and is destroyed once.
        unsafe { sys::rd_kafka_queue_destroy(self.0) }
    }
}

/// What a batch holds, one by one.
pub enum Item<'a> {
    Record(Record<'a>),
    /// Everything before this offset of the partition was read.
    End {
        topic: &'a str,
        partition: i32,
        offset: i64,
    },
}

/// A message in librdkafka's memory.
#[repr(transparent)]
#[derive(Debug)]
pub struct Message(sys::rd_kafka_message_t);

impl Reader {
    /// Starts reading at the offsets of the list.
    pub fn start(connection: &Connection, assignment: &TopicPartitionList) -> Result<Self> {
        // librdkafka assigns partitions to members of a group only. This one is never joined and commits nothing.
        let group = format!("streamify-reader-{}", uuid::Uuid::new_v4());
        let (consumer, _) = connection.client(&[
            ("group.id", &group),
            ("enable.partition.eof", "true"),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            // Large enough that the fetcher never waits for the output; memory is bounded by the next line.
            ("queued.min.messages", "1000000"),
            ("queued.max.messages.kbytes", "262144"),
            ("fetch.queue.backoff.ms", "1"),
            ("fetch.message.max.bytes", "4194304"),
            ("fetch.max.bytes", "67108864"),
            ("fetch.wait.max.ms", "100"),
            ("check.crcs", "false"),
            ("reconnect.backoff.max.ms", "2000"),
        ])?;
        consumer
            .assign(assignment)
            .map_err(|error| Failure::failed("can't start reading the partitions").because(&error))?;
        // SAFETY: the consumer lives as long as the queue.
        let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        if queue.is_null() {
            return Err(Failure::failed("can't read from Kafka: the client has no queue"));
        }
        let renewal = connection.sign_in(consumer.client())?;
        let connection = connection.clone();
        Ok(Self { queue: Queue(queue), consumer, batch: Vec::with_capacity(BATCH), connection, renewal })
    }

    /// Calls `take` for each message that is there already, until it answers false; how many there were.
    pub fn drain(&mut self, take: impl FnMut(Item<'_>) -> Result<bool>) -> Result<usize> {
        self.read(Duration::ZERO, BATCH, take)
    }

    /// Waits at most `patience` for a message and gives it to `take`; how many there were, none or one.
    ///
    /// The batch call would wait for a full batch, so whoever waits asks for a single message.
    pub fn wait(&mut self, patience: Duration, take: impl FnMut(Item<'_>) -> Result<bool>) -> Result<usize> {
        // The safe wrapper's poll must never be called beside this: it takes from the same queue, and what it took would
        // be lost.
        self.read(patience, 1, take)
    }

    fn read(
        &mut self,
        patience: Duration,
        size: usize,
        mut take: impl FnMut(Item<'_>) -> Result<bool>,
    ) -> Result<usize> {
        if self.renewal.is_some_and(|due| due < Instant::now()) {
            // What is connected stays so for a while: a failure is no reason to stop yet.
            let again = Instant::now() + RENEWAL_PAUSE;
            self.renewal = self.connection.sign_in(self.consumer.client()).unwrap_or(Some(again));
        }
        let patience = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the vector has room for BATCH pointers, `size` is no more, and librdkafka tells how many it wrote.
        let count = unsafe { sys::rd_kafka_consume_batch_queue(self.queue.0, patience, self.batch.as_mut_ptr(), size) };
        let count = usize::try_from(count).unwrap_or(0);
        // SAFETY: the first `count` pointers were written just now.
        unsafe { self.batch.set_len(count) };
        let mut result = Ok(());
        let mut wanted = true;
        for pointer in self.batch.drain(..) {
            if wanted && result.is_ok() {
                // SAFETY: the pointer is a message that is ours until it is destroyed below.
                let message = unsafe { &*pointer.cast::<Message>() };
                match message.item().and_then(|item| item.map_or(Ok(true), &mut take)) {
                    Ok(more) => wanted = more,
                    Err(failure) => result = Err(failure),
                }
            }
            // SAFETY: each message is destroyed once, and no borrow of it is left.
            unsafe { sys::rd_kafka_message_destroy(pointer) };
        }
        result.map(|()| count)
    }
}

impl Message {
    fn topic(&self) -> &str {
        // SAFETY: the name lives as long as the topic's handle, which the message holds.
        let name = unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.0.rkt)) };
        // Kafka's topic names are ASCII letters, digits, `.`, `_` and `-`.
        name.to_str().unwrap_or("?")
    }

    /// None for errors that librdkafka mends by itself.
    fn item(&self) -> Result<Option<Item<'_>>> {
        let message = &self.0;
        if message.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok(Some(Item::Record(self.record())));
        }
        match RDKafkaErrorCode::from(message.err) {
            RDKafkaErrorCode::PartitionEOF => {
                Ok(Some(Item::End { topic: self.topic(), partition: message.partition, offset: message.offset }))
            }
            code @ (RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::Fatal
            | RDKafkaErrorCode::BadMessage
            | RDKafkaErrorCode::BadCompression) => {
                let topic = if message.rkt.is_null() { "the topics" } else { self.topic() };
                Err(Failure::failed(format!("can't go on reading {topic}"))
                    .because(&KafkaError::MessageConsumption(code)))
            }
            _ => Ok(None),
        }
    }

    fn record(&self) -> Record<'_> {
        let message = &self.0;
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid, and `kind` is a place of the right type.
        let at = unsafe { sys::rd_kafka_message_timestamp(message, &raw mut kind) };
        let timestamp = match kind {
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => Some((at, TimeKind::Create)),
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => Some((at, TimeKind::LogAppend)),
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => None,
        };
        Record {
            topic: self.topic(),
            partition: message.partition,
            offset: message.offset,
            timestamp: timestamp.filter(|(at, _)| *at >= 0),
            key: self.bytes(message.key, message.key_len),
            value: self.bytes(message.payload, message.len),
            headers: Headers::Of(self),
        }
    }

    /// Bytes that live as long as this message.
    #[allow(clippy::unused_self)] // The lifetime of the answer is this message's.
    fn bytes(&self, start: *const c_void, length: usize) -> Option<&[u8]> {
        // SAFETY: librdkafka gives null or `length` bytes that live as long as the message.
        (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast(), length) })
    }

    /// Calls for each header in order.
    pub fn each_header<'a>(&'a self, mut call: impl FnMut((&'a str, Option<&'a [u8]>))) {
        let mut headers = ptr::null_mut();
        // SAFETY: the headers belong to the message and live as long as it.
        if unsafe { sys::rd_kafka_message_headers(&raw const self.0, &raw mut headers) }
            != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            return;
        }
        for index in 0.. {
            let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the three places are of the right types; an index past the end is answered with an error.
            let answer =
                unsafe { sys::rd_kafka_header_get_all(headers, index, &raw mut name, &raw mut value, &raw mut length) };
            if answer != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return;
            }
            // SAFETY: a name is a C string that lives as long as the message.
            let name = unsafe { CStr::from_ptr(name) }.to_str().unwrap_or("?");
            call((name, self.bytes(value, length)));
        }
    }
}
