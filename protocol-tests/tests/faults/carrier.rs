//! The two ways to carry a session, for tests that treat them alike: every failure is an answer.

use std::net::SocketAddr;

use protocol_tests::{
    http::{Connection, Request},
    websocket::{CLOSE, Frame, PING, PONG, TEXT, WebSocket, upgrade_request},
};
use serde_json::Value;

/// One connection of a client that survives its connections.
pub(crate) trait Carrier: Sized + Send {
    /// Part of channel names and of what is printed.
    const NAME: &str;
    /// Whether it can carry another message while a connect is held.
    const IS_DUPLEX: bool;

    /// Connects; `None` if that fails.
    fn open(address: SocketAddr) -> impl Future<Output = Option<Self>> + Send;

    /// Sends a batch. Failure shows when the answer is received.
    fn send(&mut self, messages: &Value) -> impl Future<Output = ()> + Send;

    /// The messages of the next response or frame; `None` at the end of the connection.
    fn recv(&mut self) -> impl Future<Output = Option<Vec<Value>>> + Send;
}

/// One request after the other on one connection, without a cookie.
pub(crate) struct Poll(Connection);

impl Carrier for Poll {
    const NAME: &str = "polling";
    const IS_DUPLEX: bool = false;

    async fn open(address: SocketAddr) -> Option<Self> {
        Some(Self(Connection::open(address).await))
    }

    async fn send(&mut self, messages: &Value) {
        let request = Request::post("/cometd", messages.to_string());
        self.0.send_even_if_closed(request.bytes()).await;
    }

    async fn recv(&mut self) -> Option<Vec<Value>> {
        // Anything but a Bayeux response is a failure, as it is to cometd.js.
        let response = self.0.response_or_end().await?;
        (response.status == 200).then(|| response.messages())
    }
}

/// A WebSocket.
pub(crate) struct Ws(WebSocket);

impl Carrier for Ws {
    const NAME: &str = "websocket";
    const IS_DUPLEX: bool = true;

    async fn open(address: SocketAddr) -> Option<Self> {
        let mut connection = Connection::open(address).await;
        connection.send_even_if_closed(upgrade_request("/cometd").bytes()).await;
        let response = connection.response_or_end().await?;
        WebSocket::upgraded(connection, response).ok().map(Self)
    }

    async fn send(&mut self, messages: &Value) {
        self.0.send(&Frame::text(messages.to_string())).await;
    }

    async fn recv(&mut self) -> Option<Vec<Value>> {
        loop {
            let frame = self.0.frame_or_end().await?;
            match frame.opcode {
                TEXT => return Some(messages_of(&frame)),
                PING => self.0.send(&Frame::new(PONG, frame.payload)).await,
                CLOSE => return None,
                _ => panic!("unexpected {frame:?}"),
            }
        }
    }
}

/// The messages of a text frame.
pub(crate) fn messages_of(frame: &Frame) -> Vec<Value> {
    serde_json::from_slice(&frame.payload).expect("a JSON array")
}
