//! Posts events to connections, so that none is lost and no slow client holds up the others.
//!
//! A batch succeeds when every connection has every event, is gone, or was closed: whose connection is closed comes
//! back and resumes from the event that it saw last. Otherwise the batch fails as a whole, and Kafka's event source
//! brings it again; a function that is still warm then knows which connection has which event, and readers know
//! duplicates by their id.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use time::OffsetDateTime;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::kafka::Record;
use super::sockets::{Address, Posted, Socket, Sockets};
use super::websocket::end;
use crate::modules::events::socket::TOKEN_REFUSED;

/// Connections that are written to at once.
const AT_ONCE: usize = 64;
/// How long one try may take.
const ATTEMPT: Duration = Duration::from_secs(3);
/// The pauses between the tries of one message.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];
/// Events that are remembered as delivered.
const REMEMBERED: usize = 4_096;

/// What this process knows of earlier batches.
#[derive(Default)]
pub(super) struct Memory(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Delivered to everybody, the oldest first.
    done: VecDeque<Uuid>,
    /// Delivered to these connections, in a batch that failed.
    partly: HashMap<Uuid, HashSet<String>>,
}

impl Memory {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change is complete before anything could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events of a batch that are owed to anybody, each once.
    fn owed(&self, records: Vec<Record>) -> Vec<Record> {
        let known = self.known();
        let mut seen: HashSet<Uuid> = known.done.iter().copied().collect();
        records.into_iter().filter(|record| seen.insert(record.id)).collect()
    }

    fn has(&self, event: Uuid, connection: &str) -> bool {
        self.known().partly.get(&event).is_some_and(|connections| connections.contains(connection))
    }

    fn delivered(&self, event: Uuid, connection: &str) {
        self.known().partly.entry(event).or_default().insert(connection.to_owned());
    }

    fn complete(&self, records: &[Record]) {
        let mut known = self.known();
        for record in records {
            known.partly.remove(&record.id);
            known.done.push_back(record.id);
        }
        let surplus = known.done.len().saturating_sub(REMEMBERED);
        known.done.drain(..surplus);
        // What another process has completed since.
        if known.partly.len() > REMEMBERED {
            known.partly.clear();
        }
    }
}

/// What became of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Delivered {
    /// Messages that API Gateway has taken.
    pub(super) posted: usize,
    /// Connections that were not there any more, and are forgotten.
    pub(super) gone: usize,
    /// Connections that were closed, since they could not be written to or their token had expired.
    pub(super) closed: usize,
}

/// Posts events to every connection with a good token.
///
/// # Errors
/// Connections that could neither be written to nor closed, with the first reason: the batch must come again.
pub(super) async fn deliver(sockets: &dyn Sockets, memory: &Memory, records: Vec<Record>) -> Result<Delivered, String> {
    let records = memory.owed(records);
    if records.is_empty() {
        return Ok(Delivered::default());
    }
    let all = sockets.list().await.map_err(|why| format!("can't list the connections: {why}"))?;
    let followers: Vec<Socket> = all.into_iter().filter(|socket| socket.session.is_some()).collect();
    let count = followers.len();
    let mut work =
        stream::iter(&followers).map(|follower| one(sockets, memory, follower, &records)).buffer_unordered(AT_ONCE);
    let mut delivered = Delivered::default();
    let mut failed: Vec<String> = Vec::new();
    while let Some(result) = work.next().await {
        match result {
            Ok(Outcome::Posted(posted)) => delivered.posted += posted,
            Ok(Outcome::Gone) => delivered.gone += 1,
            Ok(Outcome::Closed) => delivered.closed += 1,
            Err(why) => failed.push(why),
        }
    }
    if let Some(why) = failed.first() {
        return Err(format!("{} of {count} connections could not be reached or closed: {why}", failed.len()));
    }
    memory.complete(&records);
    Ok(delivered)
}

enum Outcome {
    Posted(usize),
    Gone,
    Closed,
}

/// Brings one connection all that is owed to it, in its order.
async fn one(sockets: &dyn Sockets, memory: &Memory, follower: &Socket, records: &[Record]) -> Result<Outcome, String> {
    let address = &follower.address;
    if follower.session.is_some_and(|(_, expires_at)| expires_at <= OffsetDateTime::now_utc()) {
        end(sockets, address, TOKEN_REFUSED, "the token has expired").await?;
        return Ok(Outcome::Closed);
    }
    let mut count = 0;
    for record in records {
        if memory.has(record.id, &address.id) {
            continue;
        }
        match post(sockets, address, &record.text).await {
            Ok(Posted::Taken) => {
                memory.delivered(record.id, &address.id);
                count += 1;
            }
            Ok(Posted::Gone) => {
                forget(sockets, address).await;
                return Ok(Outcome::Gone);
            }
            Err(why) => {
                tracing::warn!(connection = address.id, why, "closing a connection that can't be written to");
                let closed = timeout(ATTEMPT, sockets.close(address)).await;
                closed
                    .unwrap_or_else(|_| Err("closing it took too long".to_owned()))
                    .map_err(|second| if why == second { why.clone() } else { format!("{why}; {second}") })?;
                forget(sockets, address).await;
                return Ok(Outcome::Closed);
            }
        }
    }
    Ok(Outcome::Posted(count))
}

/// A row that stays is found gone the next time, and expires.
async fn forget(sockets: &dyn Sockets, address: &Address) {
    if let Err(why) = sockets.forget(address).await {
        tracing::warn!(connection = address.id, why, "can't forget a connection");
    }
}

/// Sends one message, in several tries.
pub(super) async fn post(sockets: &dyn Sockets, address: &Address, text: &str) -> Result<Posted, String> {
    let mut pauses = PAUSES.iter();
    loop {
        let posted = timeout(ATTEMPT, sockets.post(address, text)).await;
        match posted.unwrap_or_else(|_| Err(format!("no answer in {} s", ATTEMPT.as_secs()))) {
            Ok(posted) => return Ok(posted),
            Err(why) => match pauses.next() {
                Some(pause) => sleep(*pause).await,
                None => return Err(why),
            },
        }
    }
}
