//! What a message leaves in its trace.

use std::{collections::HashSet, time::Duration};

use bayeuxd::server::clock;
use protocol_tests::{
    bayeux::{Polling, Socket, connect, connect_now, disconnect, handshake, subscribe},
    broker::Broker,
    collector::{Collector, Span},
    deadline::{PATIENCE, until, within},
    metrics::Scrape,
};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Keys of attributes, in their order.
fn keys(span: &Span) -> Vec<&str> {
    span.attributes.keys().map(String::as_str).collect()
}

fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
    assert!(found.next().is_none(), "{spans:#?}");
    span
}

/// Waits until the broker has seen the end of every WebSocket.
async fn without_sockets(broker: &Broker) {
    within(PATIENCE, "the end of a socket", async {
        while Scrape::of(broker).await.value("websocket_connections") != 0.0 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_message_is_traced_from_its_publisher_to_its_receivers() {
    let collector = Collector::start().await;
    let broker = Broker::with(|config| collector.settings(config)).await;
    let mut socket = Socket::subscribed(broker.address, "/a/b").await;
    let poll = Polling::subscribed(broker.address, "/a/*").await;
    let mut held = poll.hold("9").await;
    until("a held poll", || broker.counters().connects_held.value() == 1).await;
    let mut publisher = Socket::connected(broker.address).await;
    publisher.publish("/a/b", json!("0123456789")).await;
    socket.recv_messages(1).await;
    held.messages().await;
    let now = clock::time_of_day();
    let spans = collector.exactly(3).await;
    let publish = one(&spans, "publish");
    assert_eq!((publish.kind, publish.flags, &publish.parent), (4, 0x101, &None));
    let expected = [
        ("bayeux.sessions.queued", "0"),
        ("bayeux.sessions.reached", "2"),
        ("bayeux.via", "bayeux"),
        ("messaging.destination.name", "/a/b"),
        ("messaging.message.body.size", "12"),
        ("messaging.operation.name", "publish"),
        ("messaging.operation.type", "send"),
        ("messaging.system", "bayeux"),
    ];
    let pairs = publish.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    assert_eq!(pairs.collect::<Vec<_>>(), expected);
    let began = Duration::from_nanos(publish.start);
    assert!(now.abs_diff(began) < Duration::from_secs(20), "{now:?} {began:?}");
    for (client_id, transport) in
        [(&socket.client_id, "websocket"), (&poll.client_id, "long-polling")]
    {
        let sid = broker.sid(client_id);
        let of_it = |span: &&Span| span.attributes.get("bayeux.session") == Some(&sid);
        let deliver = spans.iter().find(of_it).expect("a span for each session");
        assert_eq!((deliver.name.as_str(), deliver.kind, deliver.flags), ("deliver", 5, 0x101));
        assert!(deliver.is_child_of(publish), "{spans:#?}");
        assert_eq!(deliver.start, publish.start, "from the acceptance");
        assert_eq!(deliver.value("bayeux.transport"), transport);
        assert_eq!(deliver.value("messaging.destination.name"), "/a/b");
        let expected = [
            "bayeux.session",
            "bayeux.transport",
            "messaging.destination.name",
            "messaging.operation.name",
            "messaging.operation.type",
            "messaging.system",
        ];
        assert_eq!(keys(deliver), expected);
    }
    assert_eq!(spans.iter().map(|span| &span.id).collect::<HashSet<_>>().len(), 3);
}

#[tokio::test]
async fn each_message_has_a_trace_of_its_own() {
    let collector = Collector::start().await;
    let broker = Broker::with(|config| collector.settings(config)).await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let mut publisher = Socket::connected(broker.address).await;
    for number in 0..5 {
        publisher.publish("/a", number).await;
    }
    socket.recv_messages(5).await;
    let spans = collector.exactly(10).await;
    let (publishes, delivers): (Vec<_>, Vec<_>) =
        spans.iter().partition(|span| span.name == "publish");
    let traces: HashSet<_> = publishes.iter().map(|span| &span.trace).collect();
    assert_eq!(traces.len(), 5);
    for publish in publishes {
        assert_eq!(delivers.iter().filter(|span| span.is_child_of(publish)).count(), 1);
    }
}

#[tokio::test]
async fn a_large_fan_out_has_few_spans_and_says_how_many_it_has_not() {
    let collector = Collector::start().await;
    let broker = Broker::with(|config| {
        collector.settings(config);
        config.otel.deliver_spans = 3;
    })
    .await;
    let mut sockets = Vec::new();
    for _ in 0..12 {
        sockets.push(Socket::subscribed(broker.address, "/a").await);
    }
    let mut publisher = Socket::connected(broker.address).await;
    publisher.publish("/a", 1).await;
    for socket in &mut sockets {
        socket.recv_messages(1).await;
    }
    let spans = collector.exactly(4).await;
    let publish = one(&spans, "publish");
    assert_eq!(publish.value("bayeux.sessions.reached"), "12");
    assert_eq!(publish.value("bayeux.sessions.untraced"), "9");
}

#[tokio::test]
async fn a_message_that_waits_for_its_client_says_so() {
    let collector = Collector::start().await;
    let broker = Broker::with(|config| collector.settings(config)).await;
    let socket = Socket::subscribed(broker.address, "/a").await;
    let client_id = socket.client_id.clone();
    drop(socket);
    without_sockets(&broker).await;
    let mut publisher = Polling::connected(broker.address).await;
    publisher.publish("/a", 1).await;
    let spans = collector.exactly(1).await;
    assert_eq!(one(&spans, "publish").value("bayeux.sessions.queued"), "1");
    let mut socket = Socket::adopt(broker.address, &client_id).await;
    socket.send(json!([connect("1")])).await;
    socket.recv_messages(1).await;
    let spans = collector.exactly(2).await;
    assert_eq!(one(&spans, "deliver").value("bayeux.waited"), "true");
}

#[tokio::test]
async fn with_the_ack_extension_a_delivery_ends_when_it_is_acknowledged() {
    let collector = Collector::start().await;
    let broker = Broker::with(|config| collector.settings(config)).await;
    let mut shake = handshake();
    shake["ext"] = json!({"ack": true});
    let mut socket = Socket::handshake_with(broker.address, shake).await;
    let acknowledging = |id: &str, number: i64| -> Value {
        let mut message = connect_now(id);
        message["ext"] = json!({"ack": number});
        message
    };
    socket.one(acknowledging("2", 0)).await;
    socket.one(subscribe("3", "/a")).await;
    socket.publish("/a", 1).await;
    collector.exactly(1).await;
    socket.send(json!([acknowledging("4", 1)])).await;
    let replies = socket.recv_messages(2).await;
    let number = replies.iter().find_map(|reply| reply["ext"]["ack"].as_i64()).expect("a number");
    assert_eq!(collector.exactly(1).await.len(), 1, "it is written and not acknowledged");
    socket.one(acknowledging("5", number)).await;
    let spans = collector.exactly(2).await;
    let deliver = one(&spans, "deliver");
    assert!(deliver.is_child_of(one(&spans, "publish")));
    assert_eq!(deliver.value("bayeux.acknowledged"), "true");
    socket.one(disconnect("6")).await;
}

#[tokio::test]
async fn what_is_not_sampled_exports_nothing() {
    let collector = Collector::start().await;
    let broker = Broker::with(|config| {
        collector.settings(config);
        config.otel.sample_ratio = 0.0;
    })
    .await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let mut publisher = Socket::connected(broker.address).await;
    for number in 0..20 {
        publisher.publish("/a", number).await;
    }
    socket.recv_messages(20).await;
    collector.exactly(0).await;
    assert_eq!(collector.requests(), 0);
}

#[tokio::test]
async fn without_an_endpoint_nothing_is_traced() {
    let collector = Collector::start().await;
    let broker = Broker::with(|config| {
        collector.settings(config);
        config.otel.endpoint.clear();
    })
    .await;
    let mut publisher = Socket::connected(broker.address).await;
    publisher.publish("/a", 1).await;
    collector.exactly(0).await;
}
