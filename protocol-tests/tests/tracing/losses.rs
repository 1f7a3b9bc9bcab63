//! A collector that is away, slow or unwilling: publishers notice nothing, memory stays, and what is lost
//! is counted and told.

use std::time::Duration;

use bayeuxd::config::Config;
use protocol_tests::{
    back_end::BackEnd,
    bayeux::Socket,
    broker::Broker,
    collector::{Collector, settings, spans},
    deadline::within,
    metrics::Scrape,
    process::Process,
};
use serde_json::json;
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};

fn dropped(reason: &str) -> String {
    format!("otel_spans_dropped_total{{reason=\"{reason}\"}}")
}

/// Scrapes until a series has a value.
async fn counted(broker: &Broker, series: &str, value: f64) {
    within(Duration::from_secs(10), series, async {
        while Scrape::of(broker).await.value(series) != value {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// A broker that traces every message to a back-end that the test plays.
async fn tracing(collector: &BackEnd, change: impl FnOnce(&mut Config)) -> Broker {
    Broker::with(|config| {
        settings(collector.address, config);
        config.otel.traces_per_second = 10_000;
        change(config);
    })
    .await
}

async fn publish(broker: &Broker, messages: usize) {
    let mut publisher = Socket::connected(broker.address).await;
    for number in 0..messages {
        publisher.publish("/a", number).await;
    }
}

#[tokio::test]
async fn without_a_collector_publishes_go_on_and_drops_are_counted_and_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let process = Process::start(&[
        "otel.sample_ratio=1",
        "otel.traces_per_second=1000000",
        "otel.interval=20ms",
        "otel.queue_spans=16",
        &format!("otel.endpoint=http://{address}"),
    ]);
    let mut socket = Socket::subscribed(process.address, "/a").await;
    let mut publisher = Socket::connected(process.address).await;
    let began = Instant::now();
    for number in 0..100 {
        publisher.publish("/a", number).await;
    }
    socket.recv_messages(100).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    within(Duration::from_secs(10), "all but 16 of 200 spans", async {
        while process.scrape().await.value(&dropped("queue_full")) != 184.0 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    within(Duration::from_secs(10), "a line", async {
        while !process.log().contains("the collector takes no spans") {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    sleep(Duration::from_millis(300)).await;
    let lines = process.log();
    assert_eq!(lines.matches("the collector takes no spans").count(), 1, "{lines}");
    assert_eq!(process.scrape().await.value("otel_spans_exported_total"), 0.0);
}

#[tokio::test]
async fn a_collector_that_comes_late_gets_what_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let broker = Broker::with(|config| settings(address, config)).await;
    publish(&broker, 3).await;
    sleep(Duration::from_millis(100)).await;
    let mut collector = BackEnd::start_at(address).await;
    let call = within(Duration::from_secs(10), "a batch", collector.next()).await.unwrap();
    assert_eq!(spans(&call.body).len(), 3);
    call.answer(200, "{}");
    counted(&broker, "otel_spans_exported_total", 3.0).await;
}

#[tokio::test]
async fn a_slow_collector_holds_nobody_up() {
    let mut collector = BackEnd::start().await;
    let broker = tracing(&collector, |config| {
        config.otel.queue_spans = 16;
        config.otel.timeout = Duration::from_secs(1);
    })
    .await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    publish(&broker, 1).await;
    socket.recv_messages(1).await;
    let mute = collector.call().await;
    let began = Instant::now();
    publish(&broker, 50).await;
    socket.recv_messages(50).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let sent = spans(&mute.body).len() as f64;
    // Nobody knows whether it has them.
    counted(&broker, &dropped("unanswered"), sent).await;
    drop(mute);
    let waiting = collector.call().await;
    assert!(spans(&waiting.body).len() <= 16);
    waiting.answer(200, "{}");
}

#[tokio::test]
async fn what_a_collector_cannot_take_now_is_sent_again() {
    let mut collector = BackEnd::start().await;
    let broker = tracing(&collector, |_| {}).await;
    publish(&broker, 5).await;
    let mut first = Vec::new();
    for status in [503, 429, 502, 504] {
        let call = collector.call().await;
        let sent = spans(&call.body);
        assert!(sent.starts_with(&first), "the oldest come first again");
        first = sent;
        call.answer(status, "later");
    }
    let mut found = Vec::new();
    while found.len() < 5 {
        let call = collector.call().await;
        found.extend(spans(&call.body));
        call.answer(200, "{}");
    }
    counted(&broker, "otel_spans_exported_total", 5.0).await;
    assert_eq!(Scrape::of(&broker).await.value(&dropped("queue_full")), 0.0);
}

#[tokio::test]
async fn a_collector_says_when_to_come_again() {
    let mut collector = BackEnd::start().await;
    let broker = tracing(&collector, |_| {}).await;
    publish(&broker, 1).await;
    let call = collector.call().await;
    let began = Instant::now();
    call.raw("HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", false);
    collector.call().await.answer(200, "{}");
    assert!(began.elapsed() >= Duration::from_millis(950), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_a_collector_refuses_is_counted_and_not_sent_again() {
    let mut collector = BackEnd::start().await;
    let broker = tracing(&collector, |_| {}).await;
    publish(&broker, 1).await;
    collector.call().await.answer(400, "no");
    counted(&broker, &dropped("refused"), 1.0).await;
    publish(&broker, 1).await;
    let partial = json!({"partialSuccess": {"rejectedSpans": "1", "errorMessage": "no"}});
    collector.call().await.answer(200, &partial.to_string());
    counted(&broker, &dropped("refused"), 2.0).await;
    collector.idle().await;
    assert_eq!(Scrape::of(&broker).await.value("otel_spans_exported_total"), 0.0);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut collector = BackEnd::start().await;
    let elsewhere = Collector::start().await;
    let broker = tracing(&collector, |_| {}).await;
    publish(&broker, 1).await;
    let location = format!("http://{}/v1/traces", elsewhere.address);
    let moved = format!("HTTP/1.1 307 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    collector.call().await.raw(moved, false);
    counted(&broker, &dropped("refused"), 1.0).await;
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn a_delivery_whose_trace_has_made_room_is_counted() {
    let collector = Collector::start().await;
    let broker = Broker::with(|config| {
        collector.settings(config);
        config.otel.live_traces = 2;
    })
    .await;
    let socket = Socket::subscribed(broker.address, "/a").await;
    let client_id = socket.client_id.clone();
    drop(socket);
    counted(&broker, "websocket_connections", 0.0).await;
    publish(&broker, 5).await;
    let mut socket = Socket::adopt(broker.address, &client_id).await;
    socket.send(json!([protocol_tests::bayeux::connect("1")])).await;
    socket.recv_messages(5).await;
    counted(&broker, &dropped("forgotten"), 3.0).await;
    let spans = collector.exactly(7).await;
    assert_eq!(spans.iter().filter(|span| span.name == "deliver").count(), 2);
}
