//! The graceful stop: architecture.md section 8, protocol.md 104 and 140, reliability.md F5.

use std::{net::SocketAddr, time::Duration};

use protocol_tests::{
    bayeux::{Polling, Socket, connect, deliveries, delivery},
    broker::Broker,
    deadline::{soon, within},
    http::{self, Request},
};
use serde_json::json;
use tokio::net::TcpStream;

#[tokio::test]
async fn p104_a_stop_closes_websockets_with_1001_after_their_messages() {
    let mut broker = Broker::start().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    socket.send(json!([connect("3")])).await;
    socket.websocket.quiet().await;
    Polling::connected(broker.address).await.publish("/a", 1).await;
    broker.drain();
    assert_eq!(socket.recv().await, [delivery("/a", 1)]);
    let reply = socket.recv().await.remove(0);
    assert_eq!((&reply["id"], &reply["successful"]), (&json!("3"), &json!(true)));
    assert_eq!(reply["advice"]["reconnect"], "retry");
    assert_eq!(socket.close_code().await, 1001);
}

#[tokio::test]
async fn p140_a_stop_answers_held_connects_with_a_spread_interval() {
    let mut broker = Broker::start().await;
    let session = Polling::connected(broker.address).await;
    let mut held = session.hold("3").await;
    broker.drain();
    let response = held.response().await;
    assert_eq!(response.header("connection"), Some("close"));
    let reply = &response.messages()[0];
    assert_eq!(
        (&reply["successful"], &reply["advice"]["reconnect"]),
        (&json!(true), &json!("retry"))
    );
    assert!(reply["advice"]["interval"].is_u64(), "{reply}");
    assert_eq!(reply["advice"]["timeout"], 45_000);
}

#[tokio::test]
async fn p140_a_client_that_counts_in_seconds_is_told_0() {
    let mut broker = Broker::start().await;
    // Enough sessions that a random interval of 0 would be a rare accident.
    let mut sessions = Vec::new();
    for _ in 0..50 {
        sessions.push(Polling::handshake(broker.address).await);
    }
    let session = Polling::connected(broker.address).await;
    let mut connection = http::Connection::open(broker.address).await;
    let request = session.request(json!([connect("3")]));
    let request = request.header("User-Agent", "Python/3.11 aiohttp/3.14");
    connection.send(request.bytes()).await;
    connection.quiet().await;
    broker.drain();
    assert_eq!(connection.response().await.messages()[0]["advice"]["interval"], 0);
}

#[tokio::test]
async fn messages_that_wait_are_delivered_with_the_last_reply() {
    let mut broker = Broker::with(|config| config.session.meta_connect_deliver_only = true).await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let mut held = session.hold("3").await;
    Polling::connected(broker.address).await.publish("/a", 1).await;
    broker.drain();
    assert_eq!(deliveries(&held.messages().await), [delivery("/a", 1)]);
}

#[tokio::test]
async fn a_stop_ends_and_reports() {
    let broker = Broker::start().await;
    let session = Polling::connected(broker.address).await;
    let mut held = session.hold("3").await;
    let mut socket = Socket::connected(broker.address).await;
    let stopping = tokio::spawn(broker.stop());
    held.messages().await;
    assert_eq!(socket.close_code().await, 1001);
    drop(socket);
    let drained = soon("the end", stopping).await.expect("the server does not panic");
    assert_eq!((drained.open, drained.unsent), (0, 0), "{drained:?}");
    assert!(drained.told >= 2, "{drained:?}");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_idle_connections() {
    let broker = Broker::start().await;
    let _idle = Polling::connected(broker.address).await;
    let drained = broker.stop().await;
    assert!(drained.elapsed < Duration::from_secs(3), "{drained:?}");
}

#[tokio::test]
async fn a_stop_ends_in_time_whatever_clients_do() {
    let broker =
        Broker::with(|config| config.server.drain_timeout = Duration::from_millis(500)).await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    socket.send(json!([connect("3")])).await;
    // It never reads, never closes.
    let drained = broker.stop().await;
    assert!(drained.elapsed < Duration::from_secs(3), "{drained:?}");
    drop(socket);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_what_clients_have_not_sent() {
    let broker = Broker::with(|config| {
        config.api.enabled = true;
        config.transports.socket.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    })
    .await;
    let raw = broker.socket.expect("a listener for raw TCP");
    let post =
        |path| format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n[{{");
    let mut connections = Vec::new();
    for (address, bytes) in [
        (broker.address, "GET /a HT".to_owned()),
        (broker.address, post("/cometd")),
        (raw, "<".to_owned()),
    ] {
        let mut connection = http::Connection::open(address).await;
        connection.send(bytes).await;
        connection.quiet().await;
        connections.push(connection);
    }
    let drained = broker.stop().await;
    // Of 30 s.
    assert!(drained.open == 0 && drained.elapsed < Duration::from_secs(5), "{drained:?}");
}

#[tokio::test]
async fn readiness_ends_before_service_does() {
    let mut broker =
        Broker::with(|config| config.server.drain_delay = Duration::from_secs(60)).await;
    let admin = |target: &'static str| {
        let address = broker.admin;
        async move { http::request(address, &Request::get(target)).await.status }
    };
    assert_eq!((admin("/healthz").await, admin("/readyz").await), (200, 200));
    let address = broker.address;
    let readyz = admin("/readyz");
    broker.drain();
    drop(readyz);
    let admin = broker.admin;
    within(Duration::from_secs(5), "503 of /readyz", async {
        while http::request(admin, &Request::get("/readyz")).await.status != 503 {}
    })
    .await;
    assert_eq!(http::request(admin, &Request::get("/healthz")).await.status, 200);
    Polling::connected(address).await;
}

#[tokio::test]
async fn a_stopped_broker_refuses_connections() {
    let broker = Broker::start().await;
    let address = broker.address;
    broker.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}
