//! Lazy channels and the other rules of `[[channels]]`: protocol.md 121, 122.

use std::time::Duration;

use bayeuxd::config::{ChannelRule, Config, QueuePolicy};
use protocol_tests::{
    bayeux::{Polling, Socket, connect, connect_now, deliveries, delivery, publish, unsubscribe},
    broker::Broker,
    deadline::{Heart, soon},
};
use serde_json::{Value, json};
use tokio::time::Instant;

/// How long messages of `/lazy/**` wait.
const LAZY: Duration = Duration::from_millis(500);
/// By how much they may come later, by beats: the broker's period, and a loaded machine.
const LATE: Duration = Duration::from_millis(1500);

fn rule(pattern: &str) -> ChannelRule {
    ChannelRule { pattern: pattern.into(), ..ChannelRule::default() }
}

fn lazy(config: &mut Config) {
    config.channels.push(ChannelRule { lazy: Some(LAZY), ..rule("/lazy/**") });
}

async fn publish_elsewhere(broker: &Broker, channel: &str, data: u32) -> (Instant, Heart) {
    let mut publisher = Socket::connected(broker.address).await;
    let began = (Instant::now(), Heart::start());
    publisher.publish(channel, data).await;
    began
}

fn assert_in_time((began, heart): (Instant, Heart)) {
    let (waited, felt) = (began.elapsed(), heart.felt());
    assert!(waited >= LAZY && felt < LAZY + LATE, "delivered after {waited:?}, {felt:?} by beats");
}

#[tokio::test]
async fn p122_a_lazy_message_releases_a_held_poll_when_its_time_is_over() {
    let broker = Broker::with(lazy).await;
    let session = Polling::subscribed(broker.address, "/lazy/a").await;
    let mut held = session.hold("3").await;
    let began = publish_elsewhere(&broker, "/lazy/a", 1).await;
    let messages = held.messages().await;
    assert_in_time(began);
    assert_eq!(deliveries(&messages), [delivery("/lazy/a", 1)]);
}

#[tokio::test]
async fn p122_over_websocket_it_comes_when_its_time_is_over() {
    let broker = Broker::with(lazy).await;
    let mut socket = Socket::subscribed(broker.address, "/lazy/a").await;
    socket.send(json!([connect("3")])).await;
    socket.websocket.quiet().await;
    let began = publish_elsewhere(&broker, "/lazy/a", 1).await;
    assert_eq!(socket.recv().await, [delivery("/lazy/a", 1)]);
    assert_in_time(began);
}

#[tokio::test]
async fn p122_any_other_message_takes_the_lazy_ones_along() {
    let broker = Broker::with(|config| {
        config.session.max_lazy_timeout = Duration::from_secs(60);
        config.channels.push(ChannelRule { lazy: Some(Duration::from_secs(60)), ..rule("/lazy") });
    })
    .await;
    let mut session = Polling::subscribed(broker.address, "/lazy").await;
    session.subscribe("/now").await;
    let mut held = session.hold("3").await;
    publish_elsewhere(&broker, "/lazy", 1).await;
    held.connection.quiet().await;
    publish_elsewhere(&broker, "/now", 2).await;
    let messages = held.messages().await;
    assert_eq!(deliveries(&messages), [delivery("/lazy", 1), delivery("/now", 2)]);
}

#[tokio::test]
async fn p122_the_end_of_the_hold_takes_them_along() {
    let broker = Broker::with(|config| {
        config.session.timeout = Duration::from_millis(300);
        config.channels.push(ChannelRule { lazy: Some(Duration::from_secs(60)), ..rule("/**") });
    })
    .await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    publish_elsewhere(&broker, "/a", 1).await;
    let messages = session.send(json!([connect("3")])).await;
    assert_eq!(deliveries(&messages), [delivery("/a", 1)]);
}

#[tokio::test]
async fn p122_a_client_cannot_make_a_message_lazy() {
    let broker = Broker::with(lazy).await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let mut held = session.hold("3").await;
    let mut publisher = Socket::connected(broker.address).await;
    let mut message = publish("p", "/a", 1);
    message["lazy"] = true.into();
    publisher.one(message).await;
    let messages = soon("the delivery", held.messages()).await;
    assert_eq!(messages[0], json!({"channel": "/a", "data": 1, "lazy": true}));
}

#[tokio::test]
async fn p121_a_persistent_channel_stays_when_nobody_uses_it() {
    let broker = Broker::with(|config| {
        config.channels.push(ChannelRule { persistent: Some(true), ..rule("/kept") });
        config.channels.push(ChannelRule { persistent: Some(true), ..rule("/below/*") });
    })
    .await;
    let mut session = Polling::connected(broker.address).await;
    for channel in ["/below/a", "/passing"] {
        session.publish(channel, 1).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let reply = |channel: &str| unsubscribe("u", channel);
    assert_eq!(session.one(reply("/kept")).await["successful"], true, "from the start");
    assert_eq!(session.one(reply("/below/a")).await["successful"], true);
    assert_eq!(session.one(reply("/passing")).await["error"], "400::channel_missing");
}

#[tokio::test]
async fn p064_the_most_specific_rule_decides_wherever_it_stands() {
    let broker = Broker::with(|config| {
        config.channels.push(ChannelRule {
            queue_policy: Some(QueuePolicy::DropOldest),
            broadcast_to_publisher: Some(false),
            ..rule("/t/**")
        });
        let queue_policy = Some(QueuePolicy::Latest);
        config.channels.push(ChannelRule { queue_policy, ..rule("/t/last") });
    })
    .await;
    let mut session = Polling::subscribed(broker.address, "/t/**").await;
    for number in 1..=3 {
        publish_elsewhere(&broker, "/t/last", number).await;
        publish_elsewhere(&broker, "/t/all", number).await;
    }
    let data = |channel: &str, messages: &[Value]| -> Vec<Value> {
        let his = messages.iter().filter(|message| message["channel"] == channel);
        his.map(|message| message["data"].clone()).collect()
    };
    let messages = deliveries(&session.send(json!([connect_now("f")])).await);
    assert_eq!(data("/t/last", &messages), [json!(3)]);
    assert_eq!(data("/t/all", &messages), [json!(1), json!(2), json!(3)]);
    // What the specific entry leaves open, the general one decides.
    assert_eq!(session.publish("/t/last", 4).await.len(), 1, "no echo");
}
