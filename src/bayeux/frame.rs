//! One delivery, encoded once and shared by every queue it waits in.
//!
//! The envelope is written anew and never relayed: from the publisher come only the raw `data`,
//! `ext` and fields unknown to the protocol, so 64-bit integers stay exact and neither `id` nor
//! `clientId` can slip through. `ext.authentication` is left out. Nothing that belongs to one
//! session (acknowledgement numbers, replies) enters a frame.
//! Source: protocol.md 6 to 8; RFC 6455 5.2; RFC 7692 6.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::{
    bayeux::{ChannelName, Mark, QueuePolicy, json, scan},
    ws::{
        deflate::compress_message,
        encode::{self, Opcode},
    },
};

mod authentication;

/// One delivery: a complete WebSocket text message, in which the JSON object of a poll response
/// lies. Cloning counts a reference.
#[derive(Clone)]
pub struct Frame(Arc<Encoded>);

/// How a frame is treated on its way to a client. Nothing of it is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handling {
    /// What becomes of it in a full queue.
    pub policy: QueuePolicy,
    /// The broker's time until which it may wait for others, in milliseconds; `None`: not at all.
    pub lazy_until: Option<u64>,
    /// When it arrived, if somebody wants to know.
    pub mark: Option<Mark>,
}

/// Counts the bytes of all frames that are alive, a shared frame once.
///
/// Clones of [`Frame::wire`] that outlive their frame are not counted. They live for one write.
#[derive(Debug, Default)]
pub struct Meter(AtomicUsize);

struct Encoded {
    /// Frame header, `[`, object, `]`.
    wire: Bytes,
    /// Where the header ends and the payload, the array, begins.
    payload_start: usize,
    /// The same message deflated, made by the first connection that wants it. `None` inside: it
    /// would not be smaller.
    deflated: OnceLock<Option<Bytes>>,
    channel: ChannelName,
    handling: Handling,
    /// It holds events for a monitor instead of one delivery.
    events: bool,
    meter: Arc<Meter>,
}

// === impl Frame ===

impl Frame {
    /// Writes the delivery `[{"channel":…,"data":…,"ext":…,…}]` as an unmasked WebSocket text
    /// message, into one buffer of exactly its size. Raw line breaks become spaces.
    ///
    /// `extra` are the publisher's unknown fields, their names unescaped. They must not repeat
    /// `channel`, `data` or `ext`; [`parse_batch`](super::parse_batch) sees to that. The frame's
    /// bytes are on `meter` until its last clone is gone.
    pub fn encode(
        channel: &ChannelName,
        data: &RawValue,
        ext: Option<&RawValue>,
        extra: &[(Cow<'_, str>, &RawValue)],
        handling: impl Into<Handling>,
        meter: &Arc<Meter>,
    ) -> Self {
        let ext = ext.map(authentication::without);
        let fields = Fields { channel, data: data.get(), ext: ext.as_deref(), extra };
        let payload_len = "[]".len() + fields.len();
        let header = encode::header(Opcode::Text, false, payload_len);
        let mut wire = Vec::with_capacity(header.len() + payload_len);
        wire.extend_from_slice(&header);
        wire.push(b'[');
        fields.write(&mut wire);
        wire.push(b']');
        debug_assert_eq!(wire.len(), header.len() + payload_len, "the size was foretold wrongly");
        meter.0.fetch_add(wire.len(), Ordering::Relaxed);
        Self(Arc::new(Encoded {
            wire: wire.into(),
            payload_start: header.len(),
            deflated: OnceLock::new(),
            channel: channel.clone(),
            handling: handling.into(),
            events: false,
            meter: Arc::clone(meter),
        }))
    }

    /// Several objects for one monitor, separated by commas, as one message. Anything that embeds
    /// [`Frame::object`] into an array embeds all of them.
    pub fn events(objects: &[u8], meter: &Arc<Meter>) -> Self {
        let header = encode::header(Opcode::Text, false, objects.len() + "[]".len());
        let mut wire = Vec::with_capacity(header.len() + objects.len() + "[]".len());
        wire.extend_from_slice(&header);
        wire.push(b'[');
        wire.extend_from_slice(objects);
        wire.push(b']');
        meter.0.fetch_add(wire.len(), Ordering::Relaxed);
        Self(Arc::new(Encoded {
            wire: wire.into(),
            payload_start: header.len(),
            deflated: OnceLock::new(),
            channel: ChannelName::root(),
            handling: QueuePolicy::Disconnect.into(),
            events: true,
            meter: Arc::clone(meter),
        }))
    }

    /// Whether it was made by [`Frame::events`]: such a frame lies in no queue.
    pub fn is_events(&self) -> bool {
        self.0.events
    }

    /// The whole WebSocket message, not compressed.
    pub fn wire(&self) -> &Bytes {
        &self.0.wire
    }

    /// The delivery as a JSON array of one object, on one line: the payload of [`Frame::wire`].
    pub fn array(&self) -> &[u8] {
        self.0.payload()
    }

    /// The delivery as a JSON object on one line, `{"channel":…,"data":…}`, for embedding into an
    /// array.
    pub fn object(&self) -> &[u8] {
        let array = self.array();
        array.get(1..array.len().saturating_sub(1)).unwrap_or_default()
    }

    /// The channel on which the message was published.
    pub fn channel(&self) -> &ChannelName {
        &self.0.channel
    }

    /// What becomes of it in a full queue.
    pub fn policy(&self) -> QueuePolicy {
        self.0.handling.policy
    }

    /// Whether a full queue drops it, or others for it, instead of ending its session.
    pub fn is_lossy(&self) -> bool {
        self.policy() != QueuePolicy::Disconnect
    }

    /// Until when it may wait for others; see [`Handling::lazy_until`].
    pub fn lazy_until(&self) -> Option<u64> {
        self.0.handling.lazy_until
    }

    /// When the message arrived; see [`Handling::mark`].
    pub fn mark(&self) -> Option<Mark> {
        self.0.handling.mark
    }

    /// The length of [`Frame::wire`]: what the frame counts in a queue.
    pub fn bytes(&self) -> usize {
        self.0.wire.len()
    }

    /// Its part of [`Frame::bytes`], if all clones have equal parts. Concurrent changes may show a moment later.
    pub fn share(&self) -> usize {
        self.bytes() / Arc::strong_count(&self.0)
    }

    /// The whole WebSocket message compressed with permessage-deflate, without context from other
    /// messages and with the largest window. `None` if that would not be smaller.
    ///
    /// Compresses on the first call; others that ask meanwhile wait for it.
    pub fn deflated(&self) -> Option<&Bytes> {
        self.0.deflated.get_or_init(|| self.0.deflate()).as_ref()
    }
}

impl fmt::Debug for Frame {
    /// Never prints the payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("channel", &self.0.channel.as_str())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

// === impl Handling ===

impl From<QueuePolicy> for Handling {
    fn from(policy: QueuePolicy) -> Self {
        Self { policy, lazy_until: None, mark: None }
    }
}

// === impl Meter ===

impl Meter {
    /// A meter at zero.
    pub const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// How many bytes the frames hold now. Concurrent changes may show a moment later.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Encoded ===

impl Encoded {
    fn payload(&self) -> &[u8] {
        self.wire.get(self.payload_start..).unwrap_or_default()
    }

    fn deflate(&self) -> Option<Bytes> {
        let body = compress_message(self.payload())?;
        let header = encode::header(Opcode::Text, true, body.len());
        if header.len() + body.len() >= self.wire.len() {
            return None;
        }
        let mut wire = Vec::with_capacity(header.len() + body.len());
        wire.extend_from_slice(&header);
        wire.extend_from_slice(&body);
        self.meter.0.fetch_add(wire.len(), Ordering::Relaxed);
        Some(wire.into())
    }
}

impl Drop for Encoded {
    fn drop(&mut self) {
        let deflated = self.deflated.get().and_then(Option::as_ref).map_or(0, Bytes::len);
        self.meter.0.fetch_sub(self.wire.len() + deflated, Ordering::Relaxed);
    }
}

// === impl Fields ===

/// The object of a delivery, in the order in which it is written.
struct Fields<'a> {
    channel: &'a ChannelName,
    data: &'a str,
    ext: Option<&'a str>,
    extra: &'a [(Cow<'a, str>, &'a RawValue)],
}

impl Fields<'_> {
    /// How many bytes [`Fields::write`] appends.
    fn len(&self) -> usize {
        let mut len = CHANNEL.len() + self.channel.as_str().len() + DATA.len() + self.data.len();
        if let Some(ext) = self.ext {
            len += EXT.len() + ext.len();
        }
        for (name, value) in self.extra {
            len += ",:".len() + json::string_len(name) + value.get().len();
        }
        len + "}".len()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(CHANNEL.as_bytes());
        // No character of a channel name needs an escape.
        out.extend_from_slice(self.channel.as_str().as_bytes());
        out.extend_from_slice(DATA.as_bytes());
        scan::append_as_one_line(out, self.data);
        if let Some(ext) = self.ext {
            out.extend_from_slice(EXT.as_bytes());
            scan::append_as_one_line(out, ext);
        }
        for (name, value) in self.extra {
            out.push(b',');
            json::write_string(out, name);
            out.push(b':');
            scan::append_as_one_line(out, value.get());
        }
        out.push(b'}');
    }
}

const CHANNEL: &str = "{\"channel\":\"";
const DATA: &str = "\",\"data\":";
const EXT: &str = ",\"ext\":";

#[cfg(test)]
mod tests;
