//! Every bound, tried from both sides: protocol.md 14, 64, 118; architecture.md section 12.

use std::time::Duration;

use bayeuxd::{
    broker::Cause,
    config::{ChannelRule, QueuePolicy},
};
use protocol_tests::{
    bayeux::{
        Polling, Socket, connect, connect_now, connected, deliveries, delivery, handshake, publish,
        published, refused, subscribe, unknown_connect,
    },
    broker::Broker,
    deadline::until,
    http::{self, Connection, Request, Response, post},
};
use serde_json::{Value, json};
use tokio::time::Instant;

async fn post_text(broker: &Broker, body: impl Into<Vec<u8>>) -> Response {
    http::request(broker.address, &Request::post("/cometd", body)).await
}

/// A message whose `data` is nested so deep that the whole body has `depth` levels.
fn nested(session: &Polling, depth: usize) -> String {
    let (open, close) = ("[".repeat(depth - 2), "]".repeat(depth - 2));
    format!(
        r#"[{{"channel":"/a","id":"3","clientId":"{}","data":{open}{close}}}]"#,
        session.client_id
    )
}

#[tokio::test]
async fn p014_nesting_up_to_64_levels() {
    let broker = Broker::start().await;
    let session = Polling::connected(broker.address).await;
    let response = post_text(&broker, nested(&session, 64)).await;
    assert_eq!(response.messages(), [published("3", "/a")]);
    for depth in [65, 128, 20_000] {
        assert_eq!(post_text(&broker, nested(&session, depth)).await.status, 400, "{depth}");
    }
    let brackets = "[".repeat(200);
    let mut quoted = publish("4", "/a", brackets);
    quoted["clientId"] = session.client_id.as_str().into();
    assert_eq!(post(broker.address, &quoted).await.messages(), [published("4", "/a")]);
}

#[tokio::test]
async fn p014_a_key_may_not_occur_twice_however_it_is_spelt() {
    let broker = Broker::start().await;
    let session = Polling::connected(broker.address).await;
    for twice in [r#""channel":"/b""#, r#""\u0063hannel":"/b""#, r#""x":1,"x":1"#, r#""data":2"#] {
        let body =
            format!(r#"[{{"channel":"/a","data":1,"clientId":"{}",{twice}}}]"#, session.client_id);
        assert_eq!(post_text(&broker, body).await.status, 400, "{twice}");
    }
}

#[tokio::test]
async fn p014_up_to_32_envelope_keys() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let mut message = publish("3", "/a", 1);
    message["clientId"] = session.client_id.as_str().into();
    for n in 4..32 {
        message[format!("k{n}")] = n.into();
    }
    assert_eq!(message.as_object().expect("a message").len(), 32);
    assert_eq!(session.one(message.clone()).await, published("3", "/a"));
    message["one_more"] = 1.into();
    assert_eq!(session.post(message).await.status, 400);
}

#[tokio::test]
async fn p014_up_to_100_messages() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let batch = |count: usize| -> Value { vec![publish("3", "/a", 1); count].into() };
    assert_eq!(session.send(batch(100)).await.len(), 100);
    assert_eq!(session.post(batch(101)).await.status, 400);
}

#[tokio::test]
async fn p014_ids_of_up_to_64_characters() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let id = "x".repeat(64);
    assert_eq!(session.one(publish(&id, "/a", 1)).await, published(&id, "/a"));
    let id = "x".repeat(65);
    assert_eq!(session.one(publish(&id, "/a", 1)).await["error"], "405::message_id_invalid");
    let mut message = publish("3", "/a", 1);
    message["clientId"] = "x".repeat(65).into();
    assert_eq!(session.one(message).await, refused("3", "/a", "402::session_unknown"));
}

#[tokio::test]
async fn p118_channels_of_up_to_255_bytes_and_16_segments() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let longest = format!("/{}", "x".repeat(254));
    let deepest = "/x".repeat(16);
    for channel in [&longest, &deepest] {
        assert_eq!(session.one(publish("3", channel, 1)).await, published("3", channel));
        assert_eq!(session.one(subscribe("4", channel)).await["successful"], true);
    }
    let beyond = [
        (longest + "x", "name_too_long"),
        (deepest + "/x", "too_many_segments"),
        ("/x".repeat(10_000), "name_too_long"),
    ];
    for (channel, reason) in beyond {
        let reply = session.one(publish("3", &channel, 1)).await;
        assert_eq!(reply["error"], format!("405:{reason}:channel_invalid"));
        let reply = session.one(subscribe("4", &channel)).await;
        assert_eq!(reply["error"], format!("403:{reason}:subscription_invalid"));
    }
}

#[tokio::test]
async fn p085_a_body_over_the_limit_gets_413() {
    let broker = Broker::with(|config| config.limits.message_size = 1024).await;
    let session = Polling::connected(broker.address).await;
    let mut message = publish("3", "/a", "");
    message["clientId"] = session.client_id.as_str().into();
    let room = 1024 - message.to_string().len();
    message["data"] = "x".repeat(room).into();
    let response = post_text(&broker, message.to_string()).await;
    assert_eq!(response.messages(), [published("3", "/a")], "1024 bytes pass");
    message["data"] = "x".repeat(room + 1).into();
    assert_eq!(post_text(&broker, message.to_string()).await.status, 413);
}

#[tokio::test]
async fn p085_a_declared_length_over_the_limit_is_refused_before_it_comes() {
    let broker = Broker::start().await;
    let mut connection = Connection::open(broker.address).await;
    let request = Request::new("POST", "/cometd").header("Content-Length", "104857600");
    connection.send(request.bytes()).await;
    assert_eq!(connection.response().await.status, 413, "though nothing of it ever comes");
    assert_eq!(connection.closed().await, b"");
}

#[tokio::test]
async fn p085_a_chunked_body_is_counted_too() {
    let broker = Broker::with(|config| config.limits.message_size = 1024).await;
    let mut connection = Connection::open(broker.address).await;
    let request = Request::new("POST", "/cometd").header("Transfer-Encoding", "chunked");
    connection.send(request.bytes()).await;
    connection.send_even_if_closed(format!("800\r\n{}\r\n", " ".repeat(2048))).await;
    assert_eq!(connection.response().await.status, 413);
}

#[tokio::test]
async fn p064_a_full_queue_ends_a_polling_session() {
    let broker = Broker::with(|config| config.session.queue.max_messages = 10).await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut publisher = Polling::connected(broker.address).await;
    for n in 0..10 {
        publisher.publish("/a", n).await;
    }
    assert!(broker.knows(&session.client_id), "10 fit");
    publisher.publish("/a", 10).await;
    until("the end of the slow session", || broker.counters().sessions_ended.of(Cause::Slow) == 1)
        .await;
    assert_eq!(
        session.one(publish("3", "/b", 1)).await,
        refused("3", "/b", "402::session_unknown")
    );
    assert_eq!(session.one(connect_now("4")).await, unknown_connect("4"));
}

#[tokio::test]
async fn p064_bytes_are_bounded_as_well() {
    let broker = Broker::with(|config| config.session.queue.max_bytes = 10_000).await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut publisher = Polling::connected(broker.address).await;
    publisher.publish("/a", "x".repeat(9_000)).await;
    assert!(broker.knows(&session.client_id));
    publisher.publish("/a", "x".repeat(2_000)).await;
    assert_eq!(session.one(connect_now("3")).await, unknown_connect("3"));
}

#[tokio::test]
async fn p064_a_held_connect_is_answered_when_its_session_ends() {
    let broker = Broker::with(|config| {
        config.session.queue.max_messages = 2;
        config.session.meta_connect_deliver_only = true;
    })
    .await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut held = session.begin(json!([connect("3")])).await;
    held.connection.quiet().await;
    let batch: Vec<Value> = (0..5).map(|n| publish("4", "/a", n)).collect();
    // Its own request keeps the connect asleep until all five are queued.
    let replies = session.send(batch.into()).await;
    assert_eq!(replies.len(), 5, "{replies:?}");
    assert_eq!(held.messages().await, [unknown_connect("3")]);
}

#[tokio::test]
async fn p064_a_slow_websocket_is_closed_with_1008() {
    let broker = Broker::with(|config| config.session.queue.max_messages = 50).await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let mut publisher = Socket::connected(broker.address).await;
    let data = "x".repeat(60_000);
    while broker.counters().sessions_ended.of(Cause::Slow) == 0 {
        publisher.publish("/a", data.as_str()).await;
    }
    assert_eq!(socket.close_code().await, 1008);
    let mut again = Socket::adopt(broker.address, &socket.client_id).await;
    assert_eq!(again.one(connect_now("1")).await, unknown_connect("1"));
}

fn lossy(policy: QueuePolicy) -> ChannelRule {
    ChannelRule {
        pattern: "/lossy/**".into(),
        queue_policy: Some(policy),
        ..ChannelRule::default()
    }
}

#[tokio::test]
async fn p064_drop_oldest_keeps_the_newest_messages() {
    let broker = Broker::with(|config| {
        config.session.queue.max_messages = 3;
        config.channels.push(lossy(QueuePolicy::DropOldest));
    })
    .await;
    let mut session = Polling::subscribed(broker.address, "/lossy/a").await;
    let mut publisher = Polling::connected(broker.address).await;
    for n in 0..10 {
        publisher.publish("/lossy/a", n).await;
    }
    let expected: Vec<Value> = (7..10).map(|n| delivery("/lossy/a", n)).collect();
    assert_eq!(deliveries(&session.fetch().await), expected);
    assert_eq!(broker.counters().dropped_oldest.value(), 7);
}

#[tokio::test]
async fn p064_latest_keeps_one_message_per_channel() {
    let broker = Broker::with(|config| config.channels.push(lossy(QueuePolicy::Latest))).await;
    let mut session = Polling::subscribed(broker.address, "/lossy/*").await;
    let mut publisher = Polling::connected(broker.address).await;
    for n in 0..10 {
        publisher.publish(if n % 2 == 0 { "/lossy/a" } else { "/lossy/b" }, n).await;
    }
    let mut heard = deliveries(&session.fetch().await);
    heard.sort_by_key(|message| message["data"].as_u64());
    assert_eq!(heard, [delivery("/lossy/a", 8), delivery("/lossy/b", 9)]);
    assert_eq!(broker.counters().dropped_latest.value(), 8);
}

#[tokio::test]
async fn p064_at_the_global_ceiling_publishes_are_refused() {
    let broker = Broker::with(|config| config.limits.queued_bytes = Some(100_000)).await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut publisher = Polling::connected(broker.address).await;
    let data = "x".repeat(13_000);
    let one = || publish("3", "/a", data.as_str());
    // Not to 85 %, from where the next tick ends the largest queue.
    for _ in 0..6 {
        assert_eq!(publisher.one(one()).await["successful"], true);
    }
    let response = post(broker.address, &json!([handshake()])).await;
    assert_eq!(response.status, 503, "handshakes are refused from 70 %");
    assert!(response.header("retry-after").is_some(), "{response:?}");
    // In one request, so that no tick comes between them.
    let replies = publisher.send(json!([one(), one(), one(), one()])).await;
    let refused = |reply: &&Value| reply["error"] == "503::overloaded";
    assert_eq!(replies.iter().filter(refused).count(), 2, "{replies:?}");
    session.fetch().await;
}

#[tokio::test]
async fn subscriptions_are_bounded_per_session_and_per_message() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let names = |range: std::ops::Range<usize>| -> Value {
        range.map(|n| format!("/many/{n}")).collect::<Vec<_>>().into()
    };
    let subscribe_to =
        |names: Value| json!({"id": "3", "channel": "/meta/subscribe", "subscription": names});
    assert_eq!(session.one(subscribe_to(names(0..128))).await["successful"], true);
    let reply = session.one(subscribe_to(json!("/one/more"))).await;
    assert_eq!(reply["error"], "403:subscription_limit:subscribe_denied");
    assert_eq!(session.one(subscribe_to(json!("/many/5"))).await["successful"], true, "known");
    let mut other = Polling::connected(broker.address).await;
    let reply = other.one(subscribe_to(names(0..129))).await;
    assert_eq!(reply["successful"], false);
}

#[tokio::test]
async fn sessions_are_bounded() {
    let broker = Broker::with(|config| config.limits.sessions = 2).await;
    let _first = Polling::connected(broker.address).await;
    let _second = Polling::connected(broker.address).await;
    let response = post(broker.address, &json!([handshake()])).await;
    assert_eq!(response.status, 503);
    assert!(response.header("retry-after").is_some(), "{response:?}");
    assert_eq!(broker.counters().handshakes_refused.value(), 1);
}

#[tokio::test]
async fn connections_are_bounded_and_those_that_exist_unaffected() {
    let broker = Broker::with(|config| config.limits.connections = Some(3)).await;
    let mut session = Polling::connected(broker.address).await;
    let _second = Connection::open(broker.address).await;
    let held = session.hold("3").await;
    let mut fourth = Connection::open(broker.address).await;
    let response = fourth.response().await;
    assert_eq!(response.status, 503);
    assert!(response.header("retry-after").is_some(), "{response:?}");
    assert_eq!(session.one(publish("4", "/a", 1)).await, published("4", "/a"));
    drop(held);
    until("room for a connection", || broker.counters().published.value() == 1).await;
}

#[tokio::test]
async fn the_root_wildcard_can_be_forbidden() {
    let broker = Broker::with(|config| config.limits.root_wildcard = false).await;
    let mut session = Polling::connected(broker.address).await;
    let reply = session.one(subscribe("3", "/**")).await;
    assert_eq!(reply["successful"], false, "{reply}");
    assert_eq!(session.one(subscribe("4", "/a/**")).await["successful"], true);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let broker =
        Broker::with(|config| config.limits.header_timeout = Duration::from_millis(300)).await;
    let mut connection = Connection::open(broker.address).await;
    connection.send("POST /cometd HTTP/1.1\r\nHost: local").await;
    let start = Instant::now();
    connection.closed().await;
    assert!(start.elapsed() >= Duration::from_millis(250), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_body_that_does_not_end_is_not_waited_for() {
    let broker =
        Broker::with(|config| config.limits.body_timeout = Duration::from_millis(300)).await;
    let mut connection = Connection::open(broker.address).await;
    let request = Request::new("POST", "/cometd").header("Content-Length", "10");
    connection.send(request.bytes()).await;
    connection.send("[").await;
    assert_eq!(connection.response().await.status, 408);
    assert_eq!(connection.closed().await, b"");
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let broker = Broker::with(|config| config.limits.keep_alive = Duration::from_secs(1)).await;
    let mut connection = Connection::open(broker.address).await;
    let request = Request::post("/cometd", json!([handshake()]).to_string());
    connection.exchange(&request).await.messages();
    assert_eq!(connection.closed().await, b"");
}

#[tokio::test]
async fn headers_are_bounded_in_number_and_size() {
    let broker = Broker::start().await;
    let many = |count: usize| {
        let request = Request::post("/cometd", json!([handshake()]).to_string());
        (3..count).fold(request, |request, n| request.header(&format!("X-{n}"), "1"))
    };
    assert_eq!(http::request(broker.address, &many(64)).await.status, 200);
    assert_eq!(http::request(broker.address, &many(65)).await.status, 431);
    let long = many(3).header("X-Long", &"x".repeat(17 << 10));
    assert_eq!(http::request(broker.address, &long).await.status, 431);
    let target = format!("/cometd?{}", "x".repeat(9 << 10));
    let response = http::request(broker.address, &Request::post(&target, "[]")).await;
    assert_eq!(response.status, 414);
}

#[tokio::test]
async fn a_slow_polling_session_costs_the_others_nothing() {
    let broker = Broker::with(|config| config.session.queue.max_messages = 5).await;
    let _slow = Polling::subscribed(broker.address, "/a").await;
    let mut quick = Polling::subscribed(broker.address, "/a").await;
    let mut publisher = Polling::connected(broker.address).await;
    for n in 0..20 {
        publisher.publish("/a", n).await;
        assert_eq!(quick.fetch().await, [delivery("/a", n), connected("f", 45_000)]);
    }
}
