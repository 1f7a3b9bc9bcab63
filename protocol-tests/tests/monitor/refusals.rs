//! Who may not monitor, and what nobody may.

use bayeuxd::config::ApiKey;
use protocol_tests::{
    bayeux::{Polling, Socket, publish, refused, subscribe},
    monitor::{
        KEY, Monitor, broker, broker_with, handshake_with_key, mark, monitor, monitor_key,
        socket_with, subscribe_filtered,
    },
    service,
};
use serde_json::json;

const POLICY: &str = "403:denied_by_security_policy:subscribe_denied";
const CREATE: &str = "403:denied_by_security_policy:create_denied";

#[tokio::test]
async fn p070_without_the_right_no_name_is_granted_and_other_subscriptions_stay() {
    let broker = broker().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    for (name, error) in [
        ("/meta/handshake", POLICY),
        ("/meta/connect", POLICY),
        ("/meta/subscribe", POLICY),
        ("/meta/unsubscribe", POLICY),
        ("/meta/disconnect", POLICY),
        ("/meta/monitor", POLICY),
        ("/meta/monitor/*", POLICY),
        ("/meta/monitor/**", POLICY),
        ("/meta/monitor/subscribe", POLICY),
        ("/monitor", POLICY),
        ("/monitor/**", POLICY),
        ("/monitor/subscribe", POLICY),
        ("/meta/*", CREATE),
        ("/meta/**", CREATE),
        ("/meta/x", CREATE),
    ] {
        let mut expected = refused("3", "/meta/subscribe", error);
        expected["subscription"] = name.into();
        assert_eq!(socket.one(subscribe("3", name)).await, expected);
    }
    let array =
        json!({"channel": "/meta/subscribe", "id": "4", "subscription": ["/b", "/meta/*", "/c"]});
    assert_eq!(socket.one(array).await["error"], CREATE);
    let mut publisher = Socket::connected(broker.address).await;
    for channel in ["/a", "/b", "/c"] {
        publisher.one(publish("5", channel, 1)).await;
    }
    let channels: Vec<_> = socket.recv_messages(2).await;
    assert_eq!((&channels[0]["channel"], &channels[1]["channel"]), (&"/a".into(), &"/b".into()));
}

#[tokio::test]
async fn names_that_no_client_could_bear_are_refused_with_the_one_to_use() {
    let broker = broker().await;
    let mut socket = socket_with(&broker, KEY).await;
    for verb in ["handshake", "connect", "disconnect"] {
        let name = format!("/meta/{verb}");
        let reply = socket.one(subscribe("3", &name)).await;
        assert_eq!(reply["error"], format!("403:{name}:use_/meta/monitor/{verb}"));
        assert_eq!(reply["subscription"], name);
    }
    for (name, error) in [
        ("/meta/monitor/x", "403:unknown_monitor_type:create_denied"),
        ("/monitor/x/y", "403:unknown_monitor_type:create_denied"),
        ("/meta/x", CREATE),
        ("/meta/monitor/publish", "403:monitor_type:subscribe_denied"),
    ] {
        assert_eq!(socket.one(subscribe("3", name)).await["error"], error, "{name}");
    }
}

#[tokio::test]
async fn a_bad_filter_is_refused_and_nothing_is_subscribed() {
    let broker = broker().await;
    let mut socket = socket_with(&broker, KEY).await;
    for filter in [
        json!({"type": ["subscribe"]}),
        json!({"user": "alice"}),
        json!({"types": ["nothing"]}),
        json!({"types": "subscribe"}),
        json!({"channel": "/a//b"}),
        json!({"sid": "short"}),
        json!({"sample": 2}),
        json!(1),
    ] {
        let reply = socket.one(subscribe_filtered("3", "/meta/**", filter.clone())).await;
        assert_eq!(reply["error"], "400::monitor_filter_invalid", "{filter}");
    }
    assert_eq!(broker.events().monitors(), 0);
}

#[tokio::test]
async fn a_key_that_is_none_of_ours_ends_the_handshake() {
    let broker = broker().await;
    let mut socket = Socket::open(broker.address).await;
    let reply = socket.one(handshake_with_key("not-the-secret-of-anybody")).await;
    let mut expected = refused("1", "/meta/handshake", "403::handshake_denied");
    expected["advice"] = json!({"reconnect": "none"});
    assert_eq!(reply, expected);
    assert_eq!(broker.sessions(), 0);
}

#[tokio::test]
async fn one_monitor_more_than_there_may_be_is_refused() {
    let broker = broker_with(|config| config.monitor.max_subscribers = 2).await;
    let mut monitors = Vec::new();
    for _ in 0..2 {
        monitors.push(protocol_tests::monitor::monitor(&broker, "/meta/**").await);
    }
    let mut third = socket_with(&broker, KEY).await;
    assert_eq!(
        third.one(subscribe("3", "/meta/**")).await["error"],
        "403:monitor_limit:subscribe_denied"
    );
    monitors[0].subscribe("/monitor").await;
    broker.kick(&monitors[1].socket.client_id);
    third.subscribe("/meta/**").await;
    assert_eq!(broker.events().monitors(), 2);
}

#[tokio::test]
async fn p116_nobody_publishes_what_looks_like_an_event() {
    let broker = broker_with(|config| {
        config.auth.keys.push(service::publish_key("all", service::KEY, &["/**"]));
    })
    .await;
    let mut socket = socket_with(&broker, KEY).await;
    for (channel, error) in [
        ("/monitor", "403:monitor_channel:publish_denied"),
        ("/monitor/subscribe", "403:monitor_channel:publish_denied"),
        ("/monitor/**", "403:monitor_channel:publish_denied"),
        ("/meta/monitor", "403:denied_by_security_policy:channel_create_denied"),
        ("/meta/monitor/subscribe", "403:denied_by_security_policy:channel_create_denied"),
    ] {
        assert_eq!(socket.one(publish("3", channel, 1)).await, refused("3", channel, error));
        let body = json!({"channel": channel, "data": 1});
        let (status, answer) = service::post(broker.address, "/publish", &body).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (400, &"channel_reserved".into()),
            "{channel}"
        );
    }
    assert_eq!(socket.one(publish("4", "/monitoring", 1)).await["successful"], true);
}

#[tokio::test]
async fn where_an_application_owns_the_name_the_second_feed_is_off() {
    let broker = broker_with(|config| config.monitor.prefix = String::new()).await;
    let mut socket = Socket::subscribed(broker.address, "/monitor/**").await;
    let mut publisher = Socket::connected(broker.address).await;
    assert_eq!(publisher.one(publish("3", "/monitor/x", 1)).await["successful"], true);
    assert_eq!(socket.recv_messages(1).await[0]["channel"], "/monitor/x");
    let mut monitor = socket_with(&broker, KEY).await;
    monitor.subscribe("/meta/monitor/**").await;
}

#[tokio::test]
async fn switched_off_nobody_has_the_right() {
    let broker = broker_with(|config| config.monitor.enabled = false).await;
    let mut socket = socket_with(&broker, KEY).await;
    assert_eq!(socket.one(subscribe("3", "/meta/**")).await["error"], CREATE);
    assert_eq!(socket.one(subscribe("3", "/monitor")).await["error"], POLICY);
}

#[tokio::test]
async fn a_key_of_another_role_opens_a_session_and_no_monitor() {
    let broker = broker_with(|config| {
        config.auth.keys.push(service::publish_key("p", service::KEY, &["/**"]));
    })
    .await;
    let mut socket = socket_with(&broker, service::KEY).await;
    assert_eq!(socket.one(subscribe("3", "/meta/monitor")).await["error"], POLICY);
    let narrow =
        ApiKey { types: vec!["disconnect".into()], ..monitor_key("n", "the-narrow-secret") };
    broker.replace_keys(&[narrow]);
    let mut socket = socket_with(&broker, "the-narrow-secret").await;
    let reply = socket.one(subscribe("3", "/meta/monitor/subscribe")).await;
    assert_eq!(reply["error"], "403:monitor_type:subscribe_denied");
    socket.subscribe("/meta/**").await;
    let mut monitor = Monitor::of(socket);
    let mut client = Socket::connected(broker.address).await;
    client.subscribe("/a").await;
    broker.kick(&client.client_id);
    let event = monitor.event().await;
    assert_eq!((&event["type"], &event["cause"]), (&"disconnect".into(), &"kicked".into()));
}

#[tokio::test]
async fn who_monitors_under_a_key_that_is_taken_back_is_sent_to_a_handshake_and_refused() {
    let broker = broker().await;
    let other = monitor_key("kept", "the-secret-that-stays");
    broker.replace_keys(&[monitor_key("monitor", KEY), other.clone()]);
    // What it watches does not happen here, so that the next message is the one that matters.
    let mut watching = monitor(&broker, "/meta/monitor/lost").await;
    let mut idle = socket_with(&broker, KEY).await;
    let mut kept = socket_with(&broker, "the-secret-that-stays").await;
    kept.subscribe("/meta/monitor/handshake").await;
    broker.replace_keys(&[other]);
    // It had only the right, and keeps its session without it.
    assert_eq!(idle.one(subscribe("4", "/monitor/disconnect")).await["error"], POLICY);
    broker.until_gone(&watching.socket.client_id).await;
    let told = watching.socket.recv_messages(1).await.remove(0);
    assert_eq!(told["advice"]["reconnect"], "handshake", "{told}");
    let anew = watching.one(handshake_with_key(KEY)).await;
    assert_eq!(anew["error"], "403::handshake_denied");
    let mut kept = Monitor::of(kept);
    mark(&broker, "/x").await;
    assert_eq!(kept.event().await["type"], "handshake");
}

#[tokio::test]
async fn where_everybody_may_monitor_so_does_a_client_without_a_key() {
    let broker = broker_with(|config| config.monitor.everybody = true).await;
    let mut socket = Socket::subscribed(broker.address, "/meta/monitor/publish").await;
    let mut publisher = Polling::connected(broker.address).await;
    publisher.publish("/a", json!({"k": 1})).await;
    let event = socket.recv_messages(1).await.remove(0);
    assert_eq!(event["data"]["channel"], "/a");
    assert!(event["data"].get("data").is_none(), "payloads are a switch of their own");
}
