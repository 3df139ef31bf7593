//! The payload of the Kafka event source, managed or not: records by partition, their values in base64.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::modules::events::Envelope;

/// An event as it is posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) id: Uuid,
    /// The whole envelope, byte for byte as it was published.
    pub(super) text: String,
}

#[derive(Deserialize)]
struct Payload {
    /// By `topic-partition`.
    records: BTreeMap<String, Vec<Raw>>,
}

#[derive(Deserialize)]
struct Raw {
    offset: i64,
    /// None for a record without a value.
    value: Option<String>,
}

/// The events of a batch, those of each partition in their order; None for a payload that is none of Kafka.
///
/// What is not an event of this app is named in the log and passed over: it would come again for ever.
pub(super) fn records(payload: &Value) -> Option<Vec<Record>> {
    let payload = Payload::deserialize(payload).ok()?;
    let mut records = Vec::new();
    for (partition, raws) in payload.records {
        for raw in raws {
            match record(raw.value.as_deref()) {
                Some(record) => records.push(record),
                None => tracing::warn!(partition, offset = raw.offset, "not an event of this app"),
            }
        }
    }
    Some(records)
}

fn record(value: Option<&str>) -> Option<Record> {
    let text = String::from_utf8(STANDARD.decode(value?).ok()?).ok()?;
    let id = serde_json::from_str::<Envelope>(&text).ok()?.id;
    Some(Record { id, text })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_read_in_the_order_of_their_partition() {
        let envelope = |id: u128| {
            json!({
                "id": Uuid::from_u128(id), "type": "video.created", "schema_version": 1,
                "occurred_at": "2026-01-01T00:00:00Z", "data": {"title": "é"},
            })
            .to_string()
        };
        let raw = |offset: i64, text: &str| json!({ "offset": offset, "value": STANDARD.encode(text) });
        let payload = json!({
            "eventSource": "aws:kafka", "eventSourceArn": "arn:aws:kafka:eu-west-1:123456789012:cluster/c",
            "records": {
                "video.created-1": [raw(7, &envelope(3)), raw(8, "nonsense"), {"offset": 9, "value": null}],
                "video.created-0": [raw(0, &envelope(1)), raw(1, &envelope(2))],
            },
        });
        let read = records(&payload).unwrap();
        assert_eq!(read.iter().map(|record| record.id.as_u128()).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(read[2].text, envelope(3));
        assert_eq!(records(&json!({"source": "aws.events"})), None);
    }
}
