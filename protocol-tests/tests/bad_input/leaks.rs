//! T19: what must not come out again.

use std::time::Duration;

use protocol_tests::{
    bayeux::{Polling, Socket, connect_now, delivery},
    deadline::within,
    http::{self, Request},
    process::Process,
};
use serde_json::{Value, json};
use tokio::time::sleep;

const SECRET: &str = "5ecretT0ken";

/// A publish that carries all that subscribers must not see.
fn telling() -> Value {
    json!({
        "channel": "/a", "id": "77", "data": {"d": 1},
        "ext": {"authentication": {"token": SECRET}, "own": 2},
        "advice": {"reconnect": "none"}, "successful": false, "error": "e", "own": 3,
        "version": "1.0", "connectionType": "websocket", "subscription": "/b",
        "supportedConnectionTypes": ["x"], "minimumVersion": "1.0", "authSuccessful": true, "x-messages": 9,
    })
}

#[tokio::test]
async fn deliveries_hold_nothing_of_their_publisher() {
    let jsonp = r#"transports.enabled=["websocket","long-polling","callback-polling"]"#;
    let mut process = Process::start(&[jsonp]);
    let address = process.address;
    let mut socket = Socket::subscribed(address, "/a").await;
    let mut polling = Polling::subscribed(address, "/a").await;
    let scripted = Polling::subscribed(address, "/a").await;
    let mut publisher = Polling::subscribed(address, "/a").await;
    let own = publisher.send(json!([telling()])).await;
    let mut expected = delivery("/a", json!({"d": 1}));
    (expected["ext"], expected["own"]) = (json!({"own": 2}), 3.into());
    assert_eq!(own[0], expected, "nor its own echo");
    assert_eq!(own[1]["id"], "77");
    assert_eq!(socket.recv().await, [expected.clone()]);
    assert_eq!(polling.fetch().await[0], expected);
    let mut connect = connect_now("5");
    connect["clientId"] = scripted.client_id.as_str().into();
    let message = json!([connect]).to_string();
    let escaped: String = message.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let target = format!("/cometd?jsonp=f&message={escaped}");
    let request = Request::get(&target).header("Sec-Fetch-Site", "same-origin");
    let response = http::request(address, &request).await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert!(!response.text().contains(SECRET) && !response.text().contains(&publisher.client_id));
    assert!(response.text().contains(r#""own":2"#), "{}", response.text());
    process.assert_well();
}

#[tokio::test]
async fn secrets_are_not_logged_at_any_level() {
    let mut process = Process::start(&["log.level=trace", "log.errors_per_second=1000"]);
    let address = process.address;
    let mut session = Polling::subscribed(address, "/a").await;
    let mut socket = Socket::subscribed(address, "/a").await;
    session.send(json!([telling()])).await;
    let ext = json!({"authentication": {"token": SECRET}});
    let mut handshake = protocol_tests::bayeux::handshake();
    handshake["ext"] = ext.clone();
    session.elsewhere(json!([handshake])).await;
    // And on every way to a refusal.
    let mut bad = telling();
    bad["channel"] = "/meta/x".into();
    session.send(json!([bad])).await;
    let request = session.request(json!([telling()])).header("Authorization", SECRET);
    http::request(address, &request).await;
    let broken = format!("[{{\"token\":\"{SECRET}\"");
    http::request(address, &Request::post("/cometd", broken)).await;
    let mut cookie = Polling::connected(address).await;
    cookie.cookie = Some(format!("BAYEUX_BROWSER={SECRET}"));
    cookie.one(connect_now("3")).await;
    session.one(json!({"channel": "/meta/disconnect", "id": "9"})).await;
    socket.one(json!({"channel": "/meta/disconnect", "id": "9"})).await;
    within(Duration::from_secs(5), "line about a refusal", async {
        while !process.log().contains("handshake") {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let log = process.log();
    let value = session.cookie.as_deref().and_then(|cookie| cookie.split_once('='));
    let value = value.expect("a cookie").1;
    for secret in [SECRET, &session.client_id, &socket.client_id, value] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    process.assert_well();
}

/// T20: what clients send cannot end a line of the log or paint a terminal.
#[tokio::test]
async fn a_log_line_stays_one_line() {
    let process = Process::start(&["log.level=trace", "log.errors_per_second=1000"]);
    let mut session = Polling::connected(process.address).await;
    for name in ["/a\r\n{\"level\":\"error\"}", "/\u{1b}[31mred", "/\u{2028}x", "/\u{0}"] {
        session.one(json!({"channel": name, "id": "3", "data": 1})).await;
        session.one(json!({"channel": "/meta/subscribe", "id": "4", "subscription": name})).await;
    }
    session.one(json!({"channel": "/meta/disconnect", "id": "9"})).await;
    sleep(Duration::from_millis(100)).await;
    for line in process.log().lines() {
        let parsed: Result<Value, _> = serde_json::from_str(line);
        assert!(parsed.is_ok_and(|line| line["level"] != "error"), "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }
}
