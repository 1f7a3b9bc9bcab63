//! Every bound and failure of services over HTTP, tried from both sides: protocol.md 115.

use std::{net::TcpListener, time::Duration};

use bayeuxd::config::{Config, Service};
use protocol_tests::{
    back_end::{
        CHANNEL, answer, begin, failure, outcome, overloaded, refusal, serving, serving_with,
        unavailable,
    },
    bayeux::{Polling, Socket, deliveries, disconnect, publish, published},
    broker::Broker,
    deadline::until,
};
use serde_json::json;
use tokio::time::Instant;

#[tokio::test]
async fn p115_whatever_a_back_end_does_wrong_the_caller_is_told() {
    let (broker, mut back_end) = serving(|service| service.max_reply = 100).await;
    let mut socket = Socket::connected(broker.address).await;
    let deep = format!("{}{}", "[".repeat(63), "]".repeat(63));
    let status = |code: u16| format!("the service answered with the status {code}");
    let cases = [
        ("HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n{}".to_owned(), status(500)),
        (
            "HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".into(),
            status(302),
        ),
        ("HTTP/1.1 404 X\r\nContent-Length: 200\r\n\r\n".into(), status(404)),
        ("HTTP/1.1 400 X\r\nContent-Length: 9\r\n\r\n{\"a\":\"b\"}".into(), status(400)),
        // Only what is the caller's fault is for the caller.
        (
            "HTTP/1.1 500 X\r\nContent-Length: 27\r\n\r\n{\"class\":\"A\",\"message\":\"b\"}"
                .into(),
            status(500),
        ),
        (
            "HTTP/1.1 200 X\r\nContent-Length: 6\r\n\r\n<html>".into(),
            "the service's answer is no JSON".into(),
        ),
        (
            "HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n".into(),
            "the service's answer is no JSON".into(),
        ),
        (
            "HTTP/1.1 200 X\r\nContent-Length: 3\r\n\r\n\"\u{fc}".into(),
            "the service's answer is no JSON".into(),
        ),
        (
            format!("HTTP/1.1 200 X\r\nContent-Length: 101\r\n\r\n\"{}\"", "x".repeat(99)),
            "the service's answer is too large".into(),
        ),
        (
            format!("HTTP/1.1 200 X\r\n\r\n\"{}\"", "x".repeat(99)),
            "the service's answer is too large".into(),
        ),
        (
            "HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n{".into(),
            "the service broke the connection".into(),
        ),
        ("SSH-2.0-OpenSSH\r\n".into(), "the service broke the connection".into()),
        (String::new(), "the service broke the connection".into()),
        (
            format!("HTTP/1.1 200 X\r\nX: {}\r\n\r\n", "x".repeat(300_000)),
            "the service broke the connection".into(),
        ),
    ];
    let failed = cases.len() as u64;
    for (bytes, message) in cases {
        let what = bytes.chars().take(60).collect::<String>();
        let said = outcome(&mut socket, &mut back_end, |call| call.raw(bytes, true)).await;
        assert_eq!(said, unavailable("7", &message), "{what}");
    }
    assert_eq!(broker.handle.service_counters().failed.value(), failed);
    // At the bounds it goes well.
    let (large, ok) = (format!("\"{}\"", "x".repeat(98)), "x".repeat(98));
    let said = outcome(&mut socket, &mut back_end, |call| call.answer(200, &large)).await;
    assert_eq!(said, answer("7", ok));
    let (broker, mut back_end) = serving(|_| {}).await;
    let mut socket = Socket::connected(broker.address).await;
    let said = outcome(&mut socket, &mut back_end, |call| call.answer(200, &deep)).await;
    assert_eq!(said, unavailable("7", "the service's answer is nested too deep"));
    let fits = &deep[1..deep.len() - 1];
    let said = outcome(&mut socket, &mut back_end, |call| call.answer(200, fits)).await;
    assert_eq!(said["successful"], json!(true));
}

#[tokio::test]
async fn p115_a_back_end_may_refuse_in_its_own_words() {
    let (broker, mut back_end) = serving(|_| {}).await;
    let mut socket = Socket::connected(broker.address).await;
    let words =
        r#"{"class":"NoSuchSymbol","message":"nobody trades \"x\"","trace":"not for callers"}"#;
    for status in [400, 404, 422, 499] {
        let said = outcome(&mut socket, &mut back_end, |call| call.answer(status, words)).await;
        let expected =
            refusal("7", "java.lang.RuntimeException", "NoSuchSymbol", "nobody trades \"x\"");
        assert_eq!(said, expected, "{status}");
    }
}

#[tokio::test]
async fn p115_the_class_of_a_failure_is_one_that_java_has() {
    let (broker, mut back_end) = serving(|_| {}).await;
    let mut socket = Socket::connected(broker.address).await;
    let (known, other) = ("java.util.NoSuchElementException", "java.lang.RuntimeException");
    for (name, class) in
        [(known, known), ("java.util.Nope", other), ("org.example.Gone", other), ("", other)]
    {
        let words = json!({"class": name, "message": "gone"}).to_string();
        let said = outcome(&mut socket, &mut back_end, |call| call.answer(404, &words)).await;
        assert_eq!(said, refusal("7", class, name, "gone"));
    }
}

#[tokio::test]
async fn a_back_end_that_is_not_there_cannot_be_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let broker = Broker::with(|config| {
        let channel = CHANNEL.into();
        config.services.push(Service { channel, url, ..Service::default() });
    })
    .await;
    let mut socket = Socket::connected(broker.address).await;
    begin(&mut socket, "7").await;
    let said = socket.recv_messages(1).await.remove(0);
    assert_eq!(said, unavailable("7", "the service cannot be reached"));
}

#[tokio::test]
async fn a_slow_back_end_is_given_up_with_its_connection() {
    let (broker, mut back_end) = serving(|service| service.timeout = Duration::from_secs(1)).await;
    let mut socket = Socket::connected(broker.address).await;
    let began = Instant::now();
    begin(&mut socket, "7").await;
    let call = back_end.call().await;
    let late = failure(
        "7",
        "504::service_timeout",
        "java.util.concurrent.TimeoutException",
        "the service did not answer in time",
    );
    assert_eq!(socket.recv_messages(1).await, std::slice::from_ref(&late));
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(back_end.closed().await, call.connection);
    // The time holds for the body as well.
    begin(&mut socket, "7").await;
    back_end.call().await.raw("HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n{", false);
    assert_eq!(socket.recv_messages(1).await, [late]);
    assert_eq!(broker.handle.service_counters().timed_out.value(), 2);
}

#[tokio::test]
async fn above_each_bound_of_calls_callers_are_told_at_once() {
    type Change = fn(&mut Config);
    let bounds: [(Change, bool); 3] = [
        (|config| config.services[0].max_in_flight = 2, true),
        (|config| config.limits.service_calls = 2, true),
        (|config| config.limits.service_calls_per_session = 2, false),
    ];
    for (change, for_all) in bounds {
        let (broker, mut back_end) = serving_with(change).await;
        let mut socket = Socket::connected(broker.address).await;
        begin(&mut socket, "1").await;
        begin(&mut socket, "2").await;
        let (first, _second) = (back_end.call().await, back_end.call().await);
        let mut other = Socket::connected(broker.address).await;
        let third = if for_all { &mut other } else { &mut socket };
        third.send(publish("3", CHANNEL, 1)).await;
        let mut told = third.recv_messages(2).await;
        told.sort_by_key(|message| message.get("data").is_some());
        assert_eq!(told, [published("3", CHANNEL), overloaded("3")]);
        back_end.idle().await;
        assert_eq!(broker.handle.service_counters().overloaded.value(), 1);
        let id = first.body["id"].as_str().unwrap().to_owned();
        first.answer(200, "1");
        assert_eq!(socket.recv_messages(1).await, [answer(&id, 1)]);
        let mut third = Socket::connected(broker.address).await;
        third.send(publish("4", CHANNEL, 1)).await;
        let call = back_end.call().await;
        assert_eq!(call.body["id"], json!("4"));
    }
}

#[tokio::test]
async fn the_reply_to_a_session_that_has_ended_is_dropped_and_counted() {
    let (broker, mut back_end) = serving(|_| {}).await;
    let mut socket = Socket::connected(broker.address).await;
    begin(&mut socket, "7").await;
    let call = back_end.call().await;
    socket.one(disconnect("8")).await;
    call.answer(200, "7");
    let counters = broker.handle.service_counters();
    until("the end of the call", || counters.dropped.value() == 1).await;
    assert_eq!((counters.calls.value(), counters.replied.value()), (1, 0));
}

#[tokio::test]
async fn a_reply_above_the_queue_ends_the_session() {
    let (broker, mut back_end) = serving_with(|config| config.session.queue.max_bytes = 1024).await;
    let session = Polling::connected(broker.address).await;
    session.elsewhere(json!([publish("7", CHANNEL, 1)])).await;
    back_end.call().await.answer(200, &format!("\"{}\"", "x".repeat(1024)));
    broker.until_gone(&session.client_id).await;
    assert_eq!(broker.handle.service_counters().dropped.value(), 1);
}

#[tokio::test]
async fn a_stop_waits_for_calls_and_their_replies_arrive() {
    let (mut broker, mut back_end) = serving(|_| {}).await;
    let mut socket = Socket::connected(broker.address).await;
    let session = Polling::connected(broker.address).await;
    let mut held = session.hold("3").await;
    begin(&mut socket, "7").await;
    session.elsewhere(json!([publish("8", CHANNEL, 1)])).await;
    let (one, other) = (back_end.call().await, back_end.call().await);
    broker.drain();
    broker.draining().await;
    one.answer(200, "1");
    other.answer(200, "2");
    assert_eq!(deliveries(&held.messages().await).len(), 1);
    assert_eq!(deliveries(&socket.recv_messages(1).await).len(), 1);
    assert_eq!(socket.close_code().await, 1001);
    drop((socket, session, held));
    let drained = broker.stop().await;
    assert_eq!((drained.open, drained.unsent), (0, 0), "{drained:?}");
}

#[tokio::test]
async fn a_call_that_does_not_end_keeps_no_server_from_stopping() {
    let (broker, mut back_end) =
        serving_with(|config| config.server.drain_timeout = Duration::from_secs(2)).await;
    let mut socket = Socket::connected(broker.address).await;
    begin(&mut socket, "7").await;
    let _call = back_end.call().await;
    let stopping = tokio::spawn(broker.stop());
    // Half of the time is left for telling everybody.
    assert_eq!(socket.close_code().await, 1001);
    let drained = stopping.await.unwrap();
    assert_eq!(drained.told, 1);
    assert!(drained.elapsed < Duration::from_secs(5), "{drained:?}");
    back_end.closed().await;
}

#[tokio::test]
async fn a_call_is_repeated_only_if_it_may_be_and_only_so_often() {
    let (broker, mut back_end) = serving(|service| service.retries = 2).await;
    let mut socket = Socket::connected(broker.address).await;
    begin(&mut socket, "7").await;
    let first = back_end.call().await;
    let body = first.body.clone();
    first.answer(503, "");
    drop(back_end.call().await);
    let third = back_end.call().await;
    assert_eq!(third.body, body);
    third.answer(200, "3");
    assert_eq!(socket.recv_messages(1).await, [answer("7", 3)]);
    begin(&mut socket, "7").await;
    for _ in 0..3 {
        back_end.call().await.answer(502, "");
    }
    let said = socket.recv_messages(1).await.remove(0);
    assert_eq!(said, unavailable("7", "the service answered with the status 502"));
    let said = outcome(&mut socket, &mut back_end, |call| call.answer(500, "")).await;
    assert_eq!(said, unavailable("7", "the service answered with the status 500"));
    back_end.idle().await;
}

#[tokio::test]
async fn nothing_is_repeated_by_default() {
    let (broker, mut back_end) = serving(|_| {}).await;
    let mut socket = Socket::connected(broker.address).await;
    let said = outcome(&mut socket, &mut back_end, drop).await;
    assert_eq!(said, unavailable("7", "the service broke the connection"));
    back_end.idle().await;
}

#[tokio::test]
async fn connections_are_used_again_for_a_second() {
    let (broker, mut back_end) = serving(|_| {}).await;
    let mut socket = Socket::connected(broker.address).await;
    let mut connections = Vec::new();
    // A machine that stands still for a second makes a connection too old.
    while connections.is_sorted_by(|one, other| one < other) {
        begin(&mut socket, "7").await;
        let call = back_end.call().await;
        connections.push(call.connection);
        call.answer(200, "1");
        socket.recv_messages(1).await;
        assert!(connections.len() < 20, "{connections:?}");
    }
    let next = connections.last().unwrap() + 1;
    while back_end.closed().await + 1 < next {}
    let said = outcome(&mut socket, &mut back_end, |call| {
        assert_eq!(call.connection, next);
        call.raw("HTTP/1.1 200 X\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1", true);
    });
    assert_eq!(said.await, answer("7", 1));
    let said = outcome(&mut socket, &mut back_end, |call| {
        assert_eq!(call.connection, next + 1);
        call.answer(200, "2");
    });
    assert_eq!(said.await, answer("7", 2));
}
