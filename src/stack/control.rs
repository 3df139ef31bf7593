//! The supervisor's control socket: a JSON object per line, one request a connection, then replies until the last.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::layout::Layout;
use crate::failure::{Failure, OrFail, Result};
use crate::report::{Event, Report};
use crate::settings::Service;

/// What can be asked of the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Start what does not run; ends when all of it is healthy.
    Up { ports: BTreeMap<Service, u16> },
    /// Stop and start; ends when all of it is healthy.
    Restart { services: Vec<Service> },
    /// Stop everything and end.
    Down,
}

/// What the supervisor answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    Event(Event),
    /// The last reply; whether anything had to be done.
    Done {
        changed: bool,
    },
    /// The last reply.
    Failed(Failure),
}

/// Asks the running supervisor, passing on its progress.
///
/// # Errors
/// What it answers, or [`Kind::Unreachable`](crate::failure::Kind::Unreachable) where it did not hear the whole question.
pub async fn ask(layout: &Layout, request: &Request, report: &dyn Report) -> Result<bool> {
    let what = "can't reach the stack's supervisor";
    let unheard = |error: std::io::Error| Failure::unreachable(what).because(&error);
    let mut stream = UnixStream::connect(layout.socket()).await.map_err(unheard)?;
    send(&mut stream, request).await.map_err(unheard)?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await.or_fail(|| what.into())? {
        match serde_json::from_str(&line).or_fail(|| "the supervisor speaks another version's language".into())? {
            Reply::Event(event) => report.event(event),
            Reply::Done { changed } => return Ok(changed),
            Reply::Failed(failure) => return Err(failure),
        }
    }
    Err(Failure::failed("the stack's supervisor ended before it answered")
        .hint("Its own words are in `.streamify/logs/supervisor.log`; `streamify dev up` goes on from here."))
}

/// Writes one line.
pub async fn send<T: Serialize>(stream: &mut (impl AsyncWriteExt + Unpin), value: &T) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line).await
}
