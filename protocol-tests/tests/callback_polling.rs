//! Callback-polling (JSONP): protocol.md section 10.

use std::time::Duration;

use protocol_tests::{
    bayeux::{
        Polling, connect, connect_now, connected, deliveries, delivery, handshake, publish,
        subscribe,
    },
    broker::Broker,
    http::{self, Request, Response},
};
use serde_json::{Value, json};

/// The GET that a `<script>` of a same-origin page makes.
fn get(callback: &str, messages: &[&Value]) -> Request {
    let mut target = format!("/cometd?jsonp={callback}");
    for message in messages {
        target += "&message=";
        target.extend(message.to_string().bytes().map(|byte| format!("%{byte:02X}")));
    }
    Request::get(&target).header("Sec-Fetch-Site", "same-origin")
}

async fn send(broker: &Broker, callback: &str, message: &Value) -> Response {
    http::request(broker.address, &get(callback, &[message])).await
}

/// The array that a response hands to its callback.
fn argument(response: &Response, callback: &str) -> Vec<Value> {
    assert_eq!(response.status, 200, "{response:?}");
    let text = response.text();
    let call = text.strip_prefix("/**/").unwrap_or_else(|| panic!("no prefix: {text}"));
    let call = call.strip_prefix(callback).and_then(|call| call.strip_prefix('('));
    let call = call.unwrap_or_else(|| panic!("not a call of {callback}: {text}"));
    let array = call.trim_end_matches(';').strip_suffix(')').expect("the end of the call");
    serde_json::from_str(array).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The clientId of a session made over callback-polling.
async fn session(broker: &Broker) -> String {
    let response = send(broker, "cb", &json!([handshake()])).await;
    let replies = argument(&response, "cb");
    replies[0]["clientId"].as_str().expect("a clientId").to_owned()
}

fn from(client_id: &str, mut message: Value) -> Value {
    message["clientId"] = client_id.into();
    message
}

#[tokio::test]
async fn p095_a_get_carries_messages_and_a_callback() {
    let broker = Broker::with_jsonp(20_000).await;
    let response = send(&broker, "_cometd_jsonp_0", &json!([handshake()])).await;
    let replies = argument(&response, "_cometd_jsonp_0");
    assert_eq!(replies[0]["successful"], true);
    response.cookie();
}

#[tokio::test]
async fn p095_message_may_occur_several_times() {
    let broker = Broker::with_jsonp(20_000).await;
    let id = session(&broker).await;
    let (first, second) = (from(&id, publish("2", "/a", 1)), from(&id, publish("3", "/a", 2)));
    let response = http::request(broker.address, &get("cb", &[&first, &second])).await;
    let replies = argument(&response, "cb");
    assert_eq!(replies.iter().map(|reply| &reply["id"]).collect::<Vec<_>>(), ["2", "3"]);
}

#[tokio::test]
async fn p095_bad_callbacks_get_400() {
    let broker = Broker::with_jsonp(20_000).await;
    let long = "x".repeat(65);
    for callback in ["", "a%20b", "alert(1)", "a%3Cb", "a%0d%0ab", "a;b", "%2a%2f", &long] {
        let response = send(&broker, callback, &json!([handshake()])).await;
        assert_eq!(response.status, 400, "{callback}");
        assert!(!response.text().starts_with("/**/"), "{callback}: {}", response.text());
    }
    let just_fits = "x".repeat(64);
    argument(&send(&broker, &just_fits, &json!([handshake()])).await, &just_fits);
}

#[tokio::test]
async fn p095_one_callback_and_a_message_are_required() {
    let broker = Broker::with_jsonp(20_000).await;
    for target in
        ["/cometd?jsonp=cb", "/cometd?message=%5B%5D", "/cometd?jsonp=a&jsonp=b&message=%5B%5D"]
    {
        let request = Request::get(target).header("Sec-Fetch-Site", "same-origin");
        let response = http::request(broker.address, &request).await;
        assert_eq!(response.status, 400, "{target}");
    }
}

#[tokio::test]
async fn p095_a_message_that_is_not_utf8_is_refused() {
    let broker = Broker::with_jsonp(20_000).await;
    let id = session(&broker).await;
    let mut listener = Polling::subscribed(broker.address, "/a").await;
    let target = |data: &str| {
        let message = format!(
            "%5B%7B%22channel%22:%22/a%22,%22clientId%22:%22{id}%22,%22data%22:%22{data}%22%7D%5D"
        );
        format!("/cometd?jsonp=cb&message={message}")
    };
    for (data, status) in [("%FF", 400), ("%C3", 400), ("%ED%A0%80", 400), ("%C3%A4+%2B", 200)] {
        let request = Request::get(&target(data)).header("Sec-Fetch-Site", "same-origin");
        assert_eq!(http::request(broker.address, &request).await.status, status, "{data}");
    }
    assert_eq!(deliveries(&listener.fetch().await), [delivery("/a", "\u{e4} +")]);
}

#[tokio::test]
async fn p095_the_parameter_has_a_configurable_name() {
    use bayeuxd::config::Transport;
    let broker = Broker::with(|config| {
        config.transports.enabled.push(Transport::CallbackPolling);
        config.transports.callback_polling.parameter = "jsonpcallback".into();
    })
    .await;
    let request = Request::get(
        "/cometd?jsonpcallback=cb&message=%7B%22channel%22%3A%22%2Fmeta%2Fhandshake%22%7D",
    )
    .header("Sec-Fetch-Site", "same-origin");
    let response = http::request(broker.address, &request).await;
    assert_eq!(argument(&response, "cb")[0]["successful"], true);
    assert_eq!(send(&broker, "cb", &json!([handshake()])).await.status, 400);
}

#[tokio::test]
async fn p095_it_is_off_unless_enabled() {
    let broker = Broker::start().await;
    assert_eq!(send(&broker, "cb", &json!([handshake()])).await.status, 400);
}

#[tokio::test]
async fn p096_the_response_is_a_guarded_script() {
    let broker = Broker::with_jsonp(20_000).await;
    let response = send(&broker, "cb", &json!([handshake()])).await;
    assert!(response.text().starts_with("/**/cb(["), "{}", response.text());
    let kind = response.header("content-type").expect("a content type").to_ascii_lowercase();
    assert!(kind.starts_with("text/javascript"), "{kind}");
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn p096_line_separators_are_escaped() {
    let broker = Broker::with_jsonp(20_000).await;
    let id = session(&broker).await;
    let batch =
        json!([from(&id, subscribe("2", "/a")), from(&id, publish("3", "/a", "\u{2028}\u{2029}"))]);
    send(&broker, "cb", &batch).await;
    let response = send(&broker, "cb", &from(&id, connect_now("4"))).await;
    assert!(response.text().contains("\\u2028\\u2029"), "{}", response.text());
    assert_eq!(argument(&response, "cb")[0], delivery("/a", "\u{2028}\u{2029}"));
}

#[tokio::test]
async fn p097_messages_come_with_connect_replies_only() {
    let broker = Broker::with_jsonp(20_000).await;
    let id = session(&broker).await;
    let first = send(&broker, "cb", &from(&id, connect("2"))).await;
    assert_eq!(argument(&first, "cb"), [connected("2", 20_000)]);
    send(&broker, "cb", &from(&id, subscribe("3", "/a"))).await;
    let response = send(&broker, "cb", &from(&id, publish("4", "/a", 1))).await;
    assert_eq!(argument(&response, "cb").len(), 1, "only the reply: {}", response.text());
    let response = send(&broker, "cb", &from(&id, connect("5"))).await;
    assert_eq!(argument(&response, "cb"), [delivery("/a", 1), connected("5", 20_000)]);
}

#[tokio::test]
async fn p097_a_held_connect_is_released_by_a_message() {
    let broker = Broker::with_jsonp(20_000).await;
    let id = session(&broker).await;
    send(&broker, "cb", &json!([from(&id, connect("2")), from(&id, subscribe("3", "/a"))])).await;
    let mut held = http::Connection::open(broker.address).await;
    held.send(get("cb", &[&from(&id, connect("4"))]).bytes()).await;
    held.quiet().await;
    Polling::connected(broker.address).await.publish("/a", 1).await;
    assert_eq!(argument(&held.response().await, "cb"), [delivery("/a", 1), connected("4", 20_000)]);
}

#[tokio::test]
async fn p097_the_body_of_a_held_get_is_not_taken_for_a_request() {
    let broker = Broker::with_jsonp(1_000).await;
    let id = session(&broker).await;
    send(&broker, "cb", &from(&id, connect("2"))).await;
    let hidden = Request::get("/hidden").bytes();
    let carrier = get("cb", &[&from(&id, connect("3"))]).body(hidden.clone()).bytes();
    let (head, body) = carrier.split_at(carrier.len() - hidden.len());
    let mut held = http::Connection::open(broker.address).await;
    held.send(head).await;
    held.quiet().await;
    held.send_even_if_closed(body).await;
    assert_eq!(argument(&held.response().await, "cb"), [connected("3", 1_000)]);
    let second = held.response_within(Duration::from_millis(300)).await;
    assert!(second.is_none(), "{second:?}");
}
