//! Many sockets read by one thread, at as little cost as can be: the machine is shared with what is measured.
//!
//! RFC 6455 as far as this server uses it: whole text frames, pings and close frames.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::{Instant as Deadline, timeout_at};

use crate::Result;

const BUFFER: usize = 16 * 1024;
/// Stands before an event's number in the frame.
const MARK: &[u8] = br#""title":"figure "#;
const DIGITS: usize = 6;

/// The title of the video with this number.
pub fn title(number: usize) -> String {
    format!("figure {number:0DIGITS$}")
}

/// Microseconds since `begun`; a run is shorter than the hour that fits.
pub fn micros(begun: Instant) -> u32 {
    u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX)
}

/// What to read.
pub struct Plan {
    /// `host:port`.
    pub address: String,
    pub token: String,
    pub sockets: usize,
    /// Each socket reads until it has so many.
    pub events: usize,
    pub begun: Instant,
}

/// An event that came.
#[derive(Clone, Copy)]
pub struct Arrival {
    pub number: u32,
    /// Microseconds since the run's beginning.
    pub at: u32,
}

/// The thread that reads.
pub struct Readers {
    thread: JoinHandle<Result<Vec<Vec<Arrival>>>>,
    ready: mpsc::Receiver<()>,
}

/// Opens the sockets, and reads until each has every event or, once they are open, `patience` is over.
pub fn start(plan: Plan, patience: Duration) -> Readers {
    let (tell, ready) = mpsc::channel(1);
    let thread = std::thread::spawn(move || {
        let runtime = crate::runtime()?;
        LocalSet::new().block_on(&runtime, read_all(Arc::new(plan), patience, tell))
    });
    Readers { thread, ready }
}

impl Readers {
    /// Waits until every socket is open; false if that failed.
    pub async fn ready(&mut self) -> bool {
        self.ready.recv().await.is_some()
    }

    /// What came, a list for each socket.
    pub fn arrivals(self) -> Result<Vec<Vec<Arrival>>> {
        self.thread.join().map_err(|_| "the reading thread panicked")?
    }
}

async fn read_all(plan: Arc<Plan>, patience: Duration, tell: mpsc::Sender<()>) -> Result<Vec<Vec<Arrival>>> {
    let mut sockets = Vec::with_capacity(plan.sockets);
    for _ in 0..plan.sockets {
        sockets.push(Socket::open(&plan).await?);
    }
    tell.send(()).await?;
    let deadline = Deadline::now() + patience;
    let readers: Vec<_> = sockets
        .into_iter()
        .map(|socket| {
            let plan = Arc::clone(&plan);
            tokio::task::spawn_local(async move { socket.follow(&plan, deadline).await })
        })
        .collect();
    let mut arrivals = Vec::with_capacity(readers.len());
    for reader in readers {
        arrivals.push(reader.await??);
    }
    Ok(arrivals)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Opcode {
    Text,
    Close,
    Ping,
    Other,
}

struct Socket {
    stream: TcpStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Where the mark was in the last frame: it is there again, nearly always.
    mark: usize,
}

impl Socket {
    /// Connects, proves who it is, and waits until the server follows.
    async fn open(plan: &Plan) -> Result<Self> {
        let stream = TcpStream::connect(&plan.address).await?;
        stream.set_nodelay(true)?;
        let mut socket = Self { stream, buffer: vec![0; BUFFER].into(), start: 0, end: 0, mark: 0 };
        // The key only proves that the server speaks the protocol, which the first frame does as well.
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ZmlndXJlcyBvZiBhIHJ1bg==\r\n\r\n",
            plan.address
        );
        socket.stream.write_all(request.as_bytes()).await?;
        let head = loop {
            let unread = &socket.buffer[socket.start..socket.end];
            if let Some(end) = unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break String::from_utf8_lossy(&unread[..end]).into_owned();
            }
            socket.fill().await?;
        };
        if !head.starts_with("HTTP/1.1 101") {
            return Err(format!("/ws answered {}", head.lines().next().unwrap_or_default()).into());
        }
        socket.start += head.len() + 4;
        let auth = serde_json::json!({ "type": "auth", "token": plan.token });
        socket.send(0x1, auth.to_string().as_bytes()).await?;
        loop {
            let (opcode, from, to) = socket.frame().await?;
            let text = &socket.buffer[from..to];
            match opcode {
                Opcode::Text if text.starts_with(br#"{"type":"ready""#) => return Ok(socket),
                Opcode::Close => return Err(closed(text)),
                _ => {}
            }
        }
    }

    /// Reads until every event has come, or the deadline has.
    async fn follow(mut self, plan: &Plan, deadline: Deadline) -> Result<Vec<Arrival>> {
        let mut arrivals = Vec::with_capacity(plan.events);
        // One timer for all: one for each frame would be a good part of what this thread costs.
        if let Ok(ended) = timeout_at(deadline, self.read(plan, &mut arrivals)).await {
            ended?;
        }
        Ok(arrivals)
    }

    async fn read(&mut self, plan: &Plan, arrivals: &mut Vec<Arrival>) -> Result<()> {
        while arrivals.len() < plan.events {
            let (opcode, from, to) = self.frame().await?;
            match opcode {
                Opcode::Text => {
                    if let Some(number) = self.number(from, to) {
                        arrivals.push(Arrival { number, at: micros(plan.begun) });
                    }
                }
                Opcode::Ping => {
                    let payload = self.buffer[from..to].to_vec();
                    self.send(0xA, &payload).await?;
                }
                Opcode::Close => return Err(closed(&self.buffer[from..to])),
                Opcode::Other => {}
            }
        }
        Ok(())
    }

    /// The number of the event in a frame.
    fn number(&mut self, from: usize, to: usize) -> Option<u32> {
        let frame = &self.buffer[from..to];
        if frame.get(self.mark..).is_none_or(|rest| !rest.starts_with(MARK)) {
            self.mark = frame.windows(MARK.len()).position(|bytes| bytes == MARK)?;
        }
        let digits = frame.get(self.mark + MARK.len()..)?.get(..DIGITS)?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// The next frame: its kind, and where in the buffer its payload is.
    async fn frame(&mut self) -> Result<(Opcode, usize, usize)> {
        loop {
            let unread = &self.buffer[self.start..self.end];
            if let Some((opcode, head, length)) = frame_head(unread)
                && unread.len() >= head + length
            {
                let from = self.start + head;
                self.start = from + length;
                return Ok((opcode, from, from + length));
            }
            self.fill().await?;
        }
    }

    /// Reads more; what is not used yet moves to the front.
    async fn fill(&mut self) -> Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            return Err(format!("a frame has more than {BUFFER} bytes").into());
        }
        match self.stream.read(&mut self.buffer[self.end..]).await? {
            0 => Err("the server ended a connection without a close frame".into()),
            read => {
                self.end += read;
                Ok(())
            }
        }
    }

    /// Sends one frame. Clients have to mask; a mask of zeros changes nothing and hides nothing, on loopback.
    async fn send(&mut self, opcode: u8, payload: &[u8]) -> Result<()> {
        let mut frame = vec![0x80 | opcode];
        match u8::try_from(payload.len()) {
            Ok(length) if length < 126 => frame.push(0x80 | length),
            _ => {
                frame.push(0xFE);
                frame.extend(u16::try_from(payload.len())?.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        Ok(self.stream.write_all(&frame).await?)
    }
}

/// Kind, length of the head and length of the payload, as soon as the head is there (RFC 6455, section 5.2).
fn frame_head(bytes: &[u8]) -> Option<(Opcode, usize, usize)> {
    let [first, second, rest @ ..] = bytes else { return None };
    let opcode = match first & 0x0F {
        0x1 => Opcode::Text,
        0x8 => Opcode::Close,
        0x9 => Opcode::Ping,
        _ => Opcode::Other,
    };
    match second & 0x7F {
        126 => Some((opcode, 4, u16::from_be_bytes(*rest.first_chunk()?).into())),
        127 => Some((opcode, 10, usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?)),
        length => Some((opcode, 2, length.into())),
    }
}

/// Why the server closed a socket.
fn closed(payload: &[u8]) -> Box<dyn std::error::Error + Send + Sync> {
    let (code, reason) = match payload {
        [first, second, reason @ ..] => (u16::from_be_bytes([*first, *second]), String::from_utf8_lossy(reason)),
        _ => (1005, "no reason".into()),
    };
    format!("the server closed a socket with {code}: {reason}").into()
}
