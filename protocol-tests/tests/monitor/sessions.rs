//! What is told of the lives of sessions: one end each, whatever the cause; switches, interruptions.

use std::time::Duration;

use bayeuxd::{
    config::{ChannelRule, QueuePolicy},
    events::{Filter, Rights, Sid, What},
};
use protocol_tests::{
    bayeux::{Polling, Socket, connect, connect_now, disconnect, publish},
    deadline::soon,
    monitor::{KEY, Monitor, broker, broker_with, mark, monitor, socket_with, subscribe_filtered},
};
use serde_json::{Value, json};

#[tokio::test]
async fn every_end_is_told_once_with_its_cause() {
    let broker = broker_with(|config| {
        config.session.max_interval = Duration::from_secs(2);
        config.session.queue.max_messages = 2;
    })
    .await;
    let mut monitor = monitor(&broker, "/meta/**").await;
    // The client says so, twice.
    let mut client = Polling::connected(broker.address).await;
    let mut sids = vec![(broker.sid(&client.client_id), "client")];
    client.one(disconnect("3")).await;
    client.one(disconnect("4")).await;
    // The program around the broker.
    let kicked = Socket::connected(broker.address).await;
    sids.push((broker.sid(&kicked.client_id), "kicked"));
    broker.kick(&kicked.client_id);
    // It gets more than it takes.
    let slow = Polling::subscribed(broker.address, "/slow").await;
    sids.push((broker.sid(&slow.client_id), "slow"));
    let mut publisher = Socket::connected(broker.address).await;
    for number in 0..3 {
        publisher.one(publish("3", "/slow", number)).await;
    }
    // A new handshake on the same socket.
    let mut again = Socket::connected(broker.address).await;
    sids.push((broker.sid(&again.client_id), "client"));
    again.renew().await;
    // It stays away.
    let away = Polling::connected(broker.address).await;
    sids.push((broker.sid(&away.client_id), "expired"));
    broker.until_gone(&away.client_id).await;
    mark(&broker, "/mark").await;
    let events = monitor.until_mark("/mark").await;
    for (sid, cause) in sids {
        let ends: Vec<&Value> = events
            .iter()
            .filter(|event| event["type"] == "disconnect" && event["sid"] == sid.as_str())
            .collect();
        assert_eq!(ends.len(), 1, "{cause}: {ends:?}");
        assert_eq!(ends[0]["cause"], cause);
    }
    let queue = events.iter().find(|event| event["type"] == "queue").expect("it ran over");
    assert_eq!(json!([queue["policy"], queue["messages"]]), json!(["disconnect", 2]));
}

#[tokio::test]
async fn a_drain_ends_every_session_once_and_the_node_says_so_first() {
    let mut broker = broker().await;
    let tap = broker.events().tap(Rights::usual(), Filter::default()).unwrap();
    let events = broker.events().clone();
    let _held = Polling::connected(broker.address).await.hold("3").await;
    let _socket = Socket::connected(broker.address).await;
    broker.drain();
    broker.stop().await;
    let told = tap.take(1_000);
    let ends: Vec<String> = told
        .iter()
        .filter_map(|event| match event.what {
            What::Disconnect { cause, .. } => Some(cause.as_str().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(ends, ["drain", "drain"]);
    let node = told.iter().position(|event| matches!(event.what, What::Node { .. })).unwrap();
    let end = told.iter().position(|event| matches!(event.what, What::Disconnect { .. })).unwrap();
    assert!(node < end);
    assert!(matches!(events.recent(None, 1)[0].what, What::Disconnect { .. }));
}

#[tokio::test]
async fn a_disconnect_says_what_was_delivered_and_what_was_not() {
    let broker = broker().await;
    let mut monitor = monitor(&broker, "/meta/monitor/disconnect").await;
    let mut client = Polling::subscribed(broker.address, "/a").await;
    let sid = broker.sid(&client.client_id);
    let mut publisher = Socket::connected(broker.address).await;
    for number in 0..3 {
        publisher.one(publish("3", "/a", number)).await;
    }
    client.fetch().await;
    for number in 0..2 {
        publisher.one(publish("4", "/a", number)).await;
    }
    broker.kick(&client.client_id);
    let event = monitor.event().await;
    assert_eq!(json!([event["sid"], event["delivered"], event["discarded"]]), json!([sid, 3, 2]));
}

#[tokio::test]
async fn drops_are_told_once_a_second_with_their_number() {
    let broker = broker_with(|config| {
        config.session.queue.max_messages = 2;
        config.channels.push(ChannelRule {
            pattern: "/lossy".into(),
            queue_policy: Some(QueuePolicy::DropOldest),
            ..ChannelRule::default()
        });
    })
    .await;
    let mut monitor = monitor(&broker, "/meta/monitor/**").await;
    let client = Polling::subscribed(broker.address, "/lossy").await;
    let sid = broker.sid(&client.client_id);
    let mut publisher = Socket::connected(broker.address).await;
    for number in 0..50 {
        publisher.one(publish("3", "/lossy", number)).await;
    }
    mark(&broker, "/mark").await;
    let events = monitor.until_mark("/mark").await;
    let drops: Vec<&Value> = events.iter().filter(|event| event["type"] == "queue").collect();
    assert!((1..=2).contains(&drops.len()), "{drops:?}");
    assert_eq!(
        json!([drops[0]["sid"], drops[0]["policy"], drops[0]["messages"], drops[0]["dropped"]]),
        json!([sid, "drop_oldest", 2, 1])
    );
}

#[tokio::test]
async fn a_switch_of_transport_and_a_return_on_a_new_socket_are_told() {
    let broker = broker().await;
    let mut monitor = monitor(&broker, "/meta/**").await;
    let polling = Polling::connected(broker.address).await;
    let sid = broker.sid(&polling.client_id);
    let mut socket = Socket::adopt(broker.address, &polling.client_id).await;
    socket.one(connect_now("3")).await;
    let switch = monitor.event_of("transport").await;
    assert_eq!(
        json!([switch["sid"], switch["kind"], switch["from"], switch["to"]]),
        json!([sid, "switch", "long-polling", "websocket"])
    );
    assert_eq!(monitor.event_of("connect").await["kind"], "switch");
    drop(socket);
    let mut socket = Socket::adopt(broker.address, &polling.client_id).await;
    socket.one(connect_now("4")).await;
    let back = monitor.event_of("connect").await;
    assert_eq!((&back["kind"], &back["sid"]), (&"resume".into(), &sid.into()));
}

#[tokio::test]
async fn a_hold_whose_time_is_up_is_told_to_who_asks_for_polls() {
    let broker = broker_with(|config| config.session.timeout = Duration::from_millis(200)).await;
    let mut usual = monitor(&broker, "/meta/monitor/connect").await;
    let mut asking = Monitor::of(socket_with(&broker, KEY).await);
    let polls = json!({"polls": true});
    asking.one(subscribe_filtered("3", "/meta/monitor/connect", polls)).await;
    let mut polling = Polling::connected(broker.address).await;
    let mut socket = Socket::connected(broker.address).await;
    let sid = broker.sid(&socket.client_id);
    polling.one(connect("3")).await;
    socket.one(connect("3")).await;
    let mut kinds = Vec::new();
    while kinds.len() < 6 {
        kinds.push(asking.event().await["kind"].as_str().unwrap().to_owned());
    }
    assert_eq!(kinds, ["first", "first", "poll", "timeout", "poll", "timeout"]);

    // Clients that are merely idle show nowhere else: not to who did not ask, and not among what is kept.
    let last = Polling::connected(broker.address).await;
    let last = broker.sid(&last.client_id);
    let mut seen = Vec::new();
    while seen.last() != Some(&json!(["first", last])) {
        let event = usual.event().await;
        seen.push(json!([event["kind"], event["sid"]]));
    }
    assert!(seen.iter().all(|told| told[0] == "first"), "{seen:?}");
    let kept = broker.events().recent(Sid::parse(&sid), 50);
    let kept: Vec<_> = kept.iter().map(|event| event.kind().as_str()).collect();
    assert_eq!(kept, ["handshake", "connect"]);
}

#[tokio::test]
async fn bad_requests_and_refused_keys_are_told_without_a_session() {
    let broker = broker().await;
    let mut monitor = monitor(&broker, "/meta/**").await;
    let request = protocol_tests::http::Request::post("/cometd", "no json");
    protocol_tests::http::request(broker.address, &request).await;
    let error = monitor.event_of("error").await;
    assert_eq!(json!([error["status"], error["ip"]]), json!(["json", "127.0.0.0"]));
    let message = protocol_tests::monitor::handshake_with_key("a-wrong-secret-again");
    Socket::open(broker.address).await.one(message).await;
    let auth = monitor.event_of("auth").await;
    assert_eq!(json!([auth["op"], auth["ok"]]), json!(["handshake", false]));
    let body = "x".repeat(100_000);
    let request = protocol_tests::http::Request::post("/cometd", body);
    protocol_tests::http::request(broker.address, &request).await;
    let limit = monitor.event_of("limit").await;
    assert_eq!(json!([limit["limit"], limit["value"]]), json!(["limits.message_size", 65_536]));
}

#[tokio::test]
async fn totals_come_at_their_time() {
    let broker =
        broker_with(|config| config.monitor.stats_interval = Duration::from_millis(300)).await;
    let mut monitor = monitor(&broker, "/monitor/stats").await;
    assert_eq!(monitor.event().await["snapshot"], true);
    let _held = Polling::subscribed(broker.address, "/a").await.hold("3").await;
    let mut publisher = Socket::connected(broker.address).await;
    let second = soon("totals with all of it", async {
        loop {
            publisher.one(publish("3", "/a", 1)).await;
            let stats = monitor.event().await;
            if stats["in_per_s"].as_f64().unwrap() > 0.0 {
                return stats;
            }
        }
    })
    .await;
    assert!(second.get("snapshot").is_none());
    assert_eq!(json!([second["sessions"], second["subscriptions"]]), json!([3, 1]));
}
