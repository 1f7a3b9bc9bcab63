//! Life and end of a session: protocol.md sections 4 and 8.

use std::time::Duration;

use protocol_tests::{
    bayeux::{
        Polling, Socket, connect, connect_now, connected, deliveries, delivery, disconnect,
        publish, refused, unknown_connect,
    },
    broker::Broker,
    deadline::{Heart, until, within},
    websocket::Frame,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// A life without connect that is short enough to wait for, and long enough for what a test does in it on a
/// slow machine.
const MAX_INTERVAL: Duration = Duration::from_secs(1);

async fn short_lived() -> Broker {
    Broker::with(|config| config.session.max_interval = MAX_INTERVAL).await
}

/// The reply to a disconnect.
fn disconnected(id: &str) -> Value {
    json!({"id": id, "channel": "/meta/disconnect", "successful": true})
}

#[tokio::test]
async fn p049_a_session_lives_from_its_handshake_to_its_disconnect() {
    let broker = Broker::start().await;
    let mut session = Polling::handshake(broker.address).await;
    assert!(broker.knows(&session.client_id));
    session.one(connect_now("2")).await;
    assert!(broker.knows(&session.client_id));
    session.one(disconnect("3")).await;
    assert!(!broker.knows(&session.client_id));
    assert_eq!(session.one(connect_now("4")).await, unknown_connect("4"));
}

#[tokio::test]
async fn p050_a_session_expires_max_interval_after_its_connect_reply() {
    let broker = short_lived().await;
    let start = Instant::now();
    let mut session = Polling::connected(broker.address).await;
    broker.until_gone(&session.client_id).await;
    assert!(start.elapsed() >= MAX_INTERVAL, "{:?}", start.elapsed());
    assert_eq!(session.one(connect_now("3")).await, unknown_connect("3"));
}

#[tokio::test]
async fn p050_the_interval_of_the_request_prolongs_its_life() {
    let broker = short_lived().await;
    let mut session = Polling::connected(broker.address).await;
    let mut request = connect("3");
    let interval = Duration::from_millis(1500);
    request["advice"] = json!({"timeout": 0, "interval": interval.as_millis() as u64});
    let start = Instant::now();
    session.one(request).await;
    broker.until_gone(&session.client_id).await;
    assert!(start.elapsed() >= MAX_INTERVAL + interval, "{:?}", start.elapsed());
}

#[tokio::test]
async fn p050_an_open_websocket_without_connects_keeps_no_session_alive() {
    let broker = short_lived().await;
    let mut socket = Socket::connected(broker.address).await;
    broker.until_gone(&socket.client_id).await;
    assert_eq!(socket.one(connect_now("3")).await, unknown_connect("3"));
    socket.renew().await;
    assert_eq!(socket.one(connect_now("4")).await, connected("4", 45_000), "on the same socket");
}

#[tokio::test]
async fn p051_a_session_never_expires_while_its_connect_is_held() {
    let broker = Broker::with(|config| {
        config.session.timeout = Duration::from_millis(2800);
        config.session.max_interval = MAX_INTERVAL;
    })
    .await;
    let polling = Polling::connected(broker.address).await;
    let mut held = polling.begin(json!([connect("3")])).await;
    let mut socket = Socket::connected(broker.address).await;
    socket.send(json!([connect("3")])).await;
    assert_eq!(held.messages().await, [connected("3", 2800)]);
    assert_eq!(socket.recv().await, [connected("3", 2800)]);
}

#[tokio::test]
async fn p052_any_other_message_renews_a_session() {
    let broker = Broker::with(|config| config.session.max_interval = 2 * MAX_INTERVAL).await;
    let mut session = Polling::connected(broker.address).await;
    for _ in 0..9 {
        sleep(MAX_INTERVAL / 2).await;
        assert_eq!(session.one(publish("3", "/a", 1)).await["successful"], true);
    }
}

#[tokio::test]
async fn p053_an_expired_session_is_removed_within_a_second() {
    let broker = short_lived().await;
    let session = Polling::connected(broker.address).await;
    let heart = Heart::start();
    broker.until_gone(&session.client_id).await;
    let slack = Duration::from_millis(500);
    let bound = MAX_INTERVAL + Duration::from_secs(1) + slack;
    assert!(heart.felt() <= bound, "{:?}", heart.felt());
}

#[tokio::test]
async fn p054_expiry_discards_the_queue_and_the_subscriptions() {
    let broker = short_lived().await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let mut publisher = Socket::connected(broker.address).await;
    publisher.publish("/a", 1).await;
    broker.until_gone(&session.client_id).await;
    until("the count", || broker.counters().discarded.value() == 1).await;
    let queued = broker.counters().queued.value();
    let mut publisher = Socket::connected(broker.address).await;
    publisher.publish("/a", 2).await;
    assert_eq!(broker.counters().queued.value(), queued, "nobody subscribes any more");
}

#[tokio::test]
async fn p055_a_closed_websocket_does_not_end_its_session() {
    let broker = Broker::start().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    socket.websocket.send(&Frame::close(1001)).await;
    assert_eq!(socket.close_code().await, 1001, "echoed");
    let mut again = Socket::adopt(broker.address, &socket.client_id).await;
    assert_eq!(again.one(connect_now("1")).await, connected("1", 45_000));
}

#[tokio::test]
async fn p055_max_interval_starts_when_the_socket_closes() {
    let broker = short_lived().await;
    let mut socket = Socket::connected(broker.address).await;
    socket.send(json!([connect("3")])).await;
    socket.websocket.quiet().await;
    let client_id = socket.client_id.clone();
    socket.websocket.reset();
    broker.until_gone(&client_id).await;
}

#[tokio::test]
async fn p056_messages_for_a_closed_socket_wait_for_the_next() {
    let broker = Broker::start().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    socket.send(json!([connect("3")])).await;
    socket.websocket.send(&Frame::close(1001)).await;
    socket.websocket.end().await;
    let mut publisher = Polling::connected(broker.address).await;
    for n in 0..5 {
        publisher.publish("/a", n).await;
    }
    let mut again = Socket::adopt(broker.address, &socket.client_id).await;
    again.send(connect_now("1")).await;
    let messages = again.recv_messages(6).await;
    assert_eq!(deliveries(&messages), (0..5).map(|n| delivery("/a", n)).collect::<Vec<_>>());
}

#[tokio::test]
async fn p056_messages_for_a_dropped_poll_wait_for_the_next() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let held = session.hold("3").await;
    held.connection.reset();
    let mut publisher = Polling::connected(broker.address).await;
    // The broker learns of the reset by an event of its own; a message before that is written into
    // the dead connection, which the kernel refuses, so it too must come back.
    publisher.publish("/a", 1).await;
    publisher.publish("/a", 2).await;
    let messages = session.fetch().await;
    assert_eq!(deliveries(&messages), [delivery("/a", 1), delivery("/a", 2)]);
}

#[tokio::test]
async fn p056_a_dropped_connect_starts_the_expiry_clock() {
    let broker = short_lived().await;
    let session = Polling::connected(broker.address).await;
    let held = session.hold("3").await;
    held.connection.reset();
    broker.until_gone(&session.client_id).await;
}

#[tokio::test]
async fn p079_disconnect_ends_the_session_at_once() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    assert_eq!(session.one(disconnect("38")).await, disconnected("38"));
    assert_eq!(broker.sessions(), 0);
    let again = refused("39", "/meta/disconnect", "402::session_unknown");
    assert_eq!(session.one(disconnect("39")).await, again);
}

#[tokio::test]
async fn p080_a_kicked_session_is_told_in_its_held_poll() {
    let broker = Broker::start().await;
    let session = Polling::connected(broker.address).await;
    let mut held = session.hold("3").await;
    broker.kick(&session.client_id);
    let expected = json!([
        {"channel": "/meta/disconnect", "successful": true},
        {"channel": "/meta/connect", "id": "3", "successful": true,
         "advice": {"reconnect": "none"}},
    ]);
    assert_eq!(Value::from(held.messages().await), expected);
}

#[tokio::test]
async fn p080_a_kicked_session_is_told_over_its_websocket() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    socket.send(json!([connect("3")])).await;
    socket.websocket.quiet().await;
    broker.kick(&socket.client_id);
    let expected = json!([
        {"channel": "/meta/disconnect", "successful": true},
        {"channel": "/meta/connect", "id": "3", "successful": true,
         "advice": {"reconnect": "none"}},
    ]);
    assert_eq!(Value::from(socket.recv_messages(2).await), expected);
}

#[tokio::test]
async fn p081_the_connect_reply_precedes_the_disconnect_reply() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    socket.send(json!([connect("3")])).await;
    socket.send(json!([disconnect("4")])).await;
    let expected = json!([
        {"channel": "/meta/connect", "id": "3", "successful": true,
         "advice": {"reconnect": "none"}},
        disconnected("4"),
    ]);
    assert_eq!(Value::from(socket.recv_messages(2).await), expected);
}

#[tokio::test]
async fn p081_a_socket_left_open_after_disconnect_is_closed_after_5_seconds() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    assert_eq!(socket.one(disconnect("3")).await, disconnected("3"));
    let start = Instant::now();
    let frame = within(Duration::from_secs(8), "close frame", socket.websocket.next_frame()).await;
    assert_eq!(frame.expect("a close frame").close_reason().0, 1000);
    assert!(start.elapsed() >= Duration::from_millis(4900), "{:?}", start.elapsed());
}
