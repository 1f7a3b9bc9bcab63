//! Bayeux over raw TCP: protocol.md 151.

use std::{
    io::BufRead as _,
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use protocol_tests::{
    bayeux::{
        Polling, Socket, connect, connect_now, connected, delivery, disconnect, handshake, publish,
        published, refused, subscribe,
    },
    broker::Broker,
    conformance::root,
    deadline::{QUIET, soon, within},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpSocket, TcpStream},
    sync::mpsc,
    time::timeout,
};

async fn broker() -> Broker {
    broker_with(|_| {}).await
}

async fn broker_with(change: impl FnOnce(&mut bayeuxd::config::Config)) -> Broker {
    Broker::with(|config| {
        config.transports.socket.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        change(config);
    })
    .await
}

/// A client whose texts end with `end`.
struct Raw {
    stream: BufReader<TcpStream>,
    end: u8,
    client_id: String,
}

impl Raw {
    async fn open(broker: &Broker, end: u8) -> Self {
        let address = broker.socket.expect("a raw listener");
        let stream = soon("TCP connection", TcpStream::connect(address)).await.expect("connect");
        Self { stream: BufReader::new(stream), end, client_id: String::new() }
    }

    /// A client that reads slowly: little is under way to it.
    async fn narrow(broker: &Broker, end: u8) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(64 << 10).expect("a small buffer");
        let address = broker.socket.expect("a raw listener");
        let stream = soon("TCP connection", socket.connect(address)).await.expect("connect");
        Self { stream: BufReader::new(stream), end, client_id: String::new() }.shake_hands().await
    }

    async fn connected(broker: &Broker, end: u8) -> Self {
        Self::open(broker, end).await.shake_hands().await
    }

    async fn shake_hands(self) -> Self {
        let mut raw = self;
        let reply = raw.one(handshake()).await;
        raw.client_id = reply["clientId"].as_str().expect("a clientId").to_owned();
        assert_eq!(raw.one(connect_now("2")).await["successful"], true);
        raw
    }

    async fn subscribed(broker: &Broker, end: u8, channel: &str) -> Self {
        let mut raw = Self::connected(broker, end).await;
        assert_eq!(raw.one(subscribe("s", channel)).await["successful"], true);
        raw
    }

    async fn bytes(&mut self, bytes: &[u8]) {
        soon("room to write", self.stream.write_all(bytes)).await.expect("write");
    }

    async fn send(&mut self, mut message: Value) {
        if !self.client_id.is_empty() {
            message["clientId"] = self.client_id.as_str().into();
        }
        let mut text = message.to_string().into_bytes();
        text.push(self.end);
        self.bytes(&text).await;
    }

    /// The next text without its end; `None` at the end of the stream.
    async fn text(&mut self) -> Option<String> {
        let mut text = Vec::new();
        let read = soon("a text", self.stream.read_until(self.end, &mut text)).await;
        if read.unwrap_or(0) == 0 {
            return None;
        }
        assert_eq!(text.pop(), Some(self.end), "{:?}", String::from_utf8_lossy(&text));
        Some(String::from_utf8(text).expect("UTF-8"))
    }

    async fn recv(&mut self) -> Vec<Value> {
        let text = self.text().await.expect("a text, not the end");
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not an array: {text:?}"))
    }

    async fn one(&mut self, message: Value) -> Value {
        self.send(message).await;
        let mut messages = self.recv().await;
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }

    async fn quiet(&mut self) {
        let read = timeout(QUIET, self.stream.fill_buf()).await;
        assert!(read.is_err(), "expected silence, got {read:?}");
    }
}

#[tokio::test]
async fn p151_texts_end_with_nul_or_line_feed_and_so_do_answers() {
    let broker = broker().await;
    for end in [0, b'\n'] {
        let mut raw = Raw::subscribed(&broker, end, "/a").await;
        raw.send(publish("3", "/a", "line\nbreak \u{2028}")).await;
        assert_eq!(raw.recv().await, [delivery("/a", "line\nbreak \u{2028}")]);
        assert_eq!(raw.recv().await, [published("3", "/a")]);
    }
}

#[tokio::test]
async fn p151_the_handshake_offers_socket_only_with_a_listener() {
    let offers = |reply: &Value| {
        let types = reply["supportedConnectionTypes"].as_array().expect("a list");
        types.iter().any(|name| name == "socket")
    };
    let with = broker().await;
    assert!(offers(&Raw::open(&with, 0).await.one(handshake()).await));
    let without = Broker::start().await;
    assert_eq!(without.socket, None);
    assert!(!offers(&Socket::open(without.address).await.one(handshake()).await));
}

#[tokio::test]
async fn p151_messages_come_in_pieces_and_several_at_a_time() {
    let broker = broker().await;
    let mut raw = Raw::connected(&broker, 0).await;
    let id = raw.client_id.clone();
    let one = format!("[{{\"id\":\"3\",\"channel\":\"/a\",\"clientId\":\"{id}\",\n\"data\":1}}]\0");
    let (head, tail) = one.split_at(20);
    raw.bytes(head.as_bytes()).await;
    raw.quiet().await;
    raw.bytes(tail.as_bytes()).await;
    assert_eq!(raw.recv().await, [published("3", "/a")]);
    raw.bytes(format!("\0 \r\n\0{one}{one}").as_bytes()).await;
    assert_eq!(raw.recv().await, [published("3", "/a")]);
    assert_eq!(raw.recv().await, [published("3", "/a")]);
}

#[tokio::test]
async fn p151_deliveries_need_no_connect_and_the_connect_is_held() {
    let broker = broker_with(|config| config.session.timeout = Duration::from_millis(400)).await;
    let mut raw = Raw::subscribed(&broker, b'\n', "/a").await;
    raw.send(connect("3")).await;
    raw.quiet().await;
    let mut publisher = Polling::connected(broker.address).await;
    for n in 0..100 {
        publisher.publish("/a", n).await;
    }
    for n in 0..100 {
        let messages = raw.recv().await;
        if messages[0]["channel"] == "/meta/connect" {
            assert_eq!(messages, [connected("3", 400)]);
            assert_eq!(raw.recv().await, [delivery("/a", n)]);
        } else {
            assert_eq!(messages, [delivery("/a", n)]);
        }
    }
}

#[tokio::test]
async fn p151_a_slow_reader_is_heard_before_the_last_of_its_queue() {
    const MESSAGES: usize = 300;
    const BYTES: usize = 60_000;
    let broker = broker_with(|config| config.session.queue.max_bytes = 1 << 30).await;
    let mut raw = Raw::narrow(&broker, b'\n').await;
    assert_eq!(raw.one(subscribe("s", "/a")).await["successful"], true);
    let mut watcher = Socket::subscribed(broker.address, "/b").await;
    let mut publisher = Polling::connected(broker.address).await;
    let data = "x".repeat(BYTES);
    for _ in 0..MESSAGES {
        publisher.publish("/a", data.as_str()).await;
    }
    raw.send(publish("p", "/b", 1)).await;
    // Both kernels hold some megabytes; the rest is still in the broker.
    let mut half = vec![0; MESSAGES * BYTES / 2];
    soon("half of it", raw.stream.read_exact(&mut half)).await.expect("read");
    assert_eq!(watcher.recv().await, [delivery("/b", 1)]);
}

#[tokio::test]
async fn p151_one_session_moves_between_socket_and_other_transports() {
    let broker = broker().await;
    let mut raw = Raw::subscribed(&broker, 0, "/a").await;
    let mut websocket = Socket::adopt(broker.address, &raw.client_id).await;
    assert_eq!(websocket.one(publish("3", "/b", 1)).await, published("3", "/b"));
    let mut publisher = Polling::connected(broker.address).await;
    publisher.publish("/a", 1).await;
    assert_eq!(websocket.recv().await, [delivery("/a", 1)]);
    raw.quiet().await;
    let mut next = Raw::open(&broker, b'\n').await;
    next.client_id = raw.client_id.clone();
    assert_eq!(next.one(publish("4", "/b", 2)).await, published("4", "/b"));
    publisher.publish("/a", 2).await;
    assert_eq!(next.recv().await, [delivery("/a", 2)]);
    drop(next);
    publisher.publish("/a", 3).await;
    assert!(broker.knows(&raw.client_id), "the session outlives its connection");
}

#[tokio::test]
async fn p151_a_bound_connection_speaks_for_no_other_session() {
    let broker = broker().await;
    let other = Polling::connected(broker.address).await;
    let mut raw = Raw::connected(&broker, 0).await;
    let own = std::mem::replace(&mut raw.client_id, other.client_id);
    let error = "402::session_unknown";
    assert_eq!(raw.one(publish("3", "/a", 1)).await, refused("3", "/a", error));
    raw.client_id = own;
    assert_eq!(raw.one(publish("4", "/a", 1)).await, published("4", "/a"));
}

#[tokio::test]
async fn p151_a_goodbye_is_answered_and_the_connection_ends() {
    let broker = broker().await;
    let mut raw = Raw::connected(&broker, 0).await;
    assert_eq!(raw.one(disconnect("3")).await["successful"], true);
    assert!(!broker.knows(&raw.client_id));
    let end = within(Duration::from_secs(8), "end", raw.stream.fill_buf()).await;
    assert!(matches!(end, Ok([])), "{end:?}");
}

#[tokio::test]
async fn p151_what_is_no_bayeux_is_told_so_and_closed() {
    let broker = broker_with(|config| config.limits.message_size = 1000).await;
    let big = format!("[{}]\0", " ".repeat(1000));
    let endless = "x".repeat(1001);
    for (bytes, error) in [
        ("not json\0", "400::not_a_bayeux_message"),
        ("[]\0", "400::not_a_bayeux_message"),
        (big.as_str(), "400::message_too_big"),
        (endless.as_str(), "400::message_too_big"),
    ] {
        let mut raw = Raw::open(&broker, 0).await;
        raw.bytes(bytes.as_bytes()).await;
        assert_eq!(raw.recv().await, [json!({"successful": false, "error": error})]);
        assert_eq!(raw.text().await, None);
    }
}

#[tokio::test]
async fn p151_an_http_request_ends_at_its_first_line() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, b'\n').await;
    // What a hostile page can have a browser send, with a handshake for a body.
    let body = json!([handshake()]);
    raw.bytes(format!("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n{body}\n").as_bytes()).await;
    assert_eq!(raw.recv().await[0]["error"], "400::not_a_bayeux_message");
    assert_eq!(raw.text().await, None);
    assert_eq!(broker.sessions(), 0);
}

#[tokio::test]
async fn p151_a_flash_player_gets_the_policy() {
    let broker = broker().await;
    let mut raw = Raw::open(&broker, 0).await;
    raw.bytes(b"<policy-file-request/>\0").await;
    let policy = raw.text().await.expect("a policy");
    let port = broker.socket.expect("a raw listener").port();
    assert!(policy.contains(&format!("domain=\"localhost\" to-ports=\"{port}\"")), "{policy}");
    assert_eq!(raw.text().await, None);
    let mut raw = Raw::open(&broker, 0).await;
    raw.bytes(b"<other-request/>\0").await;
    assert_eq!(raw.text().await, None);
}

#[tokio::test]
async fn p151_who_says_nothing_or_half_a_request_is_let_go() {
    let broker = broker_with(|config| {
        config.session.max_interval = Duration::from_millis(300);
        config.limits.header_timeout = Duration::from_millis(300);
    })
    .await;
    for bytes in ["", "<policy", "[{"] {
        let mut raw = Raw::open(&broker, 0).await;
        raw.bytes(bytes.as_bytes()).await;
        assert_eq!(raw.text().await, None, "{bytes:?}");
    }
}

#[tokio::test]
async fn p151_silence_longer_than_a_ping_is_no_reason_to_close() {
    let broker = broker_with(|config| {
        config.transports.websocket.ping = Duration::from_millis(100);
        config.transports.websocket.pong_timeout = Duration::from_millis(100);
    })
    .await;
    let mut raw = Raw::connected(&broker, 0).await;
    raw.send(connect("3")).await;
    let wait = timeout(Duration::from_millis(700), raw.stream.fill_buf()).await;
    assert!(wait.is_err(), "{wait:?}");
    assert_eq!(raw.one(publish("4", "/a", 1)).await, published("4", "/a"));
}

#[tokio::test]
async fn p151_a_session_whose_client_stays_silent_expires() {
    let broker = broker_with(|config| {
        config.session.timeout = Duration::from_millis(200);
        config.session.max_interval = Duration::from_secs(1);
    })
    .await;
    let mut raw = Raw::connected(&broker, 0).await;
    assert_eq!(raw.one(connect("3")).await, connected("3", 200));
    broker.until_gone(&raw.client_id).await;
    assert_eq!(raw.text().await, None);
}

#[tokio::test]
async fn p151_a_silent_client_that_acknowledges_is_let_go_too() {
    let broker = broker_with(|config| {
        config.session.max_interval = Duration::from_secs(1);
        config.transports.websocket.ping = Duration::from_millis(200);
    })
    .await;
    let mut raw = Raw::open(&broker, 0).await;
    let mut hello = handshake();
    hello["ext"] = json!({"ack": true});
    raw.client_id = raw.one(hello).await["clientId"].as_str().expect("a clientId").to_owned();
    raw.one(connect_now("2")).await;
    assert_eq!(raw.text().await, None, "the connection ends after its session");
}

#[tokio::test]
async fn p151_a_reader_that_stops_loses_nothing() {
    let broker = broker_with(|config| {
        config.limits.write_timeout = Duration::from_millis(300);
        config.limits.message_size = 1 << 20;
        config.session.queue.max_bytes = 64 << 20;
    })
    .await;
    let mut raw = Raw::subscribed(&broker, 0, "/a").await;
    let mut publisher = Polling::connected(broker.address).await;
    let filling = "x".repeat(400_000);
    for n in 0..40 {
        publisher.publish("/a", format!("{n} {filling}")).await;
    }
    let number = |message: &Value| -> u32 {
        let text = message["data"].as_str().expect("a text");
        text.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
    };
    // Let the broker lose patience, then read what was on its way: whole texts, and half a one.
    tokio::time::sleep(Duration::from_millis(900)).await;
    let mut received = Vec::new();
    let mut bytes = Vec::new();
    let _ = soon("the end", raw.stream.read_to_end(&mut bytes)).await;
    for text in bytes.split_inclusive(|byte| *byte == 0) {
        if let Some(text) = text.strip_suffix(b"\0") {
            let messages: Vec<Value> = serde_json::from_slice(text).expect("an array");
            received.extend(messages.iter().map(number));
        }
    }
    assert!(received.len() < 40, "the socket took it all");
    let mut next = Raw::open(&broker, 0).await;
    next.client_id = raw.client_id.clone();
    next.send(connect_now("9")).await;
    while received.len() < 40 {
        let messages = next.recv().await;
        received.extend(messages.iter().filter(|m| m.get("data").is_some()).map(number));
    }
    assert_eq!(received, (0..40).collect::<Vec<_>>(), "once and in order");
}

#[tokio::test]
async fn p151_a_stop_sends_clients_away_with_a_pause() {
    let mut broker = broker().await;
    let mut raw = Raw::connected(&broker, 0).await;
    raw.send(connect("3")).await;
    raw.quiet().await;
    let mut idle = Raw::open(&broker, 0).await;
    broker.drain();
    let reply = raw.recv().await.remove(0);
    assert_eq!(reply["advice"]["reconnect"], "retry", "{reply}");
    assert_eq!(raw.text().await, None);
    assert_eq!(idle.text().await, None);
    assert_eq!(broker.stop().await.open, 0);
}

#[tokio::test]
async fn p151_connections_count_with_all_others() {
    let broker = broker_with(|config| config.limits.connections = Some(1)).await;
    let mut raw = Raw::connected(&broker, 0).await;
    let mut over = Raw::open(&broker, 0).await;
    assert_eq!(over.text().await, None, "closed without a word of HTTP");
    assert_eq!(raw.one(publish("3", "/a", 1)).await, published("3", "/a"));
}

#[tokio::test]
async fn p151_the_example_in_python_prints_what_is_published() {
    let broker = broker().await;
    let address = broker.socket.expect("a raw listener");
    let mut python = Command::new("python3")
        .arg(root().join("examples/raw_socket.py"))
        .args([address.ip().to_string(), address.port().to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let printed = python.stdout.take().expect("piped");
    let (tell, mut told) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::BufReader::new(printed).lines() {
            let _ = tell.send(line.expect("readable"));
        }
    });
    let mut line = async || soon("a line", told.recv()).await.expect("a line, not the end");
    assert_eq!(line().await, "/news \"hello from Python\"");
    Polling::connected(broker.address).await.publish("/news", "hello").await;
    assert_eq!(line().await, "/news \"hello\"");
    python.kill().expect("it still runs");
    python.wait().expect("it has ended");
}
