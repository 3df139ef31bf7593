//! A client of the WebSocket.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::api::Api;

/// One socket.
pub struct Feed {
    socket: WebSocketStream<TcpStream>,
    /// How many of its pings have been answered.
    pub pongs: usize,
}

/// What came next.
#[derive(Debug, PartialEq)]
pub enum Next {
    Frame(Value),
    /// Closed with this code; 0 without one.
    Closed(u16),
    /// Nothing in the time given.
    Silence,
}

/// Follows as a client that comes back whenever it is sent away, from the last event that it saw, until it has been
/// told `enough`; `take` gets every event. Panics with what `missing` says when that takes too long.
pub async fn follow_until<T>(
    api: &Api,
    patience: Duration,
    told: &mut T,
    take: impl Fn(&mut T, &Value),
    enough: impl Fn(&T) -> bool,
    missing: impl Fn(&T) -> String,
) {
    let mut last: Option<String> = None;
    let deadline = Instant::now() + patience;
    let in_time = |told: &T, last: &Option<String>| {
        assert!(Instant::now() < deadline, "{}; the last event was {last:?}", missing(told));
    };
    while !enough(told) {
        in_time(told, &last);
        let Some(mut feed) = Feed::try_open(&api.address).await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        feed.authenticate(api.token.as_deref().unwrap(), last.as_deref()).await;
        while !enough(told) {
            in_time(told, &last);
            match feed.next(1).await {
                Next::Frame(frame) if frame["type"] == "video.created" => {
                    take(told, &frame);
                    last = Some(frame["id"].as_str().unwrap().to_owned());
                }
                Next::Frame(frame) => assert_eq!(frame["type"], "ready", "what was missed is always told"),
                Next::Silence => {}
                Next::Closed(_) => break,
            }
        }
    }
}

/// The title of videos that only find out whether somebody follows.
pub const PROBE: &str = "is somebody there?";

/// Adds videos until a follower has been told of one, and says so in `is_told`: from then on it is owed everything. What
/// came before is no news to it, and with nothing seen it has nothing to resume from.
pub async fn until_followed(api: &Api, is_told: &AtomicBool) {
    while !is_told.load(Ordering::Acquire) {
        api.add_video(PROBE).await;
        sleep(Duration::from_millis(100)).await;
    }
}

impl Feed {
    /// Opens a socket and says nothing.
    pub async fn open(address: &str) -> Self {
        Self::try_open(address).await.expect("the backend is there")
    }

    /// The same; None where nobody answers.
    pub async fn try_open(address: &str) -> Option<Self> {
        let open = async { Self::on(TcpStream::connect(address).await.ok()?, address).await };
        tokio::time::timeout(Duration::from_secs(30), open).await.ok()?
    }

    async fn on(stream: TcpStream, address: &str) -> Option<Self> {
        let request = format!("ws://{address}/ws").into_client_request().unwrap();
        Some(Self { socket: client_async(request, stream).await.ok()?.0, pongs: 0 })
    }

    /// Follows on a connection that holds little of what has not been read yet.
    pub async fn narrow(api: &Api) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let stream = socket.connect(api.address.parse().unwrap()).await.unwrap();
        let mut feed = Self::on(stream, &api.address).await.unwrap();
        feed.authenticate(api.token.as_deref().unwrap(), None).await;
        assert_eq!(feed.next(60).await, Next::Frame(json!({ "type": "ready" })));
        feed
    }

    /// Follows as this user, from after `last`; waits for `ready`.
    pub async fn follow(api: &Api, last: Option<&str>) -> Self {
        let mut feed = Self::open(&api.address).await;
        feed.authenticate(api.token.as_deref().unwrap(), last).await;
        assert_eq!(feed.next(60).await, Next::Frame(json!({ "type": "ready" })));
        feed
    }

    pub async fn authenticate(&mut self, token: &str, last: Option<&str>) {
        self.say(&json!({ "type": "auth", "token": token, "last_event_id": last }).to_string()).await;
    }

    /// Sends a text; where the connection has broken, `next` tells.
    pub async fn say(&mut self, text: &str) {
        let _ = self.socket.send(Message::text(text)).await;
    }

    /// Pings; what comes back is counted.
    pub async fn ping(&mut self) {
        self.socket.send(Message::Ping(vec![7; 100].into())).await.unwrap();
    }

    /// Closes it; whether the server has answered that.
    pub async fn close(mut self) -> bool {
        self.socket.close(None).await.unwrap();
        let closed = async {
            while let Some(Ok(message)) = self.socket.next().await {
                if message.is_close() {
                    return true;
                }
            }
            false
        };
        tokio::time::timeout(Duration::from_secs(10), closed).await.unwrap_or(false)
    }

    /// What comes next, in so many seconds. Panics on what breaks the protocol.
    pub async fn next(&mut self, seconds: u64) -> Next {
        let next = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => return Next::Frame(serde_json::from_str(&text).unwrap()),
                    Some(Ok(Message::Close(frame))) => return Next::Closed(frame.map_or(0, |frame| frame.code.into())),
                    Some(Ok(Message::Pong(data))) => {
                        assert_eq!(*data, [7; 100]);
                        self.pongs += 1;
                    }
                    Some(Ok(_)) => {}
                    Some(Err(Error::Protocol(error))) if error != ProtocolError::ResetWithoutClosingHandshake => {
                        panic!("{error}")
                    }
                    Some(Err(_)) | None => return Next::Closed(0),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(seconds), next).await.unwrap_or(Next::Silence)
    }

    /// The next event; panics if none comes.
    pub async fn event(&mut self) -> Value {
        match self.next(30).await {
            Next::Frame(event) => event,
            other => panic!("an event was due: {other:?}"),
        }
    }

    /// The titles of the next `count` videos that are new to this client.
    pub async fn titles(&mut self, count: usize) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        let mut titles = Vec::new();
        while titles.len() < count {
            let event = self.event().await;
            if seen.insert(event["id"].as_str().unwrap().to_owned()) {
                titles.push(event["data"]["title"].as_str().unwrap().to_owned());
            }
        }
        titles
    }
}
