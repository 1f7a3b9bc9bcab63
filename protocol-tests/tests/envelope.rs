//! What holds for every message: protocol.md section 1.

use protocol_tests::{
    bayeux::{
        Polling, Socket, connect_now, delivery, disconnect, handshake, publish, published, refused,
        subscribe,
    },
    broker::Broker,
    http::{self, Request, post},
};
use serde_json::{Value, json};

#[tokio::test]
async fn p001_responses_are_arrays_over_http() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    for message in [publish("3", "/a", 1), subscribe("4", "/a"), connect_now("5"), disconnect("6")]
    {
        let response = session.post(message).await;
        assert_eq!(response.messages().len(), 1, "{}", response.text());
    }
}

#[tokio::test]
async fn p001_frames_are_arrays_over_websocket() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    for message in [publish("3", "/a", 1), subscribe("4", "/a"), connect_now("5"), disconnect("6")]
    {
        socket.send(message).await;
        assert_eq!(socket.recv().await.len(), 1);
    }
}

#[tokio::test]
async fn p002_a_bare_object_is_answered_like_an_array() {
    let broker = Broker::start().await;
    let replies = post(broker.address, &handshake()).await.messages();
    assert_eq!(replies[0]["successful"], true);
    let mut socket = Socket::connected(broker.address).await;
    socket.send(publish("3", "/a", 1)).await;
    assert_eq!(socket.recv().await, [published("3", "/a")]);
}

#[tokio::test]
async fn p003_ids_return_as_strings() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let message = |id: Value| json!({"id": id, "channel": "/a", "data": 1});
    for (id, echoed) in [(json!("0016"), "0016"), (json!(16), "16"), (json!("zZ9"), "zZ9")] {
        let reply = session.one(message(id)).await;
        assert_eq!(reply, published(echoed, "/a"));
    }
}

#[tokio::test]
async fn p003_without_an_id_the_reply_has_none() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    for message in
        [json!({"channel": "/a", "data": 1}), json!({"id": null, "channel": "/a", "data": 1})]
    {
        let reply = session.one(message).await;
        assert_eq!(reply, json!({"channel": "/a", "successful": true}));
    }
}

#[tokio::test]
async fn p004_no_reply_but_the_handshakes_names_the_client() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let replies = session
        .send(json!([
            connect_now("3"),
            subscribe("4", "/a"),
            publish("5", "/b", 1),
            publish("6", "/meta/x", 1),
            disconnect("7"),
        ]))
        .await;
    assert_eq!(replies.len(), 5);
    let known = ["channel", "id", "successful", "subscription", "error", "advice"];
    for reply in &replies {
        let fields = reply.as_object().expect("a message").keys();
        assert!(fields.clone().all(|field| known.contains(&field.as_str())), "{reply}");
    }
}

#[tokio::test]
async fn p005_successful_is_a_boolean_in_every_reply() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let batch = json!([
        subscribe("3", "/a"), subscribe("4", "/meta/x"), {"id": "5", "channel": "/meta/subscribe"},
        {"id": "6", "channel": "/meta/subscribe", "subscription": []}, publish("7", "/b", 1),
        publish("8", "/b/*", 1), {"id": "9", "data": 1}, {"id": "10", "channel": "/b"},
        {"id": "11", "channel": "/meta/unknown"}, {"id": "12", "channel": "/service/x", "data": 1},
        connect_now("13"),
    ]);
    let replies = session.send(batch).await;
    assert_eq!(replies.len(), 11, "{replies:?}");
    assert!(replies.iter().all(|reply| reply["successful"].is_boolean()), "{replies:?}");
}

#[tokio::test]
async fn p006_a_publish_reply_holds_no_data() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let replies = session.publish("/a", json!({"k": [1, 2]})).await;
    assert_eq!(replies, [published("p", "/a")]);
}

#[tokio::test]
async fn p006_null_is_delivered_as_data() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    for data in [json!(null), json!(false), json!(0), json!(""), json!({}), json!([])] {
        let messages = session.publish("/a", data.clone()).await;
        assert_eq!(messages, [json!({"channel": "/a", "data": data}), published("p", "/a")]);
    }
}

#[tokio::test]
async fn p007_a_delivery_hides_its_publisher() {
    let broker = Broker::start().await;
    let mut listener = Polling::subscribed(broker.address, "/a").await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    Polling::connected(broker.address).await.publish("/a", "x").await;
    assert_eq!(listener.fetch().await[0], delivery("/a", "x"));
    assert_eq!(socket.recv().await, [delivery("/a", "x")]);
}

#[tokio::test]
async fn p008_ext_and_unknown_fields_reach_subscribers() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/foo").await;
    let message = json!({"channel": "/foo", "id": "11", "data": "x", "ext": {"k": 1}, "custom": 7});
    let messages = session.send(json!([message])).await;
    let delivered = json!({"ext": {"k": 1}, "data": "x", "custom": 7, "channel": "/foo"});
    assert_eq!(messages, [delivered, published("11", "/foo")]);
}

#[tokio::test]
async fn p008_data_passes_as_text() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let data = r#"{"ns":18446744073709551615,"big":123456789012345678901234567890,"e":1.0e+400,"s":"\u0041\/"}"#;
    let body = format!(
        r#"[{{"channel":"/a","id":"1","clientId":"{}","data":{data}}}]"#,
        session.client_id
    );
    let response = http::request(session.address, &Request::post("/cometd", body)).await;
    assert!(response.text().contains(data), "{}", response.text());
    assert!(session.fetch().await.len() == 1, "it came with the publish response");
}

#[tokio::test]
async fn p008_credentials_are_never_forwarded() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let ext = json!({"authentication": {"token": "secret"}, "k": 1});
    let message = json!({"channel": "/a", "id": "1", "data": 1, "ext": ext});
    let messages = session.send(json!([message])).await;
    assert_eq!(messages[0], json!({"channel": "/a", "data": 1, "ext": {"k": 1}}));
}

#[tokio::test]
async fn p008_credentials_in_escaped_letters_are_not_forwarded_either() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let body = format!(
        r#"[{{"channel":"/a","clientId":"{}","data":1,"ext":{{"\u0061uthentication":"secret"}}}}]"#,
        session.client_id
    );
    let response = http::request(session.address, &Request::post("/cometd", body)).await;
    assert!(!response.text().contains("secret"), "{}", response.text());
    assert_eq!(session.fetch().await.len(), 1);
}

#[tokio::test]
async fn p009_deliveries_come_before_replies_and_replies_in_request_order() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    Polling::connected(broker.address).await.publish("/a", "early").await;
    let batch = json!([publish("3", "/b", 1), connect_now("4"), subscribe("5", "/c")]);
    let messages = session.send(batch).await;
    assert_eq!(messages[0], delivery("/a", "early"));
    let ids: Vec<&Value> = messages[1..].iter().map(|message| &message["id"]).collect();
    assert_eq!(ids, ["3", "4", "5"]);
}

#[tokio::test]
async fn p010_unicode_and_escapes_pass() {
    let broker = Broker::start().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    for text in ["é€😀", "\u{2028}\u{2029}", "\"\\/\u{8}\u{c}\n\r\t\u{0}\u{7f}"] {
        let messages = session.publish("/a", text).await;
        assert_eq!(messages[0]["data"], text);
    }
    let body = format!(
        r#"[{{"\u0063hannel":"\/a","clientId":"{}","data":"\ud83d\ude00 é€😀"}}]"#,
        session.client_id
    );
    let response = http::request(session.address, &Request::post("/cometd", body)).await;
    assert!(response.text().contains("é€😀"), "raw stays raw: {}", response.text());
    assert_eq!(response.messages()[0]["data"], "😀 é€😀");
}

#[tokio::test]
async fn p011_times_in_advice_are_numbers() {
    let broker = Broker::start().await;
    let reply = post(broker.address, &handshake()).await.messages().remove(0);
    let mut session = Polling::connected(broker.address).await;
    for advice in [&reply["advice"], &session.one(connect_now("3")).await["advice"]] {
        assert!(advice["interval"].is_u64() && advice["timeout"].is_u64(), "{advice}");
    }
}

#[tokio::test]
async fn p012_bad_fields_are_refused_by_name() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let missing = session.one(json!({"id": "15", "data": 1})).await;
    let expected = json!({"id": "15", "successful": false, "error": "400::channel_missing"});
    assert_eq!(missing, expected);
    let reply = session.one(publish("15", "foo", 1)).await;
    assert_eq!(reply, refused("15", "foo", "405::channel_invalid"));
    let reply = session.one(publish("a-b", "/foo", 1)).await;
    assert_eq!(reply, refused("a-b", "/foo", "405::message_id_invalid"));
}

#[tokio::test]
async fn p013_wrong_types_are_answered() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let numeric = json!({"id": "3", "channel": "/a", "data": 1, "clientId": 7});
    assert_eq!(session.one(numeric).await, refused("3", "/a", "402::session_unknown"));
    for advice in [json!({"timeout": "soon", "interval": []}), json!("x"), json!(5)] {
        let request = json!([{"id": "4", "channel": "/meta/connect", "advice": advice},
            publish("5", "/a", 1)]);
        let replies = session.send(request).await;
        assert_eq!(replies[0]["successful"], true, "{advice}");
    }
    let reply = session.one(json!({"id": "6", "channel": 5, "data": 1})).await;
    assert_eq!(reply["error"], "400::channel_missing");
    let reply = session.one(json!({"id": [1], "channel": "/a", "data": 1})).await;
    assert_eq!(reply["error"], "405::message_id_invalid");
}

#[tokio::test]
async fn p135_unknown_ext_is_ignored_and_not_repeated() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let ext = json!({"com.acme": {"x": [1, 2]}, "ack": "odd", "timesync": {}});
    for mut message in [subscribe("3", "/a"), publish("4", "/b", 1), connect_now("5")] {
        message["ext"] = ext.clone();
        let reply = session.one(message).await;
        assert_eq!(reply["successful"], true, "{reply}");
        assert_eq!(reply.get("ext"), None, "{reply}");
    }
    let mut message = handshake();
    message["ext"] = ext;
    let reply = post(broker.address, &message).await.messages().remove(0);
    assert_eq!((&reply["successful"], reply.get("ext")), (&json!(true), None));
}

#[tokio::test]
async fn p139_replies_keep_the_dialect_of_cometd() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let reply = session.one(json!({"id": "3", "channel": "/a", "data": 1, "clientId": "x"})).await;
    assert_eq!(reply, refused("3", "/a", "402::session_unknown"), "Faye would say 401");
    let reply = session.one(json!({"id": "4", "channel": "/meta/subscribe"})).await;
    assert_eq!(reply["error"], "403::subscription_missing", "Faye would say 402");
}
