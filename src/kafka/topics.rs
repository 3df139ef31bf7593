//! Which topics there are, and which are meant.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::{Offset, TopicPartitionList};
use regex::Regex;
use serde::Serialize;

use super::connection::{Connection, Quiet};
use crate::failure::{Failure, Result};

/// How long the offsets of all partitions may take.
const ANSWER: Duration = Duration::from_secs(10);

/// A topic as `kafka topics` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Topic {
    pub name: String,
    pub partitions: Vec<Partition>,
    /// The sum over the partitions: an upper bound where messages were compacted away.
    pub messages: i64,
}

/// One of its partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partition {
    pub id: i32,
    pub leader: i32,
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
    /// The oldest offset that is kept.
    pub low: i64,
    /// The offset that the next message gets.
    pub high: i64,
}

/// Every topic, by name; those of Kafka itself only when asked for.
pub fn list(connection: &Connection, internal: bool) -> Result<Vec<Topic>> {
    let (consumer, context) = connection.asker()?;
    let metadata = connection.metadata(&consumer, &context)?;
    let names: Vec<&str> = metadata
        .topics()
        .iter()
        .map(rdkafka::metadata::MetadataTopic::name)
        .filter(|name| internal || !is_internal(name))
        .collect();
    let all = partitions(&metadata, &names);
    let failed = |error| connection.unreachable(&error, &context);
    let low = offsets(&consumer, &all, Offset::Beginning).map_err(failed)?;
    let high = offsets(&consumer, &all, Offset::End).map_err(failed)?;
    let at = |list: &[i64], topic: &str, id: i32| {
        all.iter().position(|(name, partition)| name == topic && *partition == id).map_or(0, |index| list[index])
    };
    let mut topics: Vec<Topic> = metadata
        .topics()
        .iter()
        .filter(|topic| names.contains(&topic.name()))
        .map(|topic| {
            let mut partitions: Vec<Partition> = topic
                .partitions()
                .iter()
                .map(|partition| Partition {
                    id: partition.id(),
                    leader: partition.leader(),
                    replicas: partition.replicas().to_vec(),
                    in_sync: partition.isr().to_vec(),
                    low: at(&low, topic.name(), partition.id()),
                    high: at(&high, topic.name(), partition.id()),
                })
                .collect();
            partitions.sort_by_key(|partition| partition.id);
            let messages = partitions.iter().map(|partition| partition.high - partition.low).sum();
            Topic { name: topic.name().to_owned(), partitions, messages }
        })
        .collect();
    topics.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(topics)
}

fn is_internal(name: &str) -> bool {
    name.starts_with("__")
}

/// Every partition of the topics.
pub(super) fn partitions(metadata: &Metadata, topics: &[&str]) -> Vec<(String, i32)> {
    let mut all: Vec<(String, i32)> = metadata
        .topics()
        .iter()
        .filter(|topic| topics.contains(&topic.name()))
        .flat_map(|topic| topic.partitions().iter().map(|partition| (topic.name().to_owned(), partition.id())))
        .collect();
    all.sort();
    all
}

/// An offset of each partition, in one request a broker: the oldest, the next, or the first at or after a time (given
/// as `Offset::Offset` of milliseconds; -1 where there is none).
pub(super) fn offsets(
    consumer: &BaseConsumer<Quiet>,
    partitions: &[(String, i32)],
    at: Offset,
) -> std::result::Result<Vec<i64>, KafkaError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let mut question = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        // The protocol's own numbers for the oldest and the next offset, -2 and -1, stand where a time would.
        question.add_partition_offset(topic, *partition, at)?;
    }
    let answer = consumer.offsets_for_times(question, ANSWER)?;
    partitions
        .iter()
        .map(|(topic, partition)| {
            let element = answer
                .find_partition(topic, *partition)
                .ok_or(KafkaError::OffsetFetch(rdkafka::error::RDKafkaErrorCode::UnknownPartition))?;
            element.error()?;
            Ok(element.offset().to_raw().unwrap_or(-1))
        })
        .collect()
}

/// The topics that are meant: exact names, globs such as `video.*`, or `/regular expressions/`.
pub(super) fn choose<'a>(metadata: &'a Metadata, wanted: &[String]) -> Result<Vec<&'a str>> {
    let names: Vec<&str> = metadata.topics().iter().map(rdkafka::metadata::MetadataTopic::name).collect();
    select(&names, wanted)
}

fn select<'a>(names: &[&'a str], wanted: &[String]) -> Result<Vec<&'a str>> {
    let mut chosen = Vec::new();
    for wanted in wanted {
        let before = chosen.len();
        if let Some(pattern) = pattern(wanted)? {
            chosen.extend(names.iter().copied().filter(|name| !is_internal(name) && pattern.is_match(name)));
        } else {
            chosen.extend(names.iter().copied().filter(|name| name == wanted));
        }
        if chosen.len() == before {
            return Err(missing(names, wanted));
        }
    }
    chosen.sort_unstable();
    chosen.dedup();
    Ok(chosen)
}

/// None for a plain name.
fn pattern(text: &str) -> Result<Option<Regex>> {
    let expression = if let Some(inner) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        inner.to_owned()
    } else if text.contains(['*', '?']) {
        format!("^{}$", regex::escape(text).replace(r"\*", ".*").replace(r"\?", "."))
    } else {
        return Ok(None);
    };
    Regex::new(&expression)
        .map(Some)
        .map_err(|error| Failure::usage(format!("{text} is not a valid regular expression")).because(&error))
}

fn missing(names: &[&str], wanted: &str) -> Failure {
    let failure = Failure::failed(format!("there is no topic {wanted}"));
    let mut near: Vec<(usize, &str)> = names
        .iter()
        .filter(|name| !is_internal(name))
        .map(|name| (if name.contains(wanted) { 1 } else { distance(name, wanted) }, *name))
        .filter(|(distance, name)| *distance <= 1 + name.len().max(wanted.len()) / 3)
        .collect();
    near.sort_unstable();
    let near: Vec<&str> = near.into_iter().take(3).map(|(_, name)| name).collect();
    if near.is_empty() {
        failure.hint("See which there are: streamify kafka topics")
    } else {
        failure.hint(format!("Did you mean {}?", near.join(" or ")))
    }
}

/// Edits that turn one word into the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, left) in one.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = index + 1;
        for (column, right) in other.bytes().enumerate() {
            let change = corner + usize::from(left != right);
            corner = row[column + 1];
            row[column + 1] = change.min(row[column] + 1).min(corner + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["__consumer_offsets", "audit", "video.created", "video.deleted"];

    fn chosen(wanted: &[&str]) -> Result<Vec<&'static str>> {
        select(&NAMES, &wanted.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn names_globs_and_expressions() {
        assert_eq!(chosen(&["video.*", "audit"]).unwrap(), ["audit", "video.created", "video.deleted"]);
        assert_eq!(chosen(&["/ed$/"]).unwrap(), ["video.created", "video.deleted"]);
        assert_eq!(chosen(&["*"]).unwrap().len(), 3, "Kafka's own topics only by their names");
        assert_eq!(chosen(&["__consumer_offsets"]).unwrap(), ["__consumer_offsets"]);
        assert_eq!(chosen(&["/(/"]).unwrap_err().kind, crate::failure::Kind::Usage);
    }

    #[test]
    fn a_mistyped_name_is_guessed() {
        let failure = chosen(&["vidoe.created"]).unwrap_err();
        assert_eq!(failure.hints, ["Did you mean video.created?"]);
        assert!(chosen(&["zzz"]).unwrap_err().hints[0].contains("kafka topics"));
    }
}
