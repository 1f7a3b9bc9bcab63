//! Plain requests are read without hyper, all others by it (docs/architecture.md, Parking): no client can
//! tell which, however its bytes are cut.

use std::time::Duration;

use protocol_tests::{
    bayeux::{Polling, connect, connected, handshake, publish},
    broker::Broker,
    deadline::soon,
    http::{self, Connection, Request, Response},
    websocket::{Frame, WebSocket, upgrade_request},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// The same request with something that makes it unusual and that nobody reads.
fn unusual(request: Request) -> Request {
    request.header("X-Twice", "1").header("X-Twice", "2")
}

/// What has to be alike: status, headers in any order, body; of what is random, only its shape.
fn shape(response: Response) -> (u16, Vec<(String, String)>, String) {
    let mut headers = response.headers;
    for (name, value) in &mut headers {
        name.make_ascii_lowercase();
        match name.as_str() {
            "date" => assert_eq!(value.len(), "Sun, 06 Nov 1994 08:49:37 GMT".len(), "{value}"),
            "set-cookie" => *value = value.split_once(';').expect("attributes").1.to_owned(),
            _ => continue,
        }
        if name == "date" {
            value.clear();
        }
    }
    headers.sort();
    let mut body = String::from_utf8(response.body).expect("text");
    if let Some(at) = body.find("\"clientId\":\"") {
        body.replace_range(at + 12..at + 44, "");
    }
    (response.status, headers, body)
}

fn handshakes() -> Request {
    Request::post("/cometd", json!([handshake()]).to_string())
}

/// Requests with all kinds of answers.
fn table() -> Vec<Request> {
    let bare = |body: &str| Request::post("/cometd", body);
    let message = |message: Value| bare(&json!([message]).to_string());
    vec![
        handshakes(),
        handshakes().header("Connection", "keep-alive"),
        handshakes().header("Origin", "http://localhost:8080"),
        handshakes().header("Origin", "https://foreign.example"),
        handshakes().header("Cookie", "a=b; BAYEUX_BROWSER=planted"),
        handshakes().header("User-Agent", "Python/3.12 aiohttp/3.9"),
        handshakes().header("X-Forwarded-For", "10.0.0.1").header("X-Forwarded-Proto", "https"),
        handshakes().header("X-API-Key", "wrong"),
        handshakes().without("Host"),
        handshakes().without("Host").header("Host", ""),
        handshakes().without("Host").header("Host", "a b/c@d"),
        handshakes().without("Host").header("Host", "[::1]:8080"),
        Request::post("/cometd/handshake", json!([handshake()]).to_string()),
        message(connect("2")),
        message(publish("3", "/a", 1)),
        message(json!({"channel": "/meta/handshake"})),
        message(json!({"channel": "nonsense", "id": "4"})),
        bare(&json!([handshake(), handshake()]).to_string()),
        bare(""),
        bare("[]"),
        bare("{"),
        bare("nonsense"),
        bare("[\u{fffd}"),
        Request::post("/nowhere", "[]"),
        Request::post("/cometd?a=b", json!([handshake()]).to_string()),
    ]
}

#[tokio::test]
async fn p082_plain_and_unusual_requests_are_answered_alike() {
    let broker = Broker::start().await;
    let (mut one, mut other) =
        (Connection::open(broker.address).await, Connection::open(broker.address).await);
    for request in table() {
        let plain = shape(one.exchange(&request).await);
        let by_hyper = shape(other.exchange(&unusual(request.clone())).await);
        assert_eq!(plain, by_hyper, "{request:?}");
    }
}

#[tokio::test]
async fn p041_held_connects_are_answered_alike() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let hold = async |request: Request| {
        let mut connection = Connection::open(broker.address).await;
        connection.send(request.bytes()).await;
        connection.quiet().await;
        connection
    };
    let mut answers = Vec::new();
    for change in [|request| request, unusual] {
        let request = change(session.request(json!([connect("3")])));
        let mut superseded = hold(request.clone()).await;
        let mut delivered = hold(request.clone()).await;
        let superseded = shape(superseded.response().await);
        Polling::connected(broker.address).await.publish("/a", 1).await;
        let delivered = shape(delivered.response().await);
        let mut short = connect("3");
        short["advice"] = json!({"timeout": 300});
        let mut timed_out = Connection::open(broker.address).await;
        timed_out.send(change(session.request(json!([short]))).bytes()).await;
        let timed_out = shape(timed_out.response().await);
        hold(request).await.reset();
        session.publish("/b", 1).await;
        answers.push([superseded, delivered, timed_out]);
    }
    assert_eq!(answers[0].clone().map(|(status, ..)| status), [500, 200, 200]);
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn p082_a_request_may_come_in_any_two_pieces() {
    let broker = Broker::start().await;
    let request = handshakes().header("Origin", "http://localhost:8080");
    let expected = shape(http::request(broker.address, &request).await);
    let bytes = request.bytes();
    for at in 1..bytes.len() {
        let mut connection = Connection::open(broker.address).await;
        connection.send(&bytes[..at]).await;
        // Time for the broker to see the first piece alone; without it the case is an easier one.
        sleep(Duration::from_millis(1)).await;
        connection.send(&bytes[at..]).await;
        assert_eq!(shape(connection.response().await), expected, "cut at {at}");
    }
}

#[tokio::test]
async fn p082_pipelined_requests_are_answered_in_order() {
    let broker = Broker::start().await;
    let session = Polling::connected(broker.address).await;
    let publishes = |n: usize| session.request(json!([publish(&n.to_string(), "/a", n)]));
    // More than one read takes, and every so often one for hyper.
    for every in [1_000, 7, 2, 1] {
        let count = 150;
        let mut bytes = Vec::new();
        for n in 1..=count {
            let request = publishes(n);
            let request = if n % every == 0 { unusual(request) } else { request };
            bytes.extend(request.bytes());
        }
        assert!(bytes.len() > 2 * (16 << 10), "{}", bytes.len());
        let mut connection = Connection::open(broker.address).await;
        connection.send(&bytes).await;
        for n in 1..=count {
            let messages = connection.response().await.messages();
            assert_eq!(messages[0]["id"], n.to_string(), "one in {every} unusual");
        }
    }
}

#[tokio::test]
async fn p082_requests_behind_a_held_connect_wait_for_its_answer() {
    for change in [|request| request, unusual] {
        let broker = Broker::holding(300).await;
        let session = Polling::connected(broker.address).await;
        let mut bytes = change(session.request(json!([connect("3")]))).bytes();
        for n in 0..100 {
            bytes.extend(session.request(json!([publish(&n.to_string(), "/a", n)])).bytes());
        }
        let mut connection = Connection::open(broker.address).await;
        connection.send(&bytes).await;
        assert_eq!(connection.response().await.messages(), [connected("3", 300)]);
        for n in 0..100 {
            assert_eq!(connection.response().await.messages()[0]["id"], n.to_string());
        }
    }
}

#[tokio::test]
async fn p098_an_upgrade_behind_plain_requests_keeps_what_follows_it() {
    let broker = Broker::start().await;
    let mut connection = Connection::open(broker.address).await;
    let mut bytes = handshakes().bytes();
    bytes.extend(upgrade_request("/cometd").bytes());
    // More than hyper reads at a time.
    for n in 0..100 {
        let mut message = handshake();
        message["ext"] = "x".repeat(100).into();
        message["id"] = n.to_string().into();
        bytes.extend(Frame::text(json!([message]).to_string()).bytes());
    }
    assert!(bytes.len() > 16 << 10);
    connection.send(&bytes).await;
    assert_eq!(connection.response().await.status, 200);
    let response = connection.response().await;
    let mut websocket = WebSocket::upgraded(connection, response).expect("an upgrade");
    for n in 0..100 {
        let frame = websocket.frame().await;
        let messages: Value = serde_json::from_slice(&frame.payload).expect("JSON");
        assert_eq!(messages[0]["id"], n.to_string());
    }
}

#[tokio::test]
async fn deadlines_hold_whoever_reads_a_request() {
    let limit = Duration::from_millis(300);
    for change in [|request| request, unusual] {
        let broker = Broker::with(|config| {
            config.limits.header_timeout = limit;
            config.limits.body_timeout = limit;
        })
        .await;
        let begin = async |rest: &[u8]| {
            let mut connection = Connection::open(broker.address).await;
            let mut bytes = change(handshakes()).bytes();
            bytes.extend(rest);
            connection.send(&bytes).await;
            connection.response().await.messages();
            connection
        };
        let start = Instant::now();
        let mut slow_head = begin(b"").await;
        slow_head.send("POST /com").await;
        assert_eq!(slow_head.closed().await, b"");
        assert!(start.elapsed() >= limit - Duration::from_millis(50), "{:?}", start.elapsed());
        let slow_body = Request::new("POST", "/cometd").header("Content-Length", "10").bytes();
        let mut slow_body = begin(&slow_body).await;
        assert_eq!(slow_body.response().await.status, 408);
        assert_eq!(slow_body.closed().await, b"");
        drop(broker);
        // Longer than a slow machine takes for the first request.
        let broker = Broker::with(|config| config.limits.keep_alive = 4 * limit).await;
        let mut idle = Connection::open(broker.address).await;
        idle.exchange(&change(handshakes())).await.messages();
        let mut silent = Connection::open(broker.address).await;
        assert_eq!(idle.closed().await, b"");
        assert_eq!(silent.closed().await, b"");
    }
}

#[tokio::test]
async fn p140_a_stop_closes_idle_connections_and_those_that_are_answered() {
    for change in [|request| request, unusual] {
        let mut broker = Broker::start().await;
        let session = Polling::connected(broker.address).await;
        let mut idle = Connection::open(broker.address).await;
        idle.exchange(&change(handshakes())).await.messages();
        let mut held = Connection::open(broker.address).await;
        held.send(change(session.request(json!([connect("3")]))).bytes()).await;
        held.quiet().await;
        broker.drain();
        assert_eq!(idle.closed().await, b"");
        let response = held.response().await;
        assert_eq!(response.header("connection"), Some("close"));
        assert_eq!(response.messages()[0]["successful"], true);
        assert_eq!(held.closed().await, b"");
        soon("end of the drain", broker.stop()).await;
    }
}
