//! One WebSocket frame: what a test sends, or what the broker sent.

/// Opcode of a continued message.
pub const CONTINUATION: u8 = 0;
/// Opcode of a text message.
pub const TEXT: u8 = 1;
/// Opcode of a binary message.
pub const BINARY: u8 = 2;
/// Opcode of a close frame.
pub const CLOSE: u8 = 8;
/// Opcode of a ping.
pub const PING: u8 = 9;
/// Opcode of a pong.
pub const PONG: u8 = 10;

/// The mask of every masked frame: any four bytes do.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame with all its flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Last frame of its message.
    pub fin: bool,
    /// The reserved bits, RSV1 as 4, RSV2 as 2, RSV3 as 1.
    pub rsv: u8,
    /// The opcode, 0 to 15.
    pub opcode: u8,
    /// Whether the payload is masked: a client's must be, a server's must not.
    pub masked: bool,
    /// The payload, unmasked.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A whole masked message or control frame.
    pub fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { fin: true, rsv: 0, opcode, masked: true, payload: payload.into() }
    }

    /// A whole masked text message.
    pub fn text(payload: impl Into<Vec<u8>>) -> Self {
        Self::new(TEXT, payload)
    }

    /// A close frame with a code and no reason.
    pub fn close(code: u16) -> Self {
        Self::new(CLOSE, code.to_be_bytes())
    }

    /// The same frame with more of its message to follow.
    pub fn unfinished(self) -> Self {
        Self { fin: false, ..self }
    }

    /// The same frame with reserved bits set.
    pub fn reserved(self, rsv: u8) -> Self {
        Self { rsv, ..self }
    }

    /// The same frame without a mask.
    pub fn unmasked(self) -> Self {
        Self { masked: false, ..self }
    }

    /// The frame as it goes over the wire, its length in the shortest form.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode];
        let mask_bit = u8::from(self.masked) << 7;
        match self.payload.len() {
            short @ 0..=125 => bytes.push(mask_bit | short as u8),
            medium @ 126..=0xffff => {
                bytes.push(mask_bit | 126);
                bytes.extend_from_slice(&(medium as u16).to_be_bytes());
            }
            long => {
                bytes.push(mask_bit | 127);
                bytes.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        if self.masked {
            bytes.extend_from_slice(&MASK);
            bytes
                .extend(self.payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
        } else {
            bytes.extend_from_slice(&self.payload);
        }
        bytes
    }

    /// The header of a masked text frame that declares `length` bytes and may never send them.
    pub fn declaring(length: u64) -> Vec<u8> {
        let mut bytes = vec![0x80 | TEXT, 0x80 | 127];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&MASK);
        bytes
    }

    /// Code and reason of a close frame; 1005 if it has none.
    pub fn close_reason(&self) -> (u16, String) {
        match self.payload.split_first_chunk() {
            Some((code, reason)) => {
                (u16::from_be_bytes(*code), String::from_utf8_lossy(reason).into_owned())
            }
            None => (1005, String::new()),
        }
    }

    /// Reads one frame from the front of `bytes`: the frame and its length, or `None` while it is
    /// incomplete.
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&[first, second], mut rest) = bytes.split_first_chunk()?;
        let length = match second & 0x7f {
            126 => {
                let (length, tail) = rest.split_first_chunk()?;
                rest = tail;
                usize::from(u16::from_be_bytes(*length))
            }
            127 => {
                let (length, tail) = rest.split_first_chunk()?;
                rest = tail;
                u64::from_be_bytes(*length) as usize
            }
            short => usize::from(short),
        };
        let masked = second & 0x80 != 0;
        let mut mask = [0; 4];
        if masked {
            let (key, tail) = rest.split_first_chunk()?;
            (mask, rest) = (*key, tail);
        }
        let payload = rest.get(..length)?;
        let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key);
        let frame = Self {
            fin: first & 0x80 != 0,
            rsv: first >> 4 & 7,
            opcode: first & 15,
            masked,
            payload: payload.collect(),
        };
        Some((frame, bytes.len() - rest.len() + length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_form_survives_a_round_trip() {
        for length in [0, 1, 125, 126, 0xffff, 0x1_0000] {
            for frame in
                [Frame::text(vec![b'x'; length]), Frame::text(vec![b'y'; length]).unmasked()]
            {
                let bytes = frame.bytes();
                assert_eq!(Frame::parse(&bytes[..bytes.len() - 1]), None, "{length}");
                assert_eq!(Frame::parse(&bytes), Some((frame, bytes.len())), "{length}");
            }
        }
    }

    #[test]
    fn the_masked_hello_of_the_standard() {
        // RFC 6455 5.7
        let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(Frame::text("Hello").bytes(), hello);
    }
}
