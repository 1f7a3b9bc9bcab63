//! Frames that a server sends: unmasked, never fragmented.
//!
//! A message is its [`Header`] followed by the payload; the payload is not copied here, so that one
//! encoded delivery serves every connection. Control frames are small and built whole.
//! Source: RFC 6455 5.2 (header), 5.5 (control frames).

use std::ops::Deref;

/// The kind of a frame (RFC 6455 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of the message that is under way.
    Continuation = 0x0,
    /// A message in UTF-8, or its first fragment.
    Text = 0x1,
    /// A message of bytes, or its first fragment.
    Binary = 0x2,
    /// The last frame of its sender.
    Close = 0x8,
    /// Asks for a pong with the same payload.
    Ping = 0x9,
    /// Answers a ping, or comes unasked.
    Pong = 0xA,
}

impl Opcode {
    /// Reads the low four bits of a frame's first byte; `None` for the reserved opcodes.
    pub fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// Tells whether frames of this kind may come between the fragments of a message.
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The 2, 4 or 10 bytes before the payload of an unmasked frame.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    bytes: [u8; HEADER_BYTES_MAX],
    length: u8,
}

impl Deref for Header {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// Writes the header of a complete message or control frame with `payload_bytes` to follow.
///
/// `compressed` sets RSV1: the payload is a raw DEFLATE body (RFC 7692 6).
pub fn header(opcode: Opcode, compressed: bool, payload_bytes: usize) -> Header {
    let first = FIN | (u8::from(compressed) * RSV1) | opcode as u8;
    let mut bytes = [0; HEADER_BYTES_MAX];
    let length = match (u8::try_from(payload_bytes), u16::try_from(payload_bytes)) {
        (Ok(short @ 0..=125), _) => {
            bytes[..2].copy_from_slice(&[first, short]);
            2
        }
        (_, Ok(medium)) => {
            bytes[..2].copy_from_slice(&[first, LENGTH_IS_U16]);
            bytes[2..4].copy_from_slice(&medium.to_be_bytes());
            4
        }
        _ => {
            bytes[..2].copy_from_slice(&[first, LENGTH_IS_U64]);
            bytes[2..].copy_from_slice(&(payload_bytes as u64).to_be_bytes());
            10
        }
    };
    Header { bytes, length }
}

/// Builds a close frame. A `reason` beyond 123 bytes is cut at a character.
///
/// `None` as code builds the empty close frame, which answers an empty one (RFC 6455 5.5.1).
pub fn close(code: Option<u16>, reason: &str) -> Vec<u8> {
    let mut payload = Vec::new();
    if let Some(code) = code {
        payload.extend_from_slice(&code.to_be_bytes());
        let end = reason.floor_char_boundary(CONTROL_BYTES_MAX - payload.len());
        payload.extend_from_slice(reason.get(..end).unwrap_or_default().as_bytes());
    }
    control(Opcode::Close, &payload)
}

/// Builds a ping. A payload beyond 125 bytes is cut.
pub fn ping(payload: &[u8]) -> Vec<u8> {
    control(Opcode::Ping, payload)
}

/// Builds the answer to a ping that carried `payload`.
pub fn pong(payload: &[u8]) -> Vec<u8> {
    control(Opcode::Pong, payload)
}

fn control(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let payload = payload.get(..CONTROL_BYTES_MAX).unwrap_or(payload);
    let mut frame = Vec::with_capacity(2 + payload.len());
    frame.extend_from_slice(&header(opcode, false, payload.len()));
    frame.extend_from_slice(payload);
    frame
}

/// Longest payload of a control frame (RFC 6455 5.5).
pub(super) const CONTROL_BYTES_MAX: usize = 125;
/// Marks the last (here: the only) frame of a message.
pub(super) const FIN: u8 = 0x80;
/// "This message is deflated", if permessage-deflate was negotiated.
pub(super) const RSV1: u8 = 0x40;
/// Stands in the 7-bit length when two bytes of length follow.
pub(super) const LENGTH_IS_U16: u8 = 126;
/// Stands in the 7-bit length when eight bytes of length follow.
pub(super) const LENGTH_IS_U64: u8 = 127;

const HEADER_BYTES_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_takes_the_shortest_of_three_forms() {
        assert_eq!(*header(Opcode::Text, false, 0), [0x81, 0]);
        assert_eq!(*header(Opcode::Text, false, 125), [0x81, 125]);
        assert_eq!(*header(Opcode::Text, false, 126), [0x81, 126, 0, 126]);
        assert_eq!(*header(Opcode::Binary, false, 65535), [0x82, 126, 0xff, 0xff]);
        assert_eq!(*header(Opcode::Binary, false, 65536), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_compressed_message_carries_rsv1() {
        assert_eq!(*header(Opcode::Text, true, 1), [0xc1, 1]);
    }

    #[test]
    fn a_close_frame_carries_its_code_and_reason() {
        assert_eq!(close(Some(1001), "bye"), [0x88, 5, 0x03, 0xe9, b'b', b'y', b'e']);
        assert_eq!(close(None, "not sent"), [0x88, 0]);
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let frame = close(Some(1011), &"ä".repeat(100));
        assert_eq!(frame[1], 124, "2 + 61 characters of 2 bytes");
        assert!(std::str::from_utf8(&frame[4..]).is_ok());
    }

    #[test]
    fn a_control_frame_never_exceeds_125_bytes() {
        assert_eq!(ping(&[7; 200]).len(), 2 + 125);
        assert_eq!(pong(b"a"), [0x8a, 1, b'a']);
    }
}
