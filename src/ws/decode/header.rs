//! The header of a client's frame, checked as early as its bytes allow.
//!
//! Rules that need the message around it (is one under way, does it fit) are the decoder's.
//! Source: RFC 6455 5.1 (masking), 5.2 (layout), 5.5 (control frames).

use super::Violation;
use crate::ws::encode::{CONTROL_BYTES_MAX, FIN, LENGTH_IS_U16, LENGTH_IS_U64, Opcode, RSV1};

/// A complete header.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) fin: bool,
    pub(super) rsv1: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    /// Declared length of the payload, not yet compared with any limit.
    pub(super) payload_bytes: u64,
    /// Length of the header itself.
    pub(super) bytes: usize,
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` while it is incomplete.
    ///
    /// The length may be written longer than needed: RFC 6455 forbids that to the sender, but no
    /// harm comes of it and other servers accept it too.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let opcode = check_first(first)?;
        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        if second & MASKED == 0 {
            return Err(Violation::protocol("unmasked frame"));
        }
        let short = second & !MASKED;
        if opcode.is_control() && usize::from(short) > CONTROL_BYTES_MAX {
            return Err(Violation::protocol("control frame too long"));
        }
        let Some((payload_bytes, rest)) = read_length(short, rest) else {
            return Ok(None);
        };
        if payload_bytes > LENGTH_MAX {
            return Err(Violation::protocol("length above 2^63"));
        }
        let Some((&mask, rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        let (fin, rsv1) = (first & FIN != 0, first & RSV1 != 0);
        let length = bytes.len() - rest.len();
        Ok(Some(Self { fin, rsv1, opcode, mask, payload_bytes, bytes: length }))
    }
}

/// Checks the byte of flags and opcode. RSV1 on a data frame is left to the decoder.
fn check_first(first: u8) -> Result<Opcode, Violation> {
    if first & (RSV2 | RSV3) != 0 {
        return Err(Violation::protocol("reserved bit set"));
    }
    let opcode = Opcode::from_bits(first & OPCODE).ok_or(Violation::protocol("reserved opcode"))?;
    if opcode.is_control() && first & FIN == 0 {
        return Err(Violation::protocol("fragmented control frame"));
    }
    if opcode.is_control() && first & RSV1 != 0 {
        return Err(Violation::protocol("RSV1 on a control frame"));
    }
    Ok(opcode)
}

/// Reads the extended length that `short` announces, with the bytes after it.
fn read_length(short: u8, bytes: &[u8]) -> Option<(u64, &[u8])> {
    match short {
        LENGTH_IS_U16 => {
            bytes.split_first_chunk().map(|(raw, rest)| (u16::from_be_bytes(*raw).into(), rest))
        }
        LENGTH_IS_U64 => {
            bytes.split_first_chunk().map(|(raw, rest)| (u64::from_be_bytes(*raw), rest))
        }
        length => Some((length.into(), bytes)),
    }
}

const RSV2: u8 = 0x20;
const RSV3: u8 = 0x10;
const OPCODE: u8 = 0x0f;
/// Set in the length byte of every frame from a client (RFC 6455 5.1).
const MASKED: u8 = 0x80;
/// The most significant bit of a length must be 0 (RFC 6455 5.2).
const LENGTH_MAX: u64 = u64::MAX >> 1;
