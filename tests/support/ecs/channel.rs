//! A data channel that speaks the Session Manager's protocol from the agent's side: it shakes hands, echoes what is
//! typed in capitals, sends one message twice and two in the wrong order, and ends with an exit code.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_tungstenite::tungstenite::Message;

/// Where the parts of a message are, by the agent's own description.
const TYPE: std::ops::Range<usize> = 4..36;
const SEQUENCE: std::ops::Range<usize> = 48..56;
const ID: std::ops::Range<usize> = 64..80;
const PAYLOAD_TYPE: std::ops::Range<usize> = 112..116;
const PAYLOAD: usize = 120;

fn message(kind: &str, sequence: i64, payload_type: u32, payload: &[u8]) -> Message {
    let mut bytes = vec![0_u8; PAYLOAD];
    bytes[..4].copy_from_slice(&116_u32.to_be_bytes());
    bytes[TYPE].fill(b' ');
    bytes[4..4 + kind.len()].copy_from_slice(kind.as_bytes());
    bytes[36..40].copy_from_slice(&1_u32.to_be_bytes());
    bytes[40..48].copy_from_slice(&1_800_000_000_000_u64.to_be_bytes());
    bytes[SEQUENCE].copy_from_slice(&sequence.to_be_bytes());
    bytes[ID].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    bytes[80..112].copy_from_slice(&Sha256::digest(payload));
    bytes[PAYLOAD_TYPE].copy_from_slice(&payload_type.to_be_bytes());
    bytes[116..].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend(payload);
    Message::binary(bytes)
}

/// Serves one session and gives what was typed; checks every message on the way.
pub async fn serve(listener: tokio::net::TcpListener) -> String {
    let (stream, _) = listener.accept().await.unwrap();
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let first = socket.next().await.unwrap().unwrap();
    let opening: Value = serde_json::from_str(first.to_text().unwrap()).unwrap();
    assert_eq!(opening["TokenValue"], "token-of-the-channel");
    let shake = json!({
        "AgentVersion": "3.3.0.0",
        "RequestedClientActions": [{"ActionType": "SessionType", "ActionParameters": {"SessionType": "InteractiveCommands"}}],
    });
    socket.send(message("output_stream_data", 0, 5, shake.to_string().as_bytes())).await.unwrap();
    let (mut typed, mut expected, mut acknowledged) = (String::new(), 0, 0);
    let mut has_size = false;
    while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
        let kind = std::str::from_utf8(&bytes[TYPE]).unwrap().trim_end().to_owned();
        let payload = &bytes[PAYLOAD..];
        assert_eq!(bytes[80..112], Sha256::digest(payload)[..]);
        if kind == "acknowledge" {
            acknowledged += 1;
            continue;
        }
        assert_eq!(kind, "input_stream_data");
        let sequence = i64::from_be_bytes(bytes[SEQUENCE].try_into().unwrap());
        let mut id: [u8; 16] = bytes[ID].try_into().unwrap();
        id.rotate_left(8);
        let text = json!({
            "AcknowledgedMessageType": kind, "AcknowledgedMessageId": uuid::Uuid::from_bytes(id),
            "AcknowledgedMessageSequenceNumber": sequence, "IsSequentialMessage": true,
        });
        socket.send(message("acknowledge", 0, 0, text.to_string().as_bytes())).await.unwrap();
        if sequence != expected {
            continue;
        }
        expected += 1;
        match u32::from_be_bytes(bytes[PAYLOAD_TYPE].try_into().unwrap()) {
            6 => {
                let answer: Value = serde_json::from_slice(payload).unwrap();
                assert_eq!(answer["ProcessedClientActions"][0]["ActionStatus"], 1);
                socket.send(message("output_stream_data", 1, 7, b"{}")).await.unwrap();
            }
            3 => {
                let size: Value = serde_json::from_slice(payload).unwrap();
                assert!(size["cols"].as_u64().unwrap() > 0 && size["rows"].as_u64().unwrap() > 0);
                has_size = true;
            }
            1 if payload == [4] => {
                // Out of order, and one of them twice.
                let loud = typed.to_uppercase();
                socket.send(message("output_stream_data", 3, 1, b"bye\n")).await.unwrap();
                socket.send(message("output_stream_data", 2, 1, loud.as_bytes())).await.unwrap();
                socket.send(message("output_stream_data", 2, 1, loud.as_bytes())).await.unwrap();
                socket.send(message("output_stream_data", 4, 12, b"3")).await.unwrap();
                let closed = json!({"Output": "Exiting session"});
                socket.send(message("channel_closed", 5, 0, closed.to_string().as_bytes())).await.unwrap();
            }
            1 => typed.push_str(std::str::from_utf8(payload).unwrap()),
            other => panic!("the payload type {other}"),
        }
    }
    assert!(has_size && acknowledged >= 2, "{acknowledged} acknowledged");
    typed
}
