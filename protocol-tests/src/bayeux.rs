//! Bayeux sessions for tests, thin enough that a test still sees every byte that matters.
//!
//! Requests are `json!` values. The helpers add the session's `clientId` to messages that do not
//! name one, and nothing else; replies come back as the exact JSON that arrived.

use serde_json::{Value, json};

mod polling;
mod socket;

pub use polling::{Held, Polling};
pub use socket::Socket;

/// The handshake that cometd.js sends.
pub fn handshake() -> Value {
    json!({
        "id": "1",
        "channel": "/meta/handshake",
        "version": "1.0",
        "minimumVersion": "1.0",
        "supportedConnectionTypes": ["websocket", "long-polling", "callback-polling"],
        "advice": {"timeout": 60000, "interval": 0},
    })
}

/// A connect that asks to be answered at once, as cometd.js sends it first and after a failure.
pub fn connect_now(id: &str) -> Value {
    json!({"id": id, "channel": "/meta/connect", "connectionType": "long-polling",
           "advice": {"timeout": 0}})
}

/// A connect that may be held.
pub fn connect(id: &str) -> Value {
    json!({"id": id, "channel": "/meta/connect", "connectionType": "long-polling"})
}

/// A subscribe.
pub fn subscribe(id: &str, channel: &str) -> Value {
    json!({"id": id, "channel": "/meta/subscribe", "subscription": channel})
}

/// An unsubscribe.
pub fn unsubscribe(id: &str, channel: &str) -> Value {
    json!({"id": id, "channel": "/meta/unsubscribe", "subscription": channel})
}

/// A publish.
pub fn publish(id: &str, channel: &str, data: impl Into<Value>) -> Value {
    json!({"id": id, "channel": channel, "data": data.into()})
}

/// A disconnect.
pub fn disconnect(id: &str) -> Value {
    json!({"id": id, "channel": "/meta/disconnect"})
}

/// What subscribers receive of a plain publish.
pub fn delivery(channel: &str, data: impl Into<Value>) -> Value {
    json!({"channel": channel, "data": data.into()})
}

/// The reply to a publish that succeeded.
pub fn published(id: &str, channel: &str) -> Value {
    json!({"channel": channel, "id": id, "successful": true})
}

/// The reply to a connect when nothing special is due, at a hold of `timeout_ms` (protocol.md 34).
pub fn connected(id: &str, timeout_ms: u64) -> Value {
    json!({"channel": "/meta/connect", "id": id, "successful": true,
           "advice": {"reconnect": "retry", "interval": 0, "timeout": timeout_ms}})
}

/// The reply to a connect of a session that the broker does not know (protocol.md 37).
pub fn unknown_connect(id: &str) -> Value {
    json!({"channel": "/meta/connect", "id": id, "successful": false,
           "error": "402::session_unknown", "advice": {"reconnect": "handshake", "interval": 0}})
}

/// A reply that refuses, without advice.
pub fn refused(id: &str, channel: &str, error: &str) -> Value {
    json!({"channel": channel, "id": id, "successful": false, "error": error})
}

/// The messages among `messages` that are deliveries: those with `data`.
pub fn deliveries(messages: &[Value]) -> Vec<Value> {
    messages.iter().filter(|message| message.get("data").is_some()).cloned().collect()
}

/// Adds `client_id` to each message that has no `clientId` field.
pub fn stamp(messages: &mut Value, client_id: &str) {
    match messages {
        Value::Array(messages) => messages.iter_mut().for_each(|each| stamp(each, client_id)),
        Value::Object(message) => {
            message.entry("clientId").or_insert_with(|| client_id.into());
        }
        _ => {}
    }
}

/// The `clientId` of a successful handshake reply.
fn client_id_of(reply: &Value) -> String {
    assert_eq!(reply["successful"], true, "{reply}");
    reply["clientId"].as_str().unwrap_or_else(|| panic!("no clientId in {reply}")).to_owned()
}
