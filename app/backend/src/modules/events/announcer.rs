//! The announcer: writes what has come to every client that follows, round by round.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::counter;

use super::connection::Writer;
use super::hub::{Chunk, Hub, TooSlow};

/// The most events of one write.
pub(super) const BURST: usize = 256;
/// Clients that are written to before others may have the thread: a request must not wait for all of them.
const TURN: usize = 64;
/// After so much work there is a pause of the shortest time that timers know. With a thousand clients, whose round is
/// about 5 ms of work, that leaves nearly half a processor's time to others.
const WORK: Duration = Duration::from_millis(2);
const PAUSE: Duration = Duration::from_millis(1);

/// The clients that follow.
#[derive(Default)]
pub(super) struct Clients(Mutex<All>);

#[derive(Default)]
struct All {
    // By number, so that a round leaves nobody out when others come and go during it.
    writers: BTreeMap<u64, Arc<Writer>>,
    next: u64,
}

/// A client that follows, until this is dropped.
pub(super) struct Following<'a> {
    clients: &'a Clients,
    number: u64,
    writer: Arc<Writer>,
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        // First of all: the announcer may hold this writer at this moment.
        self.writer.leave();
        self.clients.all().writers.remove(&self.number);
    }
}

impl Clients {
    // Every change is complete before any code that could panic runs.
    fn all(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a client, which follows from this place on.
    pub(super) fn add(&self, writer: &Arc<Writer>, place: u64) -> Following<'_> {
        writer.begin(place);
        let mut all = self.all();
        let number = all.next;
        all.next += 1;
        all.writers.insert(number, Arc::clone(writer));
        Following { clients: self, number, writer: Arc::clone(writer) }
    }

    /// The next clients after the one with this number, and the number of the last of them.
    fn after(&self, number: Option<u64>, into: &mut Vec<Arc<Writer>>) -> Option<u64> {
        let all = self.all();
        let from = number.map_or(Bound::Unbounded, Bound::Excluded);
        let turn = all.writers.range((from, Bound::Unbounded)).take(TURN);
        let mut last = None;
        into.extend(turn.map(|(number, writer)| {
            last = Some(*number);
            Arc::clone(writer)
        }));
        last
    }
}

/// Writes events to the clients for as long as the process lives.
///
/// It goes round: each turn of clients gets all that has come until then, so that an event waits for half a round in
/// the middle, and with many clients or events each write has more. Between turns it pauses, for those who read and
/// for everything else.
pub(super) async fn run(hub: &Hub, clients: &Clients) {
    let mut newest = hub.subscribe();
    // What comes after this place some clients have, and others have not.
    let mut from = hub.place();
    while newest.changed().await.is_ok() {
        let mut pace = Pace::default();
        while from < hub.place() {
            from = round(hub, clients, from, &mut pace).await;
        }
    }
}

/// One round; every client that follows has what came before the place that is returned.
async fn round(hub: &Hub, clients: &Clients, from: u64, pace: &mut Pace) -> u64 {
    // Whoever is so far behind is left to its own task, which finds that out too.
    let read = || hub.chunk(from, BURST).unwrap_or_else(|TooSlow| Chunk::empty(hub.place()));
    let delivered = counter!("events_delivered_total");
    let mut chunk = read();
    let all_have = chunk.after();
    let mut turn = Vec::with_capacity(TURN);
    let mut last = None;
    loop {
        last = clients.after(last, &mut turn);
        if last.is_none() {
            return all_have;
        }
        if chunk.after() < hub.place().min(from + BURST as u64) {
            chunk = read();
        }
        let begun = Instant::now();
        let events = turn.drain(..).map(|writer| writer.announce(&chunk)).sum();
        if events > 0 {
            delivered.increment(events);
            pace.worked(begun.elapsed()).await;
        }
    }
}

/// How long the announcer has been at work since its last pause.
#[derive(Default)]
struct Pace(Duration);

impl Pace {
    /// Lets others have the thread for a moment, or for longer after much work.
    async fn worked(&mut self, time: Duration) {
        self.0 += time;
        if self.0 < WORK {
            tokio::task::yield_now().await;
        } else {
            self.0 = Duration::ZERO;
            tokio::time::sleep(PAUSE).await;
        }
    }
}
