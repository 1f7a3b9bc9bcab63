//! Callers of the publish API that trace themselves: W3C Trace Context.

use bayeuxd::config::Config;
use protocol_tests::{
    bayeux::Socket,
    broker::Broker,
    collector::{Collector, traceparent},
    http::{Request, request},
    metrics::Scrape,
    service::{broker_with, call, post},
};
use serde_json::json;

async fn traced(collector: &Collector, change: impl FnOnce(&mut Config)) -> Broker {
    broker_with(|config| {
        collector.settings(config);
        config.otel.sample_ratio = 0.0;
        change(config);
    })
    .await
}

/// Sends a request; it must be answered with 200.
async fn taken(broker: &Broker, sent: &Request) {
    let response = request(broker.address, sent).await;
    assert_eq!(response.status, 200, "{response:?}");
}

#[tokio::test]
async fn a_callers_trace_goes_on_through_every_endpoint() {
    let collector = Collector::start().await;
    let broker = traced(&collector, |_| {}).await;
    let mut socket = Socket::subscribed(broker.address, "/**").await;
    let message = |channel: &str| json!({"channel": channel, "data": 1});
    let lines = format!("{}\n{}\n", message("/a"), message("/b"));
    let requests = [
        ("/publish", message("/a").to_string(), 1),
        ("/publish/a/b", "7".to_owned(), 1),
        ("/batch", json!({"messages": [message("/a"), message("/b")]}).to_string(), 2),
        ("/broadcast", json!({"channels": ["/a", "/b"], "data": 1}).to_string(), 2),
        ("/stream", lines, 2),
    ];
    let mut before = 0;
    for (number, (endpoint, body, messages)) in (1..).zip(requests) {
        let (header, trace, caller) = traceparent(number, "01");
        let sent = call(endpoint, body).header("traceparent", &header);
        let sent = sent.header("tracestate", "vendor=value,").header("tracestate", "more=1");
        taken(&broker, &sent).await;
        socket.recv_messages(messages).await;
        let spans = collector.exactly(before + 2 * messages).await;
        let new: Vec<_> = spans.iter().filter(|span| span.trace == trace).collect();
        let carried = new.iter().all(|span| span.state.as_deref() == Some("vendor=value,,more=1"));
        assert!(carried, "{endpoint} {new:#?}");
        let publishes: Vec<_> = new.iter().filter(|span| span.name == "publish").collect();
        assert_eq!((publishes.len(), new.len()), (messages, 2 * messages), "{endpoint} {spans:#?}");
        for publish in publishes {
            assert_eq!(publish.parent.as_ref(), Some(&caller), "{endpoint}");
            assert_eq!(publish.flags, 0x301, "its parent is another program's");
            assert_eq!(publish.value("bayeux.via"), "http");
            assert_eq!(new.iter().filter(|span| span.is_child_of(publish)).count(), 1);
        }
        before = spans.len();
    }
}

#[tokio::test]
async fn a_caller_that_does_not_record_is_not_traced() {
    let collector = Collector::start().await;
    let broker = traced(&collector, |config| config.otel.sample_ratio = 1.0).await;
    for flags in ["00", "02"] {
        let (header, ..) = traceparent(7, flags);
        taken(&broker, &call("/publish/a", "1").header("traceparent", &header)).await;
    }
    collector.exactly(0).await;
}

#[tokio::test]
async fn a_header_that_breaks_a_rule_is_as_none() {
    let collector = Collector::start().await;
    let broker = traced(&collector, |config| config.otel.sample_ratio = 1.0).await;
    let (good, trace, _) = traceparent(7, "01");
    let zero = format!("00-{}-ab00000000000007-01", "0".repeat(32));
    let bad = [good.to_uppercase(), zero, "00-1-2-01".into(), String::new(), good.repeat(9)];
    let mut requests: Vec<_> =
        bad.iter().map(|value| call("/publish/a", "1").header("traceparent", value)).collect();
    requests
        .push(call("/publish/a", "1").header("traceparent", &good).header("traceparent", &good));
    for sent in &requests {
        taken(&broker, sent).await;
    }
    let spans = collector.exactly(requests.len()).await;
    assert!(spans.iter().all(|span| span.parent.is_none() && span.trace != trace), "{spans:#?}");
}

#[tokio::test]
async fn sampled_callers_cannot_flood() {
    let collector = Collector::start().await;
    let broker = traced(&collector, |config| config.otel.traces_per_second = 3).await;
    let (header, ..) = traceparent(7, "01");
    let message = json!({"channel": "/a", "data": 1});
    let messages: Vec<_> = (0..300).map(|_| &message).collect();
    let batch = call("/batch", json!({"messages": messages}).to_string());
    taken(&broker, &batch.header("traceparent", &header)).await;
    let spans = collector.spans(3).await;
    let limited =
        Scrape::of(&broker).await.value("limit_hits_total{limit=\"otel.traces_per_second\"}");
    // The burst, and what the rate gives back while a slow machine works through the batch.
    assert!((3..30).contains(&spans.len()), "{}", spans.len());
    assert!(limited > 270.0 && limited <= 297.0, "{limited}");
    assert!(post(broker.address, "/publish/a", &json!(1)).await.0 == 200);
}

#[tokio::test]
async fn what_is_not_published_leaves_no_span() {
    let collector = Collector::start().await;
    let broker = traced(&collector, |_| {}).await;
    let (header, ..) = traceparent(7, "01");
    let tracing = |sent: Request| sent.header("traceparent", &header);
    let repeated = || tracing(call("/publish/a", "1")).header("Idempotency-Key", "once");
    taken(&broker, &repeated()).await;
    taken(&broker, &repeated()).await;
    for (endpoint, body) in [("/publish/meta/x", "1"), ("/publish/a", "{"), ("/publish/a/*", "1")] {
        let response = request(broker.address, &tracing(call(endpoint, body))).await;
        assert!((400..500).contains(&response.status), "{endpoint}: {response:?}");
    }
    collector.exactly(1).await;
}
