//! Publishing, channel names, authorisation, delivery: protocol.md sections 5 and 12.

use std::time::Duration;

use bayeuxd::config::ChannelRule;
use protocol_tests::{
    bayeux::{
        Polling, Socket, deliveries, delivery, handshake, publish, published, refused, subscribe,
        unsubscribe,
    },
    broker::Broker,
    deadline::until,
    http::post,
};
use serde_json::{Value, json};
use tokio::time::Instant;

#[tokio::test]
async fn p061_messages_arrive_in_order_over_a_poll() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a/*").await;
    let mut publisher = Polling::connected(broker.address).await;
    for batch in 0..10 {
        let messages: Vec<Value> =
            (0..10).map(|n| publish("p", &format!("/a/{}", n % 3), batch * 10 + n)).collect();
        publisher.send(messages.into()).await;
    }
    let heard = deliveries(&session.fetch().await);
    let numbers: Vec<&Value> = heard.iter().map(|message| &message["data"]).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn p061_messages_arrive_in_order_over_a_socket() {
    let broker = Broker::start().await;
    let mut listener = Socket::subscribed(broker.address, "/a").await;
    let mut publisher = Socket::connected(broker.address).await;
    for n in 0..200 {
        publisher.send(publish("p", "/a", n)).await;
    }
    let heard = listener.recv_messages(200).await;
    let numbers: Vec<&Value> = heard.iter().map(|message| &message["data"]).collect();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn p061_messages_of_one_request_may_arrive_together_and_do_so_in_order() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut held = session.hold("3").await;
    let mut publisher = Polling::connected(broker.address).await;
    publisher
        .send(json!([publish("4", "/a", 1), publish("5", "/a", 2), publish("6", "/a", 3)]))
        .await;
    let mut heard = deliveries(&held.messages().await);
    if heard.len() < 3 {
        heard.extend(deliveries(&session.fetch().await));
    }
    assert_eq!(heard, [delivery("/a", 1), delivery("/a", 2), delivery("/a", 3)]);
}

#[tokio::test]
async fn p062_several_matching_patterns_bring_one_copy() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    for name in ["/a/b/c", "/a/b/*", "/a/b/**", "/a/**", "/**"] {
        session.subscribe(name).await;
    }
    Polling::connected(broker.address).await.publish("/a/b/c", 1).await;
    assert_eq!(deliveries(&session.fetch().await), [delivery("/a/b/c", 1)]);
}

#[tokio::test]
async fn p063_a_publisher_hears_itself_once_and_before_the_reply() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    assert_eq!(session.publish("/a", 1).await, [delivery("/a", 1), published("p", "/a")]);
    assert_eq!(deliveries(&session.fetch().await), [] as [Value; 0]);
    let mut socket = Socket::subscribed(broker.address, "/b").await;
    socket.send(publish("4", "/b", 1)).await;
    assert_eq!(socket.recv().await, [delivery("/b", 1)]);
    assert_eq!(socket.recv().await, [published("4", "/b")]);
    socket.websocket.quiet().await;
}

#[tokio::test]
async fn p063_the_echo_can_be_switched_off_for_the_server() {
    let broker = Broker::with(|config| config.session.broadcast_to_publisher = false).await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut other = Polling::subscribed(broker.address, "/a").await;
    assert_eq!(session.publish("/a", 1).await, [published("p", "/a")]);
    assert_eq!(deliveries(&other.fetch().await), [delivery("/a", 1)]);
    assert_eq!(deliveries(&session.fetch().await), [] as [Value; 0]);
}

#[tokio::test]
async fn p063_the_echo_can_be_switched_off_for_a_channel() {
    let broker = Broker::with(|config| {
        config.channels.push(ChannelRule {
            pattern: "/quiet/**".into(),
            broadcast_to_publisher: Some(false),
            ..ChannelRule::default()
        });
    })
    .await;
    let mut session = Polling::subscribed(broker.address, "/**").await;
    assert_eq!(session.publish("/quiet/x", 1).await, [published("p", "/quiet/x")]);
    assert_eq!(session.publish("/a", 2).await, [delivery("/a", 2), published("p", "/a")]);
}

#[tokio::test]
async fn p111_publishing_needs_no_subscription() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let reply = session.one(publish("9", "/foo", json!({"k": 1}))).await;
    assert_eq!(reply, json!({"channel": "/foo", "id": "9", "successful": true}));
}

#[tokio::test]
async fn p112_a_publish_without_data_is_refused() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let reply = session.one(json!({"id": "9", "channel": "/a"})).await;
    assert_eq!(reply, refused("9", "/a", "400::data_missing"));
}

#[tokio::test]
async fn p113_a_publish_to_a_pattern_is_refused() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/foo/*").await;
    for channel in ["/foo/*", "/foo/**", "/**", "/*"] {
        let reply = session.one(publish("9", channel, 1)).await;
        assert_eq!(reply, refused("9", channel, "403:wildcard_channel:publish_denied"));
    }
}

#[tokio::test]
async fn p114_a_service_publish_is_answered_and_reaches_nobody() {
    let broker = Broker::start().await;
    let mut listener = Polling::subscribed(broker.address, "/**").await;
    listener.subscribe("/service/echo").await;
    let mut session = Polling::connected(broker.address).await;
    let reply = session.one(publish("9", "/service/echo", 1)).await;
    assert_eq!(reply, published("9", "/service/echo"));
    assert_eq!(deliveries(&listener.fetch().await), [] as [Value; 0]);
}

#[tokio::test]
async fn p114_a_batch_of_subscribes_and_a_service_publish_gets_every_reply() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    let mut batch: Vec<Value> =
        (0..10).map(|n| subscribe(&n.to_string(), &format!("/room/{n}"))).collect();
    batch.push(publish("10", "/service/init", json!({})));
    socket.send(batch.into()).await;
    let replies = socket.recv().await;
    assert_eq!(replies.len(), 11);
    assert!(replies.iter().all(|reply| reply["successful"] == true), "{replies:?}");
}

#[tokio::test]
async fn p115_a_remote_call_without_a_service_gets_the_plain_reply() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let reply = session.one(publish("7", "/service/t", json!({"question": 6}))).await;
    assert_eq!(reply, published("7", "/service/t"), "no data: the client goes on waiting");
}

#[tokio::test]
async fn p116_publishing_to_meta_channels_is_denied() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    for channel in ["/meta/x", "/meta/handshake/x", "/meta/connect/", "/meta/monitor"] {
        let reply = session.one(publish("9", channel, 1)).await;
        let error = "403:denied_by_security_policy:channel_create_denied";
        assert_eq!(reply, refused("9", channel, error), "{channel}");
    }
}

#[tokio::test]
async fn p117_a_publish_without_a_session_is_refused() {
    let broker = Broker::start().await;
    let mut listener = Polling::subscribed(broker.address, "/a").await;
    let replies = post(broker.address, &json!([publish("9", "/a", 1)])).await.messages();
    assert_eq!(replies, [refused("9", "/a", "402::session_unknown")]);
    assert_eq!(deliveries(&listener.fetch().await), [] as [Value; 0]);
}

#[tokio::test]
async fn p118_characters_of_channel_names() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    for channel in ["/azAZ09", "/ !#$()+-.@_{~}", "/a/b c/d", "/x"] {
        assert_eq!(session.one(publish("9", channel, 1)).await, published("9", channel));
    }
    for channel in ["", "a", "/é", "/a?", "/a%2fb", "/a\"", "/a,b", "/a\n", "/a\u{0}"] {
        let reply = session.one(publish("9", channel, 1)).await;
        assert_eq!(reply["error"], "405::channel_invalid", "{channel:?}");
    }
    for channel in ["/", "//a"] {
        let reply = session.one(publish("9", channel, 1)).await;
        assert_eq!(reply["error"], "405:empty_segment:channel_invalid", "{channel:?}");
    }
}

#[tokio::test]
async fn p118_names_are_checked_after_unescaping() {
    let broker = Broker::start().await;
    let session = Polling::connected(broker.address).await;
    let send = |channel: &str| {
        let body = format!(
            r#"[{{"id":"9","channel":"{channel}","data":1,"clientId":"{}"}}]"#,
            session.client_id
        );
        async move {
            let request = protocol_tests::http::Request::post("/cometd", body);
            protocol_tests::http::request(session.address, &request).await.messages()
        }
    };
    assert_eq!(send(r"\/\u0061").await, [published("9", "/a")]);
    let error = "403:denied_by_security_policy:channel_create_denied";
    assert_eq!(send(r"\u002fmeta\u002fx").await, [refused("9", "/meta/x", error)]);
}

#[tokio::test]
async fn p119_what_the_wildcards_match() {
    let broker = Broker::start().await;
    let cases: [(&str, &[&str], &[&str]); 5] = [
        ("/t/*", &["/t/a"], &["/t", "/t/a/b", "/u/a"]),
        ("/t/**", &["/t/a", "/t/a/b", "/t/a/b/c"], &["/t", "/u", "/tt/a"]),
        ("/*", &["/t"], &["/t/a"]),
        ("/**", &["/t", "/t/a", "/meta", "/service"], &["/service/x"]),
        ("/t", &["/t"], &["/t/a", "/tt"]),
    ];
    let mut publisher = Polling::connected(broker.address).await;
    for (pattern, matching, others) in cases {
        let mut session = Polling::subscribed(broker.address, pattern).await;
        for channel in matching.iter().chain(others) {
            publisher.publish(channel, *channel).await;
        }
        let expected: Vec<Value> = matching.iter().map(|name| delivery(name, *name)).collect();
        assert_eq!(deliveries(&session.fetch().await), expected, "{pattern}");
        session.one(unsubscribe("u", pattern)).await;
    }
}

#[tokio::test]
async fn p120_the_default_policy_allows_all_but_meta() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    assert_eq!(session.one(subscribe("3", "/any/thing")).await["successful"], true);
    assert_eq!(session.one(publish("4", "/other/thing", 1)).await["successful"], true);
    let publish_error = session.one(publish("5", "/meta/x", 1)).await["error"].clone();
    assert_eq!(publish_error, "403:denied_by_security_policy:channel_create_denied");
    let subscribe_error = session.one(subscribe("6", "/meta/x")).await["error"].clone();
    assert_eq!(subscribe_error, "403:denied_by_security_policy:create_denied");
}

#[tokio::test]
async fn p121_an_unused_channel_disappears_after_some_seconds() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    session.publish("/fleeting", 1).await;
    let start = Instant::now();
    assert_eq!(session.one(unsubscribe("3", "/fleeting")).await["successful"], true, "not yet");
    loop {
        let reply = session.one(unsubscribe("4", "/fleeting")).await;
        if reply["error"] == "400::channel_missing" {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(6), "{reply}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(start.elapsed() > Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_handshake_does_not_open_channels() {
    // Channels come into being by use only; 1e6 handshakes must not fill the map.
    let broker = Broker::start().await;
    post(broker.address, &json!([handshake()])).await.messages();
    until("one session", || broker.sessions() == 1).await;
    assert_eq!(broker.channels(), 0);
}
