//! A session over HTTP long-polling.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{client_id_of, connect, connect_now, handshake, publish, stamp, subscribe};
use crate::http::{self, Connection, Request, Response};

/// A session that posts to `/cometd` and presents its browser cookie, as a page does.
#[derive(Debug)]
pub struct Polling {
    /// Where the broker (or a proxy before it) listens.
    pub address: SocketAddr,
    /// The session's id.
    pub client_id: String,
    /// The cookie of the handshake, `NAME=value`; set it to `None` for a client that drops cookies.
    pub cookie: Option<String>,
    /// The connection for everything but held connects.
    connection: Connection,
}

/// A `/meta/connect` in flight, on a connection of its own.
#[derive(Debug)]
pub struct Held {
    /// The connection that waits for the response.
    pub connection: Connection,
}

impl Polling {
    /// Handshakes, and does not connect yet.
    pub async fn handshake(address: SocketAddr) -> Self {
        Self::handshake_with(address, handshake()).await
    }

    /// Sends this handshake, and does not connect yet.
    pub async fn handshake_with(address: SocketAddr, handshake: Value) -> Self {
        let mut connection = Connection::open(address).await;
        let body = json!([handshake]).to_string();
        let response = connection.exchange(&Request::post("/cometd", body)).await;
        let client_id = client_id_of(&response.messages()[0]);
        Self { address, client_id, cookie: Some(response.cookie()), connection }
    }

    /// Goes on with a session that exists already.
    pub async fn adopt(address: SocketAddr, client_id: &str, cookie: Option<&str>) -> Self {
        Self {
            address,
            client_id: client_id.to_owned(),
            cookie: cookie.map(str::to_owned),
            connection: Connection::open(address).await,
        }
    }

    /// Handshakes and makes the first connect.
    pub async fn connected(address: SocketAddr) -> Self {
        let mut session = Self::handshake(address).await;
        let reply = session.one(connect_now("2")).await;
        assert_eq!(reply["successful"], true, "{reply}");
        session
    }

    /// Connected, and subscribed to `channel`.
    pub async fn subscribed(address: SocketAddr, channel: &str) -> Self {
        let mut session = Self::connected(address).await;
        session.subscribe(channel).await;
        session
    }

    /// Goes on at another address, on a new connection.
    pub async fn move_to(&mut self, address: SocketAddr) {
        self.address = address;
        self.connection = Connection::open(address).await;
    }

    /// The request that would carry `messages`.
    pub fn request(&self, mut messages: Value) -> Request {
        stamp(&mut messages, &self.client_id);
        let request = Request::post("/cometd", messages.to_string());
        match &self.cookie {
            Some(cookie) => request.header("Cookie", cookie),
            None => request,
        }
    }

    /// Posts `messages` and returns the response.
    pub async fn post(&mut self, messages: Value) -> Response {
        let request = self.request(messages);
        self.connection.exchange(&request).await
    }

    /// Posts `messages` and returns what came back, deliveries included.
    pub async fn send(&mut self, messages: Value) -> Vec<Value> {
        self.post(messages).await.messages()
    }

    /// Posts one message and returns the only message that came back.
    pub async fn one(&mut self, message: Value) -> Value {
        let mut messages = self.send(json!([message])).await;
        assert_eq!(messages.len(), 1, "one message expected: {messages:?}");
        messages.remove(0)
    }

    /// Subscribes.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn subscribe(&mut self, channel: &str) {
        let replies = self.send(json!([subscribe("s", channel)])).await;
        let reply = replies.last().expect("a Bayeux response is never empty");
        assert_eq!(reply["successful"], true, "{reply}");
    }

    /// Publishes and returns what came back.
    pub async fn publish(&mut self, channel: &str, data: impl Into<Value>) -> Vec<Value> {
        self.send(json!([publish("p", channel, data)])).await
    }

    /// Fetches what waits for this session by a connect that is answered at once; the last message
    /// is the connect reply.
    pub async fn fetch(&mut self) -> Vec<Value> {
        self.send(json!([connect_now("f")])).await
    }

    /// Sends a connect on a connection of its own and asserts that it is being held.
    pub async fn hold(&self, id: &str) -> Held {
        let mut held = self.begin(json!([connect(id)])).await;
        held.connection.quiet().await;
        held
    }

    /// Sends `messages` on a connection of its own without waiting for the response.
    pub async fn begin(&self, messages: Value) -> Held {
        let mut connection = Connection::open(self.address).await;
        connection.send(self.request(messages).bytes()).await;
        Held { connection }
    }

    /// Sends `messages` on a fresh connection and returns what came back.
    pub async fn elsewhere(&self, messages: Value) -> Vec<Value> {
        http::request(self.address, &self.request(messages)).await.messages()
    }
}

impl Held {
    /// The whole response.
    pub async fn response(&mut self) -> Response {
        self.connection.response().await
    }

    /// The messages of the response.
    pub async fn messages(&mut self) -> Vec<Value> {
        self.response().await.messages()
    }
}
