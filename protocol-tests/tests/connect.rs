//! `/meta/connect`: protocol.md section 3.

use std::time::Duration;

use protocol_tests::{
    bayeux::{
        self, Polling, Socket, connect, connect_now, connected, delivery, disconnect, handshake,
        publish, published, refused, subscribe, unknown_connect, unsubscribe,
    },
    broker::Broker,
    deadline::Heart,
    http::post,
};
use serde_json::{Value, json};
use tokio::time::Instant;

/// A hold short enough to wait for.
const HOLD_MS: u64 = 300;

#[tokio::test]
async fn p030_the_reply_when_nothing_is_due() {
    let broker = Broker::holding(HOLD_MS).await;
    let mut session = Polling::connected(broker.address).await;
    let start = Instant::now();
    assert_eq!(session.one(connect("31")).await, connected("31", HOLD_MS));
    assert!(start.elapsed() >= Duration::from_millis(HOLD_MS), "{:?}", start.elapsed());
}

#[tokio::test]
async fn p031_the_first_connect_is_answered_at_once() {
    let broker = Broker::start().await;
    let mut session = Polling::handshake(broker.address).await;
    assert_eq!(session.one(connect("2")).await, connected("2", 45_000));
    let mut socket = Socket::handshake(broker.address).await;
    assert_eq!(socket.one(connect("2")).await, connected("2", 45_000));
}

#[tokio::test]
async fn p031_the_first_connect_is_answered_at_once_whatever_its_advice() {
    let broker = Broker::start().await;
    let mut session = Polling::handshake(broker.address).await;
    let mut request = connect("2");
    request["advice"] = json!({"timeout": 30_000});
    assert_eq!(session.one(request).await, connected("2", 45_000));
}

#[tokio::test]
async fn p032_a_timeout_of_0_is_answered_at_once() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    assert_eq!(session.one(connect_now("3")).await, connected("3", 45_000));
    let mut socket = Socket::connected(broker.address).await;
    assert_eq!(socket.one(connect_now("3")).await, connected("3", 45_000));
}

#[tokio::test]
async fn p032_a_shorter_timeout_shortens_this_hold() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let start = Instant::now();
    let mut request = connect("3");
    request["advice"] = json!({"timeout": 200});
    assert_eq!(session.one(request).await, connected("3", 45_000));
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    session.hold("4").await;
}

#[tokio::test]
async fn p032_a_longer_timeout_changes_nothing() {
    let broker = Broker::holding(HOLD_MS).await;
    let mut session = Polling::connected(broker.address).await;
    let mut request = connect("3");
    request["advice"] = json!({"timeout": 60_000});
    let heart = Heart::start();
    assert_eq!(session.one(request).await, connected("3", HOLD_MS));
    assert!(heart.felt() < Duration::from_secs(3), "{:?}", heart.felt());
}

#[tokio::test]
async fn p033_an_interval_in_the_request_counts_once() {
    let broker = Broker::holding(HOLD_MS).await;
    let mut session = Polling::connected(broker.address).await;
    let mut request = connect("3");
    request["advice"] = json!({"timeout": 0, "interval": 1234});
    let reply = session.one(request).await;
    let advice = json!({"reconnect": "retry", "interval": 1234, "timeout": HOLD_MS});
    assert_eq!(reply["advice"], advice);
    assert_eq!(session.one(connect("4")).await, connected("4", HOLD_MS));
}

#[tokio::test]
async fn p034_every_successful_reply_carries_full_advice() {
    let broker = Broker::holding(HOLD_MS).await;
    let mut session = Polling::handshake(broker.address).await;
    assert_eq!(session.one(connect("2")).await, connected("2", HOLD_MS), "first");
    assert_eq!(session.one(connect("3")).await, connected("3", HOLD_MS), "after a hold");
    assert_eq!(session.one(connect_now("4")).await, connected("4", HOLD_MS), "on demand");
    session.subscribe("/a").await;
    Polling::connected(broker.address).await.publish("/a", 1).await;
    let messages = session.send(json!([connect("5")])).await;
    assert_eq!(messages, [delivery("/a", 1), connected("5", HOLD_MS)]);
    let mut socket = Socket::handshake(broker.address).await;
    assert_eq!(socket.one(connect("2")).await, connected("2", HOLD_MS), "first");
    assert_eq!(socket.one(connect("3")).await, connected("3", HOLD_MS), "after a hold");
}

#[tokio::test]
async fn p035_the_hold_is_the_advised_timeout_and_not_longer() {
    let broker = Broker::holding(HOLD_MS).await;
    let mut session = Polling::connected(broker.address).await;
    let mut socket = Socket::connected(broker.address).await;
    let (hold, late) = (Duration::from_millis(HOLD_MS), Duration::from_secs(1));
    let (start, heart) = (Instant::now(), Heart::start());
    session.one(connect("3")).await;
    assert!(start.elapsed() >= hold, "{:?}", start.elapsed());
    assert!(heart.felt() < hold + late, "{:?}", heart.felt());
    let (start, heart) = (Instant::now(), Heart::start());
    socket.one(connect("3")).await;
    assert!(start.elapsed() >= hold, "{:?}", start.elapsed());
    assert!(heart.felt() < hold + late, "{:?}", heart.felt());
}

#[tokio::test]
async fn p036_advice_is_never_partial() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let reply = session.one(connect_now("3")).await;
    let fields: Vec<&String> = reply["advice"].as_object().expect("advice").keys().collect();
    assert_eq!(fields, ["interval", "reconnect", "timeout"]);
    let mut held = session.hold("4").await;
    assert_eq!(session.one(publish("5", "/a", 1)).await.get("advice"), None);
    assert_eq!(session.one(subscribe("6", "/a")).await.get("advice"), None);
    session.one(disconnect("7")).await;
    assert_eq!(held.messages().await[0]["advice"], json!({"reconnect": "none"}));
    let unknown = session.one(connect("8")).await;
    assert_eq!(unknown["advice"], json!({"reconnect": "handshake", "interval": 0}));
}

#[tokio::test]
async fn p037_a_connect_of_an_unknown_session_must_handshake() {
    let broker = Broker::start().await;
    for client_id in [json!("0123456789abcdef0123456789abcdef"), json!("x"), json!(null)] {
        let message = json!([{"id": "30", "channel": "/meta/connect",
            "connectionType": "long-polling", "clientId": client_id}]);
        let replies = post(broker.address, &message).await.messages();
        assert_eq!(replies, [unknown_connect("30")], "{client_id}");
        let mut socket = Socket::open(broker.address).await;
        socket.send(message).await;
        assert_eq!(socket.recv().await, [unknown_connect("30")], "{client_id}");
    }
}

#[tokio::test]
async fn p037_other_messages_of_an_unknown_session_get_the_bare_402() {
    let broker = Broker::start().await;
    let error = "402::session_unknown";
    let mut message = json!([
        subscribe("1", "/a"),
        unsubscribe("2", "/a"),
        publish("3", "/a", 1),
        disconnect("4")
    ]);
    for each in message.as_array_mut().expect("an array") {
        each["clientId"] = "0123456789abcdef0123456789abcdef".into();
    }
    let with_subscription = |mut reply: Value| {
        reply["subscription"] = "/a".into();
        reply
    };
    let expected = [
        with_subscription(refused("1", "/meta/subscribe", error)),
        with_subscription(refused("2", "/meta/unsubscribe", error)),
        refused("3", "/a", error),
        refused("4", "/meta/disconnect", error),
    ];
    assert_eq!(post(broker.address, &message).await.messages(), expected);
    let mut socket = Socket::open(broker.address).await;
    socket.send(message).await;
    assert_eq!(socket.recv().await, expected);
}

#[tokio::test]
async fn p038_a_connect_that_shares_its_request_is_not_held() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let replies = session.send(json!([connect("3"), subscribe("4", "/a")])).await;
    let subscribed = json!({"channel": "/meta/subscribe", "id": "4", "subscription": "/a",
        "successful": true});
    assert_eq!(replies, [connected("3", 45_000), subscribed]);
}

#[tokio::test]
async fn p038_a_hold_of_0_never_holds() {
    let broker = Broker::holding(0).await;
    let mut session = Polling::connected(broker.address).await;
    assert_eq!(session.one(connect("3")).await, connected("3", 0));
}

#[tokio::test]
async fn p039_waiting_messages_are_fetched_at_once() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut publisher = Polling::connected(broker.address).await;
    publisher.publish("/a", 1).await;
    publisher.publish("/a", 2).await;
    let messages = session.send(json!([connect("3")])).await;
    assert_eq!(messages, [delivery("/a", 1), delivery("/a", 2), connected("3", 45_000)]);
}

#[tokio::test]
async fn p040_a_message_releases_the_held_connect() {
    let broker = Broker::start().await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let mut held = session.hold("3").await;
    Polling::connected(broker.address).await.publish("/a", 1).await;
    assert_eq!(held.messages().await, [delivery("/a", 1), connected("3", 45_000)]);
}

#[tokio::test]
async fn p041_second_connect_fails_the_first_with_500() {
    let broker = Broker::start().await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let mut first = session.hold("3").await;
    let mut second = session.hold("4").await;
    let response = first.response().await;
    assert_eq!((response.status, response.text()), (500, ""));
    Polling::connected(broker.address).await.publish("/a", 1).await;
    assert_eq!(second.messages().await, [delivery("/a", 1), connected("4", 45_000)]);
}

#[tokio::test]
async fn p041_a_superseded_connect_may_be_one_answered_at_once() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let mut first = session.hold("3").await;
    assert_eq!(session.one(connect_now("4")).await, connected("4", 45_000));
    assert_eq!(first.response().await.status, 500);
}

#[tokio::test]
async fn p042_a_superseded_websocket_connect_gets_no_reply() {
    // The first must not end before the second arrives, however long that takes.
    let hold_ms = 5 * HOLD_MS;
    let broker = Broker::holding(hold_ms).await;
    let mut socket = Socket::connected(broker.address).await;
    socket.send(json!([connect("3")])).await;
    socket.send(json!([connect("4")])).await;
    assert_eq!(socket.recv().await, [connected("4", hold_ms)]);
    socket.websocket.quiet().await;
    assert_eq!(socket.one(connect_now("5")).await, connected("5", hold_ms));
}

#[tokio::test]
async fn p043_a_connect_over_websocket_fails_the_held_poll() {
    let broker = Broker::start().await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let mut held = session.hold("3").await;
    let mut socket = Socket::adopt(broker.address, &session.client_id).await;
    socket.send(json!([connect("4")])).await;
    assert_eq!(held.response().await.status, 500);
    Polling::connected(broker.address).await.publish("/a", 1).await;
    assert_eq!(socket.recv().await, [delivery("/a", 1)]);
}

#[tokio::test]
async fn p043_a_poll_silences_the_connect_held_over_websocket() {
    let broker = Broker::start().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    socket.send(json!([connect("3")])).await;
    socket.websocket.quiet().await;
    let mut poller = Polling::connected(broker.address).await;
    poller.client_id = socket.client_id.clone();
    poller.cookie = None;
    assert_eq!(poller.one(connect_now("4")).await, connected("4", 45_000));
    socket.websocket.quiet().await;
    assert_eq!(socket.one(connect_now("5")).await, connected("5", 45_000), "and not the third");
}

#[tokio::test]
async fn p043_the_timer_of_a_superseded_connect_does_not_act() {
    // Longer than it takes to expire, and than a slow machine takes for two requests.
    const LONG_MS: u64 = 2500;
    let broker = Broker::with(|config| {
        config.session.timeout = Duration::from_millis(LONG_MS);
        config.session.max_interval = Duration::from_secs(1);
    })
    .await;
    let session = Polling::connected(broker.address).await;
    let mut first = session.hold("3").await;
    let mut second = session.hold("4").await;
    assert_eq!(first.response().await.status, 500);
    assert_eq!(second.messages().await, [connected("4", LONG_MS)], "longer than max_interval");
    assert!(broker.knows(&session.client_id));
}

#[tokio::test]
async fn p044_the_connection_type_is_ignored() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    for kind in [json!(null), json!("xx"), json!("websocket"), json!(5)] {
        let mut request = connect_now("3");
        request["connectionType"] = kind.clone();
        assert_eq!(session.one(request).await, connected("3", 45_000), "{kind}");
    }
    let mut request = connect_now("4");
    request.as_object_mut().expect("a message").remove("connectionType");
    assert_eq!(session.one(request).await, connected("4", 45_000));
}

#[tokio::test]
async fn p045_disconnect_releases_the_held_connect() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let mut held = session.hold("37").await;
    let reply = session.one(disconnect("38")).await;
    assert_eq!(reply, json!({"id": "38", "channel": "/meta/disconnect", "successful": true}));
    let released = json!([{"channel": "/meta/connect", "id": "37", "successful": true,
        "advice": {"reconnect": "none"}}]);
    assert_eq!(Value::from(held.messages().await), released);
}

#[tokio::test]
async fn p046_sessions_without_a_cookie_hold_side_by_side() {
    let broker = Broker::start().await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut session = Polling::connected(broker.address).await;
        session.cookie = None;
        held.push(session.hold("3").await);
    }
    for each in &mut held {
        each.connection.quiet().await;
    }
}

#[tokio::test]
async fn p047_a_connect_may_stand_anywhere_in_a_batch() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let messages = session.send(json!([connect("3"), publish("4", "/a", 1)])).await;
    assert_eq!(messages, [delivery("/a", 1), connected("3", 45_000), published("4", "/a")]);
    let messages = session.send(json!([publish("5", "/a", 2), connect("6")])).await;
    assert_eq!(messages, [delivery("/a", 2), published("5", "/a"), connected("6", 45_000)]);
}

#[tokio::test]
async fn p048_a_hold_outlives_the_servers_own_limits() {
    let short = Duration::from_secs(1);
    let broker = Broker::with(|config| {
        config.session.timeout = Duration::from_millis(2200);
        config.limits.keep_alive = short;
        config.limits.header_timeout = short;
        config.limits.body_timeout = short;
        config.limits.write_timeout = short;
    })
    .await;
    let session = Polling::connected(broker.address).await;
    let mut held = session.begin(json!([connect("3")])).await;
    let mut socket = Socket::connected(broker.address).await;
    assert_eq!(socket.one(connect("3")).await, connected("3", 2200));
    assert_eq!(held.messages().await, [connected("3", 2200)]);
}

#[tokio::test]
async fn p140_the_advised_interval_is_0_when_calm() {
    let broker = Broker::holding(0).await;
    let mut session = Polling::connected(broker.address).await;
    for n in 3..20 {
        let reply = session.one(connect(&n.to_string())).await;
        assert_eq!(reply["advice"]["interval"], 0);
    }
    let mut stranger = connect("3");
    stranger["clientId"] = "unknown".into();
    let reply = session.one(stranger).await;
    assert_eq!(reply["advice"]["interval"], 0);
}

#[tokio::test]
async fn p134_a_reloaded_page_goes_on_with_its_session() {
    let broker = Broker::start().await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let mut old_page = session.hold("3").await;
    let mut new_page = session.begin(json!([connect_now("1")])).await;
    assert_eq!(new_page.messages().await, [connected("1", 45_000)], "ids start again");
    assert_eq!(old_page.response().await.status, 500);
    let mut held = session.hold("2").await;
    Polling::connected(broker.address).await.publish("/a", 1).await;
    assert_eq!(held.messages().await, [delivery("/a", 1), connected("2", 45_000)]);
}

#[tokio::test]
async fn p134_a_reloaded_page_takes_its_session_to_a_new_socket() {
    let broker = Broker::start().await;
    let mut old_page = Socket::subscribed(broker.address, "/a").await;
    old_page.send(json!([connect("3")])).await;
    let mut new_page = Socket::adopt(broker.address, &old_page.client_id).await;
    assert_eq!(new_page.one(connect_now("1")).await, connected("1", 45_000));
    Polling::connected(broker.address).await.publish("/a", 1).await;
    assert_eq!(new_page.recv().await, [delivery("/a", 1)]);
}

#[tokio::test]
async fn p136_old_and_new_clients_connect_side_by_side() {
    let broker = Broker::start().await;
    // 2.x: first connect without advice, sub-path by message type, charset in the content type.
    let handshake_of = |minimum: &str| {
        let mut message = handshake();
        message["minimumVersion"] = minimum.into();
        message
    };
    for minimum in ["0.9", "1.0"] {
        let replies = post(broker.address, &json!([handshake_of(minimum)])).await.messages();
        let mut first = connect("2");
        first["clientId"] = replies[0]["clientId"].clone();
        let replies = post(broker.address, &json!([first])).await.messages();
        assert_eq!(replies, [connected("2", 45_000)], "{minimum}");
    }
    // 3.1 and 4.x after a 402 over WebSocket: the new handshake comes over a new socket.
    let old = Socket::connected(broker.address).await;
    let new = Socket::connected(broker.address).await;
    assert!(broker.knows(&old.client_id) && broker.knows(&new.client_id));
}

#[tokio::test]
async fn p137_faye_handshakes_by_poll_and_goes_on_by_websocket() {
    let broker = Broker::start().await;
    // What Faye 1.4 sends: few fields, foreign connection types, connect and subscribe in one body.
    let handshake = json!([{"channel": "/meta/handshake", "version": "1.0", "id": "1",
        "supportedConnectionTypes": ["in-process", "websocket", "eventsource", "long-polling",
            "cross-origin-long-polling", "callback-polling"]}]);
    let mut replies = post(broker.address, &handshake).await.messages();
    let client_id = replies.remove(0)["clientId"].clone();
    let probe = Socket::open(broker.address).await;
    let batch = json!([
        {"channel": "/meta/connect", "clientId": client_id, "connectionType": "websocket", "id": "2"},
        {"channel": "/meta/subscribe", "clientId": client_id, "subscription": "/a", "id": "3"},
    ]);
    let mut socket = probe;
    socket.send(batch).await;
    let replies = socket.recv_messages(2).await;
    assert!(replies.iter().all(|reply| reply["successful"] == true), "{replies:?}");
    let publish = json!({"channel": "/a", "data": 1, "clientId": client_id, "id": "4"});
    socket.send(publish).await;
    assert_eq!(socket.recv_messages(2).await, [bayeux::delivery("/a", 1), published("4", "/a")]);
}
