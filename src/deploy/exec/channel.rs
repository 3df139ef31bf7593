//! A Session Manager data channel: opened with a token, every message acknowledged, input sent again until it is
//! acknowledged, output put in order. No state of it needs the network: bytes in, bytes out.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use uuid::Uuid;

use super::message::{Malformed, Message, kind, payload};

/// The version that is told to the agent; older ones than 1.1.54 don't get the exit code.
const VERSION: &str = "1.2.650.0";
/// An unacknowledged message is sent again after this.
const AGAIN: Duration = Duration::from_millis(500);

/// What a message meant to whoever sits before the channel.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Output(Vec<u8>),
    StandardError(Vec<u8>),
    ExitCode(i32),
    /// The other side is ready for input.
    Ready,
    /// It ended, with these words.
    Closed(String),
    /// It wants what this program can't.
    Refused(String),
}

/// The state of one channel.
pub(super) struct Channel {
    /// The next message that we send, and the next one that we wait for.
    next: i64,
    expected: i64,
    waiting: BTreeMap<i64, Message>,
    unacknowledged: BTreeMap<i64, (Vec<u8>, Uuid, Instant)>,
    /// What is to be sent.
    outgoing: VecDeque<Vec<u8>>,
    is_ready: bool,
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The first message, a text: it shows the token that ECS gave.
pub(super) fn open(token: &str) -> String {
    json!({
        "MessageSchemaVersion": "1.0", "RequestId": Uuid::new_v4(), "TokenValue": token, "ClientId": Uuid::new_v4(),
        "ClientVersion": VERSION,
    })
    .to_string()
}

impl Channel {
    pub(super) fn new() -> Self {
        Self {
            next: 0,
            expected: 0,
            waiting: BTreeMap::new(),
            unacknowledged: BTreeMap::new(),
            outgoing: VecDeque::new(),
            is_ready: false,
        }
    }

    /// Whether input may be sent.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// What is to be sent now: new messages, then those that nobody has acknowledged in time.
    pub(super) fn outgoing(&mut self) -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = self.outgoing.drain(..).collect();
        for (bytes, _, sent) in self.unacknowledged.values_mut() {
            if sent.elapsed() >= AGAIN {
                *sent = Instant::now();
                all.push(bytes.clone());
            }
        }
        all
    }

    /// Keys that were pressed.
    pub(super) fn input(&mut self, bytes: &[u8]) {
        self.send(payload::OUTPUT, bytes.to_vec());
    }

    /// The terminal's size.
    pub(super) fn size(&mut self, columns: u16, rows: u16) {
        self.send(payload::SIZE, json!({"cols": columns, "rows": rows}).to_string().into_bytes());
    }

    /// Asks the other side to end the session.
    pub(super) fn terminate(&mut self) {
        self.send(payload::FLAG, 2_u32.to_be_bytes().to_vec());
    }

    fn send(&mut self, payload_type: u32, payload: Vec<u8>) {
        let id = Uuid::new_v4();
        // The agent takes the first message of a channel by this flag.
        let flags = u64::from(self.next == 0);
        let message = Message { kind: kind::INPUT.to_owned(), sequence: self.next, flags, id, payload_type, payload };
        let bytes = message.encode(now());
        self.outgoing.push_back(bytes.clone());
        self.unacknowledged.insert(self.next, (bytes, id, Instant::now()));
        self.next += 1;
    }

    /// Takes in what came over the network.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Said>, Malformed> {
        let message = Message::decode(bytes)?;
        match message.kind.as_str() {
            kind::ACKNOWLEDGE => {
                let text: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
                let id = text["AcknowledgedMessageId"].as_str().and_then(|id| Uuid::parse_str(id).ok());
                if let Some(sequence) = text["AcknowledgedMessageSequenceNumber"].as_i64()
                    && self.unacknowledged.get(&sequence).is_some_and(|(_, own, _)| Some(*own) == id)
                {
                    self.unacknowledged.remove(&sequence);
                }
                Ok(Vec::new())
            }
            kind::CLOSED => {
                let text: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
                Ok(vec![Said::Closed(text["Output"].as_str().unwrap_or_default().to_owned())])
            }
            kind::OUTPUT => {
                self.acknowledge(&message);
                // One that was seen is only acknowledged; one that is too early waits for those before it.
                if message.sequence >= self.expected {
                    self.waiting.insert(message.sequence, message);
                }
                let mut said = Vec::new();
                while let Some(message) = self.waiting.remove(&self.expected) {
                    self.expected += 1;
                    said.extend(self.understand(message));
                }
                Ok(said)
            }
            _ => Ok(Vec::new()),
        }
    }

    fn acknowledge(&mut self, message: &Message) {
        let text = json!({
            "AcknowledgedMessageType": message.kind, "AcknowledgedMessageId": message.id,
            "AcknowledgedMessageSequenceNumber": message.sequence, "IsSequentialMessage": true,
        });
        let acknowledge = Message {
            kind: kind::ACKNOWLEDGE.to_owned(),
            sequence: 0,
            flags: 3,
            id: Uuid::new_v4(),
            payload_type: 0,
            payload: text.to_string().into_bytes(),
        };
        self.outgoing.push_back(acknowledge.encode(now()));
    }

    fn understand(&mut self, message: Message) -> Option<Said> {
        match message.payload_type {
            payload::OUTPUT => {
                // Old agents shake no hands: whoever talks is ready.
                self.is_ready = true;
                Some(Said::Output(message.payload))
            }
            payload::STANDARD_ERROR => Some(Said::StandardError(message.payload)),
            payload::EXIT_CODE => {
                let text = String::from_utf8_lossy(&message.payload).trim().parse().ok();
                Some(Said::ExitCode(text.unwrap_or(1)))
            }
            payload::HANDSHAKE_REQUEST => self.shake(&message.payload),
            payload::HANDSHAKE_COMPLETE => {
                self.is_ready = true;
                Some(Said::Ready)
            }
            _ => None,
        }
    }

    /// Answers the handshake: a kind of session is agreed to, an encryption of our own is not spoken.
    fn shake(&mut self, request: &[u8]) -> Option<Said> {
        let request: Value = serde_json::from_slice(request).unwrap_or_default();
        let (mut done, mut refused) = (Vec::new(), None);
        for action in request["RequestedClientActions"].as_array().into_iter().flatten() {
            let name = action["ActionType"].as_str().unwrap_or_default();
            let is_known = name == "SessionType";
            let error = if is_known { String::new() } else { format!("{name} is not supported") };
            if !is_known {
                refused = Some(Said::Refused(name.to_owned()));
            }
            // 1: it is done; 3: it is not supported.
            let status = if is_known { 1 } else { 3 };
            done.push(json!({"ActionType": name, "ActionStatus": status, "ActionResult": null, "Error": error}));
        }
        let errors: Vec<Value> = done.iter().filter(|one| one["Error"] != "").map(|one| one["Error"].clone()).collect();
        let response = json!({"ClientVersion": VERSION, "ProcessedClientActions": done, "Errors": errors});
        self.send(payload::HANDSHAKE_RESPONSE, response.to_string().into_bytes());
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(sequence: i64, payload_type: u32, payload: &[u8]) -> Vec<u8> {
        let id = Uuid::new_v4();
        Message { kind: kind::OUTPUT.into(), sequence, flags: 0, id, payload_type, payload: payload.to_vec() }.encode(1)
    }

    fn sent(channel: &mut Channel) -> Vec<Message> {
        channel.outgoing().iter().map(|bytes| Message::decode(bytes).unwrap()).collect()
    }

    #[test]
    fn output_comes_in_order_and_once_however_it_arrives() {
        let mut channel = Channel::new();
        assert_eq!(channel.take(&output(1, payload::OUTPUT, b"b")).unwrap(), []);
        let said = channel.take(&output(0, payload::OUTPUT, b"a")).unwrap();
        assert_eq!(said, [Said::Output(b"a".to_vec()), Said::Output(b"b".to_vec())]);
        assert_eq!(channel.take(&output(1, payload::OUTPUT, b"b")).unwrap(), []);
        let kinds: Vec<String> = sent(&mut channel).into_iter().map(|message| message.kind).collect();
        assert_eq!(kinds, [kind::ACKNOWLEDGE; 3], "also what was seen is acknowledged, or it comes again and again");
    }

    #[test]
    fn input_is_sent_again_until_it_is_acknowledged() {
        let mut channel = Channel::new();
        channel.input(b"ls\n");
        let first = sent(&mut channel);
        assert_eq!((first.len(), first[0].sequence, first[0].flags), (1, 0, 1));
        std::thread::sleep(AGAIN);
        assert_eq!(sent(&mut channel), first);
        let text = json!({"AcknowledgedMessageId": first[0].id, "AcknowledgedMessageSequenceNumber": 0});
        let acknowledge = Message {
            kind: kind::ACKNOWLEDGE.into(),
            payload: text.to_string().into_bytes(),
            ..Message::decode(&output(0, 0, b"")).unwrap()
        };
        channel.take(&acknowledge.encode(1)).unwrap();
        std::thread::sleep(AGAIN);
        assert_eq!(sent(&mut channel), []);
    }

    #[test]
    fn a_handshake_is_answered_first_of_all() {
        let mut channel = Channel::new();
        let request = json!({"AgentVersion": "3.3", "RequestedClientActions": [{"ActionType": "SessionType"}]});
        assert_eq!(channel.take(&output(0, payload::HANDSHAKE_REQUEST, request.to_string().as_bytes())).unwrap(), []);
        let answers = sent(&mut channel);
        assert_eq!((answers[1].payload_type, answers[1].sequence), (payload::HANDSHAKE_RESPONSE, 0));
        assert!(!channel.is_ready());
        assert_eq!(channel.take(&output(1, payload::HANDSHAKE_COMPLETE, b"{}")).unwrap(), [Said::Ready]);
        let request = json!({"RequestedClientActions": [{"ActionType": "KMSEncryption"}]});
        let said = channel.take(&output(2, payload::HANDSHAKE_REQUEST, request.to_string().as_bytes())).unwrap();
        assert_eq!(said, [Said::Refused("KMSEncryption".into())]);
    }
}
