//! One ring of recent events, from which every socket is served at its own pace.
//!
//! There is no queue per client. A client is a place in the ring: it gets all that came since its place, and a client
//! that falls too far behind is sent away to come back and resume. So a slow client costs the others nothing, a burst
//! is written in one go, and memory is bounded whatever the clients do.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::watch;
use uuid::Uuid;

/// The most events that the ring holds.
pub(super) const RING_EVENTS: usize = 16_384;
/// The most bytes of frames that the ring holds.
const RING_BYTES: usize = 16 << 20;
/// A client that is further behind is too slow.
const LONGEST_LAG: u64 = 4_096;
/// Partitions are read side by side, so another replica may have shown events of other partitions in another order:
/// those of this long before the last one seen are sent again. Readers know duplicates by id.
pub(super) const SLACK: Duration = Duration::from_secs(5);

/// One event as it came from Kafka.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: Uuid,
    pub(super) partition: i32,
    /// The broker's timestamp in milliseconds since 1970.
    pub(super) timestamp: i64,
    /// It was there before this process: told to clients that resume, no news to others.
    pub(super) past: bool,
    /// As it is sent: a whole frame of the WebSocket protocol.
    pub(super) frame: Bytes,
}

/// Some events one after the other, as they are sent.
pub(super) struct Chunk {
    /// The place of the first one.
    from: u64,
    /// Where each one ends in `bytes`; one that is no news takes no room.
    ends: Vec<usize>,
    bytes: Bytes,
}

impl Chunk {
    /// No events, at this place.
    pub(super) fn empty(from: u64) -> Self {
        Self { from, ends: Vec::new(), bytes: Bytes::new() }
    }

    fn new<'a>(from: u64, entries: impl Iterator<Item = &'a Arc<Entry>> + Clone) -> Self {
        let news = entries.clone().filter(|entry| !entry.past);
        let mut bytes = Vec::with_capacity(news.map(|entry| entry.frame.len()).sum());
        let ends = entries.map(|entry| {
            if !entry.past {
                bytes.extend_from_slice(&entry.frame);
            }
            bytes.len()
        });
        Self { from, ends: ends.collect(), bytes: bytes.into() }
    }

    /// The place after the last one.
    pub(super) fn after(&self) -> u64 {
        self.from + self.ends.len() as u64
    }

    /// What a client at this place is sent, and how many events that is; None for one whose place is before this.
    pub(super) fn since(&self, place: u64) -> Option<(Bytes, u64)> {
        let skipped = usize::try_from(place.checked_sub(self.from)?).ok()?.min(self.ends.len());
        let start = skipped.checked_sub(1).map_or(0, |last| self.ends[last]);
        let mut before = start;
        let news = self.ends[skipped..].iter().filter(|end| std::mem::replace(&mut before, **end) < **end);
        Some((self.bytes.slice(start..), news.count() as u64))
    }
}

#[derive(Default)]
struct Ring {
    entries: VecDeque<Arc<Entry>>,
    places: HashMap<Uuid, u64>,
    bytes: usize,
    /// The place that the next event gets; places only grow.
    next: u64,
    /// The offset after the newest one read, by partition.
    offsets: HashMap<i32, i64>,
    /// By partition: every event that the broker stamped after this is here (milliseconds since 1970).
    complete_after: HashMap<i32, i64>,
}

impl Ring {
    /// The place of the oldest entry.
    fn oldest(&self) -> u64 {
        self.next - self.entries.len() as u64
    }

    fn index(&self, place: u64) -> usize {
        // The ring is far smaller than usize.
        usize::try_from(place - self.oldest()).unwrap_or(usize::MAX)
    }

    fn push(&mut self, entry: Entry) {
        while self.entries.len() >= RING_EVENTS || self.bytes > RING_BYTES {
            let Some(gone) = self.entries.pop_front() else { break };
            self.bytes -= gone.frame.len();
            self.places.remove(&gone.id);
            let complete_after = self.complete_after.entry(gone.partition).or_insert(gone.timestamp);
            *complete_after = gone.timestamp.max(*complete_after);
        }
        self.bytes += entry.frame.len();
        self.places.insert(entry.id, self.next);
        self.entries.push_back(Arc::new(entry));
        self.next += 1;
    }
}

/// What the consumer writes and the sockets are served from.
pub(super) struct Hub {
    ring: RwLock<Ring>,
    /// The place after the newest event.
    newest: watch::Sender<u64>,
    caught_up: watch::Sender<bool>,
}

/// What a client that comes back is owed.
pub(super) enum Resume {
    /// These, and then whatever comes from this place on.
    From { missed: Vec<Arc<Entry>>, place: u64 },
    /// The ring does not hold the event it saw last, or not all that came around it: read Kafka up to these offsets,
    /// then go on from this place.
    Older { until: HashMap<i32, i64>, place: u64 },
}

/// The client is too far behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooSlow;

impl Hub {
    pub(super) fn new() -> Self {
        Self { ring: RwLock::default(), newest: watch::Sender::new(0), caught_up: watch::Sender::new(false) }
    }

    // A panic while the lock was held would leave a whole ring behind: every change of it is complete before any
    // code that could panic runs.
    fn read(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Ring> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says where reading of a partition begins: at this offset, with everything that the broker stamped after
    /// `complete_after`. None: with the first event that comes.
    pub(super) fn begins(&self, partition: i32, offset: i64, complete_after: Option<i64>) {
        let mut ring = self.write();
        ring.offsets.entry(partition).or_insert(offset);
        if let Some(complete_after) = complete_after {
            ring.complete_after.entry(partition).or_insert(complete_after);
        }
    }

    /// Takes an event from Kafka; false if it is one that came twice.
    pub(super) fn push(&self, entry: Entry, offset: i64) -> bool {
        let newest = {
            let mut ring = self.write();
            ring.offsets.insert(entry.partition, offset + 1);
            ring.complete_after.entry(entry.partition).or_insert(entry.timestamp);
            if ring.places.contains_key(&entry.id) {
                return false;
            }
            ring.push(entry);
            ring.next
        };
        self.newest.send_replace(newest);
        true
    }

    /// From here on the ring is as new as the topic.
    pub(super) fn caught_up(&self) {
        self.caught_up.send_if_modified(|caught_up| !std::mem::replace(caught_up, true));
    }

    /// Whether the ring has been as new as the topic.
    pub(super) fn is_caught_up(&self) -> bool {
        *self.caught_up.borrow()
    }

    /// Waits until the ring has been as new as the topic.
    pub(super) async fn wait_until_caught_up(&self) {
        // The sender lives as long as `self`.
        let _ = self.caught_up.subscribe().wait_for(|caught_up| *caught_up).await;
    }

    /// Wakes whoever awaits the returned receiver when events have come.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The place of the next event.
    pub(super) fn place(&self) -> u64 {
        self.read().next
    }

    /// How far a place is behind.
    pub(super) fn is_too_slow(&self, place: u64) -> bool {
        self.place() > place + LONGEST_LAG
    }

    /// The next events from a place on, at most so many.
    pub(super) fn chunk(&self, place: u64, most: usize) -> Result<Chunk, TooSlow> {
        let ring = self.read();
        if place < ring.oldest() || ring.next > place + LONGEST_LAG {
            return Err(TooSlow);
        }
        let after = ring.next.min(place + most as u64);
        Ok(Chunk::new(place, ring.entries.range(ring.index(place)..ring.index(after))))
    }

    /// What a client that saw `last` is owed.
    pub(super) fn resume(&self, last: Uuid) -> Resume {
        let ring = self.read();
        let older = || Resume::Older { until: ring.offsets.clone(), place: ring.next };
        let Some(&seen) = ring.places.get(&last) else { return older() };
        let seen_index = ring.index(seen);
        let seen_entry = &ring.entries[seen_index];
        let since = seen_entry.timestamp - i64::try_from(SLACK.as_millis()).unwrap_or(i64::MAX);
        let is_complete = |partition| ring.complete_after.get(partition).is_some_and(|after| since > *after);
        if !ring.offsets.keys().all(is_complete) {
            return older();
        }
        let others = ring
            .entries
            .range(..seen_index)
            .filter(|entry| entry.partition != seen_entry.partition && entry.timestamp >= since);
        let missed = others.chain(ring.entries.range(seen_index + 1..)).cloned().collect();
        Resume::From { missed, place: ring.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u128, partition: i32, timestamp: i64) -> Entry {
        let frame = format!("{number};").into();
        Entry { id: Uuid::from_u128(number), partition, timestamp, past: false, frame }
    }

    fn missed(resume: Resume) -> Vec<String> {
        match resume {
            Resume::From { missed, .. } => {
                missed.iter().map(|entry| String::from_utf8(entry.frame.to_vec()).unwrap()).collect()
            }
            Resume::Older { .. } => panic!("the ring holds it"),
        }
    }

    /// What a chunk has for a client at this place, and how many events that is.
    fn since(chunk: &Chunk, place: u64) -> (String, u64) {
        let (bytes, events) = chunk.since(place).unwrap();
        (String::from_utf8(bytes.to_vec()).unwrap(), events)
    }

    #[test]
    fn a_client_reads_from_its_place_on() {
        let hub = Hub::new();
        let place = hub.place();
        hub.push(entry(1, 0, 0), 0);
        hub.push(entry(2, 0, 0), 1);
        hub.push(entry(3, 0, 0), 2);
        let chunk = hub.chunk(place, 2).unwrap();
        assert_eq!(since(&chunk, place), ("1;2;".into(), 2));
        assert_eq!(since(&hub.chunk(chunk.after(), 2).unwrap(), chunk.after()), ("3;".into(), 1));
    }

    #[test]
    fn one_chunk_serves_clients_at_different_places() {
        let hub = Hub::new();
        for number in 0..12 {
            hub.push(Entry { past: number % 5 == 0, ..entry(number, 0, 0) }, 0);
        }
        let chunk = hub.chunk(4, 7).unwrap();
        assert_eq!(chunk.after(), 11);
        assert_eq!(since(&chunk, 4), ("4;6;7;8;9;".into(), 5));
        assert_eq!(since(&chunk, 5), ("6;7;8;9;".into(), 4));
        assert_eq!(since(&chunk, 9), ("9;".into(), 1));
        assert_eq!(since(&chunk, 10), (String::new(), 0), "what is no news takes no room");
        assert_eq!(since(&chunk, 11), (String::new(), 0));
        assert!(chunk.since(3).is_none(), "it begins too late for this one");
        let nothing = Chunk::empty(7);
        assert_eq!((nothing.after(), since(&nothing, 9)), (7, (String::new(), 0)));
    }

    #[test]
    fn an_event_that_comes_twice_is_shown_once() {
        let hub = Hub::new();
        assert!(hub.push(entry(1, 0, 0), 0));
        assert!(!hub.push(entry(1, 0, 0), 1));
        assert_eq!(since(&hub.chunk(0, 9).unwrap(), 0), ("1;".into(), 1));
    }

    #[test]
    fn a_client_that_comes_back_gets_what_other_replicas_may_not_have_shown() {
        let hub = Hub::new();
        hub.begins(0, 0, Some(i64::MIN));
        hub.begins(1, 0, Some(i64::MIN));
        hub.push(entry(1, 1, 1_000), 0); // another partition, long before: it was seen
        hub.push(entry(2, 0, 99_000), 0); // the same partition, before: it was seen
        hub.push(entry(3, 1, 99_500), 1); // another partition, just before: it may have been missed
        hub.push(entry(4, 0, 100_000), 1); // the last one seen
        hub.push(entry(5, 1, 100_001), 2);
        assert_eq!(missed(hub.resume(Uuid::from_u128(4))), ["3;", "5;"]);
        assert!(matches!(hub.resume(Uuid::from_u128(77)), Resume::Older { place: 5, .. }));
    }

    #[test]
    fn a_ring_that_begins_too_late_sends_the_client_to_kafka() {
        let hub = Hub::new();
        hub.begins(0, 7, Some(50_000));
        hub.begins(1, 8, Some(50_000));
        hub.push(entry(1, 0, 54_000), 7); // what another partition had 5 s before is not all here
        hub.push(entry(2, 0, 60_000), 8);
        let Resume::Older { until, place } = hub.resume(Uuid::from_u128(1)) else { panic!("not complete") };
        assert_eq!((until, place), (HashMap::from([(0, 9), (1, 8)]), 2));
        assert!(missed(hub.resume(Uuid::from_u128(2))).is_empty());
    }

    #[test]
    fn what_was_there_before_is_no_news() {
        let hub = Hub::new();
        hub.push(Entry { past: true, ..entry(1, 0, 0) }, 0);
        hub.push(entry(2, 0, 0), 1);
        assert_eq!(since(&hub.chunk(0, 9).unwrap(), 0), ("2;".into(), 1));
        assert_eq!(since(&hub.chunk(0, 1).unwrap(), 0), (String::new(), 0));
    }

    #[test]
    fn a_slow_client_is_told_and_memory_is_bounded() {
        let hub = Hub::new();
        for number in 0..=u128::from(LONGEST_LAG) {
            hub.push(entry(number, 0, 0), 0);
        }
        assert!(matches!(hub.chunk(0, 1), Err(TooSlow)));
        assert!(hub.is_too_slow(0) && !hub.is_too_slow(1));
        for number in 0..RING_EVENTS as u128 * 2 {
            hub.push(entry(1_000_000 + number, 0, 0), 0);
        }
        let ring = hub.read();
        assert_eq!((ring.entries.len(), ring.places.len()), (RING_EVENTS, RING_EVENTS));
    }
}
