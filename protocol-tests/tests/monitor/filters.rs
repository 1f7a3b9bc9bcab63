//! What a monitor asks for and what its key lets it see.

use bayeuxd::config::ApiKey;
use protocol_tests::{
    bayeux::{Polling, Socket, connect_now, publish, subscribe},
    monitor::{
        KEY, Monitor, broker, broker_with, mark, monitor_key, socket_with, subscribe_filtered,
    },
};
use serde_json::{Value, json};

async fn filtered(broker: &protocol_tests::broker::Broker, filter: Value) -> Monitor {
    let mut monitor = Monitor::of(socket_with(broker, KEY).await);
    let reply = monitor.one(subscribe_filtered("3", "/meta/**", filter)).await;
    assert_eq!(reply["successful"], true, "{reply}");
    monitor
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn by_type() {
    let broker = broker().await;
    let mut monitor = filtered(&broker, json!({"types": ["subscribe"]})).await;
    let mut client = Socket::connected(broker.address).await;
    client.subscribe("/a").await;
    mark(&broker, "/mark").await;
    let events = monitor.until_mark("/mark").await;
    assert_eq!(kinds(&events), ["subscribe", "subscribe"], "its own comes first: {events:?}");
}

#[tokio::test]
async fn by_channel_and_what_is_about_none_passes() {
    let broker = broker().await;
    let filter = json!({"types": ["subscribe", "connect"], "channel": "/orders/**"});
    let mut monitor = filtered(&broker, filter).await;
    let mut client = Socket::connected(broker.address).await;
    for name in ["/other", "/orders/1", "/orders"] {
        client.subscribe(name).await;
    }
    mark(&broker, "/orders/mark").await;
    let events = monitor.until_mark("/orders/mark").await;
    assert_eq!(kinds(&events), ["connect", "subscribe", "connect"]);
    assert_eq!(events[1]["channel"], "/orders/1");
}

#[tokio::test]
async fn by_session_and_replaced_by_subscribing_again() {
    let broker = broker().await;
    let mut one = Socket::connected(broker.address).await;
    let mut other = Socket::connected(broker.address).await;
    let sid = broker.sid(&one.client_id);
    let mut monitor = filtered(&broker, json!({"sid": sid})).await;
    other.subscribe("/a").await;
    one.subscribe("/b").await;
    let event = monitor.event().await;
    assert_eq!((&event["sid"], &event["channel"]), (&sid.into(), &"/b".into()));
    let filter = json!({"sid": broker.sid(&other.client_id)});
    monitor.one(subscribe_filtered("4", "/meta/**", filter)).await;
    one.subscribe("/c").await;
    other.subscribe("/d").await;
    assert_eq!(monitor.event().await["channel"], "/d");
}

#[tokio::test]
async fn polls_come_on_request_and_never_those_of_monitors() {
    let broker = broker().await;
    let mut quiet = filtered(&broker, json!({"types": ["connect"]})).await;
    let mut monitor = filtered(&broker, json!({"types": ["connect"], "polls": true})).await;
    let mut client = Polling::connected(broker.address).await;
    let sid = broker.sid(&client.client_id);
    for id in ["3", "4"] {
        client.one(connect_now(id)).await;
        monitor.one(connect_now("m")).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let event = monitor.event().await;
        assert_eq!(event["sid"], sid, "no monitor's own poll: {event}");
        seen.push(event["kind"].clone());
    }
    assert_eq!(seen, ["first", "poll", "poll"]);
    let last = Polling::connected(broker.address).await;
    let last = broker.sid(&last.client_id);
    loop {
        let event = quiet.event().await;
        assert_eq!(event["kind"], "first", "no poll unasked: {event}");
        if event["sid"] == last {
            return;
        }
    }
}

#[tokio::test]
async fn a_sample_of_nothing_leaves_the_rest() {
    let broker = broker().await;
    let mut monitor =
        filtered(&broker, json!({"sample": 0, "types": ["connect", "handshake"]})).await;
    Socket::connected(broker.address).await;
    Socket::connected(broker.address).await;
    for _ in 0..2 {
        assert_eq!(monitor.event().await["type"], "handshake");
    }
}

#[tokio::test]
async fn a_scope_hides_other_channels_and_sessions_without_one_inside() {
    let broker = broker().await;
    let scoped = ApiKey {
        channels: vec!["/orders/**".into()],
        ..monitor_key("scoped", "the-scoped-secret")
    };
    broker.replace_keys(&[scoped]);
    let mut socket = socket_with(&broker, "the-scoped-secret").await;
    socket.subscribe("/meta/**").await;
    let mut monitor = Monitor::of(socket);
    assert_eq!(monitor.event().await["snapshot"], true);
    let mut outside = Socket::connected(broker.address).await;
    outside.subscribe("/other").await;
    broker.kick(&outside.client_id);
    let mut inside = Socket::connected(broker.address).await;
    inside.one(subscribe("3", "/orders/*")).await;
    inside.one(subscribe("4", "/other/*")).await;
    let sid = broker.sid(&inside.client_id);
    broker.kick(&inside.client_id);
    let events = [monitor.event().await, monitor.event().await];
    assert_eq!(kinds(&events), ["subscribe", "disconnect"]);
    assert!(events.iter().all(|event| event["sid"] == sid.as_str()), "{events:?}");
}

#[tokio::test]
async fn publishes_and_their_data_are_rights_of_their_own() {
    for (payloads, payload, shown) in
        [(true, true, true), (false, true, false), (true, false, false)]
    {
        let broker = broker_with(|config| config.monitor.payloads = payloads).await;
        let key = ApiKey {
            types: vec!["publish".into()],
            payload,
            ..monitor_key("reader", "the-secret-of-a-reader")
        };
        broker.replace_keys(&[key]);
        let mut socket = socket_with(&broker, "the-secret-of-a-reader").await;
        socket.subscribe("/meta/**").await;
        let mut monitor = Monitor::of(socket);
        let _first = Socket::subscribed(broker.address, "/a").await;
        let _second = Socket::subscribed(broker.address, "/*").await;
        let mut publisher = Socket::connected(broker.address).await;
        publisher.one(publish("3", "/a", json!({"k": [1]}))).await;
        let event = monitor.event().await;
        assert_eq!(
            json!([event["type"], event["channel"], event["size"], event["fanout"], event["via"]]),
            json!(["publish", "/a", 9, 2, "bayeux"])
        );
        assert_eq!(event.get("data"), shown.then_some(&json!({"k": [1]})));
        assert_eq!(event["sid"], broker.sid(&publisher.client_id));
    }
}
