//! Clients that vanish without a word: nothing arrives any more, and no FIN or RST tells so.
//! Source: reliability.md F1; protocol.md 50, 144.

use std::time::Duration;

use protocol_tests::{
    bayeux::{Polling, Socket, connect, connect_now, deliveries, publish},
    broker::Broker,
    deadline::{Heart, until, within},
    proxy::{End, Plan, Proxy},
};
use serde_json::{Value, json};
use tokio::time::Instant;

/// A broker that is quick to notice.
async fn attentive() -> Broker {
    Broker::with(|config| {
        config.session.timeout = Duration::from_millis(300);
        config.session.max_interval = Duration::from_millis(800);
        config.transports.websocket.ping = Duration::from_millis(150);
        config.transports.websocket.pong_timeout = Duration::from_millis(150);
    })
    .await
}

/// Publishes numbered messages until one waits for `client_id`; returns its number, and a time at which none
/// did yet.
async fn first_that_waits(broker: &Broker, client_id: &str) -> (u64, Instant) {
    let mut publisher = Polling::connected(broker.address).await;
    let first = async {
        let mut before = Instant::now();
        for number in 0.. {
            publisher.publish("/a", number).await;
            if broker.queued(client_id) > 0 {
                return (number, before);
            }
            before = Instant::now();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        unreachable!("numbers have no end")
    };
    within(Duration::from_secs(5), "message that waits", first).await
}

fn numbers(messages: &[Value]) -> Vec<u64> {
    deliveries(messages).iter().map(|message| message["data"].as_u64().expect("a number")).collect()
}

#[tokio::test]
async fn a_websocket_in_a_black_hole_is_noticed_by_its_ping() {
    // A session lives far longer than the wait for a message that waits: only a ping ends this one.
    let broker = Broker::with(|config| {
        config.session.max_interval = Duration::from_secs(60);
        config.transports.websocket.ping = Duration::from_millis(150);
        config.transports.websocket.pong_timeout = Duration::from_millis(150);
    })
    .await;
    let proxy = Proxy::start(broker.address).await;
    let mut socket = Socket::subscribed(proxy.address, "/a").await;
    socket.send(json!([connect("3")])).await;
    proxy.freeze();
    let start = Instant::now();
    let (first, _) = first_that_waits(&broker, &socket.client_id).await;
    println!("noticed after {:?}, {first} messages in flight", start.elapsed());
    // The client comes back by another way.
    let mut again = Socket::adopt(broker.address, &socket.client_id).await;
    again.send(json!([connect_now("4")])).await;
    assert_eq!(numbers(&again.recv().await), [first]);
    assert!(broker.knows(&socket.client_id));
}

#[tokio::test]
async fn a_websocket_in_a_black_hole_expires() {
    let broker = attentive().await;
    let proxy = Proxy::start(broker.address).await;
    let socket = Socket::subscribed(proxy.address, "/a").await;
    proxy.freeze();
    let (_, start) = first_that_waits(&broker, &socket.client_id).await;
    let heart = Heart::start();
    broker.until_gone(&socket.client_id).await;
    assert!(start.elapsed() >= Duration::from_millis(800), "{:?}", start.elapsed());
    assert!(heart.felt() < Duration::from_millis(2500), "{:?}", heart.felt());
    until("the end of its subscription", || broker.channels() == 0 || broker.sessions() == 1).await;
}

#[tokio::test]
async fn a_poll_in_a_black_hole_expires_after_its_hold() {
    let broker = attentive().await;
    let proxy = Proxy::start(broker.address).await;
    let session = Polling::connected(proxy.address).await;
    let start = Instant::now();
    let _held = session.hold("3").await;
    proxy.freeze();
    let heart = Heart::start();
    broker.until_gone(&session.client_id).await;
    // The hold, then max_interval, and up to a second late.
    assert!(start.elapsed() >= Duration::from_millis(300 + 800), "{:?}", start.elapsed());
    assert!(heart.felt() < Duration::from_millis(2500), "{:?}", heart.felt());
}

#[tokio::test]
async fn what_waits_longer_than_max_interval_is_told_by_402() {
    let broker = attentive().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    broker.until_gone(&session.client_id).await;
    let reply = session.one(connect_now("4")).await;
    assert_eq!(reply["error"], "402::session_unknown");
    assert_eq!(reply["advice"]["reconnect"], "handshake");
}

/// The request arrives, the response is swallowed: the client gives up and asks again.
#[tokio::test]
async fn a_swallowed_response_costs_its_own_messages_only() {
    let broker = attentive().await;
    let proxy = Proxy::start(broker.address).await;
    let mut through = Polling::subscribed(broker.address, "/a").await;
    let mut publisher = Polling::connected(broker.address).await;
    publisher.send(json!([publish("p", "/a", 0), publish("p", "/a", 1)])).await;
    proxy.next(Plan::cut_to_client(0, End::Swallow));
    through.address = proxy.address;
    let lost = through.begin(json!([connect_now("3")])).await;
    until("the response", || broker.queued(&through.client_id) == 0).await;
    publisher.send(json!([publish("p", "/a", 2), publish("p", "/a", 3)])).await;
    let again = through.elsewhere(json!([connect_now("4")])).await;
    assert_eq!(numbers(&again), [2, 3], "the newer ones, once");
    drop(lost);
}
