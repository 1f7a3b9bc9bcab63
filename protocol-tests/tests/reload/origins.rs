//! Pages that may connect, changed while pages are connected.

use protocol_tests::{
    bayeux::{Polling, Socket, connect, connect_now, deliveries, delivery, handshake, publish},
    http::{self, Connection, Request},
    websocket::{WebSocket, upgrade_request},
};
use serde_json::{Value, json};

use super::Site;

const A: &str = "https://a.example";
const B: &str = "https://b.example";

fn allowing(origin: &str) -> String {
    format!("[server]\nallowed_origins = [\"{origin}\"]\n")
}

/// The status of an upgrade, a poll and a preflight of a page.
async fn answers(site: &Site, origin: &str) -> [u16; 3] {
    let upgrade = upgrade_request("/cometd").header("Origin", origin);
    let poll = Request::post("/cometd", json!([handshake()]).to_string()).header("Origin", origin);
    let preflight = Request::new("OPTIONS", "/cometd").header("Origin", origin);
    let mut statuses = [0; 3];
    for (status, request) in statuses.iter_mut().zip([upgrade, poll, preflight]) {
        *status = http::request(site.address(), &request).await.status;
    }
    statuses
}

const WELCOME: [u16; 3] = [101, 200, 204];
const REFUSED: [u16; 3] = [403; 3];

/// A page over WebSocket that has subscribed.
async fn page(site: &Site, origin: &str) -> Socket {
    let upgrade = upgrade_request("/cometd").header("Origin", origin);
    let websocket = WebSocket::open_with(site.address(), &upgrade).await;
    let mut socket = Socket { websocket, client_id: String::new() };
    socket.renew().await;
    socket.one(connect_now("2")).await;
    socket.subscribe("/news").await;
    socket
}

/// A session that polls from a page, each time on a connection that stays.
struct Poller {
    session: Polling,
    connection: Connection,
}

impl Poller {
    async fn start(site: &Site) -> Self {
        let mut session = Polling::connected(site.address()).await;
        session.subscribe("/news").await;
        Self { session, connection: Connection::open(site.address()).await }
    }

    async fn hold(&mut self, origin: &str) {
        let request = self.session.request(json!([connect("3")])).header("Origin", origin);
        self.connection.send(request.bytes()).await;
        self.connection.quiet().await;
    }

    async fn news(&mut self) -> Vec<Value> {
        deliveries(&self.connection.response().await.messages())
    }
}

#[tokio::test]
async fn p108_origins_follow_a_hangup_and_connections_stay() {
    const DONE: &str = "reloaded: server.allowed_origins";
    let mut site = Site::start("origins", &allowing(A));
    assert_eq!((answers(&site, A).await, answers(&site, B).await), (WELCOME, REFUSED));
    let (mut first, mut poller) = (page(&site, A).await, Poller::start(&site).await);
    let mut publisher = Polling::connected(site.address()).await;
    poller.hold(A).await;

    site.hang_up(&allowing(B), DONE).await;
    assert_eq!((answers(&site, A).await, answers(&site, B).await), (REFUSED, WELCOME));
    let mut second = page(&site, B).await;
    publisher.publish("/news", 1).await;
    let news = |n: u64| vec![delivery("/news", n)];
    assert_eq!((first.recv().await, second.recv().await), (news(1), news(1)));
    assert_eq!(poller.news().await, news(1), "the poll was held all the time");
    // A poll is a request: the next one meets the new list, on the connection that it has.
    let poll = poller.session.request(json!([connect("4")])).header("Origin", A);
    assert_eq!(poller.connection.exchange(&poll).await.status, 403);
    poller.hold(B).await;

    site.hang_up(&allowing(A), DONE).await;
    assert_eq!((answers(&site, A).await, answers(&site, B).await), (WELCOME, REFUSED));
    // Both pages go on, the one that could not come back today included.
    second.send(json!([publish("p", "/news", 2)])).await;
    assert_eq!(deliveries(&second.recv_messages(2).await), news(2));
    assert_eq!((first.recv().await, poller.news().await), (news(2), news(2)));
    site.process.assert_well();
}

#[tokio::test]
async fn trusted_proxies_follow_a_reload() {
    // Behind TLS the page has an https origin, which is the broker's own if the proxy is believed.
    let own = Request::post("/cometd", json!([handshake()]).to_string())
        .without("Host")
        .header("Host", "chat.example")
        .header("Origin", "https://chat.example")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-For", "203.0.113.7");
    let site = Site::start("proxies", "[server]\nallowed_origins = [\"https://chat.example\"]\n");
    let secure = async |site: &Site| {
        let response = http::request(site.address(), &own).await;
        assert_eq!(response.status, 200, "{response:?}");
        response.header("set-cookie").is_some_and(|cookie| cookie.contains("; Secure"))
    };
    assert!(!secure(&site).await, "nobody is believed");
    let trusting = "[server]\nallowed_origins = [\"https://chat.example\"]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    site.reload(trusting).await;
    assert!(secure(&site).await, "the proxy is believed");
    site.reload("[server]\nallowed_origins = [\"https://chat.example\"]\n").await;
    assert!(!secure(&site).await, "nobody is believed again");
}
