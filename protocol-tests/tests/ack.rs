//! The acknowledgement extension: protocol.md 123-129, reliability.md P4 and T7.

use std::net::SocketAddr;

use bayeuxd::broker::Cause;
use protocol_tests::{
    bayeux::{Polling, Socket, connect, connect_now, deliveries, delivery, handshake, publish},
    broker::Broker,
    http::{self, Request},
};
use serde_json::{Value, json};

/// A handshake that offers to acknowledge.
fn acknowledging_handshake() -> Value {
    let mut message = handshake();
    message["ext"] = json!({"ack": true});
    message
}

/// A connect that acknowledges; answered at once.
fn fetch(ack: impl Into<Value>) -> Value {
    let mut message = connect_now("f");
    message["ext"] = json!({"ack": ack.into()});
    message
}

/// A connect that acknowledges and may be held.
fn wait(id: &str, ack: u64) -> Value {
    let mut message = connect(id);
    message["ext"] = json!({"ack": ack});
    message
}

/// The number of the batch, and the data of its deliveries, which come before the reply.
fn batch(messages: &[Value]) -> (u64, Vec<Value>) {
    let (reply, deliveries) = messages.split_last().expect("never empty");
    assert_eq!((&reply["channel"], &reply["successful"]), (&json!("/meta/connect"), &json!(true)));
    let number = reply["ext"]["ack"].as_u64().unwrap_or_else(|| panic!("no number: {reply}"));
    (number, deliveries.iter().map(|message| message["data"].clone()).collect())
}

async fn polling(address: SocketAddr, channel: &str) -> Polling {
    let mut session = Polling::handshake_with(address, acknowledging_handshake()).await;
    assert_eq!(batch(&session.send(json!([fetch(0)])).await), (1, vec![]));
    session.subscribe(channel).await;
    session
}

async fn socket(address: SocketAddr, channel: &str) -> Socket {
    let mut socket = Socket::handshake_with(address, acknowledging_handshake()).await;
    socket.send(json!([fetch(0)])).await;
    assert_eq!(batch(&socket.recv().await), (1, vec![]));
    socket.subscribe(channel).await;
    socket
}

async fn publisher(broker: &Broker) -> Socket {
    Socket::connected(broker.address).await
}

#[tokio::test]
async fn p123_a_handshake_that_offers_to_acknowledge_is_told_so() {
    let broker = Broker::start().await;
    for (offer, reply) in [
        (json!({"ack": true}), json!({"ack": true})),
        (json!({"ack": false}), Value::Null),
        (json!({"ack": "true"}), Value::Null),
        (json!({}), Value::Null),
    ] {
        let mut message = handshake();
        message["ext"] = offer.clone();
        let request = Request::post("/cometd", json!([message]).to_string());
        let replies = http::request(broker.address, &request).await.messages();
        assert_eq!(replies[0]["successful"], true);
        assert_eq!(replies[0]["ext"], reply, "{offer}");
    }
}

#[tokio::test]
async fn p123_switched_off_the_extension_is_not_mentioned() {
    let broker = Broker::with(|config| config.session.ack = false).await;
    let mut session = Polling::handshake_with(broker.address, acknowledging_handshake()).await;
    let reply = session.one(fetch(0)).await;
    assert_eq!((&reply["successful"], &reply["ext"]), (&json!(true), &Value::Null), "{reply}");
    session.subscribe("/a").await;
    let messages = session.publish("/a", 1).await;
    assert_eq!(deliveries(&messages), [delivery("/a", 1)], "normal mode");
}

#[tokio::test]
async fn p124_messages_come_with_connect_replies_only() {
    let broker = Broker::start().await;
    let mut session = polling(broker.address, "/a").await;
    assert_eq!(session.publish("/a", 1).await.len(), 1, "the publish reply alone");
    assert_eq!(batch(&session.send(json!([fetch(1)])).await), (2, vec![json!(1)]));
}

#[tokio::test]
async fn p124_over_websocket_too() {
    let broker = Broker::start().await;
    let mut socket = socket(broker.address, "/a").await;
    let reply = socket.one(publish("p", "/a", 1)).await;
    assert_eq!(reply["successful"], true);
    socket.websocket.quiet().await;
    socket.send(json!([fetch(1)])).await;
    assert_eq!(batch(&socket.recv_messages(2).await), (2, vec![json!(1)]));
}

#[tokio::test]
async fn p124_a_message_releases_the_held_connect_on_both_transports() {
    let broker = Broker::start().await;
    let (poll, mut sock) =
        (polling(broker.address, "/a").await, socket(broker.address, "/a").await);
    let mut held = poll.begin(json!([wait("3", 1)])).await;
    held.connection.quiet().await;
    sock.send(json!([wait("3", 1)])).await;
    sock.websocket.quiet().await;
    publisher(&broker).await.publish("/a", "x").await;
    assert_eq!(batch(&held.messages().await), (2, vec![json!("x")]));
    assert_eq!(batch(&sock.recv_messages(2).await), (2, vec![json!("x")]));
}

#[tokio::test]
async fn p125_the_number_grows_with_every_reply_also_an_empty_one() {
    let broker = Broker::holding(200).await;
    let mut session = polling(broker.address, "/a").await;
    for number in 2..=4 {
        assert_eq!(batch(&session.send(json!([fetch(number - 1)])).await), (number, vec![]));
    }
    assert_eq!(batch(&session.send(json!([wait("9", 4)])).await), (5, vec![]), "after a hold");
}

#[tokio::test]
async fn p125_a_number_that_was_never_sent_acknowledges_nothing() {
    let broker = Broker::start().await;
    let mut session = polling(broker.address, "/a").await;
    session.publish("/a", "m").await;
    assert_eq!(batch(&session.send(json!([fetch(1)])).await), (2, vec![json!("m")]));
    let odd = [
        json!(-1),
        json!(1_000),
        json!(1_u64 << 63),
        json!(u64::MAX),
        json!(2.0),
        json!(2.5),
        json!("2"),
        json!(true),
        json!(null),
        json!({"enabled": true}),
        json!([2]),
        json!(1),
        json!(0),
    ];
    for (number, ack) in (3..).zip(odd) {
        let messages = session.send(json!([fetch(ack.clone())])).await;
        assert_eq!(batch(&messages), (number, vec![json!("m")]), "{ack}");
    }
    assert_eq!(batch(&session.send(json!([fetch(2)])).await).1, Vec::<Value>::new());
}

#[tokio::test]
async fn p126_unacknowledged_messages_come_again_older_first_with_a_new_number() {
    let broker = Broker::start().await;
    let mut session = polling(broker.address, "/a").await;
    for (number, ack) in [(1, 1), (2, 1), (3, 1)] {
        session.publish("/a", number).await;
        let expected: Vec<Value> = (1..=number).map(|each| json!(each)).collect();
        let messages = session.send(json!([fetch(ack)])).await;
        assert_eq!(batch(&messages), (number + 1, expected));
    }
    assert_eq!(batch(&session.send(json!([fetch(3)])).await), (5, vec![json!(3)]));
    assert_eq!(batch(&session.send(json!([fetch(5)])).await), (6, vec![]));
}

#[tokio::test]
async fn p127_unacknowledged_messages_answer_a_connect_at_once() {
    let broker = Broker::start().await;
    let mut session = polling(broker.address, "/a").await;
    session.publish("/a", "m").await;
    assert_eq!(batch(&session.send(json!([fetch(1)])).await).0, 2);
    // Without advice: it would be held if nothing were unacknowledged.
    assert_eq!(batch(&session.send(json!([wait("4", 1)])).await), (3, vec![json!("m")]));
    let mut held = session.begin(json!([wait("5", 3)])).await;
    held.connection.quiet().await;
}

#[tokio::test]
async fn p127_over_websocket_too() {
    let broker = Broker::start().await;
    let mut socket = socket(broker.address, "/a").await;
    publisher(&broker).await.publish("/a", "m").await;
    socket.send(json!([fetch(1)])).await;
    assert_eq!(batch(&socket.recv_messages(2).await), (2, vec![json!("m")]));
    socket.send(json!([wait("4", 1)])).await;
    assert_eq!(batch(&socket.recv_messages(2).await), (3, vec![json!("m")]));
    socket.send(json!([wait("5", 3)])).await;
    socket.websocket.quiet().await;
}

#[tokio::test]
async fn p126_a_transport_switch_brings_what_the_dead_socket_took() {
    let broker = Broker::start().await;
    let mut first = socket(broker.address, "/a").await;
    first.send(json!([wait("3", 1)])).await;
    let client_id = first.client_id.clone();
    let mut other = publisher(&broker).await;
    other.publish("/a", 1).await;
    assert_eq!(batch(&first.recv_messages(2).await), (2, vec![json!(1)]), "as if it were lost");
    first.websocket.reset();
    other.publish("/a", 2).await;
    let mut second = Socket::adopt(broker.address, &client_id).await;
    second.send(json!([fetch(1)])).await;
    let (number, data) = batch(&second.recv_messages(3).await);
    assert_eq!((number, data), (3, vec![json!(1), json!(2)]));
}

#[tokio::test]
async fn p126_a_duplicate_connect_takes_over_without_loss() {
    let broker = Broker::start().await;
    let session = polling(broker.address, "/a").await;
    let mut older = session.begin(json!([wait("3", 1)])).await;
    older.connection.quiet().await;
    let mut newer = session.begin(json!([wait("4", 1)])).await;
    assert_eq!(older.response().await.status, 500);
    publisher(&broker).await.publish("/a", "m").await;
    assert_eq!(batch(&newer.messages().await), (2, vec![json!("m")]));
}

#[tokio::test]
async fn p128_a_reply_without_news_for_the_extension_has_no_ext() {
    let broker = Broker::start().await;
    let mut session = polling(broker.address, "/a").await;
    let mut message = publish("p", "/b", 1);
    message["ext"] = json!({});
    let reply = session.one(message).await;
    assert_eq!(reply.get("ext"), None);
}

#[tokio::test]
async fn p129_over_the_bound_of_unacknowledged_messages_the_session_ends() {
    let broker = Broker::with(|config| config.session.queue.max_messages = 10).await;
    let mut session = polling(broker.address, "/a").await;
    let mut other = publisher(&broker).await;
    for number in 0..10 {
        other.publish("/a", number).await;
        // A constant number, as a broken client sends it: reliability.md T7.
        assert_eq!(batch(&session.send(json!([fetch(1)])).await).0, number + 2);
    }
    other.publish("/a", 10).await;
    let reply = session.one(fetch(1)).await;
    assert_eq!(reply["error"], "402::session_unknown");
    assert_eq!(reply["advice"], json!({"reconnect": "handshake", "interval": 0}));
    assert_eq!(broker.counters().sessions_ended.of(Cause::Slow), 1);
}
