//! What no event may show, whatever it is about (monitoring.md 7).

use bayeuxd::config::ApiKey;
use protocol_tests::{
    bayeux::{Polling, Socket, connect_now, disconnect, publish},
    http::{self, Request},
    monitor::{KEY, broker, broker_with, handshake_with_key, mark, monitor},
};
use serde_json::{Value, json};

const SECRET: &str = "5ecretT0ken";

#[tokio::test]
async fn no_secret_is_in_any_event() {
    let broker = broker_with(|config| {
        let all = config.auth.keys[0].clone();
        let types = bayeuxd::events::EventType::ALL.iter().map(|kind| kind.as_str().to_owned());
        config.auth.keys[0] = ApiKey { types: types.collect(), ..all };
        config.monitor.ip = bayeuxd::config::LogIp::Full;
        config.log.errors_per_second = 1_000;
    })
    .await;
    let mut monitor = monitor(&broker, "/meta/**").await;
    for name in ["/monitor", "/meta/subscribe"] {
        monitor.subscribe(name).await;
    }

    let mut handshake = handshake_with_key(KEY);
    handshake["ext"]["own"] = SECRET.into();
    handshake["ext"]["authentication"]["token"] = SECRET.into();
    let request = Request::post(&format!("/cometd?token={SECRET}"), json!([handshake]).to_string())
        .header("Authorization", &format!("Bearer {SECRET}"))
        .header("Cookie", &format!("session={SECRET}"))
        .header("X-API-Key", SECRET);
    http::request(broker.address, &request).await;
    let mut session = Polling::connected(broker.address).await;
    let mut message = publish("3", "/a", json!({"secret": SECRET}));
    message["ext"] = json!({"authentication": {"token": SECRET}});
    message["own"] = SECRET.into();
    session.send(json!([message])).await;
    message["channel"] = "/meta/x".into();
    session.send(json!([message])).await;
    http::request(broker.address, &Request::post("/cometd", format!("[{{\"t\":\"{SECRET}\"")))
        .await;
    let forged = session.request(json!([connect_now("4")]));
    http::request(broker.address, &forged.header("Cookie", &format!("BAYEUX_BROWSER={SECRET}")))
        .await;
    Socket::open(broker.address).await.one(handshake_with_key(&format!("wrong-{SECRET}"))).await;
    let (client_id, cookie) = (session.client_id.clone(), session.cookie.clone());
    session.one(disconnect("5")).await;
    mark(&broker, "/mark").await;

    let events = monitor.until_mark("/mark").await;
    for kind in ["handshake", "publish", "disconnect", "auth", "error", "subscribe", "connect"] {
        assert!(events.iter().any(|event| event["type"] == kind), "no {kind} in {events:?}");
    }
    let text = Value::from(events).to_string();
    let cookie = cookie.as_deref().and_then(|cookie| cookie.split_once('=')).unwrap().1;
    for secret in [SECRET, KEY, &client_id, cookie] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn client_text_is_cut_and_escaped() {
    let broker = broker().await;
    let mut monitor = monitor(&broker, "/meta/**").await;
    let body = json!([protocol_tests::bayeux::handshake()]).to_string();
    // A control character of a terminal that is no ASCII.
    let agent = format!("A\t\u{9b}31m{}", "x".repeat(500));
    let request = Request::post("/cometd", body).header("User-Agent", &agent);
    let response = http::request(broker.address, &request).await;
    assert_eq!(response.status, 200, "{response:?}");
    let mut client = Socket::connected(broker.address).await;
    let name = format!("/{}\r\n{}", "y".repeat(300), "z".repeat(300));
    client.one(json!({"channel": "/meta/subscribe", "id": "3", "subscription": name})).await;
    let (mut agents, mut channels, mut raw) = (Vec::new(), Vec::new(), String::new());
    while channels.is_empty() {
        let frame = monitor.socket.websocket.frame().await;
        let text = String::from_utf8(frame.payload).unwrap();
        for message in serde_json::from_str::<Vec<Value>>(&text).unwrap() {
            let event = &message["data"];
            agents.extend(event["ua"].as_str().map(str::to_owned));
            let refused = event["ok"] == false;
            channels.extend(event["channel"].as_str().filter(|_| refused).map(str::to_owned));
        }
        raw += &text;
    }
    assert!(!raw.chars().any(char::is_control), "{raw}");
    assert_eq!(agents[0].chars().count(), 120);
    assert!(channels[0].len() <= 255, "{channels:?}");
}
