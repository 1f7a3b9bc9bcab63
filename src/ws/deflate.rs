//! permessage-deflate: negotiation, and one message at a time.
//!
//! Both sides forget their window after each message (`no_context_takeover`), for two reasons: a
//! deflated delivery can be shared by all subscribers, and no connection owns a compressor (about
//! 260 KiB) or an inflater (about 45 KiB). Each thread keeps one of either and resets it.
//! Source: RFC 7692 (7.1 parameters, 7.2 algorithm), RFC 1951.

mod negotiate;

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

pub use self::negotiate::{Negotiated, negotiate};

/// Why a compressed message was not inflated; the client is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// The inflated message would exceed the limit.
    #[error("message too large after inflating")]
    TooLarge,
    /// The bytes are not a DEFLATE stream.
    #[error("message does not inflate")]
    Corrupt,
}

/// Deflates `payload` to the body of a compressed message: raw DEFLATE without the last
/// `00 00 ff ff` (RFC 7692 7.2.1).
///
/// `None` if that would not be smaller; the message is then sent as it is, which RFC 7692 6 allows
/// for each message. Distances reach back 32 KiB at most and never before the start of `payload`,
/// so the result also suits every window that `payload` fits in.
pub fn compress_message(payload: &[u8]) -> Option<Vec<u8>> {
    if payload.len() <= TAIL.len() {
        return None;
    }
    // What does not fit into the size of the payload is not worth sending.
    let mut body = Vec::with_capacity(payload.len() + TAIL.len() - 1);
    COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.reset();
        compressor.compress_vec(payload, &mut body, FlushCompress::Sync).ok()
    })?;
    // With room left the flush is complete; without it the rest is still inside the compressor.
    let complete = body.len() < body.capacity() && body.ends_with(&TAIL);
    if !complete {
        return None;
    }
    body.truncate(body.len() - TAIL.len());
    (body.len() < payload.len()).then_some(body)
}

/// Inflates the body of a compressed message to at most `bytes_max` bytes.
///
/// Memory grows with the output and stops one byte above the limit, whatever the body promises.
pub fn inflate_message(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, InflateError> {
    INFLATER.with_borrow_mut(|inflater| {
        inflater.reset(false);
        inflate(inflater, body, bytes_max)
    })
}

fn inflate(
    inflater: &mut Decompress,
    body: &[u8],
    bytes_max: usize,
) -> Result<Vec<u8>, InflateError> {
    let ceiling = bytes_max.saturating_add(1);
    let mut output = Vec::with_capacity(body.len().saturating_mul(3).clamp(64, ceiling.max(64)));
    for part in [body, &TAIL] {
        let mut rest = part;
        loop {
            if output.len() > bytes_max {
                return Err(InflateError::TooLarge);
            }
            if output.len() == output.capacity() {
                output.reserve_exact(output.len().max(1).min(ceiling - output.len()));
            }
            let before = inflater.total_in();
            let status = inflater
                .decompress_vec(rest, &mut output, FlushDecompress::None)
                .map_err(|_| InflateError::Corrupt)?;
            let consumed = usize::try_from(inflater.total_in() - before).unwrap_or(usize::MAX);
            rest = rest.get(consumed..).unwrap_or_default();
            match status {
                // A final block ends the message early. RFC 7692 7.2.3.4 lets one byte of padding
                // follow it; more would be data that the client believes we have read.
                Status::StreamEnd if output.len() > bytes_max => {
                    return Err(InflateError::TooLarge);
                }
                Status::StreamEnd if part != body || rest.is_empty() || rest == [0] => {
                    return Ok(output);
                }
                Status::StreamEnd => return Err(InflateError::Corrupt),
                // With room left everything that the input holds has been written.
                Status::Ok | Status::BufError if output.len() < output.capacity() => break,
                Status::Ok | Status::BufError => {}
            }
        }
        if !rest.is_empty() {
            return Err(InflateError::Corrupt);
        }
    }
    if output.len() > bytes_max { Err(InflateError::TooLarge) } else { Ok(output) }
}

/// The end of a flushed DEFLATE stream, which is not sent.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

thread_local! {
    static COMPRESSOR: RefCell<Compress> =
        RefCell::new(Compress::new(Compression::default(), false));
    static INFLATER: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

#[cfg(test)]
mod tests;
