//! A session over WebSocket.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{client_id_of, connect_now, handshake, publish, stamp, subscribe};
use crate::websocket::{CLOSE, Frame, PING, PONG, TEXT, WebSocket};

/// A WebSocket that speaks Bayeux.
#[derive(Debug)]
pub struct Socket {
    /// The connection below, for frames that are not Bayeux.
    pub websocket: WebSocket,
    /// The session's id; empty before the handshake.
    pub client_id: String,
}

impl Socket {
    /// Opens `/cometd` without a session.
    pub async fn open(address: SocketAddr) -> Self {
        Self { websocket: WebSocket::open(address).await, client_id: String::new() }
    }

    /// Opens a new socket for a session that exists already.
    pub async fn adopt(address: SocketAddr, client_id: &str) -> Self {
        Self { client_id: client_id.to_owned(), ..Self::open(address).await }
    }

    /// Opens and handshakes.
    pub async fn handshake(address: SocketAddr) -> Self {
        Self::handshake_with(address, handshake()).await
    }

    /// Opens and sends this handshake.
    pub async fn handshake_with(address: SocketAddr, handshake: Value) -> Self {
        let mut socket = Self::open(address).await;
        socket.renew_with(handshake).await;
        socket
    }

    /// Opens, handshakes and makes the first connect.
    pub async fn connected(address: SocketAddr) -> Self {
        let mut socket = Self::handshake(address).await;
        let reply = socket.one(connect_now("2")).await;
        assert_eq!(reply["successful"], true, "{reply}");
        socket
    }

    /// Connected, and subscribed to `channel`.
    pub async fn subscribed(address: SocketAddr, channel: &str) -> Self {
        let mut socket = Self::connected(address).await;
        socket.subscribe(channel).await;
        socket
    }

    /// Handshakes (again) on this socket and goes on as the new session.
    pub async fn renew(&mut self) {
        self.renew_with(handshake()).await;
    }

    async fn renew_with(&mut self, handshake: Value) {
        self.send_raw(json!([handshake]).to_string()).await;
        let replies = self.recv().await;
        self.client_id = client_id_of(&replies[0]);
    }

    /// Sends `messages` as one text frame.
    pub async fn send(&mut self, mut messages: Value) {
        stamp(&mut messages, &self.client_id);
        self.send_raw(messages.to_string()).await;
    }

    /// Sends a text frame as it is.
    pub async fn send_raw(&mut self, text: impl Into<Vec<u8>>) {
        self.websocket.send(&Frame::text(text)).await;
    }

    /// The messages of the next text frame, which is always a non-empty array (protocol.md 1).
    /// Pings are answered on the way.
    pub async fn recv(&mut self) -> Vec<Value> {
        loop {
            let frame = self.websocket.frame().await;
            match frame.opcode {
                PING => self.websocket.send(&Frame::new(PONG, frame.payload)).await,
                TEXT => return messages_of(&frame),
                CLOSE => panic!("closed: {:?}", frame.close_reason()),
                _ => panic!("unexpected {frame:?}"),
            }
        }
    }

    /// The next `count` messages, however they are spread over frames.
    pub async fn recv_messages(&mut self, count: usize) -> Vec<Value> {
        let mut messages = Vec::new();
        while messages.len() < count {
            messages.extend(self.recv().await);
        }
        assert_eq!(messages.len(), count, "{messages:?}");
        messages
    }

    /// Sends one message and returns the only message of the next frame.
    pub async fn one(&mut self, message: Value) -> Value {
        self.send(json!([message])).await;
        let mut messages = self.recv().await;
        assert_eq!(messages.len(), 1, "one message expected: {messages:?}");
        messages.remove(0)
    }

    /// Subscribes.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn subscribe(&mut self, channel: &str) {
        let reply = self.one(subscribe("s", channel)).await;
        assert_eq!(reply["successful"], true, "{reply}");
    }

    /// Publishes to a channel that this session is not subscribed to, and awaits the reply.
    pub async fn publish(&mut self, channel: &str, data: impl Into<Value>) {
        let reply = self.one(publish("p", channel, data)).await;
        assert_eq!(reply["successful"], true, "{reply}");
    }

    /// The close code that comes next, whatever comes before it.
    pub async fn close_code(&mut self) -> u16 {
        self.websocket.close().await.expect("a close frame").0
    }
}

fn messages_of(frame: &Frame) -> Vec<Value> {
    assert!(frame.fin && frame.rsv == 0 && !frame.masked, "a plain whole frame: {frame:?}");
    let Ok(Value::Array(messages)) = serde_json::from_slice(&frame.payload) else {
        panic!("not a JSON array: {:?}", String::from_utf8_lossy(&frame.payload));
    };
    assert!(!messages.is_empty(), "an empty array");
    messages
}
