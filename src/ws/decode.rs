//! What a client sends, as events: unmasked, reassembled, inflated, checked.
//!
//! The caller feeds bytes as they come and takes events until there are none; how the bytes were cut
//! makes no difference to the events. Every bound (declared length, reassembly, number of fragments,
//! inflated size) is checked before memory is spent on it, and text is checked as it arrives, so a
//! violation is found at its first byte. Between messages the decoder owns no memory.
//! Source: RFC 6455 5 (framing), 8.1 (UTF-8); RFC 7692 6 (compressed messages).

mod header;
mod message;

use bytes::Bytes;

use self::{
    header::Header,
    message::{Message, NOT_UTF8, unmask},
};
use crate::ws::{close, encode::Opcode};

/// Bounds on what one message may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Longest message, reassembled and inflated.
    pub message_bytes: usize,
    /// Most frames that one message may come in.
    pub fragments: u32,
    /// An uncompressed text of up to so many times `message_bytes` is passed on in pieces
    /// ([`Event::Excess`]) instead of being a violation; 0 for none.
    pub excess_factor: u32,
}

/// What the peer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A complete message, valid UTF-8.
    Text(Vec<u8>),
    /// A complete message of bytes.
    Binary(Vec<u8>),
    /// A piece of a text over the limit. Boxed, as every connection has room for an event.
    Excess(Box<Excess>),
    /// Asks for a pong with this payload.
    Ping(Bytes),
    /// Answers a ping, or is a sign of life.
    Pong,
    /// The peer's last frame, with its code and reason if it gave them. No event follows.
    Close(Option<u16>, Box<str>),
}

/// The next piece of a text over the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// The text, as far as it was not in a piece before: valid UTF-8, perhaps empty. Only the first may be
    /// as long as the limit; the others are what has been fed.
    pub piece: Vec<u8>,
    /// The text is complete.
    pub is_last: bool,
    /// [`DecodeLimits::message_bytes`].
    pub limit: usize,
}

/// The peer broke a rule; the connection is closed with this code and reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (close {code})")]
pub struct Violation {
    /// 1002, 1007 or 1009 (see [`close`]).
    pub code: u16,
    /// A few words for the close frame and the log.
    pub reason: &'static str,
    /// The bound that was passed, if it was one.
    pub bound: Option<Bound>,
}

/// One of [`DecodeLimits`], with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// [`DecodeLimits::message_bytes`].
    MessageBytes(usize),
    /// [`DecodeLimits::fragments`].
    Fragments(u32),
}

impl Violation {
    const fn protocol(reason: &'static str) -> Self {
        Self { code: close::PROTOCOL_ERROR, reason, bound: None }
    }

    const fn payload(reason: &'static str) -> Self {
        Self { code: close::INVALID_PAYLOAD, reason, bound: None }
    }

    /// What a message over [`DecodeLimits::message_bytes`] is, inflated or not.
    pub const fn too_large(limit: usize) -> Self {
        Self::size("message too large", Bound::MessageBytes(limit))
    }

    const fn size(reason: &'static str, bound: Bound) -> Self {
        Self { code: close::TOO_BIG, reason, bound: Some(bound) }
    }
}

/// Turns the bytes of one connection into events.
///
/// ```
/// use bayeuxd::ws::decode::{DecodeLimits, Decoder, Event};
///
/// let mut decoder = Decoder::new(DecodeLimits { message_bytes: 65536, fragments: 256, excess_factor: 0 }, false);
/// // "Hello", masked: the example of RFC 6455 5.7.
/// decoder.feed(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
/// assert_eq!(decoder.next(), Ok(Some(Event::Text(b"Hello".to_vec()))));
/// assert_eq!(decoder.next(), Ok(None));
/// ```
#[derive(Debug)]
pub struct Decoder {
    limits: DecodeLimits,
    compression: bool,
    /// Fed and not yet looked at: whole frames behind the last event, or the beginning of a frame.
    unread: Unread,
    /// The data frame whose payload is arriving. It belongs to `message`.
    frame: Option<Arriving>,
    message: Option<Message>,
    /// Boxed, as every connection has room for it.
    end: Option<Box<End>>,
}

/// The rest of a data frame.
#[derive(Debug)]
struct Arriving {
    fin: bool,
    remaining: usize,
    /// Rotated so that its first byte belongs to the next byte of payload.
    mask: [u8; 4],
}

#[derive(Debug)]
enum End {
    Closed,
    Violated(Violation),
}

impl Decoder {
    /// Starts a connection; `compression` tells whether permessage-deflate was negotiated.
    pub fn new(limits: DecodeLimits, compression: bool) -> Self {
        let unread = Unread::default();
        Self { limits, compression, unread, frame: None, message: None, end: None }
    }

    /// Takes bytes from the peer. They are dropped after a close or a violation.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.end.is_none() {
            self.unread.push(bytes);
        }
    }

    /// Returns the next event, or `None` if it needs more bytes than were fed.
    ///
    /// A violation is final: every later call returns it again.
    #[expect(clippy::should_implement_trait, reason = "`None` is not the end, as in an iterator")]
    pub fn next(&mut self) -> Result<Option<Event>, Violation> {
        match self.end.as_deref() {
            None => {}
            Some(End::Closed) => return Ok(None),
            Some(End::Violated(violation)) => return Err(*violation),
        }
        let outcome = self.advance();
        match outcome {
            Ok(Some(Event::Close(..))) => self.finish(End::Closed),
            Ok(_) => {}
            Err(violation) => self.finish(End::Violated(violation)),
        }
        outcome
    }

    /// Whether a text is next that came in one frame, is here in full and is not over the limit. What it
    /// turns out to be, a text or a violation, [`Self::next`] says.
    pub fn has_text(&self) -> bool {
        let idle = self.end.is_none() && self.frame.is_none() && self.message.is_none();
        let unread = self.unread.as_slice();
        if !idle || unread.is_empty() {
            return false;
        }
        let Ok(Some(header)) = Header::parse(unread) else { return false };
        let payload = (unread.len() - header.bytes).min(self.limits.message_bytes);
        let payload = u64::try_from(payload).unwrap_or(u64::MAX);
        header.opcode == Opcode::Text && header.fin && header.payload_bytes <= payload
    }

    fn finish(&mut self, end: End) {
        self.end = Some(Box::new(end));
        self.unread = Unread::default();
        self.message = None;
    }

    fn advance(&mut self) -> Result<Option<Event>, Violation> {
        loop {
            if let Some(mut frame) = self.frame.take() {
                let is_whole = self.take_payload(&mut frame)?;
                let is_last = is_whole && frame.fin;
                if !is_whole {
                    self.frame = Some(frame);
                }
                if let Some(piece) = self.message.as_mut().and_then(Message::give_away)
                    && (is_last || !piece.is_empty())
                {
                    return self.excess(piece, is_last).map(Some);
                }
                if !is_whole {
                    return Ok(None);
                }
                if !is_last {
                    continue;
                }
                if let Some(message) = self.message.take() {
                    return message.finish(self.limits.message_bytes).map(Some);
                }
            }
            let Some(header) = Header::parse(self.unread.as_slice())? else {
                return Ok(None);
            };
            if header.opcode.is_control() {
                return self.take_control(&header);
            }
            self.begin_data(&header)?;
            if let Some(piece) = self.message.as_mut().and_then(Message::exceed) {
                return self.excess(piece, false).map(Some);
            }
        }
    }

    fn excess(&mut self, piece: Vec<u8>, is_last: bool) -> Result<Event, Violation> {
        if is_last && self.message.take().is_some_and(|message| !message.is_valid()) {
            return Err(NOT_UTF8);
        }
        Ok(Event::Excess(Box::new(Excess { piece, is_last, limit: self.limits.message_bytes })))
    }

    /// Takes a control frame once it is there in full; it holds 125 bytes at most.
    fn take_control(&mut self, header: &Header) -> Result<Option<Event>, Violation> {
        let length = usize::try_from(header.payload_bytes).unwrap_or(usize::MAX);
        let end = header.bytes.saturating_add(length);
        let Some(masked) = self.unread.as_slice().get(header.bytes..end) else {
            return Ok(None);
        };
        let mut payload = masked.to_vec();
        unmask(&mut payload, header.mask);
        self.unread.consume(end);
        match header.opcode {
            Opcode::Ping => Ok(Some(Event::Ping(payload.into()))),
            Opcode::Close => close_reason(&payload).map(Some),
            _ => Ok(Some(Event::Pong)),
        }
    }

    /// Checks a data frame against the message it begins or continues, and against the limits.
    fn begin_data(&mut self, header: &Header) -> Result<(), Violation> {
        let mut message = match (header.opcode, self.message.take()) {
            (Opcode::Continuation, Some(_)) if header.rsv1 => {
                return Err(Violation::protocol("RSV1 on a continuation"));
            }
            (Opcode::Continuation, Some(message)) => message,
            (Opcode::Continuation, None) => {
                return Err(Violation::protocol("continuation without a message"));
            }
            (_, Some(_)) => return Err(Violation::protocol("message inside a message")),
            (_, None) if header.rsv1 && !self.compression => {
                return Err(Violation::protocol("RSV1 without an extension"));
            }
            (opcode, None) => Message::new(opcode == Opcode::Text, header.rsv1),
        };
        message.fragments += 1;
        if message.fragments > self.limits.fragments {
            return Err(Violation::size(
                "too many fragments",
                Bound::Fragments(self.limits.fragments),
            ));
        }
        let remaining = message.begin_frame(header.payload_bytes, &self.limits)?;
        self.unread.consume(header.bytes);
        self.frame = Some(Arriving { fin: header.fin, remaining, mask: header.mask });
        self.message = Some(message);
        Ok(())
    }

    /// Moves what has arrived of `frame` into the message; true once the frame is complete.
    fn take_payload(&mut self, frame: &mut Arriving) -> Result<bool, Violation> {
        let unread = self.unread.as_slice();
        let here = unread.get(..frame.remaining).unwrap_or(unread);
        let taken = here.len();
        if let Some(message) = &mut self.message {
            message.append(here, frame.mask)?;
        }
        self.unread.consume(taken);
        frame.remaining -= taken;
        frame.mask.rotate_left(taken % 4);
        Ok(frame.remaining == 0)
    }
}

/// Reads the payload of a close frame (RFC 6455 5.5.1, 7.4).
fn close_reason(payload: &[u8]) -> Result<Event, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return match payload {
            [] => Ok(Event::Close(None, Box::default())),
            _ => Err(Violation::protocol("close code cut short")),
        };
    };
    let code = u16::from_be_bytes(*code);
    if !close::may_be_sent(code) {
        return Err(Violation::protocol("invalid close code"));
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok(Event::Close(Some(code), reason.into())),
        Err(_) => Err(Violation::payload("close reason is not UTF-8")),
    }
}

/// Bytes waiting for the decoder. Owns no allocation while it is empty.
#[derive(Debug, Default)]
struct Unread {
    bytes: Vec<u8>,
    /// How many of `bytes` were consumed.
    start: usize,
}

impl Unread {
    fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn consume(&mut self, length: usize) {
        self.start += length;
        if self.start >= self.bytes.len() {
            *self = Self::default();
        }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
