//! How spans come to the collector, and what the broker keeps to itself.

use std::{fs, time::Duration};

use bayeuxd::{config::Config, server::Server};
use protocol_tests::{
    back_end::BackEnd,
    bayeux::Socket,
    broker::Broker,
    collector::{Collector, settings, spans},
    process::Process,
};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// A broker to which so many messages were published, all of them traced.
async fn traced(collector: &BackEnd, messages: usize) -> Broker {
    let broker = Broker::with(|config| {
        settings(collector.address, config);
        config.otel.traces_per_second = 10_000;
        config.otel.interval = Duration::from_millis(500);
    })
    .await;
    let mut publisher = Socket::connected(broker.address).await;
    for number in 0..messages {
        publisher.publish("/a", number).await;
    }
    broker
}

#[tokio::test]
async fn spans_go_in_batches_over_one_connection_at_a_time() {
    let mut collector = BackEnd::start().await;
    let _broker = traced(&collector, 700).await;
    let mut found = 0;
    while found < 700 {
        let call = collector.call().await;
        let count = spans(&call.body).len();
        assert!((1..=512).contains(&count), "{count}");
        found += count;
        // Nothing else comes meanwhile.
        collector.idle().await;
        call.answer(200, "{}");
    }
    assert_eq!(found, 700);
}

#[tokio::test]
async fn a_collector_may_close_its_connection_after_each_batch() {
    let mut collector = BackEnd::start().await;
    let _broker = traced(&collector, 1_100).await;
    let mut found = 0;
    while found < 1_100 {
        let call = collector.call().await;
        found += spans(&call.body).len();
        let closing = "HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
        call.raw(closing, true);
    }
    assert_eq!(found, 1_100, "each once");
}

#[tokio::test]
async fn a_stop_sends_what_waits() {
    let collector = Collector::start().await;
    let broker = Broker::with(|config| {
        collector.settings(config);
        config.otel.interval = MINUTE;
    })
    .await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let mut publisher = Socket::connected(broker.address).await;
    publisher.publish("/a", 1).await;
    socket.recv_messages(1).await;
    assert_eq!(collector.count(), 0);
    drop((socket, publisher));
    broker.stop().await;
    assert_eq!(collector.count(), 2);
}

#[tokio::test]
async fn a_collector_that_does_not_answer_holds_a_stop_up_for_the_timeout() {
    let mut collector = BackEnd::start().await;
    let limit = Duration::from_millis(300);
    let broker = Broker::with(|config| {
        settings(collector.address, config);
        config.otel.interval = MINUTE;
        config.otel.timeout = limit;
    })
    .await;
    let mut publisher = Socket::connected(broker.address).await;
    publisher.publish("/a", 1).await;
    drop(publisher);
    let began = Instant::now();
    broker.stop().await;
    let took = began.elapsed();
    let asked = collector.call().await;
    assert!(took >= limit && took < Duration::from_secs(5), "{took:?}");
    assert_eq!(spans(&asked.body).len(), 1);
}

#[tokio::test]
async fn an_abort_waits_for_no_collector() {
    let mut collector = BackEnd::start().await;
    let broker = Broker::with(|config| {
        settings(collector.address, config);
        (config.otel.interval, config.otel.timeout) = (MINUTE, MINUTE);
    })
    .await;
    let mut publisher = Socket::connected(broker.address).await;
    publisher.publish("/a", 1).await;
    broker.kill().await;
    collector.idle().await;
}

#[tokio::test]
async fn headers_of_a_file_are_sent_and_never_shown() {
    const TOKEN: &str = "c0llector-t0ken";
    let file = std::env::temp_dir().join(format!("bayeuxd-headers-{}", std::process::id()));
    fs::write(&file, format!("# a comment\n\nAuthorization: Bearer {TOKEN}\nX-Scope: one\n"))
        .unwrap();
    let collector = Collector::start().await;
    let mut process = Process::start(&[
        "log.level=trace",
        "otel.sample_ratio=1",
        "otel.interval=20ms",
        "otel.service_name=shop",
        &format!("otel.endpoint=http://{}", collector.address),
        &format!("otel.headers_file={}", file.display()),
    ]);
    let mut publisher = Socket::connected(process.address).await;
    publisher.publish("/a", 1).await;
    collector.spans(1).await;
    let text = collector.text();
    assert!(text.contains(&format!("authorization: Bearer {TOKEN}\r\n")), "{text}");
    assert!(
        text.contains("x-scope: one\r\n") && text.contains(r#"{"stringValue":"shop"}"#),
        "{text}"
    );
    assert!(!process.log().contains(TOKEN), "{}", process.log());
    process.assert_well();
    let refused = |line: &str| {
        fs::write(&file, format!("X-Scope: one\n{line}\n")).unwrap();
        let mut config = Config::default();
        settings(collector.address, &mut config);
        config.otel.headers_file = Some(file.clone());
        let error = Server::from_listeners(Vec::new(), None, config).err().expect("a refusal");
        error.to_string()
    };
    for line in [format!("Bearer {TOKEN}"), format!("Host: {TOKEN}"), format!("X: \u{7f}{TOKEN}")] {
        let error = refused(&line);
        assert!(error.contains("line 2 of ") && error.contains("otel.headers_file"), "{error}");
        assert!(!error.contains(TOKEN), "{error}");
    }
    fs::remove_file(file).unwrap();
}
