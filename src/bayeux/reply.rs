//! Writers of replies and advice.
//!
//! A reply never holds `data` (clients would take it for a delivery) and no `clientId`, except that
//! of a successful handshake. Advice is never partial: cometd.js completes it with its own defaults,
//! not with what it heard before. Which advice goes into which reply is the broker's decision.
//! Source: protocol.md 3 to 6, 11, 15, 34 to 37, 66.

use std::{io::Write, time::Duration};

use serde_json::value::RawValue;

use crate::bayeux::{error::Refusal, ext::ReplyExt, json, scan, timestamp::Timestamp};

/// What a client is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconnect {
    /// Send the next `/meta/connect`.
    Retry,
    /// Open a new session. Never in a successful reply: cometd.js stops dead (protocol.md 17).
    Handshake,
    /// Stop.
    None,
}

/// How a client is to go on. An absent duration leaves its field out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// What to do next.
    pub reconnect: Reconnect,
    /// How long to wait before doing it.
    pub interval: Option<Duration>,
    /// How long the next connect may be held.
    pub timeout: Option<Duration>,
    /// For how long the session survives without a connect.
    pub max_interval: Option<Duration>,
    /// Tells that this browser has several sessions, so that this one must poll (protocol.md 75).
    pub multiple_clients: bool,
}

/// The fields that only a successful handshake reply has; `version` and `minimumVersion` are always
/// `1.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeFields<'a> {
    /// The id of the new session.
    pub client_id: &'a str,
    /// The transports that the broker offers; at least one.
    pub connection_types: &'a [&'a str],
    /// How many deliveries follow, if any may (protocol.md 27).
    pub messages: Option<usize>,
}

/// The answer to one message.
///
/// ```
/// # use bayeuxd::bayeux::{Refusal, Reply};
/// let mut out = Vec::new();
/// let error = Some(Refusal::ChannelInvalid { reason: "" });
/// Reply { channel: Some("foo"), id: Some("15"), error, ..Reply::default() }.write(&mut out);
/// assert_eq!(
///     String::from_utf8_lossy(&out),
///     r#"{"channel":"foo","id":"15","successful":false,"error":"405::channel_invalid"}"#
/// );
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Reply<'a> {
    /// The channel of the request, as sent.
    pub channel: Option<&'a str>,
    /// The id of the request, as sent.
    pub id: Option<&'a str>,
    /// Whether the request was carried out.
    pub successful: bool,
    /// Why it was not.
    pub error: Option<Refusal>,
    /// The `subscription` of the request, echoed as sent also on failure (protocol.md 66).
    pub subscription: Option<&'a RawValue>,
    /// How the client is to go on.
    pub advice: Option<Advice>,
    /// Of a successful handshake only.
    pub handshake: Option<HandshakeFields<'a>>,
    /// What extensions have to say.
    pub ext: ReplyExt,
    /// When the reply was written.
    pub timestamp: Option<Timestamp>,
}

// === impl Reply ===

impl Reply<'_> {
    /// Appends the reply as one JSON object on one line, without the array around it.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(USUAL_BYTES);
        out.push(b'{');
        if let Some(channel) = self.channel {
            out.extend_from_slice(b"\"channel\":");
            json::write_string(out, channel);
            out.push(b',');
        }
        if let Some(id) = self.id {
            out.extend_from_slice(b"\"id\":");
            json::write_string(out, id);
            out.push(b',');
        }
        // The one field that is always there, so that the others know their commas.
        let successful: &[u8] =
            if self.successful { b"\"successful\":true" } else { b"\"successful\":false" };
        out.extend_from_slice(successful);
        if let Some(error) = self.error {
            append(out, format_args!(",\"error\":\"{error}\""));
        }
        if let Some(subscription) = self.subscription {
            out.extend_from_slice(b",\"subscription\":");
            scan::append_as_one_line(out, subscription.get());
        }
        if let Some(handshake) = &self.handshake {
            handshake.write(out);
        }
        if let Some(advice) = &self.advice {
            out.extend_from_slice(b",\"advice\":");
            advice.write(out);
        }
        self.ext.write(out);
        if let Some(timestamp) = self.timestamp {
            append(out, format_args!(",\"timestamp\":\"{timestamp}\""));
        }
        out.push(b'}');
    }
}

// === impl HandshakeFields ===

impl HandshakeFields<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"version\":\"1.0\",\"minimumVersion\":\"1.0\",\"clientId\":");
        json::write_string(out, self.client_id);
        out.extend_from_slice(b",\"supportedConnectionTypes\":[");
        for (nth, name) in self.connection_types.iter().enumerate() {
            if nth > 0 {
                out.push(b',');
            }
            json::write_string(out, name);
        }
        out.push(b']');
        if let Some(messages) = self.messages {
            append(out, format_args!(",\"x-messages\":{messages}"));
        }
    }
}

// === impl Advice ===

impl Advice {
    fn write(&self, out: &mut Vec<u8>) {
        let reconnect = match self.reconnect {
            Reconnect::Retry => "retry",
            Reconnect::Handshake => "handshake",
            Reconnect::None => "none",
        };
        append(out, format_args!("{{\"reconnect\":\"{reconnect}\""));
        let durations = [
            ("interval", self.interval),
            ("timeout", self.timeout),
            ("maxInterval", self.max_interval),
        ];
        for (name, duration) in durations {
            // Numbers, never strings: cometd.js adds to them (protocol.md 11).
            if let Some(duration) = duration {
                append(out, format_args!(",\"{name}\":{}", duration.as_millis()));
            }
        }
        if self.multiple_clients {
            out.extend_from_slice(b",\"multiple-clients\":true");
        }
        out.push(b'}');
    }
}

/// Room for a reply without advice: growing step by step would allocate five times.
const USUAL_BYTES: usize = 128;

/// Appends formatted text.
fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into a vector cannot fail: it grows, or the process ends.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests;
