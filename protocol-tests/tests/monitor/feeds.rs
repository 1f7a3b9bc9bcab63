//! Which name brings which event, over which transport.

use std::time::Duration;

use protocol_tests::{
    bayeux::{
        Polling, Socket, connect, connect_now, deliveries, delivery, disconnect, publish,
        subscribe, unsubscribe,
    },
    broker::Broker,
    deadline::QUIET,
    monitor::{
        KEY, Monitor, assert_envelope, broker, broker_with, mark, monitor, polling_with,
        socket_with,
    },
    websocket::{BINARY, Frame},
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

/// What one ordinary client does in its life.
async fn live(broker: &Broker) -> String {
    let mut socket = Socket::connected(broker.address).await;
    let sid = broker.sid(&socket.client_id);
    for message in [subscribe("3", "/a/**"), publish("4", "/b", 1), unsubscribe("5", "/a/**")] {
        let reply = socket.one(message).await;
        assert_eq!(reply["successful"], true, "{reply}");
    }
    socket.one(disconnect("6")).await;
    sid
}

const LIFE: [&str; 5] = ["handshake", "connect", "subscribe", "unsubscribe", "disconnect"];

/// The messages about the session `sid`, as many as are expected.
async fn about(monitor: &mut Monitor, sid: &str, count: usize) -> Vec<Value> {
    let mut messages = Vec::new();
    while messages.len() < count {
        let message = monitor.message().await;
        if message["data"]["sid"] == sid {
            messages.push(message);
        }
    }
    messages
}

#[tokio::test]
async fn p070_every_name_of_the_table_brings_its_events_in_order() {
    for (name, channel) in [
        ("/meta/**", "/meta/monitor/{}"),
        ("/meta/monitor/**", "/meta/monitor/{}"),
        ("/meta/monitor/*", "/meta/monitor/{}"),
        ("/meta/*", "/meta/monitor"),
        ("/meta/monitor", "/meta/monitor"),
        ("/monitor/**", "/monitor/{}"),
        ("/monitor/*", "/monitor/{}"),
        ("/monitor", "/monitor"),
    ] {
        let broker = broker().await;
        let mut monitor = monitor(&broker, name).await;
        let sid = live(&broker).await;
        let messages = about(&mut monitor, &sid, LIFE.len()).await;
        for (message, kind) in messages.iter().zip(LIFE) {
            assert_eq!(message["data"]["type"], kind, "{name}: {message}");
            assert_eq!(message["channel"], channel.replace("{}", kind), "{name}");
        }
        let seqs: Vec<u64> =
            messages.iter().map(|message| message["data"]["seq"].as_u64().unwrap()).collect();
        assert!(seqs.is_sorted(), "{seqs:?}");
    }
}

#[tokio::test]
async fn an_exact_name_and_an_alias_bring_their_type_only() {
    for (name, kind) in [
        ("/meta/monitor/subscribe", "subscribe"),
        ("/monitor/disconnect", "disconnect"),
        ("/meta/subscribe", "subscribe"),
        ("/meta/unsubscribe", "unsubscribe"),
    ] {
        let broker = broker().await;
        let mut monitor = monitor(&broker, name).await;
        let sid = live(&broker).await;
        let message = about(&mut monitor, &sid, 1).await.remove(0);
        assert_eq!((&message["channel"], &message["data"]["type"]), (&name.into(), &kind.into()));
    }
}

#[tokio::test]
async fn several_names_bring_an_event_once_for_each_feed_and_alias() {
    let broker = broker().await;
    let mut monitor = monitor(&broker, "/meta/monitor").await;
    for name in ["/meta/monitor/subscribe", "/meta/**", "/monitor", "/meta/subscribe"] {
        monitor.subscribe(name).await;
    }
    let mut client = Socket::connected(broker.address).await;
    let sid = broker.sid(&client.client_id);
    client.subscribe("/x").await;
    let messages = about(&mut monitor, &sid, 2 + 2 + 3).await;
    let of = |kind: &str| -> Vec<&Value> {
        let own = messages.iter().filter(|message| message["data"]["type"] == kind);
        own.map(|message| &message["channel"]).collect()
    };
    assert_eq!(of("connect"), ["/meta/monitor/connect", "/monitor"]);
    assert_eq!(of("subscribe"), ["/meta/subscribe", "/meta/monitor/subscribe", "/monitor"]);
}

#[tokio::test]
async fn what_an_event_says() {
    let broker = broker().await;
    let mut monitor = monitor(&broker, "/meta/**").await;
    let snapshot = monitor.event().await;
    assert_eq!((&snapshot["type"], &snapshot["snapshot"]), (&"stats".into(), &true.into()));
    assert_eq!(snapshot["sessions"], 1);
    let sid = live(&broker).await;
    let events = about(&mut monitor, &sid, 5).await;
    let part = |index: usize, fields: &[&str]| -> Value {
        fields.iter().map(|field| events[index]["data"][*field].clone()).collect()
    };
    assert_eq!(
        part(0, &["ok", "ip", "transport", "types", "ext_keys", "auth"]),
        json!([
            true,
            "127.0.0.0",
            "websocket",
            ["websocket", "long-polling", "callback-polling"],
            [],
            "anonymous"
        ])
    );
    assert_eq!(part(1, &["ok", "kind", "gap_ms"]), json!([true, "first", null]));
    assert_eq!(part(2, &["ok", "channel", "pattern", "total"]), json!([true, "/a/**", true, 1]));
    assert_eq!(part(3, &["ok", "channel", "total"]), json!([true, "/a/**", 0]));
    assert_eq!(part(4, &["ok", "cause", "age_s", "discarded"]), json!([null, "client", 0, 0]));
}

#[tokio::test]
async fn refusals_are_events_too_with_the_text_that_the_client_got() {
    let broker = broker().await;
    let mut monitor = monitor(&broker, "/meta/**").await;
    let mut client = Socket::connected(broker.address).await;
    let sid = broker.sid(&client.client_id);
    client.one(subscribe("3", "/meta/monitor")).await;
    client.one(json!({"channel": "/meta/subscribe", "id": "4", "subscription": "/a//b"})).await;
    client.client_id = "0".repeat(32);
    client.one(connect("5")).await;
    let mut refused = Vec::new();
    while refused.len() < 3 {
        let event = monitor.event().await;
        if event["ok"] == false {
            refused.push(event);
        }
    }
    assert_eq!(refused[0]["sid"], sid);
    assert_eq!(refused[0]["error"], "403:denied_by_security_policy:subscribe_denied");
    assert_eq!(refused[0]["channel"], "/meta/monitor");
    assert_eq!(refused[1]["error"], "403:empty_segment:subscription_invalid");
    assert_eq!(
        (&refused[2]["type"], &refused[2]["error"]),
        (&"connect".into(), &"402::session_unknown".into())
    );
}

#[tokio::test]
async fn a_frame_that_closes_a_websocket_is_an_event_of_its_session() {
    let broker = broker_with(|config| config.limits.message_size = 1024).await;
    let mut monitor = monitor(&broker, "/meta/**").await;
    let mut client = Socket::connected(broker.address).await;
    let sid = broker.sid(&client.client_id);
    client.websocket.send(&Frame::new(BINARY, vec![b' '; 1025])).await;
    let event = monitor.event_of("error").await;
    assert_eq!(
        (&event["sid"], &event["status"], &event["detail"]),
        (&sid.into(), &"frame".into(), &"larger than 1024 bytes (limits.message_size)".into())
    );
}

#[tokio::test]
async fn p071_no_wildcard_of_messages_brings_events() {
    let broker = broker().await;
    for name in ["/**", "/*"] {
        let mut ordinary = Socket::subscribed(broker.address, name).await;
        let mut monitor = socket_with(&broker, KEY).await;
        monitor.subscribe(name).await;
        live(&broker).await;
        broker.handle.publish("/b", &json_raw("2")).await.unwrap();
        for socket in [&mut ordinary, &mut monitor] {
            let mut seen = Vec::new();
            while seen.last() != Some(&delivery("/b", 2)) {
                seen.extend(socket.recv().await);
            }
            assert!(seen.iter().all(|message| message["channel"] == "/b"), "{name}: {seen:?}");
        }
    }
}

fn json_raw(text: &str) -> Box<serde_json::value::RawValue> {
    serde_json::value::RawValue::from_string(text.into()).unwrap()
}

#[tokio::test]
async fn a_poll_brings_events_with_its_reply_last() {
    let broker = broker().await;
    let mut polling = polling_with(&broker, KEY).await;
    polling.subscribe("/meta/**").await;
    let mut held = polling.begin(json!([connect("3")])).await;
    let first = held.messages().await;
    let (reply, events) = first.split_last().unwrap();
    assert_eq!(reply["id"], "3");
    events.iter().for_each(assert_envelope);
    assert_eq!(events[0]["data"]["snapshot"], true);
    let sid = live(&broker).await;
    let mut seen = Vec::new();
    while seen.len() < LIFE.len() {
        let messages = polling.send(json!([connect("4")])).await;
        assert_eq!(messages.last().unwrap()["channel"], "/meta/connect");
        let events = deliveries(&messages);
        seen.extend(events.into_iter().filter(|event| event["data"]["sid"] == sid.as_str()));
    }
    let kinds: Vec<&Value> = seen.iter().map(|event| &event["data"]["type"]).collect();
    assert_eq!(kinds, LIFE);
}

#[tokio::test]
async fn with_acknowledgement_events_come_with_numbered_replies_and_only_once() {
    let broker = broker().await;
    let mut handshake = protocol_tests::monitor::handshake_with_key(KEY);
    handshake["ext"]["ack"] = true.into();
    let mut socket = Socket::handshake_with(broker.address, handshake).await;
    socket.one(connect_now("2")).await;
    socket.subscribe("/meta/monitor/subscribe").await;
    socket.subscribe("/x").await;
    let mut connect = connect("3");
    connect["ext"] = json!({"ack": 1});
    socket.send(json!([connect])).await;
    let mut client = Socket::connected(broker.address).await;
    client.subscribe("/y").await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last: &Value| last["channel"] != "/meta/connect") {
        seen.extend(socket.recv().await);
    }
    assert!(seen.last().unwrap()["ext"]["ack"].is_u64(), "{seen:?}");
    let about_y =
        |seen: &[Value]| seen.iter().filter(|message| message["data"]["channel"] == "/y").count();
    assert_eq!(about_y(&seen), 1, "{seen:?}");
    // The same batch is asked for again: messages would come again, events do not.
    let mut again = connect_now("4");
    again["ext"] = json!({"ack": 0});
    socket.send(json!([again])).await;
    let mut repeated = Vec::new();
    while repeated.last().is_none_or(|last: &Value| last["channel"] != "/meta/connect") {
        repeated.extend(socket.recv().await);
    }
    assert_eq!(about_y(&repeated), 0, "{repeated:?}");
}

#[tokio::test]
async fn two_monitors_that_poll_do_not_wake_each_other() {
    let broker = broker_with(|config| config.session.timeout = Duration::from_secs(3)).await;
    let poll = async |mut polling: Polling, until: Instant| {
        polling.subscribe("/meta/**").await;
        let mut connects = 0;
        while Instant::now() < until {
            polling.send(json!([connect("c")])).await;
            connects += 1;
        }
        connects
    };
    let one = polling_with(&broker, KEY).await;
    let other = polling_with(&broker, KEY).await;
    let until = Instant::now() + Duration::from_secs(6);
    let (one, other) = tokio::join!(poll(one, until), poll(other, until));
    // Two for what they see of each other's subscription, one for each hold.
    assert!(one <= 5 && other <= 5, "{one} and {other} connects in 6 s");
}

#[tokio::test]
async fn ordinary_messages_of_a_monitor_come_first_and_whole() {
    let broker = broker().await;
    let mut monitor = monitor(&broker, "/meta/**").await;
    monitor.subscribe("/n").await;
    let mut publisher = Socket::connected(broker.address).await;
    for number in 0..100 {
        publisher.one(publish("p", "/n", number)).await;
        publisher.one(subscribe("s", &format!("/s/{number}"))).await;
    }
    let (mut numbers, mut subscribed) = (Vec::new(), 0);
    while numbers.len() < 100 || subscribed < 100 {
        for message in monitor.socket.recv().await {
            if message["channel"] == "/n" {
                numbers.push(message["data"].as_u64().unwrap());
            } else if message["data"]["channel"].as_str().is_some_and(|c| c.starts_with("/s/")) {
                assert_envelope(&message);
                subscribed += 1;
            }
        }
    }
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn after_unsubscribing_nothing_comes_any_more() {
    let broker = broker().await;
    let mut monitor = monitor(&broker, "/meta/**").await;
    mark(&broker, "/before").await;
    monitor.until_mark("/before").await;
    let mut replies = Vec::new();
    monitor.socket.send(json!([unsubscribe("u", "/meta/**")])).await;
    while replies.last().is_none_or(|last: &Value| last["channel"] != "/meta/unsubscribe") {
        replies.extend(monitor.socket.recv().await);
    }
    assert_eq!(replies.last().unwrap()["successful"], true);
    live(&broker).await;
    let late = timeout(QUIET, async {
        loop {
            let messages = monitor.socket.recv().await;
            if messages.iter().any(|message| message["data"]["channel"] == "/a/**") {
                return messages;
            }
        }
    })
    .await;
    assert!(late.is_err(), "{late:?}");
}
