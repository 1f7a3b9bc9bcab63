//! Monitors for tests: keys that allow it, events as they arrive.

use bayeuxd::{
    auth::Digest,
    config::{ApiKey, Config, Role},
};
use serde_json::{Value, json};

use crate::{
    bayeux::{Polling, Socket, connect, connect_now, handshake, subscribe},
    broker::Broker,
};

/// The secret of the key that monitors.
pub const KEY: &str = "the-secret-of-a-monitor";

/// Makes a key of the role monitor.
pub fn monitor_key(id: &str, secret: &str) -> ApiKey {
    ApiKey {
        id: id.into(),
        secret_sha256: Some(Digest::of(secret.as_bytes()).to_string()),
        role: Role::Monitor,
        ..ApiKey::default()
    }
}

/// Starts a broker that knows [`KEY`], after `change` has had its way with its configuration.
pub async fn broker_with(change: impl FnOnce(&mut Config)) -> Broker {
    Broker::with(|config| {
        config.auth.keys.push(monitor_key("monitor", KEY));
        config.monitor.stats_interval = std::time::Duration::from_secs(3_600);
        change(config);
    })
    .await
}

/// Starts a broker that knows [`KEY`] and tells totals only when asked.
pub async fn broker() -> Broker {
    broker_with(|_| {}).await
}

/// A handshake that shows a key.
pub fn handshake_with_key(secret: &str) -> Value {
    let mut message = handshake();
    message["ext"] = json!({"authentication": {"key": secret}});
    message
}

/// A subscribe of a monitor that wants less than everything.
pub fn subscribe_filtered(id: &str, channel: &str, filter: Value) -> Value {
    let mut message = subscribe(id, channel);
    message["ext"] = json!({"monitor": filter});
    message
}

/// A connected WebSocket session that shows `secret`.
pub async fn socket_with(broker: &Broker, secret: &str) -> Socket {
    let mut socket = Socket::handshake_with(broker.address, handshake_with_key(secret)).await;
    let reply = socket.one(connect_now("2")).await;
    assert_eq!(reply["successful"], true, "{reply}");
    socket
}

/// A connected polling session that shows `secret`.
pub async fn polling_with(broker: &Broker, secret: &str) -> Polling {
    let mut polling = Polling::handshake_with(broker.address, handshake_with_key(secret)).await;
    let reply = polling.one(connect_now("2")).await;
    assert_eq!(reply["successful"], true, "{reply}");
    polling
}

/// A monitor over WebSocket, subscribed to `channel`, with a connect that is held.
pub async fn monitor(broker: &Broker, channel: &str) -> Monitor {
    let mut monitor = Monitor::of(socket_with(broker, KEY).await);
    monitor.subscribe(channel).await;
    monitor.socket.send(json!([connect("m")])).await;
    monitor
}

/// A monitor and what it has not looked at yet.
#[derive(Debug)]
pub struct Monitor {
    /// Its connection.
    pub socket: Socket,
    unread: Vec<Value>,
}

impl Monitor {
    /// Goes on with a session that has subscribed.
    pub fn of(socket: Socket) -> Self {
        Self { socket, unread: Vec::new() }
    }

    /// Sends a message and returns its reply. Events that come before it stay unread.
    pub async fn one(&mut self, message: Value) -> Value {
        let channel = message["channel"].clone();
        self.socket.send(json!([message])).await;
        loop {
            let mut messages = self.socket.recv().await;
            let reply =
                messages.iter().position(|it| it.get("data").is_none() && it["channel"] == channel);
            let reply = reply.map(|index| messages.remove(index));
            self.unread.extend(messages);
            if let Some(reply) = reply {
                return reply;
            }
        }
    }

    /// Subscribes.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn subscribe(&mut self, channel: &str) {
        let reply = self.one(subscribe("s", channel)).await;
        assert_eq!(reply["successful"], true, "{reply}");
    }

    /// The next event with its envelope, which is checked. Replies to its connects are passed over.
    pub async fn message(&mut self) -> Value {
        loop {
            while self.unread.is_empty() {
                self.unread = self.socket.recv().await;
            }
            let message = self.unread.remove(0);
            if message.get("data").is_some() {
                assert_envelope(&message);
                return message;
            }
        }
    }

    /// The `data` of the next event.
    pub async fn event(&mut self) -> Value {
        self.message().await["data"].take()
    }

    /// The `data` of the next event of that type; others are passed over.
    pub async fn event_of(&mut self, kind: &str) -> Value {
        loop {
            let event = self.event().await;
            if event["type"] == kind {
                return event;
            }
        }
    }

    /// All events up to the first that is about `channel`, which [`mark`] makes.
    pub async fn until_mark(&mut self, channel: &str) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.event().await;
            if event["channel"] == channel {
                return events;
            }
            events.push(event);
        }
    }
}

/// Has a session that nobody else knows subscribe to `channel`: an event behind all that came before.
pub async fn mark(broker: &Broker, channel: &str) {
    Socket::subscribed(broker.address, channel).await;
}

/// The envelope has exactly the fields of monitoring.md 3.
///
/// # Panics
/// If it has not.
pub fn assert_envelope(message: &Value) {
    let fields: Vec<&str> =
        message.as_object().expect("an object").keys().map(String::as_str).collect();
    let channel = message["channel"].as_str().expect("a channel");
    let alias = matches!(channel, "/meta/subscribe" | "/meta/unsubscribe");
    if alias {
        assert_eq!(fields, ["channel", "data", "successful"], "{message}");
        assert_eq!(message["successful"], true);
    } else {
        assert_eq!(fields, ["channel", "data"], "{message}");
    }
    let data = &message["data"];
    assert!(data["v"] == 1 && data["type"].is_string() && data["seq"].is_u64(), "{message}");
    let ts = data["ts"].as_str().expect("a time");
    assert!(ts.len() == 24 && ts.ends_with('Z'), "{message}");
}
