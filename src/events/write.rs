//! An event as the JSON object that monitors get as `data`, and as operators read it.
//!
//! Common fields first, then those of the type; what does not apply is absent. Client text is escaped
//! by the one writer of strings, and line breaks in client data become spaces, so no event is more than
//! one line.
//! Source: monitoring.md 3, 4.

use std::{fmt, io::Write as _, time::Duration};

use super::event::{Event, EventType, Stats, Subject, Subscribed, What};
use crate::bayeux::{Rfc3339, append_as_one_line, write_json_string};

impl Event {
    /// Appends the event as a JSON object, with the data of a publish if `payload`.
    pub fn write(&self, payload: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"v\":1");
        let mut object = Object(out);
        object.text("type", self.kind().as_str());
        object.number("seq", self.seq);
        object.text("ts", &Rfc3339(self.at).to_string());
        self.subject.write(&mut object);
        if self.has_outcome() {
            object.raw("ok", if self.error.is_none() { "true" } else { "false" });
        }
        if let Some(error) = self.error {
            object.text("error", &error.to_string());
        }
        self.what.write(payload, &mut object);
        out.push(b'}');
    }

    /// Whether the type is about something that was granted or refused.
    const fn has_outcome(&self) -> bool {
        !matches!(self.what, What::Merged { .. })
            && matches!(
                self.kind(),
                EventType::Handshake
                    | EventType::Connect
                    | EventType::Subscribe
                    | EventType::Unsubscribe
                    | EventType::Publish
            )
    }
}

impl Subject {
    fn write(&self, object: &mut Object<'_>) {
        if let Some(peer) = &self.peer {
            object.display("sid", peer.sid.as_ref());
            object.optional("ip", peer.ip.as_deref());
            if let Some(page) = &peer.page {
                object.optional("origin", page.origin.as_deref());
                object.optional("ua", page.agent.as_deref());
            }
        }
        object.optional("transport", self.transport.map(|transport| transport.name()));
    }
}

impl What {
    fn write(&self, payload: bool, object: &mut Object<'_>) {
        match self {
            Self::Handshake { types, ext_keys, moved_from, auth } => {
                object.texts("types", types);
                object.texts("ext_keys", ext_keys);
                object.display("moved_from", moved_from.as_ref());
                object.text("auth", auth.as_str());
            }
            Self::Connect { kind, gap } => {
                object.text("kind", kind.as_str());
                object.millis("gap_ms", *gap);
            }
            Self::Subscribe(it) | Self::Unsubscribe(it) => it.write(object),
            Self::Disconnect { cause, age, delivered, discarded } => {
                object.text("cause", cause.as_str());
                object.number("age_s", age.as_secs());
                object.number("delivered", *delivered);
                object.number("discarded", *discarded as u64);
            }
            Self::Publish { channel, size, fanout, via, data } => {
                object.text("channel", channel);
                object.number("size", *size as u64);
                object.number("fanout", *fanout as u64);
                object.text("via", via.as_str());
                if let Some(data) = data.as_deref().filter(|_| payload) {
                    object.client_json("data", data);
                }
            }
            Self::Queue { messages, bytes, policy, dropped } => {
                object.number("messages", *messages as u64);
                object.number("bytes", *bytes as u64);
                object.text("policy", policy.as_str());
                object.number("dropped", *dropped);
            }
            Self::Auth { op } => {
                object.raw("ok", "false");
                object.text("op", op.as_str());
            }
            Self::Transport { kind, from, to, breaks, window, until } => {
                object.text("kind", kind.as_str());
                object.text("from", from.name());
                object.text("to", to.name());
                object.optional_number("breaks", breaks.map(u64::from));
                object.optional_number("window_s", window.map(|window| window.as_secs()));
                object.display("until", until.map(Rfc3339).as_ref());
            }
            Self::Limit { limit, value } => {
                object.text("limit", limit);
                object.number("value", *value);
            }
            Self::Error { status, detail } => {
                object.text("status", status);
                object.text("detail", detail);
            }
            Self::Node { event } => object.text("event", event.as_str()),
            Self::Stats(stats) => stats.write(object),
            Self::Merged { count, .. } => object.number("merged", *count),
            Self::Lost { count, from_seq, to_seq } => {
                object.number("n", *count);
                object.number("from_seq", *from_seq);
                object.number("to_seq", *to_seq);
            }
        }
    }
}

impl Subscribed {
    fn write(&self, object: &mut Object<'_>) {
        object.text("channel", &self.channel);
        object.raw("pattern", if self.pattern { "true" } else { "false" });
        object.number("total", self.total as u64);
    }
}

impl Stats {
    fn write(&self, object: &mut Object<'_>) {
        if self.snapshot {
            object.raw("snapshot", "true");
        }
        object.number("sessions", self.sessions as u64);
        object.number("connects_held", self.connects_held as u64);
        object.number("channels", self.channels as u64);
        object.number("subscriptions", self.subscriptions as u64);
        object.raw("in_per_s", &format!("{:.1}", self.in_per_s));
        object.raw("out_per_s", &format!("{:.1}", self.out_per_s));
        object.number("queue_bytes", self.queue_bytes as u64);
    }
}

/// The fields of an object whose first one is written already.
struct Object<'a>(&'a mut Vec<u8>);

impl Object<'_> {
    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.0.extend_from_slice(json.as_bytes());
    }

    /// JSON as a client wrote it, who may have put line breaks between its tokens.
    fn client_json(&mut self, name: &str, json: &str) {
        self.name(name);
        append_as_one_line(self.0, json);
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        write_text(self.0, text);
    }

    fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        // Writing into a vector cannot fail: it grows, or the process ends.
        let _ = write!(self.0, "{number}");
    }

    fn optional_number(&mut self, name: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.number(name, number);
        }
    }

    fn millis(&mut self, name: &str, time: Option<Duration>) {
        let millis = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self.optional_number(name, millis);
    }

    /// A value whose text needs no escapes.
    fn display(&mut self, name: &str, value: Option<&impl fmt::Display>) {
        if let Some(value) = value {
            self.name(name);
            let _ = write!(self.0, "\"{value}\"");
        }
    }

    fn texts(&mut self, name: &str, texts: &[Box<str>]) {
        self.name(name);
        self.0.push(b'[');
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                self.0.push(b',');
            }
            write_text(self.0, text);
        }
        self.0.push(b']');
    }
}

/// Appends a JSON string in which no control character is left: JSON itself would let those above
/// ASCII pass, and some terminals obey them.
fn write_text(out: &mut Vec<u8>, text: &str) {
    let begin = out.len();
    write_json_string(out, text);
    if !text.contains(is_hidden_control) {
        return;
    }
    let written = String::from_utf8_lossy(out.get(begin..).unwrap_or_default()).into_owned();
    out.truncate(begin);
    for character in written.chars() {
        // Writing into a vector cannot fail: it grows, or the process ends.
        let _ = if is_hidden_control(character) {
            write!(out, "\\u{:04x}", u32::from(character))
        } else {
            write!(out, "{character}")
        };
    }
}

fn is_hidden_control(character: char) -> bool {
    matches!(character, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests;
