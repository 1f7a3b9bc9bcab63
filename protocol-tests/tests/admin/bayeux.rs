//! The WebSocket of operators: monitoring channels for those who may see them, and nothing else.

use std::time::Duration;

use bayeuxd::config::Transport;
use protocol_tests::{
    bayeux::{Polling, Socket, connect_now, publish, subscribe},
    broker::Broker,
    deadline::within,
    http::request,
    monitor::{Monitor, handshake_with_key, mark, monitor_key, subscribe_filtered},
    operator::{ADMIN_KEY, admin_key, asking, broker_with},
    service::{self, answer, publish_key},
    websocket::{WebSocket, upgrade_request},
};
use serde_json::{Value, json};

const PATH: &str = "/admin/v1/bayeux";
const MONITOR: &str = "the-secret-of-a-monitor";
const DENIED: &str = "403::handshake_denied";

async fn broker() -> Broker {
    broker_with(|config| {
        config.auth.keys.push(monitor_key("monitor", MONITOR));
        config.auth.keys.push(publish_key("orders", service::KEY, &["/**"]));
        config.monitor.stats_interval = Duration::from_secs(3_600);
    })
    .await
}

/// A socket to the operators' listener, without a session.
async fn open(broker: &Broker) -> Socket {
    let websocket = WebSocket::open_with(broker.admin, &upgrade_request(PATH)).await;
    Socket { websocket, client_id: String::new() }
}

async fn handshake(socket: &mut Socket, message: Value) -> Value {
    socket.send_raw(json!([message]).to_string()).await;
    let reply = socket.recv().await.remove(0);
    socket.client_id = reply["clientId"].as_str().unwrap_or_default().to_owned();
    reply
}

async fn attached(broker: &Broker, secret: &str) -> Socket {
    let mut socket = open(broker).await;
    let reply = handshake(&mut socket, handshake_with_key(secret)).await;
    assert_eq!(reply["successful"], true, "{reply}");
    assert_eq!(socket.one(connect_now("2")).await["successful"], true);
    socket
}

#[tokio::test]
async fn who_may_monitor_gets_events_with_a_filter() {
    let broker = broker().await;
    for secret in [ADMIN_KEY, MONITOR] {
        let mut socket = attached(&broker, secret).await;
        let wanted = json!({"types": ["subscribe"], "channel": "/x/**"});
        let reply = socket.one(subscribe_filtered("3", "/meta/monitor", wanted)).await;
        assert_eq!(reply["successful"], true, "{reply}");
        mark(&broker, "/y").await;
        mark(&broker, "/x/1").await;
        let event = Monitor::of(socket).event().await;
        assert_eq!((&event["type"], &event["channel"]), (&json!("subscribe"), &json!("/x/1")));
    }
}

#[tokio::test]
async fn it_works_whatever_clients_are_offered() {
    let broker = broker_with(|config| {
        config.monitor.enabled = false;
        config.transports.enabled = vec![Transport::LongPolling];
        config.transports.websocket.protocol = "cometd".into();
    })
    .await;
    let mut monitor = Monitor::of(attached(&broker, ADMIN_KEY).await);
    let wanted = json!({"types": ["handshake"]});
    let reply = monitor.one(subscribe_filtered("3", "/meta/monitor", wanted)).await;
    assert_eq!(reply["successful"], true, "{reply}");
    let _client = Polling::handshake(broker.address).await;
    assert_eq!(monitor.event().await["type"], "handshake");
}

#[tokio::test]
async fn nobody_gets_a_session_there_without_a_key_that_monitors() {
    let broker = broker_with(|config| {
        config.auth.keys.push(publish_key("orders", service::KEY, &["/**"]));
        config.monitor.everybody = true;
    })
    .await;
    let plain = protocol_tests::bayeux::handshake();
    for message in
        [plain, handshake_with_key("a-guess-of-some-length"), handshake_with_key(service::KEY)]
    {
        let mut socket = open(&broker).await;
        assert_eq!(handshake(&mut socket, message).await["error"], DENIED);
    }
    assert_eq!(broker.sessions(), 0);
}

#[tokio::test]
async fn a_session_of_the_main_listener_is_unknown_there() {
    let broker = broker().await;
    let client = Polling::connected(broker.address).await;
    let mut socket = open(&broker).await;
    socket.client_id.clone_from(&client.client_id);
    for message in [connect_now("3"), subscribe("4", "/meta/monitor"), publish("5", "/a", 1)] {
        assert_eq!(socket.one(message).await["error"], "402::session_unknown");
    }
    assert!(broker.knows(&client.client_id));
}

#[tokio::test]
async fn nothing_but_monitoring_goes_over_it() {
    let broker = broker().await;
    let mut socket = attached(&broker, ADMIN_KEY).await;
    for channel in ["/a", "/**", "/service/x"] {
        let reply = socket.one(subscribe("3", channel)).await;
        assert_eq!(reply["error"], "403:monitors_only:subscribe_denied", "{channel}");
    }
    for channel in ["/a", "/service/x"] {
        let reply = socket.one(publish("4", channel, 1)).await;
        assert_eq!(reply["error"], "403:monitors_only:publish_denied", "{channel}");
    }
    socket.subscribe("/meta/monitor").await;
    assert_eq!(broker.counters().published.value(), 0);
}

#[tokio::test]
async fn only_an_upgrade_from_the_consoles_own_origin_is_taken() {
    let broker = broker().await;
    let code = async |asked| {
        let (status, body) = answer(&request(broker.admin, &asked).await);
        (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    let told = |status: u16, code: &str| (status, code.to_owned());
    for method in ["POST", "PUT"] {
        assert_eq!(code(asking(method, "/bayeux")).await, told(405, "method_not_allowed"));
    }
    assert_eq!(code(asking("GET", "/bayeux")).await, told(426, "upgrade_required"));
    for origin in ["http://evil.com", "null", "http://localhost:9"] {
        let foreign = upgrade_request(PATH).header("Origin", origin);
        assert_eq!(code(foreign).await, told(403, "origin_denied"), "{origin}");
    }
    let query = upgrade_request(&format!("{PATH}?key=a"));
    assert_eq!(code(query).await, told(400, "bad_parameter"));
    let own = upgrade_request(PATH).header("Origin", "http://localhost");
    WebSocket::open_with(broker.admin, &own).await;
    let rebound = upgrade_request(PATH).without("Host").header("Host", "evil.com");
    assert_eq!(request(broker.admin, &rebound).await.status, 421);
}

#[tokio::test]
async fn it_ends_with_its_key() {
    let broker = broker().await;
    let mut monitor = Monitor::of(attached(&broker, ADMIN_KEY).await);
    monitor.subscribe("/meta/monitor").await;
    broker.replace_keys(&[monitor_key("other", "the-secret-that-stays")]);
    broker.until_gone(&monitor.socket.client_id).await;
    let refused = monitor.one(handshake_with_key(ADMIN_KEY)).await;
    assert_eq!(refused["error"], DENIED);
    broker.replace_keys(&[admin_key()]);
    let reply = monitor.one(handshake_with_key(ADMIN_KEY)).await;
    assert_eq!(reply["successful"], true, "{reply}");
}

#[tokio::test]
async fn who_shows_no_key_has_to_leave_soon() {
    let broker = broker().await;
    let mut idle = open(&broker).await;
    handshake(&mut idle, protocol_tests::bayeux::handshake()).await;
    let (mut stream, _) = idle.websocket.into_parts();
    let mut rest = Vec::new();
    let end = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest);
    // It is given 5 s; with a key it would be given 60.
    within(Duration::from_secs(20), "close of the socket", end).await.unwrap();
    assert_eq!(rest.get(2..4), Some(&1001_u16.to_be_bytes()[..]), "{rest:?}");
}
