//! One test per bug: what went wrong, and how it was found.

use std::time::Duration;

use protocol_tests::{
    bayeux::{Polling, Socket, connect, connect_now, connected, handshake, publish, refused},
    broker::Broker,
    deadline::soon,
    http::{self, Request},
    websocket::{TEXT, WebSocket},
};
use serde_json::{json, value::RawValue};
use tokio::time::{Instant, timeout_at};

/// A browser's session counted its own superseded connect against the limit of one held connect per
/// browser, so each overlapping poll of a healthy page was answered with `multiple-clients` and a
/// pause of two seconds. Found by `p041_second_connect_fails_the_first_with_500`.
#[tokio::test]
async fn a_session_does_not_shut_itself_out_by_superseding_itself() {
    let broker = Broker::holding(500).await;
    let session = Polling::connected(broker.address).await;
    let mut held = session.hold("3").await;
    for n in 4..8 {
        let mut next = session.hold(&n.to_string()).await;
        assert_eq!(held.response().await.status, 500);
        std::mem::swap(&mut held, &mut next);
    }
    assert_eq!(held.messages().await, [connected("7", 500)]);
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
    let data = RawValue::from_string("1".into()).expect("JSON");
    broker.handle.publish("/a", &data).await.expect("published");
    let prompt = Instant::now() + Duration::from_secs(1);
    let mut served = 0;
    for socket in &mut sockets {
        let frame = timeout_at(prompt, socket.websocket.next_frame()).await;
        served += usize::from(frame.is_ok_and(|frame| frame.is_some_and(|f| f.opcode == TEXT)));
    }
    for poll in &mut polls {
        served += usize::from(timeout_at(prompt, poll.connection.readable()).await.is_ok());
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
