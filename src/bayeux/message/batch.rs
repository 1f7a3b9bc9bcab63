//! From bytes to messages: the array or object around them, and the fields of each.
//!
//! Checks that cost little come first: UTF-8, depth, then one pass of `serde_json`, which stops at
//! the first breach of a limit instead of collecting what it will refuse.
//! Source: protocol.md 2, 13, 14.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Message, MessageLimits, fields::Field};
use crate::bayeux::{json, scan};

/// Why a body or frame is refused as a whole. The client is at fault. Texts hold nothing that it
/// sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadBatch {
    /// Not JSON.
    #[error("not valid JSON: line {line}, column {column}")]
    Json {
        /// Where the parser gave up, counted from 1.
        line: usize,
        /// Counted in bytes.
        column: usize,
    },
    /// Not UTF-8.
    #[error("not valid UTF-8")]
    Utf8,
    /// Nested deeper than [`MessageLimits::json_depth`].
    #[error("arrays and objects are nested too deeply")]
    Depth,
    /// An array without messages.
    #[error("the array holds no message")]
    Empty,
    /// More messages than [`MessageLimits::batch`].
    #[error("the array holds too many messages; send them in smaller batches")]
    TooMany,
    /// A field twice: parsers disagree on which one counts, so relaying it would be a way around
    /// the rules of a channel.
    #[error("{0} has the same field twice")]
    DuplicateKey(At),
    /// More fields than [`MessageLimits::envelope_keys`].
    #[error("{0} has too many fields; put them into data")]
    TooManyKeys(At),
    /// JSON, but neither an object nor an array, or the name of a field is not Unicode text.
    #[error("a message is a JSON object: send one, or an array of them")]
    NotAMessage,
    /// As [`Self::NotAMessage`], an element of an array.
    #[error("element {0} of the array is no message: each is a JSON object")]
    NoMessageAt(usize),
    /// Text begins with a mark that JSON does not have (RFC 8259 8.1).
    #[error("the text begins with a byte order mark (U+FEFF), which JSON does not have")]
    ByteOrderMark,
}

/// Which message of a batch: its place in the array, from 1, or the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At(pub Option<usize>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("a message"),
            Some(place) => write!(f, "message {place} of the array"),
        }
    }
}

/// Parses one HTTP body or WebSocket message: an array of messages or a single one.
///
/// The messages borrow from `bytes`; only texts with escapes are copied. Costs three passes over
/// the bytes (UTF-8, depth, JSON). What it allocates is the vector, and within a message the lists
/// of names and unknown fields.
///
/// # Errors
/// The first breach of JSON or of a limit, see [`BadBatch`]. Then nothing of the batch may be
/// processed. Wrongly typed fields are no error, they are answered message by message.
pub fn parse_batch<'a>(
    bytes: &'a [u8],
    limits: &MessageLimits,
) -> Result<Vec<Message<'a>>, BadBatch> {
    let text = str::from_utf8(bytes).map_err(|_| BadBatch::Utf8)?;
    if scan::deeper_than(bytes, limits.json_depth) {
        return Err(BadBatch::Depth);
    }
    let breach = Breach::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let batch = Batch { limits, breach: &breach };
    let parsed = json.deserialize_any(batch).and_then(|messages| json.end().map(|()| messages));
    let messages = parsed.map_err(|error| match begins_with_mark(bytes) {
        true => BadBatch::ByteOrderMark,
        false => breach.explain(&error),
    })?;
    if messages.is_empty() { Err(BadBatch::Empty) } else { Ok(messages) }
}

/// Whether `bytes` begin with a byte order mark, as some editors and .NET write it.
pub fn begins_with_mark(bytes: &[u8]) -> bool {
    bytes.starts_with("\u{feff}".as_bytes())
}

/// Carries our reason past serde's error, which can hold only a text.
#[derive(Default)]
struct Breach {
    reason: Cell<Option<BadBatch>>,
    /// The element of the array that could not be read, from 1.
    element: Cell<Option<usize>>,
}

/// Reads the whole: an array of messages, or one message.
struct Batch<'l> {
    limits: &'l MessageLimits,
    breach: &'l Breach,
}

/// Reads one message.
#[derive(Clone, Copy)]
struct Envelope<'l> {
    limits: &'l MessageLimits,
    breach: &'l Breach,
}

// === impl Breach ===

impl Breach {
    /// Notes the reason and makes the error that ends the parse.
    fn raise<E: serde::de::Error>(&self, reason: BadBatch) -> E {
        self.reason.set(Some(reason));
        E::custom(reason)
    }

    fn explain(&self, error: &serde_json::Error) -> BadBatch {
        let element = self.element.get();
        match (self.reason.get(), element) {
            (Some(BadBatch::DuplicateKey(_)), _) => BadBatch::DuplicateKey(At(element)),
            (Some(BadBatch::TooManyKeys(_)), _) => BadBatch::TooManyKeys(At(element)),
            (Some(BadBatch::NotAMessage), Some(place)) => BadBatch::NoMessageAt(place),
            (Some(reason), _) => reason,
            // A value of another type where a message was expected.
            (None, Some(place)) if error.is_data() => BadBatch::NoMessageAt(place),
            (None, None) if error.is_data() => BadBatch::NotAMessage,
            (None, _) => BadBatch::Json { line: error.line(), column: error.column() },
        }
    }
}

// === impl Batch ===

impl<'de> Visitor<'de> for Batch<'_> {
    type Value = Vec<Message<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message or an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let envelope = Envelope { limits: self.limits, breach: self.breach };
        // Most requests are one message, and the first growth would make room for four.
        let mut messages = Vec::with_capacity(1);
        loop {
            let element = elements.next_element_seed(envelope);
            let element =
                element.inspect_err(|_| self.breach.element.set(Some(messages.len() + 1)));
            let Some(message) = element? else { return Ok(messages) };
            if messages.len() == self.limits.batch {
                return Err(self.breach.raise(BadBatch::TooMany));
            }
            messages.push(message);
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        let envelope = Envelope { limits: self.limits, breach: self.breach };
        envelope.visit_map(entries).map(|message| vec![message])
    }
}

// === impl Envelope ===

impl<'de> DeserializeSeed<'de> for Envelope<'_> {
    type Value = Message<'de>;

    fn deserialize<D: Deserializer<'de>>(self, element: D) -> Result<Message<'de>, D::Error> {
        element.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Envelope<'_> {
    type Value = Message<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Message<'de>, A::Error> {
        let mut message = Message::default();
        let mut seen = Seen::default();
        let mut keys = 0;
        // Values stay raw here: a wrong type must not fail the batch, and serde's texts are copied.
        while let Some(key) = entries.next_key::<&RawValue>()? {
            keys += 1;
            if keys > self.limits.envelope_keys {
                return Err(self.breach.raise(BadBatch::TooManyKeys(At(None))));
            }
            let Some(name) = json::text(key) else {
                return Err(self.breach.raise(BadBatch::NotAMessage));
            };
            let value = entries.next_value::<&RawValue>()?;
            let known = Field::named(&name);
            let first = match known {
                Some(field) => seen.insert(field),
                // At most a few dozen keys: a walk is cheaper than a set.
                None => message.extra.iter().all(|(other, _)| *other != name),
            };
            if !first {
                return Err(self.breach.raise(BadBatch::DuplicateKey(At(None))));
            }
            match known {
                Some(field) => message.take(field, value, self.limits),
                None => message.extra.push((name, value)),
            }
        }
        Ok(message)
    }
}

/// Which fields of the protocol a message has shown so far, a bit for each.
#[derive(Default)]
struct Seen(u32);

impl Seen {
    /// Whether the field is new.
    fn insert(&mut self, field: Field) -> bool {
        let bit = 1 << field as u32;
        let new = self.0 & bit == 0;
        self.0 |= bit;
        new
    }
}
