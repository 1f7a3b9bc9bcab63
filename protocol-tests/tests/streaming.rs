//! Responses without an end: `eventsource` (protocol.md 138), `streaming` and `iframe` (150).

use std::time::Duration;

use bayeuxd::config::{ChannelRule, Config, Transport};
use protocol_tests::{
    bayeux::{
        Polling, Socket, connect, deliveries, delivery, disconnect, handshake, publish, published,
        subscribe,
    },
    broker::Broker,
    deadline::until,
    http::{self, Request, Stream},
};
use serde_json::{Value, json};

const ALL: [Transport; 3] = [Transport::EventSource, Transport::Streaming, Transport::Iframe];

fn streams(config: &mut Config) {
    config.transports.enabled.extend(ALL);
    config.session.timeout = Duration::from_secs(2);
}

async fn broker() -> Broker {
    Broker::with(streams).await
}

/// The request for a stream of `session` in the form that `transport` has.
fn request(session: &Polling, transport: Transport) -> Request {
    let path = format!("/cometd/{}", session.client_id);
    let request = match transport {
        Transport::EventSource => Request::get(&path).header("Accept", "text/event-stream"),
        Transport::Iframe => {
            Request::get(&format!("{path}?callback=app.on")).header("Sec-Fetch-Site", "same-origin")
        }
        _ => Request::get(&path),
    };
    match &session.cookie {
        Some(cookie) => request.header("Cookie", cookie),
        None => request,
    }
}

async fn open(session: &Polling, transport: Transport) -> Stream {
    Stream::open(session.address, &request(session, transport)).await
}

fn connect_as(id: &str, transport: Transport) -> Value {
    json!({"id": id, "channel": "/meta/connect", "connectionType": transport.name()})
}

/// The connect reply while a stream is open: come again after a hold.
fn streamed(id: &str) -> Value {
    json!({"channel": "/meta/connect", "id": id, "successful": true,
           "advice": {"reconnect": "retry", "interval": 2000, "timeout": 0}})
}

#[tokio::test]
async fn p138_the_handshake_offers_what_is_enabled() {
    let broker = broker().await;
    let offer = json!([{"id": "1", "channel": "/meta/handshake", "version": "1.0",
        "supportedConnectionTypes": ["eventsource"]}]);
    let reply = &http::post(broker.address, &offer).await.messages()[0];
    let types = json!(["websocket", "long-polling", "eventsource", "streaming", "iframe"]);
    assert_eq!(reply["supportedConnectionTypes"], types, "{reply}");
    let broker = Broker::start().await;
    assert_eq!(http::post(broker.address, &offer).await.messages()[0]["successful"], false);
}

#[tokio::test]
async fn p138_an_event_source_gets_one_line_of_data_for_each_batch() {
    let broker = broker().await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let mut stream = open(&session, Transport::EventSource).await;
    assert_eq!(stream.head.header("content-type"), Some("text/event-stream"));
    assert_eq!(stream.head.header("cache-control"), Some("no-store"));
    assert_eq!(stream.head.header("x-accel-buffering"), Some("no"));
    let opening = stream.until("\n\n").await;
    let pause: u64 = opening.strip_prefix("retry: ").unwrap().trim_end().parse().unwrap();
    assert!((1000..=2000).contains(&pause), "{pause}");
    Polling::connected(broker.address).await.publish("/a", "line\nbreak \u{2028}").await;
    let event = stream.until("\n\n").await;
    let text = "data: [{\"channel\":\"/a\",\"data\":\"line\\nbreak \u{2028}\"}]\n\n";
    assert_eq!(event, text);
}

#[tokio::test]
async fn p150_lines_are_arrays_of_json() {
    let broker = broker().await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let mut stream = open(&session, Transport::Streaming).await;
    assert_eq!(stream.head.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(stream.until("\n").await, "[]\n");
    let mut publisher = Polling::connected(broker.address).await;
    // Line breaks between tokens of the publisher's JSON would break the lines of a subscriber.
    let body = format!(
        "[{{\"channel\":\"/a\",\"clientId\":\"{}\",\"data\":[1,\r\n2]}}]",
        publisher.client_id
    );
    http::request(broker.address, &Request::post("/cometd", body)).await;
    assert_eq!(stream.until("\n").await, "[{\"channel\":\"/a\",\"data\":[1,  2]}]\n");
    publisher.publish("/a", 3).await;
    assert_eq!(stream.until("\n").await, "[{\"channel\":\"/a\",\"data\":3}]\n");
}

#[tokio::test]
async fn p150_an_iframe_calls_its_parent_and_no_message_ends_the_script() {
    let broker = broker().await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let mut stream = open(&session, Transport::Iframe).await;
    assert_eq!(stream.head.header("content-type"), Some("text/html;charset=UTF-8"));
    let page = stream.until("\n").await;
    assert!(page.contains("parent.app.on(m)") && page.len() > 1024, "{page}");
    Polling::connected(broker.address).await.publish("/a", "</script><!--").await;
    let line = stream.until("</script>\n").await;
    let json = "{\"channel\":\"/a\",\"data\":\"\\u003c/script>\\u003c!--\"}";
    assert_eq!(line, format!("<script>b([{json}])</script>\n"));
}

#[tokio::test]
async fn p150_the_parent_function_is_a_path_of_identifiers() {
    let broker = broker().await;
    let session = Polling::connected(broker.address).await;
    for name in ["alert(1)", "", "a.b;c", "%3Cscript%3E"] {
        let path = format!("/cometd/{}?callback={name}", session.client_id);
        let request = Request::get(&path).header("Sec-Fetch-Site", "none");
        let response = http::request(broker.address, &request).await;
        assert_eq!(response.status, 400, "{name}");
    }
}

#[tokio::test]
async fn p138_a_connect_is_answered_at_once_while_the_stream_is_open() {
    let broker = broker().await;
    for transport in ALL {
        let mut session = Polling::subscribed(broker.address, "/a").await;
        let mut stream = open(&session, transport).await;
        stream.opened().await;
        assert_eq!(session.one(connect_as("3", transport)).await, streamed("3"));
        assert_eq!(session.one(connect_as("4", transport)).await, streamed("4"));
        let replies =
            session.send(json!([connect_as("5", transport), publish("6", "/a", 1)])).await;
        assert_eq!(replies, [streamed("5"), published("6", "/a")], "deliveries go by the stream");
        assert!(stream.until("1}").await.contains("\"data\":1"));
    }
}

#[tokio::test]
async fn p138_the_first_connect_does_not_take_over_whatever_its_type() {
    let broker = broker().await;
    let mut session = Polling::handshake(broker.address).await;
    let mut stream = open(&session, Transport::EventSource).await;
    stream.opened().await;
    let replies = session.send(json!([connect("2"), subscribe("3", "/a")])).await;
    assert_eq!(replies[0], streamed("2"));
    session.publish("/a", 1).await;
    assert!(stream.until("\n\n").await.contains("\"data\":1"));
    let mut held = session.begin(json!([connect("4")])).await;
    assert_eq!(stream.rest().await, "", "the second one means it");
    assert_eq!(held.messages().await.len(), 1);
}

#[tokio::test]
async fn p150_the_stream_may_be_the_first_connect_and_keeps_its_session() {
    let broker = Broker::with(|config| {
        streams(config);
        config.session.max_interval = Duration::from_secs(1);
        config.transports.streaming.heartbeat = Duration::from_millis(300);
        config.limits.keep_alive = Duration::from_secs(1);
    })
    .await;
    let session = Polling::handshake(broker.address).await;
    let mut stream = open(&session, Transport::Streaming).await;
    for _ in 0..12 {
        assert_eq!(stream.until("\n").await, "[]\n", "the heartbeat");
    }
    assert!(broker.knows(&session.client_id));
    drop(stream);
    broker.until_gone(&session.client_id).await;
}

#[tokio::test]
async fn p150_heartbeats_mean_nothing_in_each_form() {
    let broker = Broker::with(|config| {
        streams(config);
        config.transports.streaming.heartbeat = Duration::from_millis(100);
    })
    .await;
    for (transport, heartbeat) in [
        (Transport::EventSource, ":\n\n"),
        (Transport::Streaming, "[]\n"),
        (Transport::Iframe, "\n"),
    ] {
        let session = Polling::connected(broker.address).await;
        let mut stream = open(&session, transport).await;
        stream.opened().await;
        assert_eq!(stream.until("\n").await, heartbeat.split_inclusive('\n').next().unwrap());
    }
}

#[tokio::test]
async fn p150_what_waits_comes_with_the_stream_and_goes_on_in_order() {
    let broker = broker().await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let mut publisher = Polling::connected(broker.address).await;
    for n in 0..150 {
        publisher.publish("/a", n).await;
    }
    let mut stream = open(&session, Transport::Streaming).await;
    for n in 150..300 {
        publisher.publish("/a", n).await;
    }
    let expected: Vec<Value> = (0..300).map(|n| delivery("/a", n)).collect();
    assert_eq!(stream.messages(300).await, expected);
    assert_eq!(broker.queued(&session.client_id), 0);
}

#[tokio::test]
async fn p150_another_transport_takes_over_and_the_stream_ends() {
    let broker = broker().await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut stream = open(&session, Transport::Streaming).await;
    stream.opened().await;
    let mut held = session.hold("3").await;
    assert_eq!(stream.rest().await, "", "the connect that polls has taken over");
    session.publish("/a", 1).await;
    let mut stream = open(&session, Transport::EventSource).await;
    stream.opened().await;
    let _ = held.response().await;

    let mut socket = Socket::adopt(broker.address, &session.client_id).await;
    assert_eq!(socket.one(publish("4", "/b", 1)).await, published("4", "/b"));
    assert_eq!(stream.rest().await, "", "the WebSocket has taken over");
    Polling::connected(broker.address).await.publish("/a", 2).await;
    assert_eq!(socket.recv().await, [delivery("/a", 2)]);

    let mut stream = open(&session, Transport::Streaming).await;
    stream.opened().await;
    Polling::connected(broker.address).await.publish("/a", 3).await;
    assert_eq!(stream.messages(1).await, [delivery("/a", 3)]);
    socket.websocket.quiet().await;
}

#[tokio::test]
async fn p138_a_stream_releases_the_poll_of_its_client() {
    let broker = broker().await;
    let session = Polling::connected(broker.address).await;
    let mut held = session.hold("3").await;
    let mut stream = open(&session, Transport::EventSource).await;
    stream.opened().await;
    assert_eq!(held.messages().await, [streamed("3")]);
}

#[tokio::test]
async fn p150_a_newer_stream_ends_the_older() {
    let broker = broker().await;
    let session = Polling::connected(broker.address).await;
    let mut older = open(&session, Transport::Streaming).await;
    older.opened().await;
    let mut newer = open(&session, Transport::Streaming).await;
    newer.opened().await;
    assert_eq!(older.rest().await, "");
}

#[tokio::test]
async fn p150_the_last_line_is_the_reply_of_the_connect() {
    let broker = broker().await;
    let mut session = Polling::connected(broker.address).await;
    let mut stream = open(&session, Transport::Streaming).await;
    stream.opened().await;
    assert_eq!(session.one(disconnect("3")).await["successful"], true);
    let last = stream.messages(1).await;
    let stop = json!({"channel": "/meta/connect", "successful": true,
                      "advice": {"reconnect": "none"}});
    assert_eq!(last, std::slice::from_ref(&stop));
    assert_eq!(stream.rest().await, "");

    let session = Polling::connected(broker.address).await;
    let mut stream = open(&session, Transport::Streaming).await;
    stream.opened().await;
    broker.kick(&session.client_id);
    let farewell = json!({"channel": "/meta/disconnect", "successful": true});
    assert_eq!(stream.messages(2).await, [farewell, stop]);
}

#[tokio::test]
async fn p150_a_stop_sends_streams_away_with_a_pause() {
    let mut broker = broker().await;
    let session = Polling::connected(broker.address).await;
    let mut lines = open(&session, Transport::Streaming).await;
    lines.opened().await;
    let session = Polling::connected(broker.address).await;
    let mut events = open(&session, Transport::EventSource).await;
    events.opened().await;
    broker.drain();
    let reply = &lines.messages(1).await[0];
    assert_eq!(reply["advice"]["reconnect"], "retry", "{reply}");
    let last = events.rest().await;
    assert!(last.starts_with("retry: ") && last.contains("/meta/connect"), "{last}");
    assert_eq!(broker.stop().await.open, 0);
}

#[tokio::test]
async fn p150_an_unknown_session_is_told_to_handshake() {
    let broker = broker().await;
    let mut session = Polling::connected(broker.address).await;
    session.client_id = "0123456789abcdef0123456789abcdef".into();
    let reply = json!([{"channel": "/meta/connect", "successful": false,
        "error": "402::session_unknown", "advice": {"reconnect": "handshake", "interval": 0}}]);
    for transport in [Transport::EventSource, Transport::Streaming] {
        let response = http::request(broker.address, &request(&session, transport)).await;
        assert_eq!(response.status, 404, "or an EventSource comes again for ever");
        assert_eq!(serde_json::from_slice::<Value>(&response.body).unwrap(), reply);
    }
    let response = http::request(broker.address, &request(&session, Transport::Iframe)).await;
    assert!(response.status == 200 && response.text().ends_with("</script>\n"), "{response:?}");
}

#[tokio::test]
async fn p150_a_stream_needs_the_cookie_and_the_origin_of_any_request() {
    let broker = broker().await;
    let mut session = Polling::connected(broker.address).await;
    let stranger = Polling::connected(broker.address).await;
    let foreign =
        request(&session, Transport::EventSource).header("Origin", "https://evil.example");
    assert_eq!(http::request(broker.address, &foreign).await.status, 403);
    let foreign = request(&session, Transport::Iframe)
        .without("Sec-Fetch-Site")
        .header("Sec-Fetch-Site", "cross-site")
        .header("Referer", "https://evil.example/");
    assert_eq!(http::request(broker.address, &foreign).await.status, 403);
    let own = request(&session, Transport::EventSource).header("Origin", "http://localhost:1");
    let stream = Stream::open(broker.address, &own).await;
    let allowed = stream.head.header("access-control-allow-origin");
    assert_eq!(allowed, Some("http://localhost:1"));
    session.cookie = stranger.cookie;
    let stolen = http::request(broker.address, &request(&session, Transport::Streaming)).await;
    assert_eq!(stolen.status, 404);
}

#[tokio::test]
async fn p150_a_browser_holds_one_stream_or_poll() {
    let broker = broker().await;
    let first = Polling::connected(broker.address).await;
    let mut stream = open(&first, Transport::EventSource).await;
    stream.opened().await;
    let body = json!([handshake()]).to_string();
    let cookie = first.cookie.clone().unwrap();
    let handshake = Request::post("/cometd", body).header("Cookie", &cookie);
    let reply = http::request(broker.address, &handshake).await.messages().remove(0);
    let mut second = Polling::connected(broker.address).await;
    (second.client_id, second.cookie) =
        (reply["clientId"].as_str().unwrap().to_owned(), Some(cookie));
    let refused = http::request(broker.address, &request(&second, Transport::EventSource)).await;
    assert_eq!(refused.status, 429);
    drop(stream);
    until("the end of the first stream", || !broker.is_streamed(&first.client_id)).await;
    let mut stream = open(&second, Transport::EventSource).await;
    stream.opened().await;
}

#[tokio::test]
async fn p150_a_reader_that_stops_leaves_its_messages_in_the_queue() {
    let broker = Broker::with(|config| {
        streams(config);
        config.limits.write_timeout = Duration::from_millis(300);
        config.session.queue.max_messages = 5_000;
        config.session.queue.max_bytes = 64 << 20;
        config.limits.message_size = 1 << 20;
    })
    .await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let stream =
        Stream::open_narrow(broker.address, &request(&session, Transport::Streaming)).await;
    let mut publisher = Polling::connected(broker.address).await;
    let filling = "x".repeat(200_000);
    for n in 0..40 {
        publisher.publish("/a", format!("{n} {filling}")).await;
    }
    assert!(broker.queued(&session.client_id) > 20, "most of it has to wait");
    until("the end of the stream that nobody reads", || !broker.is_streamed(&session.client_id))
        .await;
    drop(stream);
    // What was not taken whole is there for the next transport, once and in order.
    let mut numbers = Vec::new();
    while numbers.last() != Some(&39) {
        for message in deliveries(&session.fetch().await) {
            let text = message["data"].as_str().unwrap();
            numbers.push(text.split(' ').next().unwrap().parse::<u32>().unwrap());
        }
    }
    let first = numbers[0];
    assert_eq!(numbers, (first..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn p150_a_slow_consumer_ends_as_on_any_transport() {
    let broker = Broker::with(|config| {
        streams(config);
        config.session.queue.max_messages = 10;
        config.limits.message_size = 1 << 20;
        config.session.queue.max_bytes = 16 << 20;
    })
    .await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let mut stream =
        Stream::open_narrow(broker.address, &request(&session, Transport::Streaming)).await;
    let mut publisher = Polling::connected(broker.address).await;
    let filling = "x".repeat(500_000);
    for _ in 0..40 {
        publisher.publish("/a", filling.as_str()).await;
    }
    broker.until_gone(&session.client_id).await;
    let last = stream.rest().await;
    assert!(last.ends_with("\"advice\":{\"reconnect\":\"handshake\",\"interval\":0}}]\n"));
}

#[tokio::test]
async fn p150_a_get_without_a_session_is_no_stream() {
    let broker = broker().await;
    for path in ["/cometd", "/cometd/short", "/cometd/connect?callback=x"] {
        let request = Request::get(path).header("Accept", "text/event-stream");
        assert_eq!(http::request(broker.address, &request).await.status, 400, "{path}");
    }
}

#[tokio::test]
async fn p150_in_deliver_only_mode_the_stream_is_the_connect() {
    let broker = Broker::with(|config| {
        streams(config);
        config.session.meta_connect_deliver_only = true;
    })
    .await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut stream = open(&session, Transport::Streaming).await;
    stream.opened().await;
    assert_eq!(session.publish("/a", 1).await, [published("p", "/a")]);
    assert_eq!(stream.messages(1).await, [delivery("/a", 1)]);
}

#[tokio::test]
async fn p150_a_session_that_acknowledges_has_no_stream() {
    let broker = broker().await;
    let offer = json!([{"id": "1", "channel": "/meta/handshake", "version": "1.0",
        "supportedConnectionTypes": ["streaming"], "ext": {"ack": true}}]);
    let reply = http::post(broker.address, &offer).await.messages().remove(0);
    let mut session = Polling::connected(broker.address).await;
    session.client_id = reply["clientId"].as_str().unwrap().to_owned();
    session.cookie = None;
    let response = http::request(broker.address, &request(&session, Transport::Streaming)).await;
    assert_eq!(response.status, 409, "{response:?}");
}

#[tokio::test]
async fn p150_a_lazy_message_waits_for_its_time_and_goes_along_with_others() {
    let broker = Broker::with(|config| {
        streams(config);
        for (pattern, lazy) in [("/soon", 300), ("/late", 60_000)] {
            config.session.max_lazy_timeout = Duration::from_secs(60);
            let (pattern, lazy) = (pattern.into(), Some(Duration::from_millis(lazy)));
            config.channels.push(ChannelRule { pattern, lazy, ..ChannelRule::default() });
        }
    })
    .await;
    let mut session = Polling::subscribed(broker.address, "/*").await;
    let mut stream = open(&session, Transport::Streaming).await;
    stream.opened().await;
    session.publish("/soon", 1).await;
    assert_eq!(stream.messages(1).await, [delivery("/soon", 1)]);
    session.publish("/late", 2).await;
    session.publish("/now", 3).await;
    assert_eq!(stream.messages(2).await, [delivery("/late", 2), delivery("/now", 3)]);
}
