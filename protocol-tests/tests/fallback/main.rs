//! Server-steered fallback: protocol.md section 18, on the wire. What real clients make of it is in
//! `js/fallback` and `python`.

mod count;
mod move_on;
mod way_back;

use std::time::Duration;

use bayeuxd::config::Config;
use protocol_tests::{
    bayeux::{Polling, Socket, connect_now, deliveries, handshake, unknown_connect},
    broker::Broker,
    deadline::soon,
    http::Response,
    websocket::{WebSocket, upgrade_request},
};
use serde_json::{Value, json, value::RawValue};
use tokio::time::sleep;

pub(crate) const FULL: [&str; 2] = ["websocket", "long-polling"];
pub(crate) const SHORT: [&str; 1] = ["long-polling"];

/// A broker that demotes for longer than a test lasts.
pub(crate) async fn broker() -> Broker {
    Broker::with(|_| ()).await
}

pub(crate) async fn broker_with(change: impl FnOnce(&mut Config)) -> Broker {
    Broker::with(|config| {
        config.session.timeout = Duration::from_millis(300);
        change(config);
    })
    .await
}

/// A page: its session over WebSocket, and the cookie of its browser, if that keeps cookies.
pub(crate) struct Page {
    pub(crate) broker: Broker,
    pub(crate) cookie: Option<String>,
    pub(crate) client_id: String,
}

impl Page {
    /// Shakes hands over a socket that stays open, and subscribes to `/a`.
    pub(crate) async fn open(broker: Broker, keeps_cookies: bool) -> (Self, Socket) {
        let socket = Socket::subscribed(broker.address, "/a").await;
        let cookie = keeps_cookies.then(|| socket.websocket.response.cookie());
        let client_id = socket.client_id.clone();
        (Self { broker, cookie, client_id }, socket)
    }

    /// Another socket of the page, which has not said for which session.
    pub(crate) async fn socket(&self) -> Socket {
        let websocket = self.upgrade().await.expect("an upgrade");
        Socket { websocket, client_id: self.client_id.clone() }
    }

    pub(crate) async fn upgrade(&self) -> Result<WebSocket, Response> {
        let request = upgrade_request("/cometd");
        let request = match &self.cookie {
            Some(cookie) => request.header("Cookie", cookie),
            None => request,
        };
        WebSocket::try_open(self.broker.address, &request).await
    }

    /// Loses so many sockets of the session, each after a connect over it.
    pub(crate) async fn lose(&self, sockets: usize) {
        for nth in 0..sockets {
            let mut socket = self.socket().await;
            let reply = socket.one(connect_now("7")).await;
            assert_eq!(reply["successful"], true, "socket {nth}: {reply}");
            self.reset(socket).await;
        }
    }

    /// Resets the connection, and waits until the broker has noticed: with its carrier gone, a
    /// request over HTTP gets what is published.
    pub(crate) async fn reset(&self, socket: Socket) {
        socket.websocket.reset();
        let mut witness = self.polling(&self.client_id).await;
        soon("the end of the socket", async {
            loop {
                let got = witness.publish("/a", "probe").await;
                if !deliveries(&got).is_empty() {
                    break;
                }
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// The page over HTTP, with a session of it.
    pub(crate) async fn polling(&self, client_id: &str) -> Polling {
        Polling::adopt(self.broker.address, client_id, self.cookie.as_deref()).await
    }

    /// Publishes a number from elsewhere.
    pub(crate) async fn send(&self, number: i64) {
        let data = RawValue::from_string(number.to_string()).expect("a number is JSON");
        self.broker.handle.publish("/a", &data).await.expect("a publish");
    }

    /// Opens a socket and connects over it, which sends the client to a handshake.
    pub(crate) async fn steered(&self) -> Socket {
        let mut socket = self.socket().await;
        assert_eq!(socket.one(connect_now("8")).await, unknown_connect("8"));
        socket
    }
}

/// Shakes hands over `socket` and returns the reply.
pub(crate) async fn renew(socket: &mut Socket) -> Value {
    socket.send_raw(json!([handshake()]).to_string()).await;
    let reply = socket.recv().await.remove(0);
    socket.client_id = reply["clientId"].as_str().expect("a session").to_owned();
    reply
}

pub(crate) fn data(messages: &[Value]) -> Vec<i64> {
    deliveries(messages).iter().filter_map(|message| message["data"].as_i64()).collect()
}
