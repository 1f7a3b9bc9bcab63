//! The Bayeux messages the tool writes, and the few replies it reads.
//!
//! Replies are parsed as JSON only while a session is opened and when something was refused.
//! `channel` comes first and `data` last, which is what the reference floor relies on.

use std::fmt::Write as _;

use serde::Deserialize;

use super::marker::Mark;

/// How sessions are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// One WebSocket a session.
    WebSocket,
    /// Held POST requests; what the session sends goes over a second connection.
    LongPolling,
}

impl Transport {
    /// The name in `connectionType`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::LongPolling => "long-polling",
        }
    }
}

/// A reply, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    /// The channel it answers.
    #[serde(default)]
    pub(super) channel: String,
    /// Absent in deliveries.
    pub(super) successful: Option<bool>,
    /// Of a handshake.
    #[serde(rename = "clientId")]
    pub(super) client_id: Option<String>,
    /// Why it was refused.
    pub(super) error: Option<String>,
    /// As the request had it; publishes carry [`publish_id`].
    pub(super) id: Option<serde_json::Value>,
    /// Extensions.
    #[serde(default)]
    pub(super) ext: serde_json::Value,
}

impl Reply {
    /// Tells what was refused and why.
    pub(super) fn refusal(&self) -> String {
        let why = self.error.as_deref().unwrap_or("without a reason");
        format!("the server refused {}: {why}", self.channel)
    }
}

/// Parses replies; deliveries among them are passed over by their missing `successful`.
pub(super) fn replies(payload: &[u8]) -> Option<Vec<Reply>> {
    serde_json::from_slice(payload).ok()
}

/// Writes a handshake; `acks` offers the acknowledgement extension.
pub(super) fn handshake(transport: Transport, acks: bool) -> String {
    let ext = if acks { r#","ext":{"ack":true}"# } else { "" };
    format!(
        r#"[{{"channel":"/meta/handshake","id":"h","version":"1.0","minimumVersion":"1.0","supportedConnectionTypes":["{}"],"advice":{{"timeout":60000,"interval":0}}{ext}}}]"#,
        transport.name()
    )
}

/// Writes one batch with a subscription to each channel.
pub(super) fn subscribe<'a>(client_id: &str, channels: impl Iterator<Item = &'a str>) -> String {
    let messages: Vec<String> = channels
        .map(|channel| {
            format!(
                r#"{{"channel":"/meta/subscribe","id":"s","clientId":"{client_id}","subscription":"{channel}"}}"#
            )
        })
        .collect();
    format!("[{}]", messages.join(","))
}

/// Writes a connect. `at_once` asks for the reply without holding it, as CometD's clients do with
/// their first one; `ack` is the number of the last batch that came, with the acknowledgement
/// extension.
pub(super) fn connect(
    client_id: &str,
    transport: Transport,
    at_once: bool,
    ack: Option<u64>,
) -> String {
    let advice = if at_once { r#","advice":{"timeout":0}"# } else { "" };
    let ext = ack.map(|ack| format!(r#","ext":{{"ack":{ack}}}"#)).unwrap_or_default();
    format!(
        r#"[{{"channel":"/meta/connect","id":"c","clientId":"{client_id}","connectionType":"{}"{advice}{ext}}}]"#,
        transport.name()
    )
}

/// Finds the number that a reply to a connect carries; the measured messages have no such field.
pub(super) fn ack(payload: &[u8]) -> Option<u64> {
    let rest = payload.get(memchr::memmem::rfind(payload, ACK)? + ACK.len()..)?;
    let digits = rest.iter().skip_while(|byte| **byte == b' ').take_while(|b| b.is_ascii_digit());
    digits.map(|digit| u64::from(digit - b'0')).fold(None, |number: Option<u64>, digit| {
        Some(number.unwrap_or(0).saturating_mul(10).saturating_add(digit))
    })
}

/// Writes a disconnect.
pub(super) fn disconnect(client_id: &str) -> String {
    format!(r#"[{{"channel":"/meta/disconnect","id":"d","clientId":"{client_id}"}}]"#)
}

/// What a published message holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Publish<'a> {
    /// Where to.
    pub(super) channel: &'a str,
    /// Whose session.
    pub(super) client_id: &'a str,
    /// Number of the publisher.
    pub(super) user: usize,
    /// What the receiver finds again.
    pub(super) mark: Mark,
    /// When it was sent.
    pub(super) start_ns: u64,
    /// The filling.
    pub(super) chat: &'a str,
}

impl Publish<'_> {
    /// Appends the message; its `data` has the fields of CometD's load client.
    pub(super) fn write(&self, out: &mut String) {
        let Self { channel, client_id, user, mark, start_ns, chat } = self;
        let _ = write!(
            out,
            r#"{{"channel":"{channel}","id":"{}","clientId":"{client_id}","data":{{"room":{},"user":{user},"chat":"{chat}","start":{start_ns},"msg_id":"{}"}}}}"#,
            publish_id(*mark),
            mark.room,
            mark.text(),
        );
    }
}

/// Makes a message id from which [`published`] finds the message again.
fn publish_id(mark: Mark) -> String {
    format!("{:x}p{:x}", mark.room, mark.index)
}

/// Reads room and index from the id of a reply to a publish.
pub(super) fn published(id: &str) -> Option<(u32, u32)> {
    let (room, index) = id.split_once('p')?;
    Some((u32::from_str_radix(room, 16).ok()?, u32::from_str_radix(index, 16).ok()?))
}

/// Writes a POST with `body`.
pub(super) fn post(path: &str, host: &str, cookies: &str, body: &str) -> Vec<u8> {
    let mut head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: {}\r\n",
        body.len()
    );
    if !cookies.is_empty() {
        let _ = write!(head, "Cookie: {cookies}\r\n");
    }
    head.push_str("\r\n");
    head.push_str(body);
    head.into_bytes()
}

/// Writes the request that turns a connection into a WebSocket (RFC 6455 4.1). The key is that of
/// RFC 6455 1.3: a nonce proves nothing to a tool. `deflate` offers permessage-deflate (RFC 7692)
/// without a window that outlives a message, so that all sessions can share one inflater.
pub(super) fn upgrade(path: &str, host: &str, deflate: bool) -> Vec<u8> {
    let extensions = if deflate {
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
    } else {
        ""
    };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n"
    )
    .into_bytes()
}

const ACK: &[u8] = b"\"ack\":";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json_and_ends_with_data() {
        let mark = Mark { run: 7, room: 0x1f, index: 300 };
        let publish =
            Publish { channel: "/a/31", client_id: "c1", user: 5, mark, start_ns: 9, chat: "xx" };
        let mut text = String::new();
        publish.write(&mut text);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["data"]["chat"], "xx");
        assert_eq!(published(value["id"].as_str().unwrap()), Some((31, 300)));
        assert!(text.starts_with(r#"{"channel":"/a/31","#) && text.ends_with("\"}}"), "{text}");
        for text in [
            handshake(Transport::WebSocket, false),
            handshake(Transport::LongPolling, true),
            subscribe("c", ["/a", "/b"].into_iter()),
            connect("c", Transport::LongPolling, true, None),
            connect("c", Transport::WebSocket, false, Some(7)),
            disconnect("c"),
        ] {
            assert!(replies(text.as_bytes()).is_some(), "{text}");
        }
    }

    #[test]
    fn the_number_of_a_reply_is_found() {
        for (text, number) in [
            (r#"[{"channel":"/meta/connect","ext":{"ack":120}}]"#, Some(120)),
            (r#"[{"ext":{"ack": 3},"channel":"/meta/connect"}]"#, Some(3)),
            (r#"[{"ext":{"ack":true}}]"#, None),
            (r#"[{"channel":"/meta/connect"}]"#, None),
        ] {
            assert_eq!(ack(text.as_bytes()), number, "{text}");
        }
    }

    #[test]
    fn a_refusal_tells_the_servers_reason() {
        let replies = replies(br#"[{"channel":"/a","successful":false,"error":"402::x","id":3}]"#);
        assert_eq!(replies.unwrap()[0].refusal(), "the server refused /a: 402::x");
        assert!(super::replies(b"<html>").is_none());
    }
}
