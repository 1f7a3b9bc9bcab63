//! Publishing over HTTP: operations.md 5.

use bayeuxd::{
    config::{ApiKey, Role},
    events::EventType,
};
use protocol_tests::{
    bayeux::{Polling, Socket, deliveries, delivery, publish, published, refused},
    broker::Broker,
    deadline::soon,
    http::{self, Connection, Request},
    service::{KEY, answer, broker, broker_with, call, post, publish_key},
};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

fn reached(sessions: u64, queued: u64) -> (u16, Value) {
    (200, json!({"ok": true, "sessions": sessions, "queued": queued}))
}

/// Sends a request and checks status, code and that the answer is an error as documented.
#[track_caller]
fn assert_error(response: &http::Response, status: u16, code: &str) -> Value {
    let (actual, body) = answer(response);
    assert_eq!((actual, body["error"]["code"].as_str()), (status, Some(code)), "{body}");
    assert_eq!(body["ok"], json!(false));
    for field in ["bayeux", "message"] {
        assert!(body["error"][field].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    }
    assert!(body["error"]["retry_after_ms"].is_u64(), "{body}");
    body
}

async fn error(broker: &Broker, request: &Request, status: u16, code: &str) -> Value {
    assert_error(&http::request(broker.address, request).await, status, code)
}

#[tokio::test]
async fn a_message_reaches_subscribers_and_the_answer_says_how_many() {
    let broker = broker().await;
    let mut socket = Socket::subscribed(broker.address, "/a/*").await;
    // Its connect was answered, so the message waits for the next one.
    let mut away = Polling::subscribed(broker.address, "/a/b").await;
    let message = json!({"channel": "/a/b", "data": {"n": 1}});
    assert_eq!(post(broker.address, "/publish", &message).await, reached(2, 1));
    assert_eq!(socket.recv_messages(1).await, [delivery("/a/b", json!({"n": 1}))]);
    assert_eq!(deliveries(&away.fetch().await), [delivery("/a/b", json!({"n": 1}))]);
    let mut held = away.hold("9").await;
    assert_eq!(post(broker.address, "/publish/a/b", &json!(2)).await, reached(2, 0));
    assert_eq!(deliveries(&held.messages().await), [delivery("/a/b", 2)]);
    assert_eq!(post(broker.address, "/publish/nobody", &json!(2)).await, reached(0, 0));
}

#[tokio::test]
async fn data_passes_as_it_was_written_with_ext_and_own_fields_but_no_ids() {
    let broker = broker().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let body = r#"{"channel":"/a","data":[9007199254740993,1.10,{"k" : "\u00e4"}],"id":"1","clientId":"x",
        "ext":{"t":1,"authentication":{"key":"s"}},"kind":"order","advice":{"reconnect":"none"}}"#;
    let response = http::request(broker.address, &call("/publish", body)).await;
    assert_eq!(answer(&response), reached(1, 0));
    let message = socket.recv_messages(1).await.remove(0);
    assert_eq!(message["ext"], json!({"t": 1}));
    assert_eq!(message["kind"], json!("order"));
    assert_eq!(message["data"][0].to_string(), "9007199254740993");
    let fields: Vec<&String> = message.as_object().unwrap().keys().collect();
    assert_eq!(fields.len(), 4, "{fields:?}");
}

#[tokio::test]
async fn a_batch_answers_each_message_in_its_place() {
    let broker = broker_with(|config| config.api.max_batch = 4).await;
    let mut socket = Socket::subscribed(broker.address, "/**").await;
    let body = json!({"messages": [
        {"channel": "/a", "data": 1},
        {"channel": "/meta/connect", "data": 2},
        {"channel": "/a"},
        {"channel": "/a", "data": 4},
    ]});
    let (status, answer) = post(broker.address, "/batch", &body).await;
    let results = answer["results"].as_array().unwrap();
    let codes: Vec<&Value> = results.iter().map(|result| &result["error"]["code"]).collect();
    assert_eq!(status, 200);
    assert_eq!(
        codes,
        [&json!(null), &json!("channel_reserved"), &json!("data_missing"), &json!(null)]
    );
    assert_eq!(socket.recv_messages(2).await, [delivery("/a", 1), delivery("/a", 4)]);
    let five = json!({"messages": vec![json!({"channel": "/a", "data": 1}); 5]});
    error(&broker, &call("/batch", five.to_string()), 400, "bad_json").await;
    error(&broker, &call("/batch", "[]"), 400, "bad_json").await;
    let keyed = call("/batch", body.to_string()).header("Idempotency-Key", "k");
    error(&broker, &keyed, 400, "field_invalid").await;
}

#[tokio::test]
async fn a_broadcast_publishes_one_message_to_several_channels() {
    let broker = broker().await;
    let mut socket = Socket::subscribed(broker.address, "/**").await;
    let body = json!({"channels": ["/a", "/b", "/c/*"], "data": 1});
    let (status, answer) = post(broker.address, "/broadcast", &body).await;
    assert_eq!(status, 200);
    assert_eq!(answer["results"][0], reached(1, 0).1);
    assert_eq!(answer["results"][1], reached(1, 0).1);
    assert_eq!(answer["results"][2]["error"]["code"], json!("channel_invalid"));
    assert_eq!(socket.recv_messages(2).await, [delivery("/a", 1), delivery("/b", 1)]);
}

#[tokio::test]
async fn a_session_is_left_out_by_its_sid() {
    let broker = broker().await;
    let mut left_out = Socket::subscribed(broker.address, "/a").await;
    let mut other = Socket::subscribed(broker.address, "/a").await;
    let sid = broker.sid(&left_out.client_id);
    let body = json!({"channel": "/a", "data": 1, "exclude": [sid, "000000000000"]});
    assert_eq!(post(broker.address, "/publish", &body).await, reached(1, 0));
    assert_eq!(post(broker.address, "/publish/a", &json!(2)).await, reached(2, 0));
    assert_eq!(left_out.recv_messages(1).await, [delivery("/a", 2)]);
    assert_eq!(other.recv_messages(2).await, [delivery("/a", 1), delivery("/a", 2)]);
}

#[tokio::test]
async fn one_idempotency_key_a_hundred_times_at_once_is_one_delivery() {
    let broker = broker().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let request = call("/publish/a", "1").header("Idempotency-Key", "once");
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let (address, request) = (broker.address, request.clone());
        requests.spawn(async move { answer(&http::request(address, &request).await) });
    }
    let answers = soon("all answers", requests.join_all()).await;
    let first = answers.iter().filter(|answer| **answer == reached(1, 0)).count();
    let replayed = json!({"ok": true, "sessions": 1, "queued": 0, "replayed": true});
    let repeats = answers.iter().filter(|answer| **answer == (200, replayed.clone())).count();
    assert_eq!((first, repeats), (1, 99));
    assert_eq!(post(broker.address, "/publish/a", &json!("end")).await, reached(1, 0));
    assert_eq!(socket.recv_messages(2).await, [delivery("/a", 1), delivery("/a", "end")]);
    error(
        &broker,
        &call("/publish/a", "2").header("Idempotency-Key", "once"),
        409,
        "idempotency_conflict",
    )
    .await;
}

#[tokio::test]
async fn a_repeat_after_a_lost_answer_is_not_published_again() {
    let broker = broker().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let request = call("/publish", r#"{"channel":"/a","data":1,"idempotency_key":"k"}"#);
    let mut lost = Connection::open(broker.address).await;
    lost.send(request.bytes()).await;
    assert_eq!(socket.recv_messages(1).await, [delivery("/a", 1)]);
    lost.reset();
    let (status, body) = answer(&http::request(broker.address, &request).await);
    assert_eq!((status, &body["replayed"]), (200, &json!(true)));
    // A failure is not remembered: the next attempt is judged anew.
    let denied = call("/publish", r#"{"channel":"/a","idempotency_key":"f"}"#);
    error(&broker, &denied, 400, "data_missing").await;
    let mended = call("/publish", r#"{"channel":"/a","data":2,"idempotency_key":"f"}"#);
    assert_eq!(answer(&http::request(broker.address, &mended).await), reached(1, 0));
}

#[tokio::test]
async fn who_may_publish_is_a_matter_of_keys() {
    let broker = broker_with(|config| {
        config.auth.keys.push(publish_key("orders", "the-secret-of-orders", &["/orders/**"]));
        config.auth.keys.push(ApiKey {
            role: Role::Monitor,
            ..publish_key("monitor", "the-secret-of-monitors", &[])
        });
    })
    .await;
    let bare = Request::post("/api/v1/publish/orders/1", "1");
    let response = http::request(broker.address, &bare).await;
    assert_error(&response, 401, "unauthorized");
    assert!(response.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")));
    for wrong in ["", "wrong", "the-secret-of-order", "the-secret-of-orders2", "orders"] {
        error(&broker, &bare.clone().header("X-API-Key", wrong), 401, "unauthorized").await;
    }
    let orders = bare.header("Authorization", "Bearer the-secret-of-orders");
    assert_eq!(answer(&http::request(broker.address, &orders).await), reached(0, 0));
    let elsewhere = Request::post("/api/v1/publish/other", "1");
    let denied = elsewhere.clone().header("X-API-Key", "the-secret-of-orders");
    let body = error(&broker, &denied, 403, "channel_denied").await;
    assert_eq!(body["error"]["bayeux"], json!("403:not_in_key_channels:publish_denied"));
    assert!(!body.to_string().contains("the-secret"), "{body}");
    let monitor = elsewhere.header("X-API-Key", "the-secret-of-monitors");
    error(&broker, &monitor, 403, "channel_denied").await;
}

#[tokio::test]
async fn a_broker_without_keys_lets_nobody_publish() {
    let broker = Broker::start().await;
    error(&broker, &Request::post("/api/v1/publish/a", "1"), 401, "unauthorized").await;
    error(&broker, &call("/publish/a", "1"), 401, "unauthorized").await;
}

#[tokio::test]
async fn keys_are_replaced_without_a_disconnect() {
    let broker = broker().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let mut kept = Connection::open(broker.address).await;
    assert_eq!(answer(&kept.exchange(&call("/publish/a", "1")).await), reached(1, 0));
    broker.replace_keys(&[publish_key("all", "another-secret-altogether", &["/**"])]);
    assert_error(&kept.exchange(&call("/publish/a", "2")).await, 401, "unauthorized");
    let anew =
        Request::post("/api/v1/publish/a", "3").header("X-API-Key", "another-secret-altogether");
    assert_eq!(answer(&kept.exchange(&anew).await), reached(1, 0));
    assert_eq!(socket.recv_messages(2).await, [delivery("/a", 1), delivery("/a", 3)]);
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_is_refused_whatever_its_key() {
    let broker = broker().await;
    for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
        for endpoint in ["/publish/a", "/publish", "/batch", "/broadcast", "/stream", "/nothing"] {
            let request = call(endpoint, "1").header("Origin", origin);
            error(&broker, &request, 403, "origin_denied").await;
        }
        let preflight = Request::new("OPTIONS", "/api/v1/publish").header("Origin", origin);
        error(&broker, &preflight, 403, "origin_denied").await;
    }
    let own = call("/publish/a", "1").header("Origin", "http://localhost:3000");
    let response = http::request(broker.address, &own).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("access-control-allow-origin"), Some("http://localhost:3000"));
    let preflight = Request::new("OPTIONS", "/api/v1/publish")
        .header("Origin", "http://localhost:3000")
        .header("Access-Control-Request-Headers", "x-api-key, idempotency-key");
    let response = http::request(broker.address, &preflight).await;
    assert_eq!(response.status, 204);
    assert!(response.list("access-control-allow-headers").contains(&"x-api-key".to_owned()));
}

#[tokio::test]
async fn requests_that_cannot_work_are_told_why() {
    let broker = broker_with(|config| {
        config.api.max_body = 4096;
        config.api.message_size = 1024;
    })
    .await;
    let big = format!("\"{}\"", "x".repeat(1500));
    let huge = format!("\"{}\"", "x".repeat(5000));
    for (request, status, code) in [
        (call("/publish", "{"), 400, "bad_json"),
        (call("/publish", ""), 400, "bad_json"),
        (call("/publish", "[]"), 400, "bad_json"),
        (call("/publish", r#"{"channel":"/a"}"#), 400, "data_missing"),
        (call("/publish", r#"{"data":1}"#), 400, "channel_invalid"),
        (call("/publish", r#"{"channel":"/a/*","data":1}"#), 400, "channel_invalid"),
        (call("/publish", r#"{"channel":"a","data":1}"#), 400, "channel_invalid"),
        (call("/publish", r#"{"channel":"/service/a","data":1}"#), 400, "channel_reserved"),
        (call("/publish/meta/handshake", "1"), 400, "channel_reserved"),
        (call("/publish/a%2Fb", "1"), 400, "channel_invalid"),
        (call("/publish/a", ""), 400, "data_missing"),
        (call("/publish/a", "1").header("Idempotency-Key", &"k".repeat(129)), 400, "field_invalid"),
        (call("/nothing", "1"), 404, "not_found"),
        (call("/", "1"), 404, "not_found"),
        (call("/publish/a", big), 413, "too_large"),
        (call("/publish/a", huge), 413, "too_large"),
    ] {
        error(&broker, &request, status, code).await;
    }
    let response = http::request(broker.address, &Request::get("/api/v1/publish")).await;
    assert_error(&response, 405, "method_not_allowed");
    assert_eq!(response.header("allow"), Some("POST, OPTIONS"));
}

#[tokio::test]
async fn mistakes_are_told_with_their_place_their_limit_and_what_would_do() {
    let broker = broker_with(|config| {
        config.api.max_batch = 2;
        let monitor = publish_key("watch", "the-secret-of-a-monitor", &["/**"]);
        config.auth.keys.push(ApiKey { role: Role::Monitor, ..monitor });
    })
    .await;
    let mut socket = Socket::subscribed(broker.address, "/**").await;
    let good = r#"{"channel":"/a","data":1}"#;
    let batch = |list: String| call("/batch", format!(r#"{{"messages":[{list}]}}"#));
    let channel = |name: &str| call("/publish", json!({"channel": name, "data": 1}).to_string());
    for (request, code, told) in [
        (batch(format!("{good},5")), "bad_json", "element 2 of the array"),
        (batch(format!("{good},{{\"a\":1,\"a\":2}}")), "bad_json", "message 2 of the array"),
        (batch([good; 3].join(",")), "bad_json", "more than 2 messages (api.max_batch)"),
        (call("/publish", "5"), "bad_json", "a JSON object"),
        (call("/publish", format!("\u{feff}{good}")), "bad_json", "byte order mark"),
        (call("/publish/a", "\u{feff}1"), "bad_json", "byte order mark"),
        (call("/publish/a", "hello"), "bad_json", "a text stands in quotes: \"hello\""),
        (call("/broadcast", r#"{"channels":[],"data":1}"#), "field_invalid", "not empty"),
        (
            call("/broadcast", r#"{"channels":["/a","/b","/c"],"data":1}"#),
            "field_invalid",
            "more than 2 channels (api.max_batch)",
        ),
        (channel(&"/x".repeat(17)), "channel_invalid", "more than 16 segments"),
        (channel(&format!("/{}", "x".repeat(255))), "channel_invalid", "longer than 255 bytes"),
    ] {
        let body = error(&broker, &request, 400, code).await;
        assert!(body["error"]["message"].as_str().unwrap().contains(told), "{told}: {body}");
    }
    let watching =
        Request::post("/api/v1/publish/a", "1").header("X-API-Key", "the-secret-of-a-monitor");
    let body = error(&broker, &watching, 403, "channel_denied").await;
    let told = "the key 'watch' is not for publishing: a key of the role publish is, or admin";
    assert_eq!(body["error"]["message"], json!(told));
    socket.websocket.quiet().await;
}

#[tokio::test]
async fn a_compressed_body_is_refused_as_such_and_an_identical_one_is_none() {
    let broker = broker().await;
    for endpoint in ["/publish/a", "/batch", "/stream"] {
        let packed = call(endpoint, b"\x1f\x8b\x08".as_slice()).header("Content-Encoding", "gzip");
        let body = error(&broker, &packed, 415, "encoding_unsupported").await;
        let told = "Content-Encoding is not supported: send the body plain";
        assert_eq!(body["error"]["message"], json!(told));
    }
    let plain = call("/publish/a", "1").header("Content-Encoding", "identity");
    assert_eq!(http::request(broker.address, &plain).await.status, 200);
    let mut session = Polling::connected(broker.address).await;
    let packed = Request::post("/cometd", b"\x1f\x8b\x08".as_slice());
    let response = http::request(broker.address, &packed.header("Content-Encoding", "gzip")).await;
    assert_eq!(response.status, 415);
    assert!(response.text().starts_with("Content-Encoding is not supported"), "{response:?}");
    assert_eq!(session.one(publish("5", "/a", 1)).await, published("5", "/a"));
}

#[tokio::test]
async fn a_segment_of_the_path_is_decoded_once() {
    let broker = broker().await;
    let mut socket = Socket::subscribed(broker.address, "/a b/~c").await;
    assert_eq!(post(broker.address, "/publish/a%20b/%7Ec?x=1", &json!(1)).await, reached(1, 0));
    assert_eq!(socket.recv_messages(1).await, [delivery("/a b/~c", 1)]);
}

#[tokio::test]
async fn a_key_has_a_rate_and_is_told_when_to_come_again() {
    let broker = broker_with(|config| {
        config.api.messages_per_second = 5;
        config.auth.keys.push(publish_key("other", "the-secret-of-another", &["/**"]));
    })
    .await;
    let messages = vec![json!({"channel": "/a", "data": 1}); 8];
    let (_, answer) = post(broker.address, "/batch", &json!({"messages": messages})).await;
    let results = answer["results"].as_array().unwrap();
    let refused = |result: &&Value| result["error"]["code"] == json!("rate_limited");
    assert_eq!(results.iter().filter(refused).count(), 3, "{answer}");
    let response = http::request(broker.address, &call("/publish/a", "1")).await;
    let body = assert_error(&response, 429, "rate_limited");
    assert_eq!(response.header("retry-after"), Some("1"));
    assert!((1..=200).contains(&body["error"]["retry_after_ms"].as_u64().unwrap()), "{body}");
    let other =
        Request::post("/api/v1/publish/a", "1").header("X-API-Key", "the-secret-of-another");
    assert_eq!(http::request(broker.address, &other).await.status, 200);
}

#[tokio::test]
async fn a_batch_above_the_rate_is_cut_short_and_has_no_holes() {
    // A place comes free every two milliseconds, so several do while the batch is worked on.
    let broker = broker_with(|config| {
        config.api.messages_per_second = 500;
        config.api.max_batch = 10_000;
    })
    .await;
    let mut messages: Vec<Value> =
        (0..3_000).map(|number| json!({"channel": "/a", "data": number})).collect();
    messages.push(json!({"channel": "/a"}));
    let (_, answer) = post(broker.address, "/batch", &json!({"messages": messages})).await;
    let results = answer["results"].as_array().unwrap();
    let published = results.iter().take_while(|result| result["ok"] == json!(true)).count();
    assert!((500..3_000).contains(&published), "{published}");
    let (last, refused) = results[published..].split_last().unwrap();
    for (index, result) in refused.iter().enumerate() {
        assert_eq!(result["error"]["code"], json!("rate_limited"), "{published} + {index}");
        assert!(result["error"]["retry_after_ms"].as_u64().unwrap() > 0, "{result}");
    }
    assert_eq!(last["error"]["code"], json!("data_missing"), "it would never do");
}

#[tokio::test]
async fn p117_bare_publishes_above_the_rate_have_no_holes_either() {
    let broker = broker_with(|config| {
        config.api.messages_per_second = 500;
        config.limits.batch = 10_000;
        config.limits.message_size = 1 << 20;
    })
    .await;
    let batch: Vec<Value> = (0..3_000).map(|n| publish(&n.to_string(), "/a", n)).collect();
    let request = Request::post("/cometd", json!(batch).to_string()).header("X-API-Key", KEY);
    let replies = http::request(broker.address, &request).await.messages();
    let done: Vec<bool> = replies.iter().map(|reply| reply["successful"] == json!(true)).collect();
    let published = done.iter().take_while(|done| **done).count();
    assert!((500..3_000).contains(&published), "{published}");
    assert!(done[published..].iter().all(|done| !done), "{done:?}");
}

#[tokio::test]
async fn an_idempotency_key_is_named_once_and_in_ascii() {
    let broker = broker().await;
    let body = r#"{"channel":"/a","data":1,"idempotency_key":"field"}"#;
    let header = |value: &str| call("/publish", body).header("Idempotency-Key", value);
    assert_eq!(http::request(broker.address, &header("field")).await.status, 200);
    for (request, told) in [
        (header("other"), "differ"),
        (header("field").header("Idempotency-Key", "field"), "more than one"),
        (header("schl\u{fc}ssel"), "ASCII"),
    ] {
        let body = error(&broker, &request, 400, "field_invalid").await;
        assert!(body["error"]["message"].as_str().unwrap().contains(told), "{body}");
    }
    let body = error(&broker, &call("/publish/a/%zz", "1"), 400, "channel_invalid").await;
    assert!(body["error"]["message"].as_str().unwrap().contains("\"%zz\""), "{body}");
}

#[tokio::test]
async fn a_broker_that_is_full_refuses_with_503() {
    let broker = broker_with(|config| config.limits.queued_bytes = Some(20_000)).await;
    let data = json!("x".repeat(9_000));
    let refused = async {
        loop {
            let _away = Polling::subscribed(broker.address, "/a").await;
            for _ in 0..3 {
                post(broker.address, "/publish/a", &data).await;
            }
            let response = http::request(broker.address, &call("/publish/a", "1")).await;
            // Each half second a full broker ends the session that waits with most, and has room again.
            if response.status != 200 {
                return response;
            }
        }
    };
    let response = soon("a refusal", refused).await;
    assert_error(&response, 503, "overloaded");
    assert!(response.header("retry-after").is_some());
}

/// A broker that is full after a few messages, and a subscriber that makes room all the time. However fast it
/// is, it cannot come back between any three of thousands of messages.
async fn full_and_emptied() -> (Broker, JoinHandle<()>) {
    let broker = broker_with(|config| {
        config.limits.queued_bytes = Some(100);
        config.limits.batch = 10_000;
        config.limits.message_size = 1 << 20;
        config.api.max_batch = 10_000;
        config.session.queue.max_messages = 10_000;
    })
    .await;
    let mut reader = Polling::subscribed(broker.address, "/a").await;
    let reading = tokio::spawn(async move {
        loop {
            reader.fetch().await;
        }
    });
    (broker, reading)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_meets_a_full_broker_has_no_holes() {
    let (broker, reading) = full_and_emptied().await;
    let messages: Vec<Value> =
        (0..3_000).map(|number| json!({"channel": "/a", "data": number})).collect();
    let (_, answer) = post(broker.address, "/batch", &json!({"messages": messages})).await;
    let results = answer["results"].as_array().unwrap();
    let published = results.iter().take_while(|result| result["ok"] == json!(true)).count();
    assert!((1..3_000).contains(&published), "{published}");
    for (index, result) in results[published..].iter().enumerate() {
        assert_eq!(result["error"]["code"], json!("overloaded"), "{published} + {index}");
    }
    reading.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p117_bare_publishes_that_meet_a_full_broker_have_no_holes_either() {
    let (broker, reading) = full_and_emptied().await;
    let batch: Vec<Value> = (0..3_000).map(|n| publish(&n.to_string(), "/a", n)).collect();
    let request = Request::post("/cometd", json!(batch).to_string()).header("X-API-Key", KEY);
    let replies = http::request(broker.address, &request).await.messages();
    let done: Vec<bool> = replies.iter().map(|reply| reply["successful"] == json!(true)).collect();
    let published = done.iter().take_while(|done| **done).count();
    assert!((1..3_000).contains(&published), "{published}");
    assert!(done[published..].iter().all(|done| !done), "{done:?}");
    reading.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p064_a_batch_of_a_session_that_meets_a_full_broker_has_no_holes_either() {
    let batch: Vec<Value> = (0..3_000).map(|n| publish(&n.to_string(), "/a", n)).collect();
    for by_socket in [false, true] {
        // Each has a broker of its own: a tick may find the one of before full, and end its subscriber.
        let (broker, reading) = full_and_emptied().await;
        let replies = if by_socket {
            let mut socket = Socket::connected(broker.address).await;
            socket.send(json!(batch)).await;
            socket.recv_messages(3_000).await
        } else {
            Polling::connected(broker.address).await.send(json!(batch)).await
        };
        let done: Vec<bool> =
            replies.iter().map(|reply| reply["successful"] == json!(true)).collect();
        let published = done.iter().take_while(|done| **done).count();
        assert!((1..3_000).contains(&published), "{published}");
        let refusal = refused(&published.to_string(), "/a", "503::overloaded");
        assert_eq!(replies[published], refusal);
        assert!(done[published..].iter().all(|done| !done), "{done:?}");
        reading.abort();
    }
}

#[tokio::test]
async fn a_request_whose_body_comes_after_the_drain_began_gets_503() {
    let mut broker = broker().await;
    let mut connection = Connection::open(broker.address).await;
    let bytes = call("/publish/a", "123456").bytes();
    let (most, rest) = bytes.split_at(bytes.len() - 3);
    connection.send(most).await;
    // An answer on another connection shows that the first one has long been accepted.
    post(broker.address, "/publish/b", &json!(1)).await;
    broker.drain();
    broker.draining().await;
    connection.send(rest).await;
    let response = connection.response().await;
    assert_error(&response, 503, "draining");
    assert!(response.header("retry-after").is_some());
}

#[tokio::test]
async fn the_api_can_be_turned_off() {
    let broker = broker_with(|config| config.api.enabled = false).await;
    for request in [call("/publish/a", "1"), Request::get("/openapi.json")] {
        assert_eq!(http::request(broker.address, &request).await.status, 404);
    }
    let bare = Request::post("/cometd", publish("1", "/a", 1).to_string()).header("X-API-Key", KEY);
    let reply = http::request(broker.address, &bare).await.messages();
    assert_eq!(reply, [refused("1", "/a", "402::session_unknown")]);
}

#[tokio::test]
async fn the_description_needs_no_key() {
    let broker = broker().await;
    let response = http::request(broker.address, &Request::get("/openapi.json")).await;
    assert_eq!(answer(&response).1["openapi"], json!("3.1.0"));
}

#[tokio::test]
async fn p117_a_bare_publish_needs_a_key_that_covers_the_channel() {
    let broker = broker_with(|config| {
        config.auth.keys.push(publish_key("orders", "the-secret-of-orders", &["/orders/**"]));
    })
    .await;
    let mut socket = Socket::subscribed(broker.address, "/**").await;
    let batch = json!([publish("1", "/orders/1", 1), publish("2", "/other", 2)]);
    let with = |key: &str| {
        let request = Request::post("/cometd", batch.to_string());
        if key.is_empty() { request } else { request.header("X-API-Key", key) }
    };
    let unknown = |id, channel| refused(id, channel, "402::session_unknown");
    let replies = http::request(broker.address, &with("")).await.messages();
    assert_eq!(replies, [unknown("1", "/orders/1"), unknown("2", "/other")]);
    let told = broker.events().told(EventType::Auth);
    let response = http::request(broker.address, &with("wrong")).await;
    assert_eq!(response.status, 401);
    assert_eq!(broker.events().told(EventType::Auth), told + 1);
    let replies = http::request(broker.address, &with("the-secret-of-orders")).await.messages();
    let denied = refused("2", "/other", "403:not_in_key_channels:publish_denied");
    assert_eq!(replies, [published("1", "/orders/1"), denied]);
    assert_eq!(socket.recv_messages(1).await, [delivery("/orders/1", 1)]);
    // A key is no session: only publishing goes without one.
    let subscribe = json!({"channel": "/meta/subscribe", "id": "3", "subscription": "/a"});
    let request = Request::post("/cometd", subscribe.to_string()).header("X-API-Key", KEY);
    let reply = http::request(broker.address, &request).await.messages().remove(0);
    assert_eq!(reply["error"], json!("402::session_unknown"));
    let service = Request::post("/cometd", publish("4", "/service/x", 1).to_string());
    let replies = http::request(broker.address, &service.header("X-API-Key", KEY)).await.messages();
    assert_eq!(replies[0]["successful"], json!(false));
}
