//! A client's connection, with two who write to it: the client's own task, through the WebSocket protocol's library,
//! and the announcer, which writes the events to every client that has nothing else under way.
//!
//! A server does not mask what it sends (RFC 6455, section 5.1), so an event's frame is the same bytes for each client:
//! made once, and written without waking the client's task, which was most of what an event cost. What a connection
//! does not take at once is left to the client's task, which has the time and the patience.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::hub::Chunk;

/// The most bytes of a client's message: a token and an id.
pub(crate) const LARGEST_MESSAGE: usize = 8 * 1024;
/// Each socket holds a read buffer of this size; clients say little.
const READ_BUFFER: usize = 1024;

/// The protocol on a client's connection.
pub(super) type Socket = WebSocketStream<Connection>;

/// Speaks the protocol on a connection after its handshake; `read` is what the client has said since.
pub(super) async fn open(stream: TcpStream, read: Bytes) -> Socket {
    let config = WebSocketConfig::default()
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE))
        .read_buffer_size(READ_BUFFER);
    WebSocketStream::from_partially_read(Connection::new(stream), read.into(), Role::Server, Some(config)).await
}

/// A text message as a server sends it: one frame (RFC 6455, section 5.2).
pub(super) fn text_frame(text: &str) -> Bytes {
    let frame = Frame::message(Bytes::copy_from_slice(text.as_bytes()), OpCode::Data(Data::Text), true);
    let mut bytes = Vec::with_capacity(frame.len());
    // Writing to memory can't fail.
    let _ = frame.format(&mut bytes);
    bytes.into()
}

/// The text of a message that [`text_frame`] has made.
pub(super) fn text_of(frame: &[u8]) -> Option<&str> {
    // The length is in the second byte, or announced there to be in the next two or eight (RFC 6455, section 5.2).
    let head = match frame.get(1)? & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    std::str::from_utf8(frame.get(head..)?).ok()
}

/// What the protocol's library reads from and writes to.
pub(super) struct Connection {
    reading: OwnedReadHalf,
    writer: Arc<Writer>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let (reading, writing) = stream.into_split();
        let pen = Pen { writing, rest: Bytes::new(), is_torn: false, place: 0, is_announced: false };
        Self { reading, writer: Arc::new(Writer { pen: Mutex::new(pen), left: Notify::new() }) }
    }

    /// The door for those who write events.
    pub(super) fn writer(&self) -> &Arc<Writer> {
        &self.writer
    }
}

/// Writes events to one client.
pub(super) struct Writer {
    pen: Mutex<Pen>,
    /// Something is left to the client's own task.
    left: Notify,
}

/// Held by one writer at a time, and never while anything is awaited.
struct Pen {
    writing: OwnedWriteHalf,
    /// Frames of events that the connection has not taken yet; the first may have been written in part.
    rest: Bytes,
    /// A frame of the library's has been written in part: nothing else may be written before the rest of it.
    is_torn: bool,
    /// The place of the next event for this client.
    place: u64,
    /// Whether the announcer writes the events, or the client's own task.
    is_announced: bool,
}

impl Pen {
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            let written = ready!(Pin::new(&mut self.writing).poll_write(context, &self.rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.rest = self.rest.slice(written..);
        }
        // The others may have long finished with the chunk.
        self.rest = Bytes::new();
        Poll::Ready(Ok(()))
    }
}

impl Writer {
    // Every change of a pen is complete before any code that could panic runs.
    fn pen(&self) -> MutexGuard<'_, Pen> {
        self.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The announcer's way: writes those of the events that are new to this client, and tells how many they are.
    /// Where that can't be done at once, the rest is left to the client's own task, and so is all that follows.
    pub(super) fn announce(&self, chunk: &Chunk) -> u64 {
        let mut pen = self.pen();
        if !pen.is_announced || pen.place >= chunk.after() {
            return 0;
        }
        let mut announced = 0;
        if !pen.is_torn
            && pen.rest.is_empty()
            && let Some((bytes, events)) = chunk.since(pen.place)
            && let Ok(written) = if bytes.is_empty() { Ok(0) } else { pen.writing.try_write(&bytes) }
        {
            pen.place = chunk.after();
            pen.rest = bytes.slice(written..);
            announced = events;
            if pen.rest.is_empty() {
                return announced;
            }
        }
        pen.is_announced = false;
        drop(pen);
        self.left.notify_one();
        announced
    }

    /// Waits until there is something for the client's own task to write.
    pub(super) async fn left(&self) {
        self.left.notified().await;
    }

    /// From this place on events are owed to the client: by its own task, until that has caught up.
    pub(super) fn begin(&self, place: u64) {
        let mut pen = self.pen();
        pen.place = place;
        pen.is_announced = false;
        drop(pen);
        self.left.notify_one();
    }

    /// The place of the next event for this client.
    pub(super) fn place(&self) -> u64 {
        self.pen().place
    }

    /// The client's own task has written all before this place.
    pub(super) fn moved(&self, place: u64) {
        self.pen().place = place;
    }

    /// Leaves the events to the announcer if there is nothing newer than what was written; `newest` is asked while
    /// nobody can write, so that what comes later is announced.
    pub(super) fn follow(&self, newest: impl FnOnce() -> u64) -> bool {
        let mut pen = self.pen();
        pen.is_announced = pen.place >= newest();
        pen.is_announced
    }

    /// From here on the announcer writes no more.
    pub(super) fn leave(&self) {
        self.pen().is_announced = false;
    }

    /// Has the next flush write whole frames; what was put here before must have been flushed.
    pub(super) fn put(&self, frames: Bytes) {
        self.pen().rest = frames;
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().reading).poll_read(context, buffer)
    }
}

/// The library's way. It hands over all that it holds: whole frames, after the end of one that was written in part.
/// So whoever writes all of it ends at a frame's end.
impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut pen = self.writer.pen();
        if !pen.is_torn {
            ready!(pen.poll_rest(context))?;
        }
        let written = ready!(Pin::new(&mut pen.writing).poll_write(context, bytes))?;
        pen.is_torn = written < bytes.len();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pen = self.writer.pen();
        // The library flushes after it has written all that it holds.
        if pen.is_torn { Poll::Ready(Ok(())) } else { pen.poll_rest(context) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer.pen().writing).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt, StreamExt};
    use tokio::net::TcpSocket;
    use tokio::time::{Duration, timeout};
    use tokio_tungstenite::tungstenite::Message;
    use uuid::Uuid;

    use super::super::hub::{Entry, Hub};
    use super::*;

    /// A server's socket and a client's, on a connection that is soon full.
    async fn pair() -> (Socket, WebSocketStream<TcpStream>) {
        // What it accepts has the same small send buffer.
        let listener = TcpSocket::new_v4().unwrap();
        listener.set_send_buffer_size(4_096).unwrap();
        listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = listener.listen(1).unwrap();
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(4_096).unwrap();
        let client = client.connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        server.set_nodelay(true).unwrap();
        (open(server, Bytes::new()).await, WebSocketStream::from_raw_socket(client, Role::Client, None).await)
    }

    fn push(hub: &Hub, number: u64, length: usize) {
        let frame = text_frame(&format!("{number} {}", "x".repeat(length)));
        let id = Uuid::from_u128(number.into());
        hub.push(Entry { id, partition: 0, timestamp: 0, past: false, frame }, 0);
    }

    /// Announces what came after `place`, and gives the place after it.
    fn announce(hub: &Hub, writer: &Writer, place: u64) -> u64 {
        let chunk = hub.chunk(place, 4_096).expect("the ring holds it");
        writer.announce(&chunk);
        chunk.after()
    }

    #[test]
    fn a_text_frame_is_as_the_protocol_wants_it() {
        assert_eq!(text_frame("Hello"), &[0x81, 5, b'H', b'e', b'l', b'l', b'o'][..]);
        assert_eq!(text_frame(&"x".repeat(126))[..4], [0x81, 126, 0, 126]);
        assert_eq!(text_frame(&"x".repeat(65_536))[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[tokio::test]
    async fn the_announcer_writes_only_to_those_who_have_all_before() {
        let (server, mut client) = pair().await;
        let (hub, writer) = (Hub::new(), Arc::clone(server.get_ref().writer()));
        push(&hub, 0, 9);
        assert_eq!(writer.announce(&hub.chunk(0, 9).unwrap()), 0, "it does not follow yet");
        assert!(!writer.follow(|| hub.place()), "it has not caught up");
        writer.moved(1);
        assert!(writer.follow(|| hub.place()));
        push(&hub, 1, 9);
        push(&hub, 2, 9);
        assert_eq!(writer.announce(&hub.chunk(0, 9).unwrap()), 2, "of three, one was told before");
        assert_eq!(writer.announce(&hub.chunk(0, 9).unwrap()), 0, "all have been told");
        for number in 1..3 {
            let Message::Text(text) = client.next().await.unwrap().unwrap() else { panic!("a text") };
            assert!(text.starts_with(&format!("{number} ")), "{text}");
        }
        // Whoever is before the chunk is left to its own task.
        writer.begin(0);
        timeout(Duration::from_secs(5), writer.left()).await.unwrap();
        assert!(writer.follow(|| 0));
        assert_eq!(writer.announce(&hub.chunk(1, 9).unwrap()), 0);
        timeout(Duration::from_secs(5), writer.left()).await.unwrap();
        assert_eq!(writer.place(), 0);
        writer.moved(3);
        assert!(writer.follow(|| hub.place()));
        writer.leave();
        push(&hub, 3, 9);
        assert_eq!(writer.announce(&hub.chunk(3, 9).unwrap()), 0, "it has left");
    }

    /// Events of many sizes, pings and pongs at once, on a connection that is full most of the time: the client's own
    /// library finds every frame whole, and the events in their order.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_writers_never_write_into_each_others_frames() {
        const EVENTS: u64 = 3_000;
        let (mut server, mut client) = pair().await;
        let (hub, writer) = (Arc::new(Hub::new()), Arc::clone(server.get_ref().writer()));
        assert!(writer.follow(|| hub.place()));
        let announcing = {
            let (hub, writer) = (Arc::clone(&hub), Arc::clone(&writer));
            tokio::spawn(async move {
                let mut place = 0;
                for number in 0..EVENTS {
                    push(&hub, number, usize::try_from(number * 37 % 9_000).unwrap());
                    if number % 3 == 0 {
                        place = announce(&hub, &writer, place);
                        tokio::task::yield_now().await;
                    }
                    if number % 100 == 0 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
                announce(&hub, &writer, place);
            })
        };
        let serving = tokio::spawn(async move {
            let mut ping = tokio::time::interval(Duration::from_millis(1));
            let mut pings = 0_u32;
            let mut pongs = 0_u32;
            loop {
                tokio::select! {
                    message = server.next() => match message.unwrap().unwrap() {
                        Message::Ping(_) => {}
                        Message::Pong(_) => pongs += 1,
                        Message::Close(_) => return (pings, pongs),
                        other => panic!("{other}"),
                    },
                    _ = ping.tick() => {
                        server.send(Message::Ping(vec![7; 100].into())).await.unwrap();
                        pings += 1;
                    }
                    () = writer.left() => loop {
                        let place = writer.place();
                        let chunk = hub.chunk(place, 16).expect("not too slow");
                        server.flush().await.unwrap();
                        writer.put(chunk.since(place).unwrap().0);
                        server.flush().await.unwrap();
                        writer.moved(chunk.after());
                        if writer.follow(|| hub.place()) {
                            break;
                        }
                    },
                }
            }
        });
        let mut next = 0;
        let reading = async {
            while next < EVENTS {
                match client.next().await.unwrap().unwrap() {
                    Message::Text(text) => {
                        assert_eq!(text.split(' ').next().unwrap().parse::<u64>().unwrap(), next);
                        assert_eq!(text.split(' ').nth(1).unwrap().len() as u64, next * 37 % 9_000);
                        next += 1;
                        if next.is_multiple_of(4) {
                            client.feed(Message::Ping(vec![9; 120].into())).await.unwrap();
                        }
                    }
                    Message::Pong(data) => assert_eq!(*data, [9; 120]),
                    Message::Ping(data) => assert_eq!(*data, [7; 100]),
                    other => panic!("{other}"),
                }
            }
        };
        timeout(Duration::from_secs(60), reading).await.expect("every event comes");
        announcing.await.unwrap();
        client.close(None).await.unwrap();
        // The answer to the last ping may come after the last event.
        while let Some(Ok(_)) = client.next().await {}
        let (pings, pongs) = serving.await.unwrap();
        // Of the answers that wait, only the newest is sent (RFC 6455, section 5.5.3).
        assert!(pings > 20 && pongs > 0, "{pings} pings, {pongs} answered");
    }
}
