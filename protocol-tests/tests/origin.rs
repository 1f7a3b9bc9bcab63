//! Which pages may use the broker: protocol.md 91 and 108, reliability.md T15.

use bayeuxd::config::Transport;
use protocol_tests::{
    bayeux::{Polling, handshake},
    broker::Broker,
    http::{self, Request, Response},
    websocket::upgrade_request,
};
use serde_json::json;

/// Origins that a loopback listener allows when nothing is configured.
const LOOPBACK: [&str; 4] =
    ["http://localhost:3000", "http://127.0.0.1", "https://localhost", "http://[::1]:8080"];

/// Origins that look like allowed ones and are not.
const FOREIGN: [&str; 7] = [
    "https://evil.example",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://notlocalhost",
    "null",
    "localhost",
    "",
];

async fn open_to(origins: &[&str]) -> Broker {
    let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    Broker::with(|config| {
        config.server.allowed_origins = origins;
        config.transports.enabled.push(Transport::CallbackPolling);
    })
    .await
}

async fn post_from(broker: &Broker, origin: &str) -> Response {
    let body = json!([handshake()]).to_string();
    let request = Request::post("/cometd", body).header("Origin", origin);
    http::request(broker.address, &request).await
}

async fn upgrade_from(broker: &Broker, origin: &str) -> Response {
    http::request(broker.address, &upgrade_request("/cometd").header("Origin", origin)).await
}

async fn preflight_from(broker: &Broker, origin: &str) -> Response {
    let request = Request::new("OPTIONS", "/cometd")
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "content-type,x-own");
    http::request(broker.address, &request).await
}

async fn script(broker: &Broker, header: Option<(&str, &str)>) -> Response {
    let target = "/cometd?jsonp=cb&message=%7B%22channel%22%3A%22%2Fmeta%2Fhandshake%22%7D";
    let request = Request::get(target);
    let request = match header {
        Some((name, value)) => request.header(name, value),
        None => request,
    };
    http::request(broker.address, &request).await
}

#[tokio::test]
async fn p091_the_preflight_of_an_allowed_page() {
    let broker = Broker::start().await;
    let response = preflight_from(&broker, "http://localhost:3000").await;
    assert_eq!((response.status, response.text()), (204, ""));
    let header = |name| response.header(name);
    assert_eq!(header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(header("access-control-allow-credentials"), Some("true"));
    assert!(response.list("vary").contains(&"origin".to_owned()), "{response:?}");
    assert!(response.list("access-control-allow-methods").contains(&"post".to_owned()));
    let allowed = response.list("access-control-allow-headers");
    for name in
        ["content-type", "x-requested-with", "accept", "origin", "pragma", "authorization", "x-own"]
    {
        assert!(allowed.contains(&name.to_owned()), "{name} in {allowed:?}");
    }
}

#[tokio::test]
async fn p091_a_response_to_an_allowed_page_names_it() {
    let broker = Broker::start().await;
    let response = post_from(&broker, "http://localhost:3000").await;
    assert_eq!(response.messages()[0]["successful"], true);
    assert_eq!(response.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(response.header("access-control-allow-credentials"), Some("true"));
    assert!(response.list("vary").contains(&"origin".to_owned()), "{response:?}");
}

#[tokio::test]
async fn p091_errors_can_be_read_by_an_allowed_page_too() {
    let broker = Broker::start().await;
    let request = Request::post("/cometd", "[").header("Origin", "http://localhost:3000");
    let response = http::request(broker.address, &request).await;
    assert_eq!(response.status, 400);
    assert_eq!(response.header("access-control-allow-origin"), Some("http://localhost:3000"));
    let mut session = Polling::connected(broker.address).await;
    let mut held = session.hold("3").await;
    let request = session
        .request(json!([protocol_tests::bayeux::connect_now("4")]))
        .header("Origin", "http://localhost:3000");
    http::request(broker.address, &request).await.messages();
    assert_eq!(held.response().await.status, 500);
    session.fetch().await;
}

#[tokio::test]
async fn p108_a_loopback_listener_allows_loopback_pages() {
    let broker = Broker::with_jsonp(20_000).await;
    for origin in LOOPBACK {
        assert_eq!(post_from(&broker, origin).await.status, 200, "{origin}");
        assert_eq!(upgrade_from(&broker, origin).await.status, 101, "{origin}");
        assert_eq!(preflight_from(&broker, origin).await.status, 204, "{origin}");
        let referer = format!("{origin}/page.html");
        let response = script(&broker, Some(("Referer", &referer))).await;
        assert_eq!(response.status, 200, "{origin}");
    }
}

#[tokio::test]
async fn p108_a_foreign_page_is_refused_on_every_transport() {
    let broker = Broker::with_jsonp(20_000).await;
    for origin in FOREIGN {
        let response = post_from(&broker, origin).await;
        assert_eq!(response.status, 403, "{origin}");
        assert_eq!(response.header("access-control-allow-origin"), None, "{origin}");
        assert!(response.text().contains("server.allowed_origins"), "{}", response.text());
        assert_eq!(upgrade_from(&broker, origin).await.status, 403, "{origin}");
        assert_eq!(preflight_from(&broker, origin).await.status, 403, "{origin}");
        let referer = format!("{origin}/page.html");
        let response = script(&broker, Some(("Referer", &referer))).await;
        assert_eq!(response.status, 403, "{origin}");
    }
    assert_eq!(broker.sessions(), 0);
}

#[tokio::test]
async fn p108_a_request_without_an_origin_is_no_browsers() {
    let broker = Broker::start().await;
    let request = Request::post("/cometd", json!([handshake()]).to_string());
    let response = http::request(broker.address, &request).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("access-control-allow-origin"), None);
    assert_eq!(http::request(broker.address, &upgrade_request("/cometd")).await.status, 101);
}

#[tokio::test]
async fn p108_a_script_is_judged_by_its_fetch_site_and_then_by_its_referer() {
    let broker = Broker::with_jsonp(20_000).await;
    assert_eq!(script(&broker, Some(("Sec-Fetch-Site", "same-origin"))).await.status, 200);
    assert_eq!(script(&broker, Some(("Sec-Fetch-Site", "cross-site"))).await.status, 403);
    assert_eq!(script(&broker, None).await.status, 403, "it may come from anywhere");
}

#[tokio::test]
async fn p108_a_list_replaces_the_rule_for_loopback() {
    let broker = open_to(&["https://app.example.com", "https://*.example.org"]).await;
    for origin in ["https://app.example.com", "https://a.example.org", "https://APP.example.com"] {
        assert_eq!(post_from(&broker, origin).await.status, 200, "{origin}");
        assert_eq!(upgrade_from(&broker, origin).await.status, 101, "{origin}");
    }
    for origin in [
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example",
        "https://evilexample.org",
        "https://x.app.example.com",
        "http://localhost:3000",
        "null",
    ] {
        assert_eq!(post_from(&broker, origin).await.status, 403, "{origin}");
        assert_eq!(upgrade_from(&broker, origin).await.status, 403, "{origin}");
    }
}

#[tokio::test]
async fn p108_null_passes_only_if_listed() {
    let broker = open_to(&["null"]).await;
    assert_eq!(post_from(&broker, "null").await.status, 200);
    assert_eq!(post_from(&broker, "http://localhost").await.status, 403);
}

#[tokio::test]
async fn p108_two_origins_are_refused() {
    let broker = Broker::start().await;
    let request = Request::post("/cometd", "[]")
        .header("Origin", "http://localhost")
        .header("Origin", "http://localhost");
    assert_eq!(http::request(broker.address, &request).await.status, 403);
}
