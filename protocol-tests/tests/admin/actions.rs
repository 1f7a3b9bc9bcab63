//! What operators change.

use protocol_tests::{
    bayeux::{Polling, Socket, deliveries, delivery, publish, unknown_connect},
    http::request,
    operator::{act, asking, broker, broker_with, event, feed, get, read},
};
use serde_json::{Value, json};

#[tokio::test]
async fn p080_a_client_that_shall_stay_away_is_told_so_over_both_transports() {
    let broker = broker().await;
    let mut socket = Socket::connected(broker.address).await;
    socket.send(json!([protocol_tests::bayeux::connect("7")])).await;
    let polling = Polling::connected(broker.address).await;
    let mut held = polling.hold("8").await;
    let mut feed = feed(broker.admin, "?types=disconnect").await;
    for client_id in [&socket.client_id, &polling.client_id] {
        let sid = broker.sid(client_id);
        let done = act(broker.admin, &format!("/sessions/{sid}/disconnect"), "").await;
        assert_eq!(done, (200, json!({"ok": true, "sid": sid})));
        let told = event(&mut feed).await;
        assert_eq!((&told["sid"], &told["cause"]), (&json!(sid), &json!("kicked")));
        let again = act(broker.admin, &format!("/sessions/{sid}/disconnect"), "").await;
        assert_eq!(again.1["error"]["code"], json!("session_unknown"));
    }
    let end = |id: &str| {
        json!([{"channel": "/meta/disconnect", "successful": true},
            {"channel": "/meta/connect", "id": id, "successful": true, "advice": {"reconnect": "none"}}])
    };
    assert_eq!(Value::Array(socket.recv().await), end("7"));
    assert_eq!(Value::Array(held.messages().await), end("8"));
}

#[tokio::test]
async fn a_client_that_shall_come_back_is_told_to_handshake_over_both_transports() {
    let broker = broker().await;
    let mut socket = Socket::connected(broker.address).await;
    let polling = Polling::connected(broker.address).await;
    let mut held = polling.hold("8").await;
    let mut holding = Socket::connected(broker.address).await;
    holding.send(json!([protocol_tests::bayeux::connect("7")])).await;
    let body = json!({"reason": "moved to another room", "reconnect": true}).to_string();
    for client_id in [&socket.client_id, &polling.client_id, &holding.client_id] {
        let sid = broker.sid(client_id);
        assert_eq!(act(broker.admin, &format!("/sessions/{sid}/disconnect"), &body).await.0, 200);
        broker.until_gone(client_id).await;
    }
    assert_eq!(held.messages().await, [unknown_connect("8")]);
    assert_eq!(holding.recv().await, [unknown_connect("7")]);
    socket.send(json!([protocol_tests::bayeux::connect("9")])).await;
    assert_eq!(socket.recv().await, [unknown_connect("9")]);
}

#[tokio::test]
async fn a_subscription_is_made_and_taken_back_for_a_client() {
    let broker = broker().await;
    let mut socket = Socket::connected(broker.address).await;
    let sid = broker.sid(&socket.client_id);
    let body = json!({"channel": "/news"}).to_string();
    let path = |verb: &str| format!("/sessions/{sid}/{verb}");
    let (status, answer) = act(broker.admin, &path("subscribe"), &body).await;
    let expected = json!({"ok": true, "sid": sid, "channel": "/news", "subscriptions": 1});
    assert_eq!((status, answer), (200, expected));
    let mut publisher = Polling::handshake(broker.address).await;
    publisher.publish("/news", 1).await;
    assert_eq!(socket.recv_messages(1).await, [delivery("/news", 1)]);
    let (status, answer) = act(broker.admin, &path("unsubscribe"), &body).await;
    assert_eq!((status, &answer["subscriptions"]), (200, &json!(0)));
    publisher.publish("/news", 2).await;
    socket.subscribe("/other").await;

    for (verb, channel, bayeux) in [
        ("subscribe", "/meta/connect", "403:denied_by_security_policy:subscribe_denied"),
        ("unsubscribe", "/never", "400::channel_missing"),
    ] {
        let body = json!({"channel": channel}).to_string();
        let (status, answer) = act(broker.admin, &path(verb), &body).await;
        assert_eq!((status, &answer["error"]["code"]), (409, &json!("refused")));
        assert_eq!(answer["error"]["bayeux"], json!(bayeux));
    }
}

#[tokio::test]
async fn a_message_is_published_as_by_the_publish_api() {
    let broker = broker_with(|config| config.api.enabled = false).await;
    let mut polling = Polling::subscribed(broker.address, "/a").await;
    let body = json!({"channel": "/a", "data": 1}).to_string();
    let answer = act(broker.admin, "/publish", &body).await;
    assert_eq!(answer, (200, json!({"ok": true, "sessions": 1, "queued": 1})));
    assert_eq!(deliveries(&polling.fetch().await), [delivery("/a", 1)]);
    let (status, answer) =
        act(broker.admin, "/publish", "{\"channel\":\"/meta/a\",\"data\":1}").await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("channel_reserved")));
}

#[tokio::test]
async fn a_drain_is_the_graceful_stop() {
    let broker = broker().await;
    let polling = Polling::connected(broker.address).await;
    let mut held = polling.hold("8").await;
    let answer = act(broker.admin, "/drain", "").await;
    assert_eq!(answer, (202, json!({"ok": true, "draining": true, "sessions": 1})));
    let reply = held.messages().await.remove(0);
    assert_eq!(
        (&reply["successful"], &reply["advice"]["reconnect"]),
        (&json!(true), &json!("retry"))
    );
    let drained = broker.ended().await;
    assert_eq!((drained.told, drained.open, drained.aborted), (1, 0, false));
}

#[tokio::test]
async fn a_broker_within_another_program_reloads_nothing() {
    let broker = broker().await;
    let (status, answer) = act(broker.admin, "/reload", "").await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("reload_refused")));
    assert!(answer["error"]["problems"][0].as_str().unwrap().contains("another program"));
}

#[tokio::test]
async fn no_answer_holds_a_secret() {
    let canary = |slot: &str| format!("canary-of-the-{slot}");
    let broker = broker_with(|config| config.monitor.payloads = true).await;
    let mut handshake = protocol_tests::bayeux::handshake();
    handshake["ext"] = json!({"token": canary("ext"), "ack": true});
    let mut polling = Polling::handshake_with(broker.address, handshake).await;
    polling.subscribe("/a").await;
    let mut message = publish("3", "/b", 1);
    message["ext"] = json!({"authentication": {"key": canary("key")}});
    polling.one(message).await;
    polling.one(publish("4", "/meta/x", canary("payload"))).await;
    let cookie = polling.cookie.clone().unwrap();
    let (_, cookie) = cookie.split_once('=').unwrap();
    let sid = broker.sid(&polling.client_id);
    let mut all = String::new();
    for target in [
        "/sessions",
        &format!("/sessions/{sid}"),
        "/channels",
        "/channels/a",
        "/stats",
        "/config",
        "/events?recent=1000&follow=false",
    ] {
        let response = request(broker.admin, &asking("GET", target)).await;
        assert_eq!(response.status, 200, "{target}");
        all.push_str(&String::from_utf8(response.body).unwrap());
    }
    let body = json!({"reason": "x"}).to_string();
    all.push_str(
        &act(broker.admin, &format!("/sessions/{sid}/disconnect"), &body).await.1.to_string(),
    );
    let (ext, key, payload) = (canary("ext"), canary("key"), canary("payload"));
    let secrets =
        [&polling.client_id, cookie, &ext, &key, &payload, protocol_tests::operator::ADMIN_KEY];
    for secret in secrets {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    assert!(all.contains("\"ext_keys\""), "names are told: {all}");
    assert_eq!(get(broker.admin, "/stats").await.0, 200);
    let _ = read(broker.admin, "/stats").await;
}
