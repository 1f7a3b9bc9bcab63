//! Who gets in, and what cannot be asked.

use std::time::Duration;

use bayeuxd::config::Role;
use protocol_tests::{
    http::{Connection, Request, Response, request},
    operator::{ADMIN_KEY, act, asking, broker, broker_with, get},
    service::{answer, publish_key},
};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Every endpoint that there is, with its method.
const ENDPOINTS: &[(&str, &str)] = &[
    ("GET", "/sessions"),
    ("GET", "/sessions/000000000000"),
    ("POST", "/sessions/000000000000/disconnect"),
    ("POST", "/sessions/000000000000/subscribe"),
    ("POST", "/sessions/000000000000/unsubscribe"),
    ("GET", "/channels"),
    ("GET", "/channels/a"),
    ("GET", "/stats"),
    ("GET", "/config"),
    ("GET", "/events"),
    ("POST", "/publish"),
    ("POST", "/drain"),
    ("POST", "/reload"),
    ("GET", "/openapi.json"),
];

#[track_caller]
fn assert_error(response: &Response, status: u16, code: &str) -> Value {
    let (actual, body) = answer(response);
    assert_eq!((actual, body["error"]["code"].as_str()), (status, Some(code)), "{body}");
    assert_eq!(body["ok"], json!(false));
    assert!(body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    assert_eq!(response.header("cache-control"), Some("no-store"));
    body
}

#[tokio::test]
async fn no_endpoint_answers_without_an_admin_key() {
    let broker = broker_with(|config| {
        config.auth.keys.push(publish_key("orders", "the-secret-of-orders", &["/**"]));
        let mut monitor = publish_key("monitor", "the-secret-of-monitors", &[]);
        monitor.role = Role::Monitor;
        config.auth.keys.push(monitor);
    })
    .await;
    for (method, path) in ENDPOINTS {
        let plain = Request::new(method, &format!("/admin/v1{path}"));
        let response = request(broker.admin, &plain).await;
        assert_error(&response, 401, "unauthorized");
        assert_eq!(response.header("www-authenticate"), Some("Bearer realm=\"bayeuxd\""));
        for key in ["the-secret-of-orders", "the-secret-of-monitors"] {
            let other = request(broker.admin, &plain.clone().header("X-API-Key", key)).await;
            assert_error(&other, 403, "role_denied");
        }
    }
    let before = Instant::now();
    let wrong = asking("GET", "/stats").without("Authorization").header("X-API-Key", "guess");
    assert_error(&request(broker.admin, &wrong).await, 401, "unauthorized");
    assert!(before.elapsed() >= Duration::from_millis(100), "guessing is slow");
    // Not drained by any of these.
    assert_eq!(get(broker.admin, "/stats").await.1["draining"], json!(false));
}

#[tokio::test]
async fn no_page_of_another_origin_gets_in_whatever_its_key() {
    let broker = broker().await;
    for origin in ["http://evil.com", "null", "http://localhost:9", "http://localhost.evil.com"] {
        for (method, path) in ENDPOINTS {
            let from = asking(method, path).header("Origin", origin);
            assert_error(&request(broker.admin, &from).await, 403, "origin_denied");
        }
    }
    let own = asking("GET", "/stats").header("Origin", "http://localhost");
    assert_eq!(request(broker.admin, &own).await.status, 200);
    let rebound = Request::bare("GET", "/admin/v1/stats")
        .header("Host", "evil.com")
        .header("X-API-Key", ADMIN_KEY);
    assert_eq!(request(broker.admin, &rebound).await.status, 421);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let broker =
        broker_with(|config| config.limits.body_timeout = Duration::from_millis(300)).await;
    for path in ["/drain", "/sessions/000000000000/disconnect", "/publish"] {
        let mut connection = Connection::open(broker.admin).await;
        let begun = asking("POST", path).header("Content-Length", "10");
        connection.send(begun.bytes()).await;
        connection.send("{").await;
        assert_error(&connection.response().await, 408, "timeout");
        assert_eq!(connection.closed().await, b"", "{path}");
    }
    assert_eq!(get(broker.admin, "/stats").await.1["draining"], json!(false));
}

#[tokio::test]
async fn nobody_sits_on_the_places_of_operators() {
    let broker = broker_with(|_| {}).await;
    let mut idle = Vec::new();
    for _ in 0..64 {
        idle.push(Connection::open(broker.admin).await);
    }
    assert_eq!(request(broker.admin, &Request::get("/healthz")).await.status, 503, "all are taken");
    for connection in &mut idle {
        // The default of limits.keep_alive is 75 s.
        assert!(connection.ended_within(Duration::from_secs(20)).await, "an idle one is closed");
    }
    assert_eq!(request(broker.admin, &Request::get("/healthz")).await.status, 200);
}

#[tokio::test]
async fn other_paths_and_methods_are_told() {
    let broker = broker().await;
    for path in ["", "/", "/session", "/sessions/", "/sessions/1/2", "/channels/", "/openapi"] {
        assert_error(&request(broker.admin, &asking("GET", path)).await, 404, "not_found");
    }
    for (method, path) in ENDPOINTS {
        for other in ["PUT", "DELETE", if *method == "GET" { "POST" } else { "GET" }] {
            let response = request(broker.admin, &asking(other, path)).await;
            assert_error(&response, 405, "method_not_allowed");
            assert_eq!(response.header("allow"), Some(*method));
        }
    }
    for path in ["/sessions/1", "/sessions/000000000000", "/sessions/ABCDEFABCDEF"] {
        assert_error(&request(broker.admin, &asking("GET", path)).await, 404, "session_unknown");
    }
    for path in ["/channels/none", "/channels/a%2Fb", "/channels//"] {
        assert_error(&request(broker.admin, &asking("GET", path)).await, 404, "channel_unknown");
    }
}

#[tokio::test]
async fn parameters_and_bodies_that_cannot_be_used_are_refused_and_named() {
    let broker = broker().await;
    for (query, named) in [
        ("/sessions?limit=0", "limit: expected a number from 1 to 1000"),
        ("/sessions?limit=1001", "limit"),
        ("/sessions?limit=a", "limit"),
        ("/sessions?chanel=/a", "no such parameter"),
        ("/sessions?limit=1&limit=2", "once"),
        ("/sessions?sort=name", "sort: expected one of sid, queue, age, rate"),
        ("/sessions?transport=smoke", "transport"),
        ("/sessions?connected=yes", "connected: expected true or false"),
        ("/sessions?channel=a", "channel"),
        ("/sessions?cursor=x", "cursor"),
        ("/sessions?sort=age&cursor=000000000000", "cursor"),
        ("/channels?sort=rate&cursor=1", "cursor"),
        ("/channels?pattern=a", "pattern"),
        ("/events?types=none", "types: expected some of handshake"),
        ("/events?sid=1", "sid: expected 12 hex digits"),
        ("/events?recent=1001", "recent"),
        ("/stats?a=1", "known: none"),
    ] {
        let response = request(broker.admin, &asking("GET", query)).await;
        let body = assert_error(&response, 400, "bad_parameter");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(named), "{query}: {message}");
    }
    let path = "/sessions/000000000000/disconnect";
    for body in ["[]", "1", "{", "{\"reason\":1}", "{\"reasons\":\"a\"}", "{\"reconnect\":\"yes\"}"]
    {
        assert_eq!(
            act(broker.admin, path, body).await.1["error"]["code"],
            json!("bad_json"),
            "{body}"
        );
    }
    let long = json!({"reason": "r".repeat(201)}).to_string();
    assert_eq!(act(broker.admin, path, &long).await.1["error"]["code"], json!("bad_parameter"));
    let large = format!("{{\"reason\":\"{}\"}}", "r".repeat(5_000));
    let response = request(broker.admin, &asking("POST", path).body(large)).await;
    assert_error(&response, 413, "too_large");
    assert_eq!(response.header("connection"), Some("close"));
    let path = "/sessions/000000000000/subscribe";
    assert_eq!(act(broker.admin, path, "").await.0, 400);
    assert_eq!(act(broker.admin, path, "{\"channel\":\"a\"}").await.0, 400);
    assert_eq!(act(broker.admin, path, "{\"channel\":\"/a\"}").await.0, 404);
}
