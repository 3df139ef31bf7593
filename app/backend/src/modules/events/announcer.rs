//! The announcer: writes what has come to every client that follows, in rounds.

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
/// Below this the timer costs more than it saves.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The clients that follow.
#[derive(Default)]
pub(super) struct Clients(Mutex<All>);

#[derive(Default)]
struct All {
    // By number, so that a round passes over nobody when others come and go during it.
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
/// The first event is written at once, and those that come during a round together in the next. With few clients a
/// round is over before the next event; with many, each has more at a time. After a round there is a pause as long as
/// it took, for those who read and for everything else.
pub(super) async fn run(hub: &Hub, clients: &Clients) {
    let mut newest = hub.subscribe();
    let mut place = hub.place();
    while newest.changed().await.is_ok() {
        let begun = Instant::now();
        loop {
            // Whoever is so far behind is left to its own task, which finds that out too.
            let chunk = hub.chunk(place, BURST).unwrap_or_else(|TooSlow| Chunk::empty(hub.place()));
            if chunk.after() == place {
                break;
            }
            place = chunk.after();
            announce(&chunk, clients).await;
        }
        let took = begun.elapsed();
        if took >= SHORTEST_PAUSE {
            tokio::time::sleep(took.min(LONGEST_PAUSE)).await;
        }
    }
}

async fn announce(chunk: &Chunk, clients: &Clients) {
    let delivered = counter!("events_delivered_total");
    let mut turn = Vec::with_capacity(TURN);
    let mut last = None;
    loop {
        last = clients.after(last, &mut turn);
        if last.is_none() {
            return;
        }
        delivered.increment(turn.drain(..).map(|writer| writer.announce(chunk)).sum());
        tokio::task::yield_now().await;
    }
}
