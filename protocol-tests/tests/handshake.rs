//! `/meta/handshake`: protocol.md section 2.

use std::{collections::HashSet, time::Duration};

use protocol_tests::{
    bayeux::{self, Polling, Socket, connect_now, handshake, publish, subscribe},
    broker::Broker,
    http::{self, post},
    websocket::{Frame, WebSocket},
};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Posts a handshake with `fields` put over those of cometd.js; null removes one.
async fn reply_to(broker: &Broker, fields: Value) -> Value {
    let mut request = handshake();
    let message = request.as_object_mut().expect("a message");
    for (name, value) in fields.as_object().expect("fields") {
        if value.is_null() {
            message.remove(name);
        } else {
            message.insert(name.clone(), value.clone());
        }
    }
    let mut messages = post(broker.address, &json!([request])).await.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages.remove(0)
}

#[tokio::test]
async fn p015_the_handshake_reply_over_http() {
    let broker = Broker::start().await;
    let reply = reply_to(&broker, json!({})).await;
    let expected = json!({
        "id": "1",
        "channel": "/meta/handshake",
        "successful": true,
        "version": "1.0",
        "minimumVersion": "1.0",
        "clientId": reply["clientId"],
        "supportedConnectionTypes": ["websocket", "long-polling"],
        "advice": {"reconnect": "retry", "interval": 0, "timeout": 45000},
    });
    assert_eq!(reply, expected);
}

#[tokio::test]
async fn p015_the_handshake_reply_over_websocket() {
    let broker = Broker::with_jsonp(20_000).await;
    let mut socket = Socket::open(broker.address).await;
    socket.send_raw(json!([handshake()]).to_string()).await;
    let replies = socket.recv().await;
    let expected = json!([{
        "id": "1",
        "channel": "/meta/handshake",
        "successful": true,
        "version": "1.0",
        "minimumVersion": "1.0",
        "clientId": replies[0]["clientId"],
        "supportedConnectionTypes": ["websocket", "long-polling", "callback-polling"],
        "advice": {"reconnect": "retry", "interval": 0, "timeout": 20000},
    }]);
    assert_eq!(Value::from(replies), expected);
}

#[tokio::test]
async fn p016_handshake_reconnect_adds_max_interval_to_the_advice() {
    let broker = Broker::with(|config| config.session.handshake_reconnect = true).await;
    let reply = reply_to(&broker, json!({})).await;
    let advice =
        json!({"reconnect": "retry", "interval": 0, "timeout": 45000, "maxInterval": 60000});
    assert_eq!(reply["advice"], advice);
}

#[tokio::test]
async fn p017_success_never_advises_a_handshake() {
    let broker = Broker::start().await;
    let reply = reply_to(&broker, json!({})).await;
    assert_eq!(reply["advice"]["reconnect"], "retry");
    let mut session = Polling::handshake(broker.address).await;
    assert_eq!(session.one(connect_now("2")).await["advice"]["reconnect"], "retry");
    let mut socket = Socket::handshake(broker.address).await;
    assert_eq!(socket.one(connect_now("2")).await["advice"]["reconnect"], "retry");
}

#[tokio::test]
async fn p018_a_disjoint_list_of_connection_types_fails_for_good() {
    let broker = Broker::start().await;
    for types in [json!(["foo"]), json!(["callback-polling"])] {
        let reply = reply_to(&broker, json!({"supportedConnectionTypes": types})).await;
        let expected = json!({"id": "1", "channel": "/meta/handshake", "successful": false,
            "error": "403::handshake_failed", "advice": {"reconnect": "none"}});
        assert_eq!(reply, expected, "{types}");
    }
    assert_eq!(broker.sessions(), 0);
}

#[tokio::test]
async fn p018_one_common_type_or_no_list_is_enough() {
    let broker = Broker::start().await;
    for types in [json!(["foo", "long-polling"]), json!(["websocket"]), Value::Null] {
        let reply = reply_to(&broker, json!({"supportedConnectionTypes": types})).await;
        assert_eq!(reply["successful"], true, "{types}");
        assert_eq!(reply["supportedConnectionTypes"], json!(["websocket", "long-polling"]));
    }
}

#[tokio::test]
async fn p019_absent_and_odd_fields_are_tolerated() {
    let broker = Broker::start().await;
    let odd = [
        json!({"version": null, "minimumVersion": null, "advice": null}),
        json!({"version": "2.0", "minimumVersion": 7}),
        json!({"supportedConnectionTypes": "long-polling"}),
        json!({"supportedConnectionTypes": [1, true, "long-polling"]}),
        json!({"advice": "none", "ext": 5}),
        json!({"advice": {"timeout": "soon"}, "ext": []}),
        json!({"clientId": "chosenByTheClient"}),
    ];
    for fields in odd {
        let reply = reply_to(&broker, fields.clone()).await;
        assert_eq!(reply["successful"], true, "{fields}");
        assert_eq!(reply["version"], "1.0", "{fields}");
        assert_ne!(reply["clientId"], "chosenByTheClient");
    }
    let replies = post(broker.address, &json!({"channel": "/meta/handshake"})).await.messages();
    assert_eq!(replies[0]["successful"], true);
    assert_eq!(replies[0].get("id"), None);
}

#[tokio::test]
async fn p020_advice_in_the_request_is_ignored() {
    let broker = Broker::start().await;
    let reply = reply_to(&broker, json!({"advice": {"timeout": 1, "interval": 999}})).await;
    assert_eq!(reply["advice"], json!({"reconnect": "retry", "interval": 0, "timeout": 45000}));
}

#[tokio::test]
async fn p021_a_handshake_in_a_batch_spoils_the_whole_request() {
    let broker = Broker::start().await;
    let mut listener = Polling::subscribed(broker.address, "/a").await;
    let mine = |mut message: Value| {
        message["clientId"] = listener.client_id.as_str().into();
        message
    };
    let batches = [
        json!([handshake(), mine(publish("2", "/a", 1))]),
        json!([mine(publish("2", "/a", 1)), handshake()]),
        json!([handshake(), handshake()]),
    ];
    for batch in batches {
        let response = post(broker.address, &batch).await;
        assert_eq!(response.status, 400, "{batch}");
    }
    assert_eq!(broker.sessions(), 1, "no handshake was processed");
    assert_eq!(listener.fetch().await.len(), 1, "no publish was processed");
}

#[tokio::test]
async fn p021_a_handshake_in_a_batch_closes_the_websocket() {
    let broker = Broker::start().await;
    let mut websocket = WebSocket::open(broker.address).await;
    let batch = json!([handshake(), subscribe("2", "/a")]);
    websocket.send(&Frame::text(batch.to_string())).await;
    let (code, reason) = websocket.close().await.expect("a close frame");
    assert_eq!(code, 1011);
    assert!(reason.len() <= 30, "{reason}");
    assert_eq!(broker.sessions(), 0);
}

#[tokio::test]
async fn p022_client_ids_are_32_hex_digits_and_never_repeat() {
    let broker = Broker::start().await;
    let mut connection = http::Connection::open(broker.address).await;
    let request = http::Request::post("/cometd", json!([handshake()]).to_string());
    let mut seen = HashSet::new();
    for _ in 0..200 {
        let replies = connection.exchange(&request).await.messages();
        let id = replies[0]["clientId"].as_str().expect("a clientId").to_owned();
        assert_eq!(id.len(), 32, "{id}");
        assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert!(seen.insert(id));
    }
}

#[tokio::test]
async fn p022_no_bit_of_a_client_id_is_fixed() {
    let broker = Broker::start().await;
    let mut connection = http::Connection::open(broker.address).await;
    let request = http::Request::post("/cometd", json!([handshake()]).to_string());
    let (mut ones, mut zeros) = (0, 0);
    for _ in 0..100 {
        let replies = connection.exchange(&request).await.messages();
        let id = replies[0]["clientId"].as_str().expect("a clientId");
        let bits = u128::from_str_radix(id, 16).expect("hexadecimal");
        ones |= bits;
        zeros |= !bits;
    }
    assert_eq!((ones, zeros), (u128::MAX, u128::MAX));
}

#[tokio::test]
async fn p023_a_handshake_without_a_cookie_sets_one() {
    let broker = Broker::start().await;
    let response = post(broker.address, &json!([handshake()])).await;
    assert!(response.cookie().starts_with("BAYEUX_BROWSER="), "{response:?}");
}

#[tokio::test]
async fn p024_a_failed_handshake_names_no_session() {
    let broker = Broker::start().await;
    let request = json!([{"id": "1", "channel": "/meta/handshake",
        "supportedConnectionTypes": ["foo"]}]);
    let expected = json!([{"id": "1", "channel": "/meta/handshake", "successful": false,
        "error": "403::handshake_failed", "advice": {"reconnect": "none"}}]);
    let response = post(broker.address, &request).await;
    assert_eq!(Value::from(response.messages()), expected);
    let mut socket = Socket::open(broker.address).await;
    socket.send_raw(request.to_string()).await;
    assert_eq!(Value::from(socket.recv().await), expected);
}

#[tokio::test]
async fn p025_credentials_in_ext_or_beside_it_do_no_harm() {
    let broker = Broker::start().await;
    let credentials = json!({"user": "me", "token": "secret"});
    for fields in [
        json!({"com.acme.credentials": credentials}),
        json!({"ext": {"authentication": credentials}}),
    ] {
        let reply = reply_to(&broker, fields).await;
        assert_eq!(reply["successful"], true);
        assert!(!reply.to_string().contains("secret"), "{reply}");
    }
}

#[tokio::test]
async fn p026_subscribe_and_publish_work_before_the_first_connect() {
    let broker = Broker::start().await;
    let mut session = Polling::handshake(broker.address).await;
    let messages = session.send(json!([subscribe("2", "/a"), publish("3", "/a", 1)])).await;
    let expected = json!([
        {"channel": "/a", "data": 1},
        {"channel": "/meta/subscribe", "id": "2", "subscription": "/a", "successful": true},
        {"channel": "/a", "id": "3", "successful": true},
    ]);
    assert_eq!(Value::from(messages), expected);
    let mut socket = Socket::handshake(broker.address).await;
    socket.subscribe("/b").await;
    session.publish("/b", 2).await;
    assert_eq!(socket.recv().await, [bayeux::delivery("/b", 2)]);
}

#[tokio::test]
async fn p027_the_handshake_reply_is_alone_in_its_response() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    Polling::connected(broker.address).await.publish("/a", 1).await;
    let replies = session.send(json!([handshake()])).await;
    assert_eq!(replies.len(), 1, "{replies:?}");
    assert_eq!(replies[0].get("x-messages"), None);
    assert_eq!(session.fetch().await[0], bayeux::delivery("/a", 1), "the old session has it still");
}

#[tokio::test]
async fn p028_a_second_handshake_over_http_makes_a_further_session() {
    let broker = Broker::start().await;
    let mut first = Polling::connected(broker.address).await;
    let replies = first.send(json!([handshake()])).await;
    assert_ne!(replies[0]["clientId"], first.client_id.as_str());
    assert_eq!(first.one(publish("3", "/a", 1)).await, bayeux::published("3", "/a"));
}

#[tokio::test]
async fn p028_a_second_handshake_over_one_socket_ends_the_first_session() {
    let broker = Broker::start().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let old = socket.client_id.clone();
    socket.renew().await;
    assert_ne!(socket.client_id, old);
    assert!(!broker.knows(&old));
    Polling::connected(broker.address).await.publish("/a", 1).await;
    socket.websocket.quiet().await;
}

#[tokio::test]
async fn p029_a_session_that_never_connects_expires_after_the_grace() {
    let grace = Duration::from_millis(300);
    let broker = Broker::with(|config| config.session.handshake_grace = grace).await;
    let mut session = Polling::handshake(broker.address).await;
    broker.until_gone(&session.client_id).await;
    assert_eq!(session.one(connect_now("2")).await, bayeux::unknown_connect("2"));
}

#[tokio::test]
async fn p029_any_message_renews_the_grace() {
    let grace = Duration::from_secs(2);
    let broker = Broker::with(|config| config.session.handshake_grace = grace).await;
    let mut session = Polling::handshake(broker.address).await;
    for _ in 0..9 {
        sleep(grace / 4).await;
        assert_eq!(session.one(publish("2", "/a", 1)).await["successful"], true);
    }
}
