//! One test per bug: what went wrong, and how it was found.

use std::time::Duration;

use bayeuxd::config::Config;
use protocol_tests::{
    bayeux::{
        Polling, Socket, connect, connect_now, connected, handshake, publish, refused, stamp,
    },
    broker::Broker,
    deadline::{Heart, if_within, soon},
    http::{self, Request},
    websocket::{CLOSE, Frame, PING, TEXT, WebSocket, upgrade_request},
};
use serde_json::{json, value::RawValue};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

/// A browser's session counted its own superseded connect against the limit of one held connect per
/// browser, so each overlapping poll of a healthy page was answered with `multiple-clients` and a
/// pause of two seconds. Found by `p041_second_connect_fails_the_first_with_500`.
#[tokio::test]
async fn a_session_does_not_shut_itself_out_by_superseding_itself() {
    // Each is superseded long before it would end by itself.
    let broker = Broker::holding(2_500).await;
    let session = Polling::connected(broker.address).await;
    let mut held = session.hold("3").await;
    for n in 4..8 {
        let mut next = session.hold(&n.to_string()).await;
        assert_eq!(held.response().await.status, 500);
        std::mem::swap(&mut held, &mut next);
    }
    assert_eq!(held.messages().await, [connected("7", 2_500)]);
}

/// `/meta/connect/` was normalised first and then taken for `/meta/connect`, so a rule written for
/// the one name could be passed by with the other. Found by the cases of reliability.md T13.
#[tokio::test]
async fn a_meta_channel_is_matched_exactly() {
    let broker = Broker::start().await;
    let mut session = Polling::connected(broker.address).await;
    let error = "403:denied_by_security_policy:channel_create_denied";
    for channel in ["connect/", "subscribe/", "disconnect/", "subscribe/x", "handshake/"] {
        let channel = format!("/meta/{channel}");
        let reply = session.one(publish("3", &channel, 1)).await;
        assert_eq!(reply, refused("3", &channel, error));
    }
    let mut shouted = connect("4");
    shouted["channel"] = "/META/connect".into();
    let reply = session.one(shouted).await;
    assert_eq!(reply, refused("4", "/META/connect", "400::data_missing"), "an ordinary channel");
    assert!(broker.knows(&session.client_id));
}

/// On its first visit a Faye client probes the WebSocket while its handshake over HTTP is under way,
/// both without a cookie. The 101 and the handshake set one each under the same name; when the 101
/// came last, the browser presented its cookie with the session of the other, and every request got
/// 402. Found by npm faye, over WebSocket on a busy machine.
#[tokio::test]
async fn a_probe_beside_a_handshake_takes_no_cookie_away() {
    let broker = Broker::start().await;
    let mut session = Polling::handshake(broker.address).await;
    let probe = WebSocket::open(broker.address).await.response.cookie();
    let own = session.cookie.take().expect("a cookie");
    let name = |cookie: &str| cookie.split('=').next().map(str::to_owned);
    assert_ne!(name(&own), name(&probe), "a browser keeps both");
    session.cookie = Some(format!("{own}; {probe}"));
    assert_eq!(session.one(connect("2")).await, connected("2", 45_000));
}

/// The operators' listener obeyed the drain as clients do, and a connection that is told to stop
/// before its first request is closed without an answer: balancers saw resets instead of 503. Found
/// by reading.
#[tokio::test]
async fn probes_are_answered_while_clients_are_sent_away() {
    let mut broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    broker.drain();
    // The socket's close is not answered, so the drain goes on.
    assert_eq!(socket.close_code().await, 1001);
    for (path, status) in [("/readyz", 503), ("/healthz", 200)] {
        let response = http::request(broker.admin, &Request::get(path)).await;
        assert_eq!(response.status, status, "{path}");
    }
}

/// A server that ended, by a second signal or at the end of its patience, left the tasks of its
/// connections running. A program that embeds it went on serving clients for ever. Found by reading.
#[tokio::test]
async fn an_ended_server_lets_go_of_its_connections() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    let mut held = Polling::connected(broker.address).await.hold("3").await;
    let mut subscription = broker.handle.subscribe("/a").expect("a subscription");
    broker.kill().await;
    socket.websocket.end().await;
    held.connection.closed().await;
    assert!(soon("the end of the subscription", subscription.next()).await.is_none());
}

/// While a client waited for its turn to be sent away, minutes with very many of them, nothing was
/// delivered to it, and its pings were not answered. Found by reading.
#[tokio::test]
async fn clients_are_served_until_they_are_sent_away() {
    let mut broker = Broker::start().await;
    // As many sessions as take four seconds to send away.
    let many = |_| broker.handle.subscribe("/b").expect("a subscription");
    let crowd: Vec<_> = (0..8_000).map(many).collect();
    let (mut sockets, mut polls) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        sockets.push(Socket::subscribed(broker.address, "/a").await);
        polls.push(Polling::subscribed(broker.address, "/a").await.hold("3").await);
    }
    broker.drain();
    // The listener is closed right before the first client is sent away.
    while TcpStream::connect(broker.address).await.is_ok() {
        sleep(Duration::from_millis(5)).await;
    }
    sleep(Duration::from_millis(50)).await;
    let data = RawValue::from_string("1".into()).expect("JSON");
    broker.handle.publish("/a", &data).await.expect("published");
    let heart = Heart::start();
    let rest_of_a_second = || Duration::from_secs(1).saturating_sub(heart.felt());
    let mut served = 0;
    for socket in &mut sockets {
        let frame = if_within(rest_of_a_second(), socket.websocket.next_frame()).await.flatten();
        served += usize::from(frame.is_some_and(|frame| frame.opcode == TEXT));
    }
    for poll in &mut polls {
        let readable = if_within(rest_of_a_second(), poll.connection.readable()).await;
        served += usize::from(readable.is_some());
    }
    // A few may have had their turn before the message was published.
    assert!(served >= 16, "{served} of 20");
    drop(crowd);
}

/// aiocometd takes `advice.interval` for seconds, so it is told 0 (protocol.md 140); but not so in
/// the replies to handshake and connect, where `session.interval` stood. Found by reading.
#[tokio::test]
async fn a_configured_interval_is_not_told_to_who_counts_in_seconds() {
    let broker = Broker::with(|config| config.session.interval = Duration::from_secs(5)).await;
    let agent = |request: Request| request.header("User-Agent", "Python/3.11 aiohttp/3.14");
    let request = agent(Request::post("/cometd", json!([handshake()]).to_string()));
    let reply = http::request(broker.address, &request).await.messages().remove(0);
    assert_eq!(reply["advice"]["interval"], 0, "{reply}");
    let session = Polling::handshake(broker.address).await;
    for (count_seconds, interval) in [(false, 5_000), (true, 0)] {
        let request = session.request(json!([connect_now("2")]));
        let request = if count_seconds { agent(request) } else { request };
        let reply = http::request(broker.address, &request).await.messages().remove(0);
        assert_eq!(reply["advice"]["interval"], interval, "{reply}");
    }
}

/// A socket whose session had moved to another connection was kept for ever, although old clients
/// never close theirs (protocol.md 136); and a handshake on it ended the session that others carried
/// on. Found by reading.
#[tokio::test]
async fn a_socket_whose_session_has_moved_is_closed_and_ends_nothing() {
    let life = Duration::from_secs(1);
    let broker = Broker::with(|config| config.session.max_interval = life).await;
    for renews in [false, true] {
        let mut socket = Socket::connected(broker.address).await;
        let session = socket.client_id.clone();
        let mut polling = http::Connection::open(broker.address).await;
        let mut body = json!([connect("3")]);
        stamp(&mut body, &session);
        polling.send(Request::post("/cometd", body.to_string()).bytes()).await;
        polling.quiet().await;
        if renews {
            socket.renew().await;
        } else {
            assert_eq!(socket.close_code().await, 1001);
        }
        assert!(broker.knows(&session), "renews: {renews}");
        polling.quiet().await;
    }
}

/// A connect and a disconnect in one frame: the connect was never answered, and held on for a
/// session that had ended. Found by reading.
#[tokio::test]
async fn a_connect_before_a_disconnect_in_one_frame_is_answered() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    let disconnect = json!({"channel": "/meta/disconnect", "id": "4"});
    socket.send(json!([connect("3"), disconnect])).await;
    let replies = socket.recv_messages(2).await;
    assert_eq!((&replies[0]["id"], &replies[1]["id"]), (&json!("3"), &json!("4")), "{replies:?}");
    assert_eq!(replies[0]["advice"], json!({"reconnect": "none"}));
}

/// While frames are written nobody reads. A client that took longer than `ping` + `pong_timeout` to
/// read a large backlog was closed right after that, for not answering a ping that had never been
/// sent. Found by reading.
#[tokio::test]
async fn a_slow_reader_is_not_taken_for_silent() {
    let broker = Broker::with(|config| {
        impatient(config);
        config.session.queue.max_bytes = 64 << 20;
    })
    .await;
    let mut socket = Socket::subscribed(broker.address, "/a").await;
    // More than the kernel buffers on both sides.
    let data = RawValue::from_string(format!("\"{}\"", "x".repeat(100_000))).expect("JSON");
    for _ in 0..200 {
        broker.handle.publish("/a", &data).await.expect("published");
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(socket.recv_messages(200).await.len(), 200);
    socket.publish("/b", 1).await;
}

/// A message that took longer to arrive than `ping` + `pong_timeout` closed its connection, although
/// bytes came all the time. Found by reading.
#[tokio::test]
async fn a_slow_writer_is_not_taken_for_silent() {
    let broker = Broker::with(impatient).await;
    let mut socket = Socket::connected(broker.address).await;
    let mut message = json!([publish("3", "/a", "x".repeat(50))]);
    stamp(&mut message, &socket.client_id);
    for bytes in Frame::text(message.to_string()).bytes().chunks(8) {
        socket.websocket.send_bytes(bytes).await;
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(socket.recv().await[0]["successful"], true);
}

fn impatient(config: &mut Config) {
    config.transports.websocket.ping = Duration::from_millis(200);
    config.transports.websocket.pong_timeout = Duration::from_millis(200);
}

/// Only answers to polls were marked for proxies; refusals on the same URL were not, and some of
/// them may be cached by default (protocol.md 141). Found by reading.
#[tokio::test]
async fn refusals_are_not_cached_either() {
    let broker = Broker::start().await;
    let foreign = Request::post("/cometd", "[]").header("Origin", "https://evil.example");
    let requests =
        [(Request::new("PUT", "/cometd"), 405), (Request::get("/cometd"), 400), (foreign, 403)];
    for (request, status) in requests {
        let response = http::request(broker.address, &request).await;
        assert_eq!(response.status, status);
        assert_eq!(response.header("cache-control"), Some("no-store"), "{status}");
        assert_eq!(response.header("x-accel-buffering"), Some("no"), "{status}");
    }
}

/// A program that embeds the broker could subscribe to a service channel, to which nothing is routed,
/// and waited for ever without a word. Found by reading.
#[tokio::test]
async fn a_program_is_told_that_a_service_channel_brings_nothing() {
    let broker = Broker::start().await;
    assert!(broker.handle.subscribe("/service/a").is_err());
    assert!(broker.handle.subscribe("/meta/a").is_err());
    assert!(broker.handle.subscribe("/a/**").is_ok());
}

/// A body over the limit was answered with 413 and the connection closed with bytes unread, which
/// makes the kernel reset it: a client that was still sending saw a broken pipe instead of the
/// answer. Found with curl.
#[tokio::test]
async fn who_sends_too_large_a_body_gets_to_read_why() {
    let broker = Broker::start().await;
    for sends_length in [true, false] {
        let mut connection = http::Connection::open(broker.address).await;
        let size = 20 << 20;
        let framing = if sends_length {
            format!("Content-Length: {size}\r\n\r\n")
        } else {
            format!("Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n")
        };
        let head = format!("POST /cometd HTTP/1.1\r\nHost: localhost\r\n{framing}");
        connection.send(head).await;
        for _ in 0..size / (1 << 20) {
            connection.send(vec![b'x'; 1 << 20]).await;
        }
        let response = connection.response_or_end().await;
        assert_eq!(response.map(|response| response.status), Some(413), "{sends_length}");
    }
}

/// A client that an operator sent away while it held no connect heard that its session was unknown, and
/// began anew. Found as a test that failed now and then: the client was between two polls.
#[tokio::test]
async fn who_is_sent_away_between_two_connects_stays_away() {
    let broker = Broker::start().await;
    let mut polling = Polling::connected(broker.address).await;
    let mut socket = Socket::connected(broker.address).await;
    for client_id in [&polling.client_id, &socket.client_id] {
        broker.kick(client_id);
    }
    let told = json!({"id": "9", "channel": "/meta/connect", "successful": false,
        "error": "402::session_unknown", "advice": {"reconnect": "none"}});
    assert_eq!(polling.one(connect("9")).await, told);
    assert_eq!(socket.one(connect("9")).await, told);
    let other = json!({"id": "10", "channel": "/meta/subscribe", "clientId": polling.client_id,
        "subscription": "/a"});
    assert_eq!(polling.one(other).await["error"], "402::session_unknown");
    // Whoever handshakes all the same is not kept out.
    socket.renew().await;
    assert_eq!(socket.one(connect_now("11")).await["successful"], true);
}

/// A client that always had something to say was never answered its connect, nor sent away at a stop: what
/// time brings was looked at only when no bytes waited. Found by reading.
#[tokio::test(flavor = "multi_thread")]
async fn who_never_stops_sending_is_answered_and_sent_away_in_time() {
    let mut broker =
        Broker::with(|config| config.session.timeout = Duration::from_millis(500)).await;
    let mut socket = Socket::connected(broker.address).await;
    let mut message = publish("p", "/a", "x");
    stamp(&mut message, &socket.client_id);
    let flood = Frame::text(message.to_string()).bytes().repeat(400);
    socket.send(json!([connect("3")])).await;
    let mut is_answered = false;
    let told = socket.websocket.flood(&flood, |frame| {
        if String::from_utf8_lossy(&frame.payload).contains(r#""id":"3""#) {
            is_answered = true;
            broker.drain();
        }
        frame.opcode == CLOSE && frame.close_reason().0 == 1001
    });
    soon("the reply to the connect and the close", told).await;
    assert!(is_answered, "sent away without the reply to its connect");
}

/// Between connects nobody listened for the end of a session whose messages leave with connects only, until
/// its client had been silent for a while: one that sends pings was never told. Found by reading.
#[tokio::test]
async fn a_socket_hears_of_the_end_of_its_session_between_connects() {
    let broker =
        Broker::with(|config| config.session.max_interval = Duration::from_millis(500)).await;
    for acks in [false, true] {
        let mut message = handshake();
        message["ext"] = json!({"ack": acks});
        let mut socket = Socket::handshake_with(broker.address, message).await;
        socket.send(json!([connect_now("2")])).await;
        socket.recv().await;
        let told = async {
            loop {
                socket.websocket.send(&Frame::new(PING, "")).await;
                match timeout(Duration::from_millis(50), socket.websocket.next_frame()).await {
                    Ok(Some(frame)) if frame.opcode == CLOSE => return frame.close_reason().0,
                    Ok(None) => panic!("the connection ended without a close frame"),
                    _ => {}
                }
            }
        };
        assert_eq!(soon("the close", told).await, 1001, "acks: {acks}");
    }
}

/// A request without a Host, or with two, was served; a proxy may go by the other one (RFC 9112 3.2).
/// Found by reading.
#[tokio::test]
async fn a_request_has_exactly_one_host() {
    let broker = Broker::start().await;
    let body = json!([handshake()]).to_string();
    for address in [broker.address, broker.admin] {
        for hosts in ["", "Host: localhost\r\nHost: localhost\r\n"] {
            let length = body.len();
            let head = format!("POST /cometd HTTP/1.1\r\n{hosts}Content-Length: {length}\r\n\r\n");
            let mut connection = http::Connection::open(address).await;
            connection.send(head + &body).await;
            let response = connection.response().await;
            assert_eq!(response.status, 400, "{address}, {hosts:?}");
        }
    }
}

/// Whatever stood in a Host was taken for one; and of a target that names a host itself, the header's was
/// believed instead of the target's (RFC 9112 3.2). Found by raw bytes.
#[tokio::test]
async fn a_host_is_a_host_and_that_of_the_target_counts() {
    let broker = Broker::start().await;
    let post = |target: &str, host: &str| {
        Request::post(target, json!([handshake()]).to_string())
            .without("Host")
            .header("Host", host)
            .header("Origin", "http://localhost:3000")
    };
    for (target, host, status) in [
        ("/cometd", "localhost", 200),
        ("/cometd", "a b/c@d", 400),
        ("/cometd", "localhost:http", 400),
        ("/cometd", "", 403),
        ("/cometd", "evil.example", 403),
        ("http://localhost/cometd", "evil.example", 200),
        ("http://evil.example/cometd", "localhost", 403),
        ("http://a@localhost/cometd", "localhost", 400),
    ] {
        let response = http::request(broker.address, &post(target, host)).await;
        assert_eq!(response.status, status, "{target}, {host:?}");
        let is_text = response.header("content-type") != Some("application/json");
        assert_eq!(response.header("x-content-type-options").is_some(), is_text, "{target}");
    }
}

/// A refusal that came before the body of its request left the rest of it unread, so the kernel reset the
/// connection: a page of a foreign origin, or whoever posted to a wrong path, saw a broken pipe and never the
/// 403 or 404. Found by raw bytes.
#[tokio::test]
async fn a_refusal_before_the_end_of_the_body_is_read_by_who_sends_it() {
    let broker = Broker::with(|config| config.api.enabled = true).await;
    let large = |method: &str, path: &str| {
        Request::new(method, path).header("Content-Length", "600000").header("X-API-Key", "wrong")
    };
    let foreign = large("POST", "/cometd").header("Origin", "http://evil.example");
    let cases = [
        (broker.address, foreign.clone(), 403),
        (broker.address, large("POST", "/nowhere"), 404),
        (broker.address, large("PUT", "/cometd"), 405),
        (broker.address, large("GET", "/cometd"), 400),
        (broker.address, large("OPTIONS", "/cometd"), 204),
        (broker.address, large("POST", "/api/v1/publish"), 401),
        (broker.address, foreign.header("Expect", "100-continue"), 403),
        (broker.admin, large("POST", "/healthz"), 405),
    ];
    for (address, request, status) in cases {
        let mut connection = http::Connection::open(address).await;
        connection.send(request.bytes()).await;
        for _ in 0..60 {
            connection.send(vec![b' '; 10_000]).await;
        }
        let response = connection.response().await;
        let close = response.header("connection");
        assert_eq!((response.status, close), (status, Some("close")), "{request:?}");
    }
}

/// As above; but a body that has arrived is no reason to give the connection up.
#[tokio::test]
async fn a_refusal_of_a_request_that_is_whole_keeps_the_connection() {
    let broker = Broker::start().await;
    let chunked = Request::new("POST", "/nowhere").header("Transfer-Encoding", "chunked").bytes();
    let chunked = [chunked, b"2\r\n[]\r\n1\r\n \r\n0\r\n\r\n".to_vec()].concat();
    for bytes in [Request::post("/nowhere", "[]").bytes(), chunked] {
        let mut connection = http::Connection::open(broker.address).await;
        for _ in 0..3 {
            connection.send(&bytes).await;
            let response = connection.response().await;
            assert_eq!((response.status, response.header("connection")), (404, None));
        }
    }
}

/// An upgrade with a body was answered with 101, and what came of the body later was read as frames.
/// Found by raw bytes.
#[tokio::test]
async fn an_upgrade_with_a_body_is_refused() {
    let broker = Broker::start().await;
    for framing in [("Content-Length", "4"), ("Transfer-Encoding", "chunked")] {
        for address in [broker.address, broker.admin] {
            let path = if address == broker.admin { "/admin/v1/bayeux" } else { "/cometd" };
            let request = upgrade_request(path).header(framing.0, framing.1);
            let mut connection = http::Connection::open(address).await;
            connection.send(request.bytes()).await;
            let response = connection.response().await;
            let close = response.header("connection");
            assert_eq!((response.status, close), (400, Some("close")), "{path} {framing:?}");
        }
    }
    let request = upgrade_request("/cometd").header("Content-Length", "0");
    assert_eq!(http::request(broker.address, &request).await.status, 101);
}
