//! Every transport through every proxy.

use std::time::Duration;

use bayeuxd::config::{Config, Transport};
use protocol_tests::{
    bayeux::{Polling, Socket, connect, connected, deliveries, delivery, publish},
    broker::Broker,
    http::{Request, Stream},
    reverse_proxy::{Kind, ReverseProxy},
    websocket::{WebSocket, upgrade_request},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

const STREAMS: [Transport; 3] = [Transport::EventSource, Transport::Streaming, Transport::Iframe];

fn streams(config: &mut Config) {
    config.transports.enabled.extend(STREAMS);
    config.transports.streaming.heartbeat = Duration::from_millis(300);
}

/// The request for a stream of `session` by a browser, which takes compressed responses.
fn stream_of(session: &Polling, transport: Transport) -> Request {
    let path = format!("/cometd/{}", session.client_id);
    let request = match transport {
        Transport::EventSource => Request::get(&path).header("Accept", "text/event-stream"),
        Transport::Iframe => {
            Request::get(&format!("{path}?callback=f")).header("Sec-Fetch-Site", "same-origin")
        }
        _ => Request::get(&path),
    };
    request.header("Cookie", session.cookie.as_deref().expect("a cookie"))
}

#[tokio::test]
async fn a_poll_is_held_and_answered_through_every_proxy() {
    const SHORT: Duration = Duration::from_millis(700);
    const LONG: Duration = Duration::from_secs(20);
    let hasty = Broker::with(|config| config.session.timeout = SHORT).await;
    let patient = Broker::with(|config| config.session.timeout = LONG).await;
    for kind in Kind::ALL {
        println!("{kind}");
        let proxy = ReverseProxy::start(kind, hasty.address).await;
        let client = Polling::connected(proxy.address).await;
        let begun = Instant::now();
        let mut held = client.begin(json!([connect("3")])).await;
        assert_eq!(held.messages().await, [connected("3", 700)]);
        assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());

        // Not with the same hold, which may end on a busy machine before anything is published.
        let proxy = ReverseProxy::start(kind, patient.address).await;
        let subscriber = Polling::subscribed(proxy.address, "/a").await;
        let mut held = subscriber.hold("4").await;
        Polling::connected(proxy.address).await.publish("/a", "one").await;
        assert_eq!(held.messages().await, [delivery("/a", "one"), connected("4", 20_000)]);
    }
}

#[tokio::test]
async fn p150_streams_pass_every_proxy_line_by_line() {
    let broker = Broker::with(streams).await;
    for kind in Kind::ALL {
        let proxy = ReverseProxy::start(kind, broker.address).await;
        for transport in STREAMS {
            println!("{kind} {transport:?}");
            let session = Polling::subscribed(proxy.address, "/a").await;
            let mut stream = Stream::open(proxy.address, &stream_of(&session, transport)).await;
            stream.opened().await;
            let mut publisher = Polling::connected(broker.address).await;
            for number in 0..20 {
                publisher.publish("/a", number).await;
                // The next one is published only when this one has passed.
                stream.until(&format!("{}", delivery("/a", number))).await;
            }
        }
    }
}

#[tokio::test]
async fn p150_streams_are_not_compressed_into_a_buffer() {
    let broker = Broker::with(streams).await;
    for kind in Kind::FULL {
        let proxy = ReverseProxy::start(kind, broker.address).await;
        for transport in STREAMS {
            println!("{kind} {transport:?}");
            let session = Polling::subscribed(proxy.address, "/a").await;
            let request = stream_of(&session, transport).header("Accept-Encoding", "gzip");
            let stream = Stream::open(proxy.address, &request).await;
            assert_eq!(stream.head.header("content-encoding"), None, "{:?}", stream.head);
        }
    }
}

#[tokio::test]
async fn heartbeats_keep_a_stream_beyond_the_time_out_of_every_proxy() {
    let broker = Broker::with(streams).await;
    for kind in Kind::ALL {
        println!("{kind}");
        let proxy = ReverseProxy::impatient(kind, broker.address, 2).await;
        let session = Polling::subscribed(proxy.address, "/a").await;
        let request = stream_of(&session, Transport::Streaming);
        let mut stream = Stream::open(proxy.address, &request).await;
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(2800) {
            assert_eq!(stream.until("\n").await, "[]\n");
        }
        Polling::connected(broker.address).await.publish("/a", 1).await;
        stream.until(&format!("{}", delivery("/a", 1))).await;
    }
}

#[tokio::test]
async fn a_websocket_passes_where_the_settings_let_it() {
    let broker = Broker::start().await;
    for kind in Kind::FULL {
        println!("{kind}");
        let proxy = ReverseProxy::start(kind, broker.address).await;
        let mut subscriber = Socket::subscribed(proxy.address, "/a").await;
        let mut publisher = Socket::connected(proxy.address).await;
        for number in 0..20 {
            publisher.publish("/a", number).await;
            assert_eq!(subscriber.recv().await, [delivery("/a", number)]);
        }
        let text = "é😀".repeat(7000);
        publisher.publish("/a", text.as_str()).await;
        assert_eq!(subscriber.recv().await, [delivery("/a", text)]);
    }
}

#[tokio::test]
async fn pings_keep_a_websocket_beyond_the_time_out_of_every_proxy() {
    let ping = |config: &mut Config| {
        config.transports.websocket.ping = Duration::from_millis(300);
    };
    let broker = Broker::with(ping).await;
    for kind in Kind::FULL {
        println!("{kind}");
        let proxy = ReverseProxy::impatient(kind, broker.address, 2).await;
        let mut subscriber = Socket::subscribed(proxy.address, "/a").await;
        let publishing = async {
            sleep(Duration::from_millis(2800)).await;
            Polling::connected(broker.address).await.publish("/a", 1).await;
        };
        // Answers the pings meanwhile.
        let (received, ()) = tokio::join!(subscriber.recv(), publishing);
        assert_eq!(received, [delivery("/a", 1)]);
    }
}

#[tokio::test]
async fn without_the_upgrade_headers_a_websocket_is_refused_at_once() {
    let broker = Broker::start().await;
    let proxy = ReverseProxy::start(Kind::NginxPlain, broker.address).await;
    let refusal = WebSocket::try_open(proxy.address, &upgrade_request("/cometd")).await;
    let refusal = refusal.expect_err("nginx strips the upgrade");
    // cometd.js and Faye go on with long-polling; see protocol-tests/js/proxies.
    assert_eq!(refusal.status, 400);
    assert!(refusal.text().contains("a GET has to be a WebSocket upgrade"), "{}", refusal.text());
}

#[tokio::test]
async fn the_end_of_the_broker_closes_websockets_in_order_through_every_proxy() {
    for kind in Kind::FULL {
        println!("{kind}");
        let mut broker = Broker::start().await;
        let proxy = ReverseProxy::start(kind, broker.address).await;
        let mut socket = Socket::connected(proxy.address).await;
        broker.drain();
        assert_eq!(socket.close_code().await, 1001);
    }
}

#[tokio::test]
async fn a_client_that_leaves_its_poll_is_noticed_behind_a_proxy() {
    const MAX_INTERVAL: Duration = Duration::from_secs(1);
    let short = |config: &mut Config| {
        config.session.timeout = Duration::from_secs(30);
        config.session.max_interval = MAX_INTERVAL;
    };
    let broker = Broker::with(short).await;
    for kind in Kind::ALL {
        println!("{kind}");
        let proxy = ReverseProxy::start(kind, broker.address).await;
        let session = Polling::connected(proxy.address).await;
        let held = session.hold("3").await;
        sleep(2 * MAX_INTERVAL).await;
        assert!(broker.knows(&session.client_id), "a held connect keeps its session");
        drop(held);
        if kind == Kind::Apache {
            // Notices nothing while it waits for the broker; docs/proxies.md says so.
            sleep(MAX_INTERVAL + Duration::from_millis(1300)).await;
            assert!(broker.knows(&session.client_id), "then docs/proxies.md is wrong");
        } else {
            broker.until_gone(&session.client_id).await;
        }
    }
}

#[tokio::test]
async fn a_batch_of_the_largest_size_passes_every_proxy() {
    let broker = Broker::start().await;
    for kind in Kind::ALL {
        println!("{kind}");
        let proxy = ReverseProxy::start(kind, broker.address).await;
        let mut session = Polling::subscribed(proxy.address, "/a").await;
        let text = "x".repeat(63 << 10);
        let replies = session.send(json!([publish("9", "/a", text.as_str())])).await;
        assert_eq!(deliveries(&replies), [delivery("/a", text)]);
    }
}
