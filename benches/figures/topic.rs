//! Topics that the figures need, and the messages that are read back.

use std::fmt::Write;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::Result;

/// The app's own topic.
pub const EVENTS: &str = streamify_backend::TOPIC;

const PARTITIONS: i32 = 6;
const MESSAGE_BYTES: usize = 240;

fn admin(broker: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", broker).create()?)
}

/// Makes a topic of six partitions, unless it is there.
pub async fn ensure(broker: &str, name: &str) -> Result<()> {
    let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1));
    match admin(broker)?.create_topics(&[topic], &AdminOptions::new()).await?.into_iter().next() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
            Err(format!("the broker did not make the topic {name}: {code}").into())
        }
        _ => Ok(()),
    }
}

/// Deletes a topic.
pub async fn delete(broker: &str, name: &str) -> Result<()> {
    match admin(broker)?.delete_topics(&[name], &AdminOptions::new()).await?.into_iter().next() {
        Some(Err((_, code))) => Err(format!("the broker did not delete the topic {name}: {code}").into()),
        _ => Ok(()),
    }
}

/// Writes `count` messages of 240 bytes in the form of the app's events, spread over the partitions.
pub fn fill(broker: &str, name: &str, count: u32) -> Result<()> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("linger.ms", "20")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.messages", "500000")
        .create()?;
    let mut value = String::with_capacity(MESSAGE_BYTES);
    for number in 0..count {
        message(number, &mut value);
        let key = format!("{number:012}");
        let partition = i32::try_from(number)? % PARTITIONS;
        let mut record = BaseRecord::to(name).partition(partition).key(&key).payload(&value);
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    producer.poll(Duration::from_millis(10));
                    record = back;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
        if number % 10_000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    Ok(producer.flush(Duration::from_mins(1))?)
}

/// An envelope of exactly [`MESSAGE_BYTES`].
fn message(number: u32, out: &mut String) {
    const TAIL: &str = "\"}}";
    out.clear();
    // Writing to a string can't fail.
    let _ = write!(out, r#"{{"id":"01990a5e-7a3c-7c11-8f00-{number:012}","type":"video.created","schema_version":1,"#);
    let _ = write!(out, r#""occurred_at":"2026-08-01T12:00:00Z","data":{{"title":"Part {number}","description":""#);
    while out.len() < MESSAGE_BYTES - TAIL.len() {
        out.push('x');
    }
    out.push_str(TAIL);
}
