//! The WebSocket: a client proves who it is with its first message, resumes, and then follows.
//!
//! From the client: `{"type":"auth","token":…,"last_event_id":…}`, again with a fresh token before the old one
//! expires. From the server: `{"type":"ready"}` once it is accepted; `{"type":"reset"}` when what was missed can't be
//! told any more and lists must be loaded anew; and events, each possibly more than once with the same `id`, those of
//! one video in order. Close codes: 1001 the server stops; 1008 not this protocol; 4401 the token is missing, wrong
//! or expired; 4008 too slow. After 1001 and 4008 come back and resume.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::{SinkExt, StreamExt};
use metrics::{counter, gauge};
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Events;
use super::announcer::BURST;
use super::connection::{Socket, Writer, text_frame};
use super::consumer::{self, Replay};
use super::hub::{Entry, Hub, Resume, SLACK};

/// How long a client may take to prove who it is.
const AUTH_WAIT: Duration = Duration::from_secs(10);
/// Between two pings; a client that says nothing for two of them is gone.
const PING: Duration = Duration::from_secs(25);
/// How long one write may take, and how long a slow client has to take the news that it is.
const WRITE_WAIT: Duration = Duration::from_secs(10);
/// How long a client may take to end its connection.
const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// The most events that are read from Kafka for one client that comes back.
pub(super) const REPLAY_EVENTS: usize = 10_000;
/// How long reading them may take.
pub(super) const REPLAY_WAIT: Duration = Duration::from_secs(15);

pub(crate) const TOKEN_REFUSED: u16 = 4401;
pub(super) const TOO_SLOW: u16 = 4008;
const GOING_AWAY: u16 = 1001;
pub(crate) const POLICY: u16 = 1008;

/// Who a token speaks for, and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) user: Uuid,
    pub(crate) expires_at: OffsetDateTime,
}

/// The only message that clients send.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum FromClient {
    Auth { token: String, last_event_id: Option<Uuid> },
}

/// Why the server ends a socket.
enum End {
    /// The client went away, or its connection broke.
    Gone,
    /// With this close code and reason.
    Close(u16, &'static str),
}

/// Serves one client until it goes away, its token expires, it is too slow, or `shutdown`.
pub(super) async fn serve(
    mut socket: Socket,
    events: &Events,
    verify: &(dyn Fn(&str) -> Option<Session> + Send + Sync),
    shutdown: &CancellationToken,
) {
    gauge!("sockets_open").increment(1);
    let end = tokio::select! {
        end = follow(&mut socket, events, verify) => end,
        () = shutdown.cancelled() => End::Close(GOING_AWAY, "the server stops; come back and resume"),
    };
    if let End::Close(code, reason) = end {
        if code == TOO_SLOW {
            counter!("sockets_too_slow_total").increment(1);
        }
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        let closing = async {
            // What is on its way comes first: after a close frame a client listens no more.
            socket.flush().await?;
            socket.send(Message::Close(Some(frame))).await
        };
        // A client that does not take this has gone, and finds out by itself.
        let _ = timeout(WRITE_WAIT, closing).await;
    }
    // Until the client's own close frame, since closing earlier could drop ours; or until it has our answer to its.
    let _ = timeout(CLOSE_WAIT, async { while let Some(Ok(_)) = socket.next().await {} }).await;
    gauge!("sockets_open").decrement(1);
}

async fn follow(socket: &mut Socket, events: &Events, verify: &(dyn Fn(&str) -> Option<Session> + Send + Sync)) -> End {
    let (mut session, last) = match timeout(AUTH_WAIT, authenticate(socket, verify)).await {
        Ok(Ok(accepted)) => accepted,
        Ok(Err(end)) => return end,
        Err(_) => return End::Close(TOKEN_REFUSED, "no token came"),
    };
    let hub = &events.hub;
    // Before the ring is as new as the topic, nothing tells what is news from what was there before.
    if let Err(end) = while_open(socket, until(session.expires_at), hub.wait_until_caught_up()).await {
        return end;
    }
    let place = match begin(socket, events, last).await {
        Ok(place) => place,
        Err(end) => return end,
    };
    let writer = Arc::clone(socket.get_ref().writer());
    let _following = events.clients.add(&writer, place);
    let mut heard = Instant::now();
    let mut ping = tokio::time::interval_at(Instant::now() + PING, PING);
    // Made once: a timer for each turn of the loop would cost more than the rest of it.
    let mut expiry = std::pin::pin!(sleep_until(until(session.expires_at)));
    loop {
        tokio::select! {
            biased;
            message = socket.next() => {
                heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => match parse(&text).and_then(|(token, _)| verify(&token)) {
                        Some(fresh) if fresh.user == session.user => {
                            session = fresh;
                            expiry.as_mut().reset(until(session.expires_at));
                        }
                        _ => return End::Close(TOKEN_REFUSED, "the token is not valid"),
                    },
                    Some(Ok(Message::Binary(_))) => return End::Close(POLICY, "text messages only"),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Gone,
                }
            }
            () = &mut expiry => return End::Close(TOKEN_REFUSED, "the token has expired"),
            _ = ping.tick() => {
                if heard.elapsed() > PING * 2 {
                    return End::Gone;
                }
                if in_time(hub, &writer, socket.send(Message::Ping(Bytes::new()))).await.is_err() {
                    return End::Gone;
                }
            }
            () = writer.left() => {
                if let Err(end) = catch_up(socket, hub, &writer).await {
                    return end;
                }
            }
        }
    }
}

/// Writes all that has come, and what the announcer has left; then it is the announcer's turn again.
async fn catch_up(socket: &mut Socket, hub: &Hub, writer: &Writer) -> Result<(), End> {
    let delivered = counter!("events_delivered_total");
    loop {
        let place = writer.place();
        let chunk = hub.chunk(place, BURST).map_err(|_| too_slow())?;
        let (frames, events) = chunk.since(place).unwrap_or_default();
        write(socket, hub, frames).await?;
        delivered.increment(events);
        writer.moved(chunk.after());
        if writer.follow(|| hub.place()) {
            return Ok(());
        }
    }
}

/// Waits for something while the client may go away.
async fn while_open(socket: &mut Socket, expiry: Instant, awaited: impl Future<Output = ()>) -> Result<(), End> {
    let mut awaited = std::pin::pin!(awaited);
    let mut ping = tokio::time::interval_at(Instant::now() + PING, PING);
    loop {
        tokio::select! {
            biased;
            () = &mut awaited => return Ok(()),
            message = socket.next() => match message {
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Text(_) | Message::Binary(_))) => return Err(End::Close(POLICY, "wait for ready")),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
            },
            () = sleep_until(expiry) => return Err(End::Close(TOKEN_REFUSED, "the token has expired")),
            _ = ping.tick() => {
                let sent = timeout(WRITE_WAIT, socket.send(Message::Ping(Bytes::new()))).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return Err(End::Gone);
                }
            }
        }
    }
}

fn too_slow() -> End {
    End::Close(TOO_SLOW, "too slow; come back and resume")
}

/// A token's end on the runtime's clock.
fn until(expires_at: OffsetDateTime) -> Instant {
    let left = expires_at - OffsetDateTime::now_utc();
    Instant::now() + Duration::try_from(left).unwrap_or_default()
}

/// The token and the id of the event that was seen last; None for what is no `auth` message.
pub(crate) fn parse(text: &str) -> Option<(String, Option<Uuid>)> {
    let FromClient::Auth { token, last_event_id } = serde_json::from_str(text).ok()?;
    Some((token, last_event_id))
}

/// Awaits the first message and looks at its token.
async fn authenticate(
    socket: &mut Socket,
    verify: &(dyn Fn(&str) -> Option<Session> + Send + Sync),
) -> Result<(Session, Option<Uuid>), End> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let Some((token, last)) = parse(&text) else {
                    return Err(End::Close(POLICY, "the first message must be of the type auth"));
                };
                let refused = End::Close(TOKEN_REFUSED, "the token is not valid");
                return verify(&token).map(|session| (session, last)).ok_or(refused);
            }
            Some(Ok(Message::Binary(_))) => return Err(End::Close(POLICY, "text messages only")),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
        }
    }
}

/// Says `ready`, tells what was missed, and gives the place from which to follow.
async fn begin(socket: &mut Socket, events: &Events, last: Option<Uuid>) -> Result<u64, End> {
    let hub = &events.hub;
    let ready = text_frame(r#"{"type":"ready"}"#);
    let Some(last) = last else {
        // From before `ready` is written: who adds a video after seeing it is told of that video.
        let place = hub.place();
        socket.get_ref().writer().moved(place);
        write(socket, hub, ready).await?;
        return Ok(place);
    };
    let mut resume = hub.resume(last);
    if matches!(resume, Resume::Older { .. }) && is_recent(last) {
        // Another replica may have shown it a moment before this one read it.
        let mut newest = hub.subscribe();
        let appears = async {
            while newest.changed().await.is_ok() {
                resume = hub.resume(last);
                if matches!(resume, Resume::From { .. }) {
                    break;
                }
            }
        };
        let _ = timeout(Duration::from_secs(1), appears).await;
    }
    let (missed, place) = match resume {
        Resume::From { missed, place } => (Some(missed), place),
        Resume::Older { until, place } => (replay(events, last, until).await, place),
    };
    socket.get_ref().writer().moved(place);
    write(socket, hub, ready).await?;
    match missed {
        None => write(socket, hub, text_frame(r#"{"type":"reset"}"#)).await?,
        Some(missed) => {
            counter!("events_resumed_total").increment(missed.len() as u64);
            for burst in missed.chunks(BURST) {
                let frames: Vec<_> = burst.iter().map(|entry| &*entry.frame).collect();
                write(socket, hub, frames.concat().into()).await?;
            }
        }
    }
    Ok(place)
}

/// The event's own time, in milliseconds since 1970; None for an id that holds no time.
pub(super) fn milliseconds(id: Uuid) -> Option<i64> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    i64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(i64::from(nanoseconds / 1_000_000))
}

fn is_recent(id: Uuid) -> bool {
    let now = i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX);
    milliseconds(id).is_some_and(|then| (now - then).abs() < 60_000)
}

/// Reads from Kafka what the ring does not hold any more; None if it can't be told.
async fn replay(events: &Events, last: Uuid, until: HashMap<i32, i64>) -> Option<Vec<Arc<Entry>>> {
    // The broker's timestamp of an event is never before the event's own time.
    let since = milliseconds(last)? - i64::try_from(SLACK.as_millis()).unwrap_or(0);
    // Each holds up to REPLAY_EVENTS frames in memory.
    let _permit = events.replays.acquire().await.ok()?;
    let kafka = Arc::clone(&events.kafka);
    let read = move || consumer::replay(&kafka, last, since, &until, REPLAY_EVENTS, REPLAY_WAIT);
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(Replay::Missed(missed))) => Some(missed),
        Ok(Err(error)) => {
            tracing::warn!(%error, "can't read what a client missed");
            None
        }
        Ok(Ok(Replay::Gone)) | Err(_) => None,
    }
}

/// Writes whole frames, after what was on its way before.
async fn write(socket: &mut Socket, hub: &Hub, frames: Bytes) -> Result<(), End> {
    let writer = Arc::clone(socket.get_ref().writer());
    let written = async {
        socket.flush().await?;
        writer.put(frames);
        socket.flush().await
    };
    in_time(hub, &writer, written).await
}

/// Awaits a write. A client that does not take it in time, or that the ring has meanwhile left behind, is too slow.
async fn in_time<E>(hub: &Hub, writer: &Writer, written: impl Future<Output = Result<(), E>>) -> Result<(), End> {
    let mut written = std::pin::pin!(written);
    // Nearly always the connection takes it at once, and no timer is needed.
    if let Poll::Ready(written) = futures_util::poll!(&mut written) {
        return written.map_err(|_| End::Gone);
    }
    let deadline = Instant::now() + WRITE_WAIT;
    loop {
        match timeout(Duration::from_secs(1), &mut written).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(_)) => return Err(End::Gone),
            Err(_) if hub.is_too_slow(writer.place()) || Instant::now() > deadline => return Err(too_slow()),
            Err(_) => {}
        }
    }
}
