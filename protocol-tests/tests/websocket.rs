//! The WebSocket transport: protocol.md section 11. RFC 6455 itself is covered by Autobahn's cases;
//! here are those that must hold on the broker's own path.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::DeflateDecoder, write::DeflateEncoder};
use protocol_tests::{
    bayeux::{
        Polling, Socket, connect, connect_now, connected, delivery, publish, published, refused,
        subscribe, unknown_connect,
    },
    broker::Broker,
    deadline::soon,
    http::Response,
    websocket::{
        ACCEPT, BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, TEXT, WebSocket, upgrade_request,
    },
};
use serde_json::{Value, json};
use tokio::time::Instant;

/// A socket that names no session of its own.
async fn stranger(broker: &Broker) -> Socket {
    Socket::open(broker.address).await
}

#[tokio::test]
async fn p098_it_opens_on_every_bayeux_path() {
    let broker = Broker::start().await;
    for path in ["/cometd", "/cometd/", "/bayeux", "/faye", "/cometd/any/thing?x=1"] {
        let websocket = WebSocket::open_with(broker.address, &upgrade_request(path)).await;
        let response = &websocket.response;
        assert_eq!(response.header("sec-websocket-accept"), Some(ACCEPT), "{path}");
        assert_eq!(response.list("upgrade"), ["websocket"]);
        assert_eq!(response.list("connection"), ["upgrade"]);
    }
    let elsewhere = WebSocket::try_open(broker.address, &upgrade_request("/other")).await;
    assert_eq!(elsewhere.expect_err("a refusal").status, 404);
}

#[tokio::test]
async fn p098_a_bad_opening_handshake_is_refused() {
    let broker = Broker::start().await;
    let good = upgrade_request("/cometd");
    let refusal = |request| async move {
        WebSocket::try_open(broker.address, &request).await.expect_err("a refusal")
    };
    let version =
        good.clone().without("Sec-WebSocket-Version").header("Sec-WebSocket-Version", "8");
    let key = good.clone().without("Sec-WebSocket-Key").header("Sec-WebSocket-Key", "short");
    let response: Response = refusal(version).await;
    assert_eq!((response.status, response.header("sec-websocket-version")), (426, Some("13")));
    let response = WebSocket::try_open(broker.address, &key).await.expect_err("a refusal");
    assert_eq!(response.status, 400);
    let none = good.without("Sec-WebSocket-Key");
    let response = WebSocket::try_open(broker.address, &none).await.expect_err("a refusal");
    assert_eq!(response.status, 400);
}

#[tokio::test]
async fn p098_a_binary_frame_is_refused_with_1003() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    socket.websocket.send(&Frame::new(BINARY, "[]")).await;
    assert_eq!(socket.close_code().await, 1003);
}

#[tokio::test]
async fn p099_a_new_socket_adopts_the_session_of_its_first_message() {
    let broker = Broker::start().await;
    let session = Polling::subscribed(broker.address, "/a").await;
    let mut socket = Socket::adopt(broker.address, &session.client_id).await;
    assert_eq!(socket.one(publish("3", "/b", 1)).await, published("3", "/b"));
}

#[tokio::test]
async fn p099_a_bound_socket_answers_another_client_id_with_402() {
    let broker = Broker::start().await;
    let other = Polling::connected(broker.address).await;
    let mut socket = Socket::connected(broker.address).await;
    let error = "402::session_unknown";
    let mut foreign = publish("3", "/a", 1);
    foreign["clientId"] = other.client_id.as_str().into();
    assert_eq!(socket.one(foreign).await, refused("3", "/a", error));
    let mut nobody = publish("4", "/a", 1);
    nobody["clientId"] = Value::Null;
    assert_eq!(socket.one(nobody).await, refused("4", "/a", error));
    assert_eq!(socket.one(publish("5", "/a", 1)).await, published("5", "/a"));
}

#[tokio::test]
async fn p099_a_session_goes_from_websocket_to_polling() {
    let broker = Broker::start().await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let mut poller = Polling::connected(broker.address).await;
    (poller.client_id, poller.cookie) = (socket.client_id.clone(), None);
    let mut held = poller.hold("5").await;
    Polling::connected(broker.address).await.publish("/a", 1).await;
    assert_eq!(held.messages().await, [delivery("/a", 1), connected("5", 45_000)]);
    socket.websocket.quiet().await;
}

#[tokio::test]
async fn p099_with_a_handshake_per_connection_nothing_is_adopted() {
    let broker =
        Broker::with(|config| config.transports.websocket.handshake_per_connection = true).await;
    let session = Polling::connected(broker.address).await;
    let mut socket = Socket::adopt(broker.address, &session.client_id).await;
    assert_eq!(socket.one(connect_now("3")).await, unknown_connect("3"));
    socket.renew().await;
    assert_eq!(socket.one(connect_now("4")).await, connected("4", 45_000));
}

#[tokio::test]
async fn p100_delivery_moves_to_a_new_socket_with_its_first_message() {
    let broker = Broker::start().await;
    let mut old = Socket::subscribed(broker.address, "/a").await;
    let mut new = Socket::adopt(broker.address, &old.client_id).await;
    assert_eq!(new.one(publish("3", "/b", 1)).await, published("3", "/b"));
    Polling::connected(broker.address).await.publish("/a", 1).await;
    assert_eq!(new.recv().await, [delivery("/a", 1)]);
    old.websocket.quiet().await;
}

#[tokio::test]
async fn p100_messages_flow_before_the_first_connect_and_between_connects() {
    let broker = Broker::start().await;
    let mut publisher = Polling::connected(broker.address).await;
    let mut socket = Socket::handshake(broker.address).await;
    socket.subscribe("/a").await;
    publisher.publish("/a", 1).await;
    assert_eq!(socket.recv().await, [delivery("/a", 1)]);
    socket.one(connect_now("3")).await;
    publisher.publish("/a", 2).await;
    assert_eq!(socket.recv().await, [delivery("/a", 2)]);
}

#[tokio::test]
async fn p101_a_delivery_does_not_release_the_connect() {
    let broker = Broker::holding(3000).await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    let start = Instant::now();
    socket.send(json!([connect("3")])).await;
    socket.websocket.quiet().await;
    Polling::connected(broker.address).await.publish("/a", 1).await;
    assert_eq!(socket.recv().await, [delivery("/a", 1)]);
    socket.websocket.quiet().await;
    assert_eq!(socket.recv().await, [connected("3", 3000)]);
    assert!(start.elapsed() >= Duration::from_millis(3000), "{:?}", start.elapsed());
}

#[tokio::test]
async fn p102_each_delivery_has_a_frame_and_the_replies_share_one() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    socket.send(json!([subscribe("4", "/w"), publish("5", "/w", 1), publish("6", "/w", 2)])).await;
    assert_eq!(socket.recv().await, [delivery("/w", 1)]);
    assert_eq!(socket.recv().await, [delivery("/w", 2)]);
    let subscribed = json!({"channel": "/meta/subscribe", "id": "4", "subscription": "/w",
        "successful": true});
    assert_eq!(socket.recv().await, [subscribed, published("5", "/w"), published("6", "/w")]);
}

#[tokio::test]
async fn p103_a_held_connect_does_not_delay_the_replies_beside_it() {
    let broker = Broker::holding(400).await;
    let mut socket = Socket::connected(broker.address).await;
    let start = Instant::now();
    socket.send(json!([connect("3"), publish("4", "/a", 1)])).await;
    assert_eq!(socket.recv().await, [published("4", "/a")]);
    assert_eq!(socket.recv().await, [connected("3", 400)]);
    assert!(start.elapsed() >= Duration::from_millis(400), "{:?}", start.elapsed());
}

#[tokio::test]
async fn p104_what_is_not_bayeux_closes_with_1011_and_a_short_reason() {
    let broker = Broker::start().await;
    let deep = format!("[{{\"channel\":\"/a\",\"data\":{}}}]", "[".repeat(70) + &"]".repeat(70));
    let many = Value::Array(vec![json!({"channel": "/a"}); 101]).to_string();
    let texts = ["", "x", "[", "[]", "5", "[5]", "{}x", "[{\"a\":1,\"a\":2}]", &deep, &many];
    for text in texts {
        let mut websocket = WebSocket::open(broker.address).await;
        websocket.send(&Frame::text(text)).await;
        let (code, reason) = websocket.close().await.expect("a close frame");
        assert_eq!(code, 1011, "{text:.40}");
        assert!(reason.len() <= 30, "{reason}");
    }
}

#[tokio::test]
async fn p104_too_large_a_message_closes_with_1009() {
    let broker = Broker::with(|config| config.limits.message_size = 1024).await;
    let mut whole = stranger(&broker).await;
    whole.send_raw(vec![b' '; 1025]).await;
    assert_eq!(whole.close_code().await, 1009);
    let mut declared = stranger(&broker).await;
    declared.websocket.send_bytes(&Frame::declaring(1025)).await;
    assert_eq!(declared.close_code().await, 1009, "before a byte of it came");
    let mut absurd = stranger(&broker).await;
    absurd.websocket.send_bytes(&Frame::declaring(1 << 63 | 1)).await;
    let code = absurd.close_code().await;
    assert!([1002, 1009].contains(&code), "{code}");
    let mut pieces = stranger(&broker).await;
    pieces.websocket.send(&Frame::text(vec![b' '; 1000]).unfinished()).await;
    pieces.websocket.send(&Frame::new(CONTINUATION, vec![b' '; 25])).await;
    assert_eq!(pieces.close_code().await, 1009);
}

#[tokio::test]
async fn p104_a_close_for_a_limit_names_its_value_and_its_key() {
    let broker = Broker::with(|config| {
        config.limits.message_size = 1024;
        config.transports.websocket.max_fragments = 2;
    })
    .await;
    let mut frames = Socket::connected(broker.address).await;
    for opcode in [TEXT, CONTINUATION, CONTINUATION] {
        frames.websocket.send(&Frame::new(opcode, b" ".to_vec()).unfinished()).await;
    }
    let told = "more than 2 frames in a message (transports.websocket.max_fragments)";
    assert_eq!(frames.websocket.close().await, Some((1009, told.to_owned())));
    let mut large = Socket::connected(broker.address).await;
    large.websocket.send(&Frame::new(BINARY, vec![b' '; 1025])).await;
    let told = "larger than 1024 bytes (limits.message_size)";
    assert_eq!(large.websocket.close().await, Some((1009, told.to_owned())));
}

/// A text of `length` bytes that publishes `x`es.
fn text_of(length: usize, client_id: &str) -> Vec<u8> {
    let mut message = publish("7", "/a", "");
    message["clientId"] = client_id.into();
    let room = length - message.to_string().len();
    message["data"] = "x".repeat(room).into();
    message.to_string().into()
}

#[tokio::test]
async fn p104_a_publish_over_the_limit_is_refused_and_the_session_goes_on() {
    let broker = Broker::with(|config| config.limits.message_size = 1024).await;
    let mut listener = Polling::subscribed(broker.address, "/a").await;
    let mut socket = Socket::connected(broker.address).await;
    let refused = |id: &str| refused(id, "/a", "413:1024:message_too_large");
    for length in [1025, 16 * 1024] {
        socket.send_raw(text_of(length, &socket.client_id.clone())).await;
        assert_eq!(socket.recv().await, [refused("7")], "{length} bytes");
    }
    // In frames of which each would do, and none of which ends with a character.
    let whole = text_of(1500, &socket.client_id.clone());
    let whole = String::from_utf8(whole).unwrap().replace("xx", "\u{e9}");
    let (head, tail) = whole.as_bytes().split_at(751);
    assert!(std::str::from_utf8(head).is_err());
    socket.websocket.send(&Frame::new(TEXT, head.to_vec()).unfinished()).await;
    socket.websocket.send(&Frame::new(PING, b"p".to_vec())).await;
    socket.websocket.send(&Frame::new(CONTINUATION, tail.to_vec())).await;
    assert_eq!(socket.websocket.frame().await.opcode, PONG);
    assert_eq!(socket.recv().await, [refused("7")]);
    // All of a batch, and nothing of it is published.
    let batch: Vec<Value> =
        (0..3).map(|n| publish(&n.to_string(), "/a", "x".repeat(500))).collect();
    socket.send(json!(batch)).await;
    assert_eq!(socket.recv().await, ["0", "1", "2"].map(refused));
    assert_eq!(socket.one(publish("8", "/b", 1)).await, published("8", "/b"));
    assert_eq!(listener.fetch().await.len(), 1, "the reply to its connect alone");
}

#[tokio::test]
async fn p104_what_cannot_be_answered_over_the_limit_closes_with_1009() {
    let broker = Broker::with(|config| {
        config.limits.message_size = 1024;
        config.transports.websocket.compression = true;
    })
    .await;
    let told = Some((1009, "larger than 1024 bytes (limits.message_size)".to_owned()));
    let long = || vec![b' '; 1025];
    let with_meta = |id: &str| {
        let mut messages = json!([subscribe("4", "/a"), publish("5", "/a", "x".repeat(1024))]);
        messages[0]["clientId"] = id.into();
        messages.to_string().into_bytes()
    };
    let mut too_long = Socket::connected(broker.address).await;
    too_long.websocket.send_bytes(&Frame::declaring(16 * 1024 + 1)).await;
    assert_eq!(too_long.websocket.close().await, told, "beyond 16 times the limit");
    let mut meta = Socket::connected(broker.address).await;
    meta.send_raw(with_meta(&meta.client_id.clone())).await;
    assert_eq!(meta.websocket.close().await, told, "a subscribe among publishes");
    let mut nonsense = Socket::connected(broker.address).await;
    nonsense.send_raw(long()).await;
    assert_eq!(nonsense.websocket.close().await, told, "no message");
    let mut binary = Socket::connected(broker.address).await;
    binary.websocket.send(&Frame::new(BINARY, long())).await;
    assert_eq!(binary.websocket.close().await, told, "bytes");
    let mut foreign = stranger(&broker).await;
    foreign.send_raw(long()).await;
    assert_eq!(foreign.websocket.close().await, told, "nobody");
    let mut no_text = Socket::connected(broker.address).await;
    no_text.send_raw([long(), vec![0xc3]].concat()).await;
    assert_eq!(no_text.close_code().await, 1007);
}

#[tokio::test]
async fn p104_a_message_of_just_the_limit_passes() {
    let broker = Broker::with(|config| config.limits.message_size = 1024).await;
    let mut socket = Socket::connected(broker.address).await;
    let mut message = publish("3", "/a", "");
    message["clientId"] = socket.client_id.as_str().into();
    let room = 1024 - json!([message]).to_string().len();
    message["data"] = "x".repeat(room).into();
    assert_eq!(socket.one(message).await, published("3", "/a"));
}

#[tokio::test]
async fn p104_invalid_utf8_closes_with_1007() {
    let broker = Broker::start().await;
    let mut socket = stranger(&broker).await;
    socket.send_raw(vec![b'[', b'"', 0xff, b'"', b']']).await;
    assert_eq!(socket.close_code().await, 1007);
    let mut surrogate = stranger(&broker).await;
    surrogate.send_raw(vec![0xed, 0xa0, 0x80]).await;
    assert_eq!(surrogate.close_code().await, 1007);
}

#[tokio::test]
async fn p104_bad_framing_closes_with_1002() {
    let broker = Broker::start().await;
    let violations = [
        Frame::text("[]").unmasked(),
        Frame::text("[]").reserved(4),
        Frame::text("[]").reserved(2),
        Frame::text("[]").reserved(1),
        Frame::new(3, "x"),
        Frame::new(11, "x"),
        Frame::new(CONTINUATION, "x"),
        Frame::new(PING, vec![b'x'; 126]),
        Frame::new(PING, "x").unfinished(),
        Frame::new(CLOSE, [3]),
        Frame::close(1005),
        Frame::close(999),
    ];
    for frame in violations {
        let mut websocket = WebSocket::open(broker.address).await;
        websocket.send(&frame).await;
        let (code, _) = websocket.close().await.expect("a close frame");
        assert_eq!(code, 1002, "{frame:?}");
    }
    let mut websocket = WebSocket::open(broker.address).await;
    websocket.send(&Frame::text("[").unfinished()).await;
    websocket.send(&Frame::text("]")).await;
    assert_eq!(websocket.close().await.expect("a close frame").0, 1002, "interrupted message");
}

#[tokio::test]
async fn p104_the_clients_close_is_echoed() {
    let broker = Broker::start().await;
    for code in [1000, 1001, 4000] {
        let mut socket = Socket::connected(broker.address).await;
        socket.websocket.send(&Frame::close(code)).await;
        assert_eq!(socket.close_code().await, code);
        assert_eq!(socket.websocket.end().await, []);
    }
    let mut socket = Socket::connected(broker.address).await;
    socket.websocket.send(&Frame::new(CLOSE, "")).await;
    assert_eq!(socket.close_code().await, 1005, "a close without code is echoed without one");
}

#[tokio::test]
async fn p104_after_a_violation_the_session_lives_on() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    socket.send_raw("[").await;
    assert_eq!(socket.close_code().await, 1011);
    let mut again = Socket::adopt(broker.address, &socket.client_id).await;
    assert_eq!(again.one(connect_now("1")).await, connected("1", 45_000));
}

#[tokio::test]
async fn p104_fragments_and_control_frames_between_them_are_put_together() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    let mut message = publish("3", "/a", "é€😀");
    message["clientId"] = socket.client_id.as_str().into();
    let text = message.to_string().into_bytes();
    let last = text.len() - 1;
    for (n, byte) in text.into_iter().enumerate() {
        let opcode = if n == 0 { TEXT } else { CONTINUATION };
        let frame = Frame::new(opcode, [byte]);
        socket.websocket.send(&if n < last { frame.unfinished() } else { frame }).await;
        if n == 5 {
            socket.websocket.send(&Frame::new(PING, "still there?")).await;
        }
    }
    let pong = socket.websocket.frame().await;
    assert_eq!((pong.opcode, &*pong.payload), (PONG, &b"still there?"[..]));
    assert_eq!(socket.recv().await, [published("3", "/a")]);
}

#[tokio::test]
async fn p105_a_held_connect_outlives_ping_and_pong() {
    let broker = Broker::with(|config| {
        config.session.timeout = Duration::from_millis(2500);
        config.transports.websocket.ping = Duration::from_millis(200);
        config.transports.websocket.pong_timeout = Duration::from_secs(1);
    })
    .await;
    let mut socket = Socket::connected(broker.address).await;
    let reply = socket.one(connect("3")).await;
    assert_eq!(reply, connected("3", 2500), "pings were answered meanwhile");
}

#[tokio::test]
async fn p106_by_default_the_first_offered_protocol_is_echoed() {
    let broker = Broker::start().await;
    let offering = upgrade_request("/cometd").header("Sec-WebSocket-Protocol", "bayeux, other");
    let websocket = WebSocket::open_with(broker.address, &offering).await;
    assert_eq!(websocket.response.header("sec-websocket-protocol"), Some("bayeux"));
    let websocket = WebSocket::open(broker.address).await;
    assert_eq!(websocket.response.header("sec-websocket-protocol"), None);
}

#[tokio::test]
async fn p106_a_configured_protocol_must_be_offered() {
    let broker =
        Broker::with(|config| config.transports.websocket.protocol = "bayeux".into()).await;
    let offering = |offer: &str| upgrade_request("/cometd").header("Sec-WebSocket-Protocol", offer);
    let websocket = WebSocket::open_with(broker.address, &offering("other, bayeux")).await;
    assert_eq!(websocket.response.header("sec-websocket-protocol"), Some("bayeux"));
    for request in [upgrade_request("/cometd"), offering("other")] {
        let refusal = WebSocket::try_open(broker.address, &request).await.expect_err("a refusal");
        assert_eq!(refusal.status, 400);
    }
}

fn deflate(text: &str) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("deflate");
    encoder.flush().expect("deflate");
    let mut bytes = encoder.get_ref().clone();
    bytes.truncate(bytes.len() - 4);
    bytes
}

fn inflate(payload: &[u8]) -> Value {
    let mut decoder = DeflateDecoder::new(Vec::new());
    decoder.write_all(payload).expect("inflate");
    decoder.write_all(&[0, 0, 0xff, 0xff]).expect("inflate");
    decoder.flush().expect("inflate");
    serde_json::from_slice(decoder.get_ref()).expect("JSON")
}

/// A socket that negotiated compression.
async fn compressing(broker: &Broker) -> Socket {
    let offer = "permessage-deflate; client_max_window_bits";
    let request = upgrade_request("/cometd").header("Sec-WebSocket-Extensions", offer);
    let websocket = WebSocket::open_with(broker.address, &request).await;
    let accepted = websocket.response.header("sec-websocket-extensions").expect("an extension");
    for part in ["permessage-deflate", "server_no_context_takeover", "client_no_context_takeover"] {
        assert!(accepted.contains(part), "{accepted}");
    }
    Socket { websocket, client_id: String::new() }
}

#[tokio::test]
async fn p107_compressed_messages_both_ways() {
    let broker = Broker::with(|config| config.transports.websocket.compression = true).await;
    let mut socket = compressing(&broker).await;
    socket.renew_compressed().await;
    let data = "all work and no play ".repeat(40);
    for round in 0..3 {
        let mut batch = json!([subscribe("3", "/a"), publish("4", "/a", data.as_str())]);
        for message in batch.as_array_mut().expect("an array") {
            message["clientId"] = socket.client_id.as_str().into();
        }
        socket.websocket.send(&Frame::text(deflate(&batch.to_string())).reserved(4)).await;
        let frame = socket.websocket.frame().await;
        assert_eq!((frame.fin, frame.rsv), (true, 4), "round {round}: compressed");
        assert!(frame.payload.len() < data.len() / 4, "{}", frame.payload.len());
        assert_eq!(inflate(&frame.payload), json!([delivery("/a", data.as_str())]));
        socket.websocket.frame().await;
    }
}

#[tokio::test]
async fn p107_a_bomb_is_stopped_at_the_limit() {
    let broker = Broker::with(|config| config.transports.websocket.compression = true).await;
    let mut socket = compressing(&broker).await;
    let bomb = deflate(&" ".repeat(1 << 20));
    assert!(bomb.len() < 4096);
    socket.websocket.send(&Frame::text(bomb).reserved(4)).await;
    assert_eq!(socket.close_code().await, 1009);
}

#[tokio::test]
async fn p107_without_the_setting_nothing_is_negotiated() {
    let broker = Broker::start().await;
    let request =
        upgrade_request("/cometd").header("Sec-WebSocket-Extensions", "permessage-deflate");
    let websocket = WebSocket::open_with(broker.address, &request).await;
    assert_eq!(websocket.response.header("sec-websocket-extensions"), None);
}

/// A handshake over a socket whose replies may be compressed.
trait Compressed {
    async fn renew_compressed(&mut self);
}

impl Compressed for Socket {
    async fn renew_compressed(&mut self) {
        self.send_raw(json!([protocol_tests::bayeux::handshake()]).to_string()).await;
        let frame = self.websocket.frame().await;
        let replies = if frame.rsv == 4 { inflate(&frame.payload) } else { parse(&frame.payload) };
        self.client_id = replies[0]["clientId"].as_str().expect("a clientId").to_owned();
    }
}

fn parse(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).expect("JSON")
}

#[tokio::test]
async fn p109_frames_are_worked_off_in_order() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    for n in 0..300 {
        socket.send(publish(&n.to_string(), &format!("/a/{}", n % 7), n)).await;
    }
    for n in 0..300 {
        let channel = format!("/a/{}", n % 7);
        assert_eq!(socket.recv().await, [published(&n.to_string(), &channel)]);
    }
}

#[tokio::test]
async fn p109_a_reader_that_stops_does_not_stop_the_others() {
    let broker = Broker::with(|config| {
        config.session.queue.max_messages = 1_000_000;
        config.session.queue.max_bytes = 1 << 30;
    })
    .await;
    let stopped = Socket::subscribed(broker.address, "/a").await;
    let mut reader = Socket::subscribed(broker.address, "/a").await;
    let mut publisher = Socket::connected(broker.address).await;
    let data = "x".repeat(30_000);
    for n in 0..400 {
        publisher.publish("/a", format!("{n} {data}")).await;
        let heard = reader.recv().await;
        assert_eq!(
            heard[0]["data"].as_str().and_then(|text| text.split(' ').next()),
            Some(&*n.to_string())
        );
    }
    assert!(broker.queued(&stopped.client_id) > 0, "12 MB do not fit into the socket");
}

#[tokio::test]
async fn p144_a_silent_peer_is_pinged_and_then_closed() {
    let broker = Broker::with(|config| {
        config.transports.websocket.ping = Duration::from_millis(200);
        config.transports.websocket.pong_timeout = Duration::from_millis(300);
    })
    .await;
    let start = Instant::now();
    let mut socket = Socket::connected(broker.address).await;
    assert_eq!(socket.websocket.frame().await.opcode, PING);
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    assert_eq!(socket.close_code().await, 1001);
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
    assert!(broker.knows(&socket.client_id), "only the socket is gone");
}

#[tokio::test]
async fn p144_pings_are_answered_during_a_held_connect() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    socket.send(json!([connect("3")])).await;
    for payload in ["", "a", "0123456789"] {
        socket.websocket.send(&Frame::new(PING, payload)).await;
        let pong = soon("pong", socket.websocket.frame()).await;
        assert_eq!((pong.opcode, &*pong.payload), (PONG, payload.as_bytes()));
    }
}
