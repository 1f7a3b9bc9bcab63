//! The `ext` field of meta messages: what a client asks of an extension, and what a reply says.
//!
//! A value that makes no sense is no value: extensions never fail a message. Keys that are not known
//! here are passed over and not repeated (protocol.md 135). The `ext` of a publish is not read at
//! all; it belongs to the application.
//! Source: protocol.md 123 to 130; CometD's `AcknowledgedMessagesExtension`, `TimesyncExtension`.

use std::{fmt, io::Write};

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::bayeux::json;

mod keys;
mod monitor;
mod timesync;

pub use keys::{ext_keys, shown_key};
pub use monitor::{BadMonitorRequest, MonitorRequest};
pub use timesync::{TimesyncReply, TimesyncRequest};

/// What a meta message asks of the extensions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestExt {
    /// `ext.ack`.
    pub ack: Option<AckRequest>,
    /// `ext.timesync`.
    pub timesync: Option<TimesyncRequest>,
}

/// `ext.ack` of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckRequest {
    /// `true`, in a handshake: the client will acknowledge.
    Offered,
    /// A whole number ≥ 0, in a connect: every batch up to this one has arrived.
    UpTo(u64),
}

/// What a reply says for the extensions; nothing leaves the field out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplyExt {
    /// `ext.ack`.
    pub ack: Option<AckReply>,
    /// `ext.timesync`.
    pub timesync: Option<TimesyncReply>,
}

/// `ext.ack` of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckReply {
    /// `true`, of a handshake: every connect reply will have a number.
    Accepted,
    /// `{"enabled":true,"batch":N}`, of a handshake whose reply ends that batch.
    AcceptedWithBatch(u64),
    /// The number of the batch that a connect reply ends.
    Batch(u64),
}

// === impl RequestExt ===

impl RequestExt {
    /// Reads `ext` as far as the extensions here know it.
    #[must_use]
    pub fn read(ext: Option<&RawValue>) -> Self {
        let read = |ext: &RawValue| {
            serde_json::Deserializer::from_str(ext.get()).deserialize_any(ExtVisitor).ok()
        };
        ext.and_then(read).unwrap_or_default()
    }
}

struct ExtVisitor;

impl<'de> Visitor<'de> for ExtVisitor {
    type Value = RequestExt;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ext")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RequestExt, A::Error> {
        let mut ext = RequestExt::default();
        while let Some((name, value)) = entries.next_entry::<&RawValue, &RawValue>()? {
            match json::text(name).as_deref() {
                Some("ack") => ext.ack = ack(value),
                Some("timesync") => ext.timesync = TimesyncRequest::read(value),
                _ => {}
            }
        }
        Ok(ext)
    }
}

/// A number that is negative, fractional or a string was never sent, so it acknowledges nothing
/// (protocol.md 125).
fn ack(value: &RawValue) -> Option<AckRequest> {
    match value.get() {
        "true" => Some(AckRequest::Offered),
        number => number.parse().ok().map(AckRequest::UpTo),
    }
}

// === impl ReplyExt ===

impl ReplyExt {
    /// Appends `,"ext":{…}`, or nothing.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if *self == Self::default() {
            return;
        }
        out.extend_from_slice(b",\"ext\":{");
        // Writing into a vector cannot fail: it grows, or the process ends.
        let _ = match self.ack {
            None => Ok(()),
            Some(AckReply::Accepted) => write!(out, "\"ack\":true"),
            Some(AckReply::AcceptedWithBatch(number)) => {
                write!(out, "\"ack\":{{\"enabled\":true,\"batch\":{number}}}")
            }
            Some(AckReply::Batch(number)) => write!(out, "\"ack\":{number}"),
        };
        if let Some(timesync) = &self.timesync {
            if self.ack.is_some() {
                out.push(b',');
            }
            timesync.write(out);
        }
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests;
