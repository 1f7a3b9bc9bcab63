//! What happens is what is counted.

use std::time::Duration;

use bayeuxd::config::{ChannelRule, Transport};
use protocol_tests::{
    bayeux::{Polling, Socket, connect, disconnect},
    broker::Broker,
    deadline::until,
    http::{Request, Stream, post, request},
    metrics::Scrape,
    service,
};
use serde_json::json;
use tokio::time::Instant;

/// Asserts values of series.
pub(crate) fn assert_values(scrape: &Scrape, expected: &[(&str, f64)]) {
    let actual: Vec<_> = expected.iter().map(|(name, _)| (*name, scrape.value(name))).collect();
    assert_eq!(actual, expected);
}

/// Scrapes until a series has a value: some things are counted after the client has its answer.
pub(crate) async fn scrape_until(broker: &Broker, series: &str, value: f64) -> Scrape {
    for _ in 0..500 {
        let scrape = Scrape::of(broker).await;
        if scrape.value(series) == value {
            return scrape;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{series} did not become {value}: {}", Scrape::of(broker).await.value(series));
}

#[tokio::test]
async fn a_message_is_counted_from_its_publisher_to_its_subscribers() {
    let broker = service::broker().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let mut poll = Polling::subscribed(broker.address, "/*").await;
    let mut held = poll.hold("9").await;
    until("a held poll", || broker.counters().connects_held.value() == 1).await;
    let mut publisher = Socket::connected(broker.address).await;
    publisher.publish("/a", json!("0123456789")).await;
    socket.recv_messages(1).await;
    held.messages().await;
    service::post(broker.address, "/publish/a", &json!(7)).await;
    socket.recv_messages(1).await;
    poll.fetch().await;
    let polled = "messages_delivered_total{transport=\"long-polling\"}";
    let scrape = scrape_until(&broker, polled, 2.0).await;
    assert_values(
        &scrape,
        &[
            ("sessions{transport=\"websocket\"}", 2.0),
            ("sessions{transport=\"long-polling\"}", 1.0),
            ("sessions{transport=\"iframe\"}", 0.0),
            ("sessions_created_total{transport=\"websocket\"}", 2.0),
            ("handshakes_total{result=\"ok\"}", 3.0),
            ("websocket_connections", 2.0),
            ("messages_received_total{via=\"bayeux\"}", 1.0),
            ("messages_received_total{via=\"http\"}", 1.0),
            ("messages_queued_total", 4.0),
            ("messages_delivered_total{transport=\"websocket\"}", 2.0),
            ("message_size_bytes_sum", 13.0),
            ("message_size_bytes_bucket{le=\"64\"}", 2.0),
            ("fanout_sum", 4.0),
            ("fanout_bucket{le=\"1\"}", 0.0),
            ("fanout_bucket{le=\"10\"}", 2.0),
            ("publish_duration_seconds_count{via=\"bayeux\"}", 1.0),
            ("publish_duration_seconds_count{via=\"http\"}", 1.0),
            ("delivery_latency_seconds_count{transport=\"websocket\"}", 1.0),
            ("delivery_latency_seconds_count{transport=\"long-polling\"}", 1.0),
            ("delivery_latency_seconds_bucket{transport=\"websocket\",le=\"10\"}", 1.0),
            ("delivery_batch_messages_sum", 2.0),
            ("queue_messages", 0.0),
            ("queue_bytes", 0.0),
            ("channels", 2.0),
            ("subscriptions", 2.0),
            ("http_requests_total{path=\"api\",code=\"2xx\"}", 1.0),
            ("http_requests_total{path=\"bayeux\",code=\"1xx\"}", 2.0),
        ],
    );
    let bytes = scrape.value("bytes_delivered_total{transport=\"websocket\"}");
    assert!((60.0..120.0).contains(&bytes), "{bytes}");
    assert!(scrape.value("bytes_received_total{from=\"websocket\"}") > 100.0);
    assert_eq!(scrape.value("bytes_received_total{from=\"api\"}"), 1.0);
}

#[tokio::test]
async fn one_message_in_eight_is_measured_and_none_that_waited_for_its_client() {
    let broker = Broker::start().await;
    let mut publisher = Socket::connected(broker.address).await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    for number in 0..17 {
        publisher.publish("/a", number).await;
        socket.recv_messages(1).await;
    }
    let latency = "delivery_latency_seconds_count{transport=\"websocket\"}";
    scrape_until(&broker, latency, 3.0).await;
    let client_id = socket.client_id.clone();
    drop(socket);
    scrape_until(&broker, "websocket_connections", 1.0).await;
    for number in 0..16 {
        publisher.publish("/a", number).await;
    }
    let waiting = Scrape::of(&broker).await;
    assert_values(&waiting, &[("queue_messages", 16.0)]);
    let mut socket = Socket::adopt(broker.address, &client_id).await;
    socket.send(json!([connect("1")])).await;
    socket.recv_messages(16).await;
    let delivered = "messages_delivered_total{transport=\"websocket\"}";
    let scrape = scrape_until(&broker, delivered, 33.0).await;
    assert_values(&scrape, &[(latency, 3.0), ("queue_messages", 0.0)]);
    assert_eq!(scrape.value("delivery_batch_messages_count"), 5.0);
}

#[tokio::test]
async fn sessions_move_between_transports_and_leave_by_cause() {
    let broker = Broker::with(|config| {
        config.transports.enabled.extend([Transport::EventSource, Transport::CallbackPolling]);
        config.session.max_interval = Duration::from_secs(2);
    })
    .await;
    let mut poll = Polling::connected(broker.address).await;
    let path = format!("/bayeux/{}", poll.client_id);
    let events = Request::get(&path).header("Accept", "text/event-stream");
    let mut stream = Stream::open(broker.address, &events).await;
    stream.opened().await;
    let scrape = Scrape::of(&broker).await;
    assert_values(
        &scrape,
        &[
            ("sessions{transport=\"eventsource\"}", 1.0),
            ("sessions{transport=\"long-polling\"}", 0.0),
            ("connects_held", 1.0),
        ],
    );
    poll.one(disconnect("5")).await;
    drop(stream);
    let mut socket = Socket::connected(broker.address).await;
    socket.one(disconnect("5")).await;
    let expiring = Polling::connected(broker.address).await;
    broker.until_gone(&expiring.client_id).await;
    let scrape = scrape_until(&broker, "sessions_closed_total{cause=\"expired\"}", 1.0).await;
    assert_values(
        &scrape,
        &[
            ("sessions_closed_total{cause=\"client\"}", 2.0),
            ("sessions{transport=\"websocket\"}", 0.0),
            ("sessions{transport=\"eventsource\"}", 0.0),
            ("sessions{transport=\"local\"}", 0.0),
            ("sessions_created_total{transport=\"long-polling\"}", 2.0),
        ],
    );
    assert_eq!(broker.sessions(), 0);
}

#[tokio::test]
async fn connect_replies_have_their_reason_and_holds_their_length() {
    let broker = Broker::start().await;
    let mut poll = Polling::subscribed(broker.address, "/a").await;
    poll.fetch().await;
    let began = Instant::now();
    let mut short = connect("7");
    short["advice"] = json!({"timeout": 300});
    poll.one(short).await;
    let mut older = poll.hold("8").await;
    until("a held poll", || broker.counters().connects_held.value() == 1).await;
    let mut newer = poll.hold("9").await;
    assert_eq!(older.response().await.status, 500);
    broker.handle.publish("/a", &serde_json::value::to_raw_value(&1).unwrap()).await.unwrap();
    newer.messages().await;
    let scrape = Scrape::of(&broker).await;
    assert_values(
        &scrape,
        &[
            ("connect_replies_total{kind=\"first\"}", 1.0),
            ("connect_replies_total{kind=\"immediate\"}", 1.0),
            ("connect_replies_total{kind=\"timeout\"}", 1.0),
            ("connect_replies_total{kind=\"superseded\"}", 1.0),
            ("connect_replies_total{kind=\"delivery\"}", 1.0),
            ("connect_hold_seconds_count", 5.0),
        ],
    );
    let held = scrape.value("connect_hold_seconds_sum");
    assert!(held >= 0.3 && held <= began.elapsed().as_secs_f64() * 2.0, "{held}");
    assert!(scrape.value("connect_hold_seconds_bucket{le=\"0.01\"}") >= 2.0);
}

#[tokio::test]
async fn whoever_is_refused_is_counted_by_reason() {
    let broker = service::broker_with(|config| config.limits.subscriptions = 1).await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    socket.one(json!({"channel": "/meta/subscribe", "subscription": "/b", "id": "5"})).await;
    socket.one(json!({"channel": "/meta/subscribe", "subscription": "/meta/x", "id": "6"})).await;
    socket.one(json!({"channel": "/a", "id": "7"})).await;
    let nobody = json!([{"channel": "/meta/connect", "clientId": "0".repeat(32), "id": "1"}]);
    post(broker.address, &nobody).await;
    let nobody = json!([{"channel": "/x", "clientId": "0".repeat(32), "data": 1, "id": "1"}]);
    post(broker.address, &nobody).await;
    let foreign = Request::post("/cometd", "[]").header("Origin", "http://evil.example");
    assert_eq!(request(broker.address, &foreign).await.status, 403);
    assert_eq!(request(broker.address, &Request::post("/cometd", "{{")).await.status, 400);
    let keyless = Request::post("/api/v1/publish/a", "1");
    assert_eq!(request(broker.address, &keyless).await.status, 401);
    assert_eq!(request(broker.address, &Request::get("/nothing")).await.status, 404);
    socket.send_raw("{{").await;
    assert_eq!(socket.close_code().await, 1011);
    let closed = "websocket_closes_total{code=\"1011\"}";
    assert_values(
        &scrape_until(&broker, closed, 1.0).await,
        &[
            ("limit_hits_total{limit=\"limits.subscriptions\"}", 1.0),
            ("denied_total{op=\"subscribe\",reason=\"policy\"}", 1.0),
            ("bad_requests_total{reason=\"field\"}", 1.0),
            ("unknown_session_total{on=\"connect\"}", 1.0),
            ("unknown_session_total{on=\"publish\"}", 1.0),
            ("denied_total{op=\"request\",reason=\"origin\"}", 1.0),
            ("bad_requests_total{reason=\"json\"}", 2.0),
            ("denied_total{op=\"api\",reason=\"key\"}", 1.0),
            ("http_requests_total{path=\"other\",code=\"4xx\"}", 1.0),
            ("http_requests_total{path=\"api\",code=\"4xx\"}", 1.0),
            ("http_requests_total{path=\"bayeux\",code=\"4xx\"}", 2.0),
        ],
    );
    scrape_until(&broker, "websocket_connections", 0.0).await;
}

#[tokio::test]
async fn the_number_of_series_stays_whatever_clients_do() {
    let broker = service::broker_with(|config| {
        config.api.messages_per_second = 1_000_000;
        // None goes before all have come, however slow the machine is.
        let (pattern, persistent) = ("/many/**".into(), Some(true));
        config.channels.push(ChannelRule { pattern, persistent, ..ChannelRule::default() });
    })
    .await;
    let before: Vec<String> = Scrape::of(&broker).await.series.into_keys().collect();
    let mut socket = Socket::subscribed(broker.address, "/many/**").await;
    for hundred in 0..100 {
        let messages: Vec<_> = (0..100)
            .map(|number| json!({"channel": format!("/many/{hundred}/{number}"), "data": 1}))
            .collect();
        let body = json!({ "messages": messages });
        assert_eq!(service::post(broker.address, "/batch", &body).await.0, 200);
        socket.recv_messages(100).await;
        Polling::subscribed(broker.address, &format!("/of/one/session/{hundred}")).await;
    }
    let scrape = Scrape::of(&broker).await;
    assert_eq!(scrape.value("messages_received_total{via=\"http\"}"), 10_000.0);
    assert_eq!(scrape.value("sessions_created_total{transport=\"long-polling\"}"), 100.0);
    assert!(scrape.value("channels") >= 10_000.0, "{}", scrape.value("channels"));
    let after: Vec<String> = scrape.series.into_keys().collect();
    assert_eq!(before, after);
}
