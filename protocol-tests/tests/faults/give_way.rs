//! A response that nobody reads gives its messages up to a newer carrier.
//!
//! A client whose connection dies while a large response is under way comes again over another. The broker
//! kept the messages for the dead connection until its write timed out. Found in review. Every wait but
//! that for the newer carrier is an hour here, so only giving way can deliver.

use std::time::Duration;

use bayeuxd::config::Transport;
use protocol_tests::{
    bayeux::{Polling, Socket, connect, connect_now, deliveries, handshake, publish, subscribe},
    broker::Broker,
    deadline::{until, within},
    http::{Connection, Request, Stream},
};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::give_back::{BYTES, COUNT, fill, fill_with, number};

const HOUR: Duration = Duration::from_secs(3600);

async fn patient() -> Broker {
    Broker::with(|config| {
        config.session.queue.max_bytes = 64 << 20;
        config.session.queue.max_messages = 10_000;
        config.session.timeout = HOUR;
        config.session.max_interval = HOUR;
        config.limits.message_size = 16 << 20;
        config.limits.write_timeout = HOUR;
        config.transports.enabled.push(Transport::Streaming);
    })
    .await
}

/// A connection on which a response has begun that is too large for it, and that nobody reads on.
async fn stuck(broker: &Broker, request: impl AsRef<[u8]>) -> TcpStream {
    let mut connection = Connection::open_narrow(broker.address).await;
    connection.send(request).await;
    let (mut stream, _) = connection.into_parts();
    let mut part = vec![0; BYTES];
    let read = stream.read_exact(&mut part);
    within(Duration::from_secs(5), "part of a response", read).await.expect("a live connection");
    assert!(part[8..].starts_with(b" 200 "), "{}", String::from_utf8_lossy(&part[..100]));
    stream
}

fn numbers(messages: &[Value]) -> Vec<u64> {
    deliveries(messages).iter().map(number).collect()
}

/// What a connect gets that would be held for an hour.
async fn held(session: &Polling) -> Vec<u64> {
    let messages = session.begin(json!([connect("h")])).await.messages().await;
    numbers(&messages)
}

/// Has the messages of a session stuck in the response to `request`, then comes again.
async fn gives_way(request: impl Fn(&Polling) -> Vec<u8>) {
    let broker = patient().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    fill(&broker).await;
    let _stuck = stuck(&broker, request(&session)).await;
    assert_eq!(broker.queued(&session.client_id), 0, "all of it is in the response");
    assert_eq!(held(&session).await, Vec::from_iter(0..COUNT), "all of it, once and in order");
    assert_eq!(session.fetch().await.len(), 1, "nothing comes twice");
}

#[tokio::test]
async fn the_answer_to_a_connect_that_is_not_held() {
    gives_way(|session| session.request(json!([connect_now("3")])).bytes()).await;
}

#[tokio::test]
async fn the_answer_to_a_publish_that_carries_the_queue() {
    gives_way(|session| session.request(json!([publish("3", "/b", 1)])).bytes()).await;
}

#[tokio::test]
async fn the_answer_to_a_subscribe_that_carries_the_queue() {
    gives_way(|session| session.request(json!([subscribe("3", "/b")])).bytes()).await;
}

#[tokio::test]
async fn the_answer_over_http_1_0() {
    gives_way(|session| {
        let request = session.request(json!([connect_now("3")])).bytes();
        let text = String::from_utf8(request).expect("a request in ASCII");
        text.replacen("HTTP/1.1", "HTTP/1.0", 1).into()
    })
    .await;
}

#[tokio::test]
async fn the_answer_that_ends_its_connection() {
    gives_way(|session| {
        session.request(json!([publish("3", "/b", 1)])).header("Connection", "close").bytes()
    })
    .await;
}

/// The same batches return when it is a WebSocket that comes.
#[tokio::test]
async fn an_answer_gives_way_to_a_websocket() {
    let broker = patient().await;
    let session = Polling::subscribed(broker.address, "/a").await;
    fill(&broker).await;
    let _stuck = stuck(&broker, session.request(json!([publish("3", "/b", 1)])).bytes()).await;
    let mut socket = Socket::adopt(broker.address, &session.client_id).await;
    socket.send(json!([connect("4")])).await;
    let mut received = Vec::new();
    while received.last() != Some(&(COUNT - 1)) {
        received.extend(numbers(&socket.recv().await));
    }
    assert_eq!(received, Vec::from_iter(0..COUNT));
}

/// Whole lines were delivered, the one in the middle of which the stream ends was not.
#[tokio::test]
async fn a_stream() {
    let broker = patient().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let path = format!("/cometd/{}", session.client_id);
    let cookie = session.cookie.clone().expect("a cookie");
    let request = Request::get(&path).header("Cookie", &cookie);
    let mut stream = Stream::open_narrow(broker.address, &request).await;
    stream.opened().await;
    // A line that the kernel takes whole, before one that it may not: what waits together shares a line.
    fill_with(&broker, 0..10).await;
    until("an empty queue", || broker.queued(&session.client_id) == 0).await;
    fill_with(&broker, 10..COUNT).await;
    assert!(broker.queued(&session.client_id) > COUNT as usize / 4, "the kernel took all");
    let rest = held(&session).await;
    assert_eq!(session.fetch().await.len(), 1, "nothing comes twice");
    let body = stream.rest().await;
    let lines =
        body.lines().map(|line| serde_json::from_str::<Vec<Value>>(line).expect("an array"));
    let received = lines.flat_map(|line| numbers(&line)).collect::<Vec<_>>();
    assert!(!received.is_empty() && !rest.is_empty());
    assert_eq!([received, rest].concat(), Vec::from_iter(0..COUNT));
}

/// With acknowledgements nothing is out, and nothing counts as delivered before the client says so.
#[tokio::test]
async fn an_answer_with_a_number_is_repeated_until_it_is_acknowledged() {
    let broker = patient().await;
    let acknowledge = |number: u64| {
        let mut message = connect_now("f");
        message["ext"] = json!({"ack": number});
        json!([message])
    };
    let mut offer = handshake();
    offer["ext"] = json!({"ack": true});
    let mut session = Polling::handshake_with(broker.address, offer).await;
    session.send(acknowledge(0)).await;
    session.subscribe("/a").await;
    fill(&broker).await;
    let _stuck = stuck(&broker, session.request(acknowledge(1)).bytes()).await;
    let mut waiting = connect("4");
    waiting["ext"] = json!({"ack": 1});
    let messages = session.begin(json!([waiting])).await.messages().await;
    assert_eq!(numbers(&messages), Vec::from_iter(0..COUNT));
    let reply = messages.last().expect("a reply");
    let number = reply["ext"]["ack"].as_u64().expect("the number of the batch");
    assert_eq!(session.send(acknowledge(number)).await.len(), 1, "nothing comes twice");
}
