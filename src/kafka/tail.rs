//! Following topics: from where, to where, which messages, in what shape.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use rdkafka::{Offset, TopicPartitionList};
use regex::bytes::Regex;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::format::Format;
use super::position::{From, Moment};
use super::reader::{Item, Reader};
use super::record::{Headers, Record, TimeKind};
use super::topics;
use crate::failure::{Failure, Kind, Result};

/// Written at once; larger than a pipe takes, so that the reader on the other side is never short.
const BUFFER: usize = 256 * 1024;
/// How often a quiet topic looks up whether it is to stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// What to read, and how to show it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names, globs or `/regular expressions/`.
    pub topics: Vec<String>,
    /// Only these partitions; none means all.
    pub partitions: Vec<i32>,
    pub from: From,
    /// Stop before the first message after this time; implies `exit_at_end`.
    pub to: Option<Moment>,
    /// Stop after so many messages were shown.
    pub count: Option<u64>,
    /// Stop at the offsets that were the end when reading began.
    pub exit_at_end: bool,
    /// Only messages whose value matches.
    pub grep: Option<Regex>,
    /// Only messages whose key matches.
    pub key: Option<Regex>,
    pub format: Format,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    pub read: u64,
    pub shown: u64,
    pub took: Duration,
}

/// Where each partition is read from and to.
struct Span {
    topic: String,
    partition: i32,
    start: i64,
    end: i64,
}

/// Reads until it is told to stop, or the end that was asked for; blocks the thread.
///
/// # Errors
/// No broker, no such topic, or an output that can't be written. `stop` is an interruption.
pub fn tail(
    connection: &Connection,
    options: &Options,
    out: &mut dyn Write,
    stop: &CancellationToken,
) -> Result<Summary> {
    let begun = Instant::now();
    let mut spans = spans(connection, options)?;
    let bounded = options.exit_at_end || options.to.is_some();
    if bounded {
        spans.retain(|span| span.start < span.end);
    }
    let mut printer = Printer::new(options, out);
    if options.count == Some(0) || spans.is_empty() {
        return Ok(printer.summary(begun));
    }
    let mut assignment = TopicPartitionList::with_capacity(spans.len());
    for span in &spans {
        assignment
            .add_partition_offset(&span.topic, span.partition, Offset::Offset(span.start))
            .map_err(|error| Failure::failed("can't choose the partitions").because(&error))?;
    }
    let mut reader = Reader::start(connection, &assignment)?;
    if let From::Last(count) = options.from {
        spans.retain(|span| span.start < span.end);
        let more = last(&mut reader, Progress::new(&spans, true), count, &mut printer, stop)?;
        if bounded || !more {
            printer.flush()?;
            return Ok(printer.summary(begun));
        }
        spans.clear();
    }
    let mut progress = Progress::new(&spans, bounded);
    follow(&mut reader, stop, &mut printer, |item, printer| match item {
        Item::Record(record) => {
            let wanted = progress.wants(&record);
            Ok((!wanted || printer.show(&record)?) && !progress.is_done())
        }
        Item::End { topic, partition, offset } => {
            progress.reached(topic, partition, offset);
            Ok(!progress.is_done())
        }
    })?;
    printer.flush()?;
    Ok(printer.summary(begun))
}

/// Gives each item to `take` until it answers false, and flushes whenever nothing more is there.
fn follow<'a>(
    reader: &mut Reader,
    stop: &CancellationToken,
    printer: &mut Printer<'a>,
    mut take: impl FnMut(Item<'_>, &mut Printer<'a>) -> Result<bool>,
) -> Result<()> {
    let mut more = true;
    while more {
        if stop.is_cancelled() {
            printer.flush()?;
            return Err(Failure::interrupted(2));
        }
        let mut each = |item: Item<'_>, printer: &mut Printer<'a>| {
            more = take(item, printer)?;
            Ok(more)
        };
        if reader.drain(|item| each(item, printer))? == 0 {
            printer.flush()?;
            reader.wait(PATIENCE, |item| each(item, printer))?;
        }
    }
    Ok(())
}

/// Shows the newest `count` messages before the ends, in the order of their times, then those that came meanwhile.
fn last(
    reader: &mut Reader,
    mut progress: Progress,
    count: usize,
    printer: &mut Printer<'_>,
    stop: &CancellationToken,
) -> Result<bool> {
    let mut newest: BinaryHeap<Reverse<Kept>> = BinaryHeap::new();
    let mut later = Vec::new();
    if !progress.is_done() {
        follow(reader, stop, printer, |item, _| {
            match item {
                Item::Record(record) if progress.wants(&record) => {
                    newest.push(Reverse(Kept::new(&record)));
                    if newest.len() > count {
                        newest.pop();
                    }
                }
                Item::Record(record) => later.push(Kept::new(&record)),
                Item::End { topic, partition, offset } => progress.reached(topic, partition, offset),
            }
            Ok(!progress.is_done())
        })?;
    }
    let mut newest: Vec<Kept> = newest.into_iter().map(|Reverse(kept)| kept).collect();
    newest.sort();
    for kept in newest.iter().chain(&later) {
        if !kept.show(printer)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Asks for the offsets that `from` and `to` mean.
fn spans(connection: &Connection, options: &Options) -> Result<Vec<Span>> {
    let (consumer, context) = connection.asker()?;
    let metadata = connection.metadata(&consumer, &context)?;
    let names = topics::choose(&metadata, &options.topics)?;
    let mut partitions = topics::partitions(&metadata, &names);
    if let Some(missing) = options.partitions.iter().find(|id| !partitions.iter().any(|(_, there)| there == *id)) {
        return Err(Failure::failed(format!("there is no partition {missing} in {}", names.join(", "))));
    }
    if !options.partitions.is_empty() {
        partitions.retain(|(_, id)| options.partitions.contains(id));
    }
    let ask =
        |at| topics::offsets(&consumer, &partitions, at).map_err(|error| connection.unreachable(&error, &context));
    let high = ask(Offset::End)?;
    let at_time = |moment: i64| {
        let found = ask(Offset::Offset(moment))?;
        Ok::<_, Failure>(
            found.into_iter().zip(&high).map(|(at, end)| if at < 0 { *end } else { at }).collect::<Vec<_>>(),
        )
    };
    let ends = match options.to {
        Some(Moment(to)) => at_time(to + 1)?,
        None => high.clone(),
    };
    let starts = match options.from {
        From::Beginning => ask(Offset::Beginning)?,
        From::End => high.clone(),
        From::At(Moment(from)) => at_time(from)?,
        From::Last(count) => {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            let low = ask(Offset::Beginning)?;
            ends.iter().zip(low).map(|(end, low)| end.saturating_sub(count).max(low)).collect()
        }
    };
    Ok(partitions
        .into_iter()
        .zip(starts.into_iter().zip(ends))
        .map(|((topic, partition), (start, end))| Span { topic, partition, start, end })
        .collect())
}

/// Which partitions are still before their end. Without an end every message is wanted.
struct Progress {
    bounded: bool,
    open: usize,
    /// By topic, then by partition: the end that is not reached yet.
    ends: Vec<(String, Vec<Option<i64>>)>,
}

impl Progress {
    fn new(spans: &[Span], bounded: bool) -> Self {
        let mut ends: Vec<(String, Vec<Option<i64>>)> = Vec::new();
        for span in spans {
            if ends.last().is_none_or(|(topic, _)| *topic != span.topic) {
                ends.push((span.topic.clone(), Vec::new()));
            }
            let index = usize::try_from(span.partition).unwrap_or(0);
            if let Some((_, partitions)) = ends.last_mut() {
                partitions.resize(partitions.len().max(index + 1), None);
                partitions[index] = Some(span.end);
            }
        }
        Self { bounded, open: spans.len(), ends }
    }

    fn is_done(&self) -> bool {
        self.bounded && self.open == 0
    }

    fn end(&mut self, topic: &str, partition: i32) -> Option<&mut Option<i64>> {
        let index = usize::try_from(partition).ok()?;
        self.ends.iter_mut().find(|(name, _)| name == topic)?.1.get_mut(index)
    }

    /// Whether the message lies before its partition's end; remembers how far the partition is.
    fn wants(&mut self, record: &Record<'_>) -> bool {
        if !self.bounded {
            return true;
        }
        let Some(end) = self.end(record.topic, record.partition).and_then(|end| *end) else { return false };
        if record.offset + 1 >= end {
            self.reached(record.topic, record.partition, record.offset + 1);
        }
        record.offset < end
    }

    /// Everything before `offset` was read: the last offsets may belong to no message (compaction, transactions).
    fn reached(&mut self, topic: &str, partition: i32, offset: i64) {
        if let Some(end) = self.end(topic, partition)
            && end.is_some_and(|end| offset >= end)
        {
            *end = None;
            self.open -= 1;
        }
    }
}

/// Filters, formats, and writes in large pieces.
struct Printer<'a> {
    options: &'a Options,
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
    read: u64,
    shown: u64,
}

impl<'a> Printer<'a> {
    fn new(options: &'a Options, out: &'a mut dyn Write) -> Self {
        Self { options, out, buffer: Vec::with_capacity(BUFFER * 2), read: 0, shown: 0 }
    }

    /// Shows the message where the filters let it through; false when enough were shown.
    fn show(&mut self, record: &Record<'_>) -> Result<bool> {
        self.read += 1;
        let passes = |filter: &Option<Regex>, bytes: Option<&[u8]>| {
            filter.as_ref().is_none_or(|filter| bytes.is_some_and(|bytes| filter.is_match(bytes)))
        };
        if passes(&self.options.key, record.key) && passes(&self.options.grep, record.value) {
            self.options.format.write(record, &mut self.buffer);
            self.shown += 1;
            if self.buffer.len() >= BUFFER {
                self.write()?;
            }
        }
        Ok(self.options.count.is_none_or(|count| self.shown < count))
    }

    fn write(&mut self) -> Result<()> {
        let result = self.out.write_all(&self.buffer);
        self.buffer.clear();
        result.map_err(|error| output_failure(&error))
    }

    fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.write()?;
        self.out.flush().map_err(|error| output_failure(&error))
    }

    fn summary(&self, begun: Instant) -> Summary {
        Summary { read: self.read, shown: self.shown, took: begun.elapsed() }
    }
}

fn output_failure(error: &std::io::Error) -> Failure {
    if error.kind() == ErrorKind::BrokenPipe {
        return Failure::new(Kind::BrokenPipe, "the output was closed");
    }
    Failure::failed("can't write the messages").because(error)
}

/// A message that outlives its batch; ordered by time, then by where it lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    at: i64,
    topic: String,
    partition: i32,
    offset: i64,
    appended: bool,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Kept {
    fn new(record: &Record<'_>) -> Self {
        let mut headers = Vec::new();
        record.headers.each(|(name, value)| headers.push((name.to_owned(), value.map(<[u8]>::to_vec))));
        Self {
            at: record.timestamp.map_or(-1, |(at, _)| at),
            topic: record.topic.to_owned(),
            partition: record.partition,
            offset: record.offset,
            appended: record.timestamp.is_some_and(|(_, kind)| kind == TimeKind::LogAppend),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers,
        }
    }

    fn show(&self, printer: &mut Printer<'_>) -> Result<bool> {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        let kind = if self.appended { TimeKind::LogAppend } else { TimeKind::Create };
        printer.show(&Record {
            topic: &self.topic,
            partition: self.partition,
            offset: self.offset,
            timestamp: (self.at >= 0).then_some((self.at, kind)),
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: Headers::Given(&headers),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(topic: &str, partition: i32, end: i64) -> Span {
        Span { topic: topic.into(), partition, start: 0, end }
    }

    #[test]
    fn the_end_is_reached_by_messages_and_by_offsets_without_one() {
        let mut progress = Progress::new(&[span("a", 0, 2), span("a", 3, 5), span("b", 1, 1)], true);
        let record = |topic, partition, offset| Record {
            topic,
            partition,
            offset,
            timestamp: None,
            key: None,
            value: None,
            headers: Headers::Given(&[]),
        };
        assert!(progress.wants(&record("a", 0, 1)));
        assert!(!progress.wants(&record("a", 0, 2)), "what came after the start is not wanted");
        assert!(progress.wants(&record("b", 1, 0)));
        assert!(progress.wants(&record("a", 3, 3)));
        assert!(!progress.is_done());
        progress.reached("a", 3, 4);
        assert!(!progress.is_done());
        progress.reached("a", 3, 5);
        progress.reached("a", 3, 5);
        assert!(progress.is_done());
    }
}
