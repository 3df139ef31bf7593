use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

/// The version of the envelopes that this code writes.
pub const SCHEMA_VERSION: u32 = 1;

/// What travels: Kafka's value and the WebSocket's frame are both this, as JSON, byte for byte the same.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Envelope<T = Box<RawValue>> {
    /// UUID version 7: holds the time, and is the same however often the event is delivered.
    pub id: Uuid,
    /// What happened, such as `video.created`.
    #[serde(rename = "type")]
    pub kind: String,
    pub schema_version: u32,
    /// When it happened, RFC 3339 in UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub occurred_at: OffsetDateTime,
    /// What it happened to.
    pub data: T,
}

/// The part of an envelope that the fan-out reads; the rest is passed on unread.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub(super) id: Uuid,
}

/// An event that is about to be written to the outbox.
#[derive(Debug)]
pub struct NewEvent {
    pub(super) id: Uuid,
    pub(super) key: Uuid,
    pub(super) payload: String,
    pub(super) traceparent: Option<String>,
}

impl NewEvent {
    /// An event of `kind` that happens now to what `key` names; `traceparent` is the W3C trace context that caused it.
    ///
    /// # Errors
    /// `data` that can't be written as JSON.
    pub fn new(
        kind: &'static str,
        key: Uuid,
        data: &impl Serialize,
        traceparent: Option<String>,
    ) -> Result<Self, serde_json::Error> {
        let id = Uuid::now_v7();
        let envelope = Envelope {
            id,
            kind: kind.to_owned(),
            schema_version: SCHEMA_VERSION,
            occurred_at: OffsetDateTime::now_utc(),
            data,
        };
        Ok(Self { id, key, payload: serde_json::to_string(&envelope)?, traceparent })
    }
}
