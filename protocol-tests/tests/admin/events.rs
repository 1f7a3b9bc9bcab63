//! The live feed.

use bayeuxd::config::{ApiKey, Role};
use protocol_tests::{
    bayeux::{Polling, Socket},
    http::{Request, Stream, request},
    operator::{admin_key, asking, broker, broker_with, event, feed, get},
    service::publish_key,
};
use serde_json::{Value, json};

/// The events of a feed that does not follow.
async fn past(admin: std::net::SocketAddr, parameters: &str) -> Vec<Value> {
    let response =
        request(admin, &asking("GET", &format!("/events?follow=false&{parameters}"))).await;
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/x-ndjson"));
    let text = String::from_utf8(response.body).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_a_session_does_is_told_as_it_happens() {
    let broker = broker().await;
    let mut feed = feed(broker.admin, "").await;
    assert_eq!(feed.head.header("content-type"), Some("application/x-ndjson"));
    let mut polling = Polling::handshake(broker.address).await;
    let sid = broker.sid(&polling.client_id);
    let opened = event(&mut feed).await;
    assert_eq!((&opened["type"], &opened["sid"]), (&json!("handshake"), &json!(sid)));
    polling.subscribe("/a/*").await;
    let subscribed = event(&mut feed).await;
    assert_eq!(
        (&subscribed["type"], &subscribed["channel"]),
        (&json!("subscribe"), &json!("/a/*"))
    );
    assert_eq!(subscribed["ok"], json!(true));
}

#[tokio::test]
async fn an_event_stream_is_sent_to_who_accepts_one() {
    let broker = broker().await;
    let accepting = asking("GET", "/events").header("Accept", "text/event-stream");
    let mut feed = Stream::open(broker.admin, &accepting).await;
    assert_eq!(feed.head.header("content-type"), Some("text/event-stream"));
    assert_eq!(feed.until("\n\n").await, ":\n\n");
    let _polling = Polling::handshake(broker.address).await;
    let text = feed.until("\n\n").await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "event: handshake");
    let data: Value = serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(lines[1], format!("id: {}", data["seq"]));
}

#[tokio::test]
async fn a_feed_is_narrowed_by_type_channel_and_session() {
    let broker = broker().await;
    let mut one = Socket::subscribed(broker.address, "/a").await;
    let sid = broker.sid(&one.client_id);
    let mut disconnects = feed(broker.admin, "?types=disconnect,subscribe&channel=/x/**").await;
    let mut of_one = feed(broker.admin, &format!("?sid={sid}")).await;
    let mut other = Socket::subscribed(broker.address, "/x/y").await;
    one.subscribe("/b").await;
    other.one(protocol_tests::bayeux::disconnect("9")).await;
    let told = event(&mut disconnects).await;
    assert_eq!((&told["type"], &told["channel"]), (&json!("subscribe"), &json!("/x/y")));
    let told = event(&mut disconnects).await;
    assert_eq!((&told["type"], &told["cause"]), (&json!("disconnect"), &json!("client")));
    let told = event(&mut of_one).await;
    assert_eq!((&told["type"], &told["channel"]), (&json!("subscribe"), &json!("/b")));
}

#[tokio::test]
async fn publishes_and_payloads_come_only_on_request_and_only_if_allowed() {
    let broker = broker().await;
    let response = request(broker.admin, &asking("GET", "/events?payloads=true")).await;
    assert_eq!(response.status, 403);
    let broker = broker_with(|config| config.monitor.payloads = true).await;
    let mut plain = feed(broker.admin, "?types=publish").await;
    let mut full = feed(broker.admin, "?types=publish&payloads=true").await;
    let mut socket = Socket::connected(broker.address).await;
    socket.publish("/a", json!({"n": 1})).await;
    let told = event(&mut plain).await;
    assert_eq!((&told["channel"], told.get("data")), (&json!("/a"), None));
    assert_eq!(event(&mut full).await["data"], json!({"n": 1}));
}

#[tokio::test]
async fn what_happened_before_can_be_asked_for_also_of_a_session_that_has_gone() {
    let broker = broker().await;
    let mut polling = Polling::subscribed(broker.address, "/a").await;
    let sid = broker.sid(&polling.client_id);
    polling.one(protocol_tests::bayeux::disconnect("9")).await;
    broker.until_gone(&polling.client_id).await;
    assert_eq!(get(broker.admin, &format!("/sessions/{sid}")).await.0, 404);
    let events = past(broker.admin, &format!("recent=50&sid={sid}")).await;
    let types = types(&events);
    assert_eq!((types[0], types[types.len() - 1]), ("handshake", "disconnect"), "{types:?}");
    assert_eq!(past(broker.admin, &format!("recent=1&sid={sid}")).await.len(), 1);
    let narrowed = past(broker.admin, &format!("recent=9&sid={sid}&types=subscribe")).await;
    assert_eq!(narrowed.len(), 1);
    assert_eq!(past(broker.admin, "recent=0").await.len(), 0);

    // Followed, what comes now is behind it, and nothing twice.
    let target = format!("/events?recent=1&types=disconnect,subscribe&sid={sid}");
    let mut followed = Stream::open(broker.admin, &asking("GET", &target)).await;
    assert_eq!(event(&mut followed).await["type"], json!("disconnect"));
}

#[tokio::test]
async fn feeds_are_limited_and_leaving_makes_room() {
    let broker = broker_with(|config| config.monitor.max_subscribers = 2).await;
    let _first = feed(broker.admin, "").await;
    let second = feed(broker.admin, "").await;
    let (status, answer) = get(broker.admin, "/events").await;
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("too_many_feeds")));
    drop(second);
    protocol_tests::deadline::soon("room for another feed", async {
        while request(broker.admin, &asking("GET", "/events?follow=false")).await.status != 200 {}
    })
    .await;
}

#[tokio::test]
async fn a_feed_ends_with_the_drain_and_says_so() {
    let mut broker = broker().await;
    let mut feed = feed(broker.admin, "?types=node").await;
    broker.drain();
    assert_eq!(event(&mut feed).await["event"], json!("drain"));
    assert_eq!(feed.rest().await, "");
}

#[tokio::test]
async fn a_feed_ends_with_its_key_and_says_so_and_no_other_does() {
    let kept = ApiKey { role: Role::Admin, ..publish_key("kept", "the-secret-that-stays", &[]) };
    let other = kept.clone();
    let broker = broker_with(|config| config.auth.keys.push(other)).await;
    let stays =
        Request::new("GET", "/admin/v1/events").header("X-API-Key", "the-secret-that-stays");
    let mut stays = Stream::open(broker.admin, &stays).await;
    assert_eq!(stays.until("\n").await, "\n");
    let mut lines = feed(broker.admin, "").await;
    let accepting = asking("GET", "/events").header("Accept", "text/event-stream");
    let mut stream = Stream::open(broker.admin, &accepting).await;
    assert_eq!(stream.until("\n\n").await, ":\n\n");
    // An unchanged list takes nothing from anybody.
    broker.replace_keys(&[admin_key(), kept.clone()]);
    let _first = Polling::handshake(broker.address).await;
    for feed in [&mut lines, &mut stays] {
        assert_eq!(event(feed).await["type"], json!("handshake"));
    }
    assert!(stream.until("\n\n").await.starts_with("event: handshake\n"));
    broker.replace_keys(&[kept]);
    let word = json!({"v": 1, "type": "end", "reason": "key_revoked"});
    assert_eq!(event(&mut lines).await, word);
    assert_eq!(lines.rest().await, "");
    let last = stream.rest().await;
    let data = last.strip_prefix("event: end\ndata: ").expect(&last).trim_end();
    assert_eq!(serde_json::from_str::<Value>(data).unwrap(), word);
    let _second = Polling::handshake(broker.address).await;
    assert_eq!(event(&mut stays).await["type"], json!("handshake"));
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_how_much_it_lost() {
    let broker = broker_with(|config| {
        config.monitor.ring_events = 20;
        config.monitor.events_per_second = 100_000;
        config.monitor.burst = 100_000;
    })
    .await;
    let mut feed = feed(broker.admin, "?types=subscribe,unsubscribe").await;
    let mut socket = Socket::connected(broker.address).await;
    // Within one pulse of 50 ms many more events than fit.
    let names: Vec<String> = (0..100).map(|number| format!("/n/{number}")).collect();
    let batch: Vec<Value> =
        names.iter().map(|name| protocol_tests::bayeux::subscribe("1", name)).collect();
    socket.send(Value::Array(batch)).await;
    let first = event(&mut feed).await;
    assert_eq!(first["type"], json!("lost"), "{first}");
    let lost = first["n"].as_u64().unwrap();
    let mut rest = 0;
    while rest + lost < 100 {
        assert_eq!(event(&mut feed).await["type"], json!("subscribe"));
        rest += 1;
    }
    assert_eq!(rest, 20);
}
