//! A client that sends on without waiting for replies: order and promptness of what it gets, however
//! many texts arrive together.

use std::{future::pending, time::Duration};

use bayeuxd::server::ServiceOptions;
use protocol_tests::{
    bayeux::{
        Socket, connect, connect_now, connected, delivery, disconnect, publish, published, refused,
        stamp,
    },
    broker::Broker,
    deadline::soon,
    websocket::{Frame, PING, PONG, TEXT},
};
use serde_json::{Value, json};

/// The text frame that carries `message` of the session of `socket`.
fn framed(socket: &Socket, mut message: Value) -> Vec<u8> {
    stamp(&mut message, &socket.client_id);
    Frame::text(json!([message]).to_string()).bytes()
}

/// Sends each of `messages` in a frame of its own, all in one piece.
async fn send_together(socket: &mut Socket, messages: impl IntoIterator<Item = Value>) {
    let frames = messages.into_iter().map(|message| framed(socket, message));
    let bytes: Vec<u8> = frames.collect::<Vec<_>>().concat();
    socket.websocket.send_bytes(&bytes).await;
}

fn publishes(count: usize, channel: &str) -> impl Iterator<Item = Value> {
    (0..count).map(move |number| publish(&number.to_string(), channel, number))
}

#[tokio::test]
async fn p102_replies_to_whole_texts_do_not_wait_for_half_a_text() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    for whole in [1, 3, 40] {
        let texts = publishes(whole + 1, "/a").map(|message| framed(&socket, message));
        let mut bytes = texts.collect::<Vec<_>>().concat();
        let rest = bytes.split_off(bytes.len() - 20);
        socket.websocket.send_bytes(&bytes).await;
        for number in 0..whole {
            assert_eq!(socket.recv().await, [published(&number.to_string(), "/a")]);
        }
        socket.websocket.quiet().await;
        socket.websocket.send_bytes(&rest).await;
        assert_eq!(socket.recv().await, [published(&whole.to_string(), "/a")]);
    }
}

#[tokio::test]
async fn p104_a_text_over_the_limit_among_others_is_answered_in_its_place() {
    let broker = Broker::with(|config| config.limits.message_size = 1024).await;
    let mut socket = Socket::connected(broker.address).await;
    let messages =
        [publish("1", "/a", 1), publish("2", "/a", "x".repeat(1500)), publish("3", "/a", 1)];
    send_together(&mut socket, messages).await;
    assert_eq!(socket.recv().await, [published("1", "/a")]);
    assert_eq!(socket.recv().await, [refused("2", "/a", "413:1024:message_too_large")]);
    assert_eq!(socket.recv().await, [published("3", "/a")]);
}

#[tokio::test]
async fn p063_each_echo_comes_before_the_reply_to_its_publish_and_behind_the_one_before() {
    let broker = Broker::start().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    send_together(&mut socket, publishes(100, "/a")).await;
    for number in 0..100 {
        assert_eq!(socket.recv().await, [delivery("/a", number)]);
        assert_eq!(socket.recv().await, [published(&number.to_string(), "/a")]);
    }
}

#[tokio::test]
async fn p102_connects_among_texts_that_come_together_keep_their_place() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    let messages = [
        publish("1", "/a", 1),
        connect_now("2"),
        publish("3", "/a", 1),
        connect("4"),
        publish("5", "/a", 1),
        publish("6", "/a", 1),
        disconnect("7"),
        publish("8", "/a", 1),
    ];
    send_together(&mut socket, messages).await;
    assert_eq!(socket.recv().await, [published("1", "/a")]);
    assert_eq!(socket.recv().await, [connected("2", 45_000)]);
    for id in ["3", "5", "6"] {
        assert_eq!(socket.recv().await, [published(id, "/a")]);
    }
    let left: Vec<Value> = socket.recv_messages(3).await;
    let ids: Vec<&Value> = left.iter().map(|message| &message["id"]).collect();
    assert_eq!(ids, ["4", "7", "8"], "{left:?}");
    assert_eq!(left[2]["error"], "402::session_unknown");
}

#[tokio::test]
async fn p104_what_came_before_a_bad_text_is_answered_first() {
    let broker = Broker::start().await;
    let hello = json!({"id": "9", "channel": "/meta/handshake", "version": "1.0",
                       "supportedConnectionTypes": ["websocket"]});
    let batch = json!([hello, publish("8", "/a", 1)]).to_string();
    for (bad, code) in [
        (Frame::text("[").bytes(), 1011),
        (Frame::text(batch).bytes(), 1011),
        (Frame::text(vec![0xff]).bytes(), 1007),
        (Frame::text("[]").unmasked().bytes(), 1002),
    ] {
        let mut socket = Socket::connected(broker.address).await;
        let texts = publishes(3, "/a").map(|message| framed(&socket, message));
        let bytes = [texts.collect::<Vec<_>>().concat(), bad].concat();
        socket.websocket.send_bytes(&bytes).await;
        for number in 0..3 {
            assert_eq!(socket.recv().await, [published(&number.to_string(), "/a")]);
        }
        assert_eq!(socket.close_code().await, code);
    }
}

#[tokio::test]
async fn p104_a_ping_among_texts_is_answered_in_its_place() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    let text = |id| framed(&socket, publish(id, "/a", 1));
    let ping = Frame::new(PING, "here").bytes();
    let bytes = [text("1"), text("2"), ping, text("3")].concat();
    socket.websocket.send_bytes(&bytes).await;
    let mut opcodes = Vec::new();
    for _ in 0..4 {
        opcodes.push(socket.websocket.frame().await.opcode);
    }
    assert_eq!(opcodes, [TEXT, TEXT, PONG, TEXT]);
}

#[tokio::test]
async fn p114_a_service_that_does_not_answer_holds_back_no_reply() {
    let broker = Broker::start().await;
    let serve =
        broker.handle.serve("/service/slow", ServiceOptions::default(), async |_| pending().await);
    serve.expect("a service");
    let mut socket = Socket::connected(broker.address).await;
    let messages = [publish("1", "/a", 1), publish("2", "/service/slow", 1), publish("3", "/a", 1)];
    send_together(&mut socket, messages).await;
    for (id, channel) in [("1", "/a"), ("2", "/service/slow"), ("3", "/a")] {
        assert_eq!(socket.recv().await, [published(id, channel)]);
    }
}

#[tokio::test]
async fn p102_publishes_that_take_their_time_are_answered_in_order() {
    let broker = Broker::start().await;
    // More than one step of a walk, so that the dispatch of each text waits.
    let subscriptions: Vec<_> =
        (0..5_000).map(|_| broker.handle.subscribe("/a").expect("a subscription")).collect();
    let mut socket = Socket::connected(broker.address).await;
    let mixed = (0..30).map(|number| {
        publish(&number.to_string(), if number % 3 == 0 { "/a" } else { "/b" }, number)
    });
    send_together(&mut socket, mixed).await;
    for number in 0..30 {
        let channel = if number % 3 == 0 { "/a" } else { "/b" };
        assert_eq!(socket.recv().await, [published(&number.to_string(), channel)]);
    }
    for mut subscription in subscriptions {
        for number in (0..30).step_by(3) {
            let message = soon("a message", subscription.next()).await.expect("not the end");
            let message: Value = serde_json::from_slice(message.json()).expect("JSON");
            assert_eq!(message["data"], number);
        }
    }
}

/// More texts than all buffers between a client and the broker hold: 35 MB.
const TEXTS: usize = 100_000;

#[tokio::test]
async fn p102_a_client_that_reads_no_replies_is_not_read_any_further() {
    let broker = Broker::with(|config| config.limits.write_timeout = Duration::from_secs(60)).await;
    let channel = format!("/{}", "a".repeat(200));
    let mut socket = Socket::connected(broker.address).await;
    let ids = (0..).map(|number| format!("{number:07}"));
    let mut texts = ids.map(|id| framed(&socket, publish(&id, &channel, 1)));
    let length = texts.next().expect("a text").len();
    let texts: Vec<u8> = texts.take(TEXTS).collect::<Vec<_>>().concat();
    let mut sent = 0;
    while let Some(count) = socket.websocket.send_some(&texts[sent..]).await {
        sent += count;
        assert!(sent < texts.len(), "{sent} bytes were read though nobody reads the replies");
    }
    for number in 1..=sent / length {
        assert_eq!(socket.recv().await, [published(&format!("{number:07}"), &channel)]);
    }
    socket.websocket.quiet().await;
}
