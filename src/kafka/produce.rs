//! Lines into a topic.

use std::error::Error;
use std::io::BufRead;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Quiet};
use super::topics;
use crate::failure::{Failure, Result};

/// How long the last messages may take to be acknowledged.
const ACKNOWLEDGED: Duration = Duration::from_secs(30);

/// What every line gets.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub topic: String,
    pub key: Option<String>,
    pub headers: Vec<(String, String)>,
}

#[derive(Clone)]
struct Deliveries {
    /// Makes the tokens.
    quiet: Quiet,
    delivered: Arc<AtomicU64>,
    failed: Arc<Mutex<Option<KafkaError>>>,
}

impl ClientContext for Deliveries {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, wanted: Option<&str>) -> std::result::Result<OAuthToken, Box<dyn Error>> {
        self.quiet.generate_oauth_token(wanted)
    }

    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => drop(self.delivered.fetch_add(1, Ordering::Relaxed)),
            Err((error, _)) => {
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
            }
        }
    }
}

/// Sends each line as a message and waits until all are acknowledged by every in-sync replica; how many they were.
pub fn produce(
    connection: &Connection,
    options: &Options,
    mut lines: impl BufRead,
    stop: &CancellationToken,
) -> Result<u64> {
    let (asker, context) = connection.asker()?;
    // A mistyped name must not make a topic.
    topics::choose(&connection.metadata(&asker, &context)?, std::slice::from_ref(&options.topic))?;
    let mut config = ClientConfig::new();
    connection
        .configure(&mut config, &[("enable.idempotence", "true"), ("linger.ms", "5"), ("compression.type", "lz4")]);
    let deliveries = Deliveries { quiet: context, delivered: Arc::default(), failed: Arc::default() };
    let producer: BaseProducer<Deliveries> = BaseProducer::from_config_and_context(&config, deliveries.clone())
        .map_err(|error| Failure::usage("the Kafka properties are not valid").because(&error))?;
    connection.sign_in(producer.client())?;
    let failed = || match deliveries.failed.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some(error) => Err(Failure::failed(format!("a message was not taken by {}", options.topic)).because(error)),
        None => Ok(()),
    };
    let mut line = Vec::new();
    while !stop.is_cancelled() {
        line.clear();
        let length = lines
            .read_until(b'\n', &mut line)
            .map_err(|error| Failure::failed("can't read the lines").because(&error))?;
        if length == 0 {
            break;
        }
        let value = line.strip_suffix(b"\n").unwrap_or(&line);
        let value = value.strip_suffix(b"\r").unwrap_or(value);
        let mut record: BaseRecord<'_, str, [u8]> = BaseRecord::to(&options.topic).payload(value);
        if let Some(key) = &options.key {
            record = record.key(key);
        }
        if !options.headers.is_empty() {
            let headers = options.headers.iter().fold(OwnedHeaders::new(), |headers, (name, value)| {
                headers.insert(Header { key: name, value: Some(value) })
            });
            record = record.headers(headers);
        }
        while let Err((error, back)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(Failure::failed(format!("can't send to {}", options.topic)).because(&error));
            }
            producer.poll(Duration::from_millis(50));
            record = back;
        }
        producer.poll(Duration::ZERO);
        failed()?;
    }
    producer.flush(ACKNOWLEDGED).map_err(|error| {
        Failure::unreachable(format!("not every message was acknowledged by {}", connection.brokers())).because(&error)
    })?;
    failed()?;
    if stop.is_cancelled() {
        return Err(Failure::interrupted(2));
    }
    Ok(deliveries.delivered.load(Ordering::Relaxed))
}
