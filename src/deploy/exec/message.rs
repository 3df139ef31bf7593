//! The messages of a Session Manager data channel, as bytes.
//!
//! Layout, all numbers big-endian, as the agent and AWS's own client have it (`amazon-ssm-agent`,
//! `session-manager-plugin`): header length (4, always 116), message type (32, padded with spaces), schema version (4),
//! time in milliseconds (8), sequence number (8), flags (8), message id (16, its two halves swapped), SHA-256 of the
//! payload (32), payload type (4), payload length (4), payload.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Up to where the payload's length stands.
const HEADER: usize = 116;

/// What a payload is.
pub(super) mod payload {
    pub const OUTPUT: u32 = 1;
    pub const SIZE: u32 = 3;
    pub const HANDSHAKE_REQUEST: u32 = 5;
    pub const HANDSHAKE_RESPONSE: u32 = 6;
    pub const HANDSHAKE_COMPLETE: u32 = 7;
    pub const FLAG: u32 = 10;
    pub const STANDARD_ERROR: u32 = 11;
    pub const EXIT_CODE: u32 = 12;
}

/// What a message is.
pub(super) mod kind {
    pub const INPUT: &str = "input_stream_data";
    pub const OUTPUT: &str = "output_stream_data";
    pub const ACKNOWLEDGE: &str = "acknowledge";
    pub const CLOSED: &str = "channel_closed";
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub kind: String,
    pub sequence: i64,
    pub flags: u64,
    pub id: Uuid,
    pub payload_type: u32,
    pub payload: Vec<u8>,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    TooShort,
    WrongLength,
    WrongDigest,
    NotText,
}

impl Message {
    /// As bytes; `now` is the time in milliseconds since 1970.
    pub(super) fn encode(&self, now: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + 4 + self.payload.len());
        bytes.extend(u32::try_from(HEADER).unwrap_or(116).to_be_bytes());
        let mut kind = [b' '; 32];
        let length = self.kind.len().min(32);
        kind[..length].copy_from_slice(&self.kind.as_bytes()[..length]);
        bytes.extend(kind);
        bytes.extend(1_u32.to_be_bytes());
        bytes.extend(now.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.flags.to_be_bytes());
        let id = self.id.as_bytes();
        bytes.extend(&id[8..]);
        bytes.extend(&id[..8]);
        bytes.extend(Sha256::digest(&self.payload));
        bytes.extend(self.payload_type.to_be_bytes());
        bytes.extend(u32::try_from(self.payload.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// From bytes that came over the network: anything may be in them.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let header = usize::try_from(u32::from_be_bytes(part(bytes, 0)?)).map_err(|_| Malformed::WrongLength)?;
        // Messages that only say that the other side is ready have a shorter header.
        let kind: [u8; 32] = part(bytes, 4)?;
        let kind = std::str::from_utf8(&kind).map_err(|_| Malformed::NotText)?;
        let kind = kind.trim_matches(['\0', ' ']).to_owned();
        let [sequence, flags] = [part(bytes, 48)?, part(bytes, 56)?];
        let mut id: [u8; 16] = part(bytes, 64)?;
        id.rotate_left(8);
        let digest: [u8; 32] = part(bytes, 80)?;
        let (payload_type, payload) = if header >= HEADER {
            let length = u32::from_be_bytes(part(bytes, header)?);
            let payload = bytes.get(header + 4..).ok_or(Malformed::TooShort)?;
            if usize::try_from(length).ok() != Some(payload.len()) {
                return Err(Malformed::WrongLength);
            }
            (u32::from_be_bytes(part(bytes, 112)?), payload.to_vec())
        } else {
            (u32::from_be_bytes(part(bytes, header)?), bytes.get(header + 4..).unwrap_or_default().to_vec())
        };
        if header >= HEADER && !payload.is_empty() && Sha256::digest(&payload)[..] != digest {
            return Err(Malformed::WrongDigest);
        }
        Ok(Self {
            kind,
            sequence: i64::from_be_bytes(sequence),
            flags: u64::from_be_bytes(flags),
            id: Uuid::from_bytes(id),
            payload_type,
            payload,
        })
    }
}

fn part<const N: usize>(bytes: &[u8], from: usize) -> Result<[u8; N], Malformed> {
    let to = from.checked_add(N).ok_or(Malformed::TooShort)?;
    bytes.get(from..to).and_then(|part| part.try_into().ok()).ok_or(Malformed::TooShort)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            kind: kind::INPUT.to_owned(),
            sequence: 7,
            flags: 1,
            id: Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
            payload_type: payload::OUTPUT,
            payload: b"ls\n".to_vec(),
        }
    }

    #[test]
    fn bytes_are_where_the_agent_looks_for_them() {
        let bytes = message().encode(0x0102_0304_0506_0708);
        assert_eq!(bytes.len(), 123);
        assert_eq!(bytes[..4], [0, 0, 0, 116]);
        assert_eq!(&bytes[4..36], b"input_stream_data               ");
        assert_eq!(bytes[36..40], [0, 0, 0, 1]);
        assert_eq!(bytes[40..48], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(bytes[55], 7);
        assert_eq!(bytes[64..72], [0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff], "the halves of the id are swapped");
        assert_eq!(bytes[112..120], [0, 0, 0, 1, 0, 0, 0, 3]);
        assert_eq!(Message::decode(&bytes), Ok(message()));
    }

    #[test]
    fn whatever_comes_is_no_panic() {
        let good = message().encode(1);
        for length in 0..good.len() {
            assert!(Message::decode(&good[..length]).is_err(), "{length}");
        }
        let mut wrong = good.clone();
        wrong[121] ^= 1;
        assert_eq!(Message::decode(&wrong), Err(Malformed::WrongDigest));
        let mut wrong = good.clone();
        wrong[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(Message::decode(&wrong).is_err());
        let mut wrong = good;
        wrong[4..36].fill(0xff);
        assert_eq!(Message::decode(&wrong), Err(Malformed::NotText));
    }
}
