//! The Kafka panel: what there is (topics, partitions, consumers), and the newest messages live, in a browser.
//!
//! It answers browsers on this machine only: a request whose Host is another name is refused, so that no strange page
//! can reach it by pointing its own name here (DNS rebinding).

use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use futures_util::stream;
use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::tail::{self, Options};
use super::topics::{self, Topic};
use super::{Format, From};
use crate::failure::{Failure, OrFail, Result};

const PAGE: &str = include_str!("../../templates/panel/index.html");
const SCRIPT: &str = include_str!("../../templates/panel/panel.js");
const STYLE: &str = include_str!("../../templates/panel/panel.css");
/// What a viewer is shown at first.
const NEWEST: usize = 50;
/// Lines that wait for a viewer; a slower one holds up its own reader and nobody else's.
const QUEUE: usize = 256;
/// Viewers at once: each has a reader of its own.
const VIEWERS: usize = 16;
/// How long one question to the broker may take.
const ANSWER: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Panel {
    connection: Connection,
    viewers: Arc<Semaphore>,
    shutdown: CancellationToken,
}

/// Serves the panel until `shutdown`. The broker may be away; the panel says so.
///
/// # Errors
/// A socket that breaks.
pub async fn serve(connection: Connection, listener: TcpListener, shutdown: CancellationToken) -> Result<()> {
    let panel = Panel { connection, viewers: Arc::new(Semaphore::new(VIEWERS)), shutdown: shutdown.clone() };
    let router = Router::new()
        .route("/", asset("text/html; charset=utf-8", PAGE))
        .route("/panel.js", asset("text/javascript; charset=utf-8", SCRIPT))
        .route("/panel.css", asset("text/css; charset=utf-8", STYLE))
        .route("/health/live", get(async || "ok"))
        .route("/api/overview", get(overview))
        .route("/api/topics/{topic}/messages", get(messages))
        .layer(axum::middleware::from_fn(guard))
        .with_state(panel);
    let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    tokio::select! {
        served = served => served.or_fail(|| "the panel can't be served".into()),
        // Streams of viewers end with the shutdown; whatever is left is not worth waiting for.
        () = async { shutdown.cancelled().await; tokio::time::sleep(Duration::from_secs(2)).await } => Ok(()),
    }
}

fn asset<S: Clone + Send + Sync + 'static>(kind: &'static str, text: &'static str) -> MethodRouter<S> {
    get(move || async move { ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text) })
}

/// Refuses strange names for this machine, and tells browsers what the page may do.
async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_this_machine(host) {
        return (StatusCode::FORBIDDEN, "The panel answers to localhost and to addresses only").into_response();
    }
    let mut response = next.run(request).await;
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                  frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, header::HeaderValue::from_static("no-referrer"));
    response
}

/// `localhost` or a bare address, with or without a port: names that nobody else can own.
fn is_this_machine(host: &str) -> bool {
    if host.parse::<std::net::SocketAddr>().is_ok() || host.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.ends_with(".localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

/// A consumer group and how far it is behind.
#[derive(Debug, Serialize)]
struct Group {
    name: String,
    state: String,
    members: usize,
    /// Messages between what it has committed and the newest; none where it has committed nothing.
    lag: Option<i64>,
}

async fn overview(State(panel): State<Panel>) -> Response {
    let connection = panel.connection.clone();
    let answer = tokio::task::spawn_blocking(move || {
        let topics = topics::list(&connection, false)?;
        let groups = groups(&connection, &topics)?;
        Ok::<_, Failure>(json!({ "brokers": connection.brokers(), "topics": topics, "groups": groups }))
    });
    match answer.await {
        Ok(Ok(overview)) => Json(overview).into_response(),
        Ok(Err(failure)) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": failure.to_string() }))).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn groups(connection: &Connection, topics: &[Topic]) -> Result<Vec<Group>> {
    let (consumer, context) = connection.asker()?;
    let list = consumer.fetch_group_list(None, ANSWER).map_err(|error| connection.unreachable(&error, &context))?;
    let mut groups = Vec::new();
    for group in list.groups() {
        groups.push(Group {
            name: group.name().to_owned(),
            state: group.state().to_owned(),
            members: group.members().len(),
            lag: lag(connection, group.name(), topics)?,
        });
    }
    groups.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(groups)
}

/// How far a group is behind, over all that it has committed.
fn lag(connection: &Connection, group: &str, topics: &[Topic]) -> Result<Option<i64>> {
    // Only a client of the group may ask what it has committed; it never joins.
    let (consumer, _) = connection.client(&[("group.id", group), ("enable.auto.commit", "false")])?;
    let mut question = TopicPartitionList::new();
    for topic in topics {
        for partition in &topic.partitions {
            question.add_partition(&topic.name, partition.id);
        }
    }
    let Ok(committed) = consumer.committed_offsets(question, ANSWER) else { return Ok(None) };
    let behind = topics.iter().flat_map(|topic| {
        let committed = &committed;
        topic.partitions.iter().filter_map(move |partition| {
            match committed.find_partition(&topic.name, partition.id)?.offset() {
                Offset::Offset(offset) => Some((partition.high - offset).max(0)),
                _ => None,
            }
        })
    });
    Ok(behind.fold(None, |sum, one| Some(sum.unwrap_or(0) + one)))
}

/// Writes lines to a viewer; its absence ends the reader.
struct Viewer {
    lines: mpsc::Sender<String>,
    part: Vec<u8>,
}

impl Write for Viewer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.extend_from_slice(bytes);
        while let Some(end) = self.part.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.part.drain(..=end).collect();
            let text = String::from_utf8_lossy(&line[..end]).into_owned();
            self.lines.blocking_send(text).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.lines.is_closed() { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

/// The newest messages of a topic, and then each new one, as server-sent events.
async fn messages(State(panel): State<Panel>, Path(topic): Path<String>) -> Response {
    let Ok(permit) = Arc::clone(&panel.viewers).try_acquire_owned() else {
        return (StatusCode::TOO_MANY_REQUESTS, "Too many viewers").into_response();
    };
    let (lines, mut received) = mpsc::channel(QUEUE);
    let stop = panel.shutdown.child_token();
    // Dropped with the stream, when the viewer goes away.
    let end = stop.clone().drop_guard();
    let connection = panel.connection.clone();
    tokio::task::spawn_blocking(move || {
        let options = Options {
            topics: vec![topic],
            partitions: Vec::new(),
            from: From::Last(NEWEST),
            to: None,
            count: None,
            exit_at_end: false,
            grep: None,
            key: None,
            format: Format::Json,
        };
        let mut viewer = Viewer { lines, part: Vec::new() };
        if let Err(failure) = tail::tail(&connection, &options, &mut viewer, &stop) {
            // A viewer that went away is not told.
            let _ = viewer.lines.blocking_send(json!({ "error": failure.to_string() }).to_string());
        }
        drop(permit);
    });
    let events = stream::poll_fn(move |context| {
        let _held = &end;
        received.poll_recv(context).map(|line| line.map(|line| Ok::<_, Infallible>(Event::default().data(line))))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_nobody_else_can_own_are_answered() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "app.localhost:1"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["", "evil.example", "evil.example:8080", "localhost.evil.example"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
