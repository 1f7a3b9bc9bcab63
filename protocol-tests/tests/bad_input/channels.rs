//! T12 and T13: names as weapons.

use std::time::Duration;

use protocol_tests::{
    bayeux::{Polling, Socket, connect_now, handshake, publish, refused, subscribe},
    broker::Broker,
    deadline::within,
    http::{self, Request},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::siege::Siege;

#[tokio::test]
async fn long_names_are_refused_as_fast_as_they_are_read() {
    let siege = Siege::begin(&[]).await;
    let mut session = Polling::connected(siege.address()).await;
    let names = [
        "/a".repeat(20_000),
        "/".repeat(60_000),
        "x".repeat(60_000),
        "/*".repeat(20_000),
        "/**".repeat(20_000),
    ];
    for name in names {
        for message in [publish("3", &name, 1), subscribe("3", &name)] {
            let before = siege.process.cpu();
            let reply = session.one(message).await;
            assert_eq!(reply["successful"], false);
            let cpu = siege.process.cpu() - before;
            assert!(cpu < Duration::from_millis(500), "{cpu:?} of processor time");
        }
    }
    // Both sides of each bound.
    for (segments, is_fine) in [(15, true), (16, true), (17, false)] {
        let reply = session.one(subscribe("4", &"/s".repeat(segments))).await;
        assert_eq!(reply["successful"], is_fine, "{segments} segments");
    }
    for (bytes, is_fine) in [(254, true), (255, true), (256, false)] {
        let reply = session.one(subscribe("5", &format!("/{}", "b".repeat(bytes - 1)))).await;
        assert_eq!(reply["successful"], is_fine, "{bytes} bytes");
    }
    siege.end("T12 names", 8).await;
}

#[tokio::test]
async fn subscriptions_end_at_their_bound_and_with_their_session() {
    let siege = Siege::begin(&["limits.message_size=4MiB"]).await;
    let mut session = Polling::connected(siege.address()).await;
    let many = |count: usize| -> Vec<String> { (0..count).map(|n| format!("/s/{n}")).collect() };
    let message = |names: Vec<String>| json!({"channel": "/meta/subscribe", "id": "3", "subscription": names});
    let before = siege.process.cpu();
    let reply = session.one(message(many(100_000))).await;
    assert_eq!(reply["error"], "403:subscription_limit:subscribe_denied");
    let cpu = siege.process.cpu() - before;
    assert!(cpu < Duration::from_secs(2), "{cpu:?} of processor time");
    assert_eq!(session.one(message(many(128))).await["successful"], true);
    let reply = session.one(subscribe("4", "/one/more")).await;
    assert_eq!(reply["error"], "403:subscription_limit:subscribe_denied");
    assert_eq!(
        session.one(message(vec!["/s/1".into(); 128])).await["successful"],
        true,
        "known ones"
    );
    siege.end("T12 subscriptions", 24).await;
}

/// uWebSockets kept a dangling subscriber in such a case (issue 962).
#[tokio::test]
async fn subscribing_twice_and_leaving_leaves_nothing() {
    let broker = Broker::start().await;
    for _ in 0..20 {
        let mut socket = Socket::connected(broker.address).await;
        for name in ["/x", "/x", "/x/*", "/x/**", "/**", "/x"] {
            socket.subscribe(name).await;
        }
        socket.send(json!([{"channel": "/meta/disconnect", "id": "9"}])).await;
        drop(socket);
    }
    let mut publisher = Polling::connected(broker.address).await;
    publisher.publish("/x", 1).await;
    within(Duration::from_secs(8), "sweep of the channels", async {
        while broker.channels() > 0 || broker.sessions() > 1 {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_that_nobody_wants_vanish_again() {
    let siege = Siege::begin(&[]).await;
    let mut publisher = Polling::connected(siege.address()).await;
    let mut everywhere = Vec::new();
    for _ in 0..5 {
        everywhere.push(Socket::subscribed(siege.address(), "/root/**").await);
    }
    let round = async |publisher: &mut Polling, name: &str| {
        for batch in 0..150 {
            let messages: Value =
                (0..100).map(|n| publish("p", &format!("/{name}/{batch}/{n}"), 1)).collect();
            assert_eq!(publisher.send(messages).await.len(), 100);
        }
    };
    round(&mut publisher, "first").await;
    let first = siege.process.memory();
    within(Duration::from_secs(20), "sweep of the channels", async {
        while siege.process.scrape().await.value("channels") > 100.0 {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    // The second fifteen thousand find the room of the first.
    round(&mut publisher, "second").await;
    let second = siege.process.memory();
    println!("15 000 channels: {} MiB, 15 000 others: {} MiB", first >> 20, second >> 20);
    assert!(second < first + (8 << 20), "{first} {second}");
    drop(everywhere);
    siege.end("T12 30 000 channels", 40).await;
}

#[tokio::test]
async fn meta_channels_are_matched_exactly() {
    let siege = Siege::begin(&[]).await;
    let mut session = Polling::connected(siege.address()).await;
    let denied = "403:denied_by_security_policy:channel_create_denied";
    let names = [
        ("/meta/subscribe/x", denied),
        ("/meta/connect/", denied),
        ("/meta/x", denied),
        ("/meta/handshake/", denied),
        ("/meta/handshake/x", denied),
        ("/meta", ""),
        ("/META/handshake", ""),
        ("/Meta/subscribe", ""),
        ("//meta/subscribe", "405:empty_segment:channel_invalid"),
        ("/meta//subscribe", "405:empty_segment:channel_invalid"),
        ("%2fmeta/subscribe", "405::channel_invalid"),
        ("/%2fmeta", "405::channel_invalid"),
        ("/meta/subscribe ", denied),
        ("/meta/*", denied),
        ("/meta/**", denied),
        ("/**", "403:wildcard_channel:publish_denied"),
        ("meta/subscribe", "405::channel_invalid"),
        ("/meta/subscribe\u{0}", "405::channel_invalid"),
    ];
    for (name, error) in names {
        let mut message = publish("3", name, 1);
        message["subscription"] = "/gained".into();
        let reply = session.one(message).await;
        if error.is_empty() {
            assert_eq!(reply["successful"], true, "an ordinary channel: {reply}");
        } else {
            assert_eq!(reply["error"], error, "{name}");
        }
    }
    session.publish("/gained", 1).await;
    assert_eq!(session.fetch().await.len(), 1, "none of them subscribed");
    for name in ["/meta/*", "/meta/**", "/meta/subscribe", "/meta/monitor", "/meta"] {
        let reply = session.one(subscribe("4", name)).await;
        assert_eq!(reply["successful"], name == "/meta", "{name}: {reply}");
    }
    // An escape is only another way to write the same name.
    let escaped = format!(
        r#"[{{"channel":"\u002fmeta\/connect","id":"5","clientId":"{}","advice":{{"timeout":0}}}}]"#,
        session.client_id
    );
    let response = http::request(siege.address(), &Request::post("/cometd", escaped)).await;
    assert_eq!(response.messages()[0]["successful"], true);
    siege.end("T13 meta channels", 8).await;
}

#[tokio::test]
async fn a_handshake_in_a_batch_spoils_the_batch() {
    let siege = Siege::begin(&[]).await;
    let mut session = Polling::subscribed(siege.address(), "/a").await;
    for batch in [
        json!([handshake(), publish("3", "/a", 1)]),
        json!([publish("3", "/a", 1), handshake()]),
        json!([handshake(), handshake()]),
    ] {
        assert_eq!(session.post(batch.clone()).await.status, 400);
        let mut socket = Socket::adopt(siege.address(), &session.client_id).await;
        socket.send(batch).await;
        assert_eq!(socket.close_code().await, 1011);
    }
    let mut socket = Socket::adopt(siege.address(), "no such session").await;
    let reply = socket.one(connect_now("4")).await;
    assert_eq!(reply["error"], "402::session_unknown");
    assert_eq!(
        session.one(publish("5", "/meta/x", 1)).await,
        refused("5", "/meta/x", "403:denied_by_security_policy:channel_create_denied")
    );
    assert_eq!(session.fetch().await.len(), 1, "nothing of the batches was done");
    drop(socket);
    siege.end("T13 handshake in a batch", 8).await;
}
