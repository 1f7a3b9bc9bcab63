//! The move from one session to the next: SF5-SF11.

use std::time::Duration;

use bayeuxd::config::{ApiKey, Transport};
use protocol_tests::{
    bayeux::{
        Socket, connect_now, handshake, publish, published, refused, subscribe, unknown_connect,
    },
    deadline::soon,
    http::{self, Request},
    monitor::{self, Monitor},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::*;

/// Sends a connect of a client that has the batches up to `acknowledged`; returns the numbers of the
/// messages that come before its reply, and the reply.
async fn connect_acknowledging(
    socket: &mut Socket,
    acknowledged: u64,
    count: usize,
) -> (Vec<i64>, Value) {
    let mut connect = connect_now("7");
    connect["ext"] = json!({"ack": acknowledged});
    socket.send(json!([connect])).await;
    let mut messages = socket.recv_messages(count + 1).await;
    let reply = messages.pop().expect("a reply");
    (data(&messages), reply)
}

#[tokio::test]
async fn sf05_what_comes_before_the_connect_is_served_and_its_acknowledgement_counts() {
    let broker = broker().await;
    let mut offer = handshake();
    offer["ext"] = json!({"ack": true});
    let mut socket = Socket::handshake_with(broker.address, offer).await;
    socket.one(connect_now("2")).await;
    socket.subscribe("/a").await;
    let cookie = Some(socket.websocket.response.cookie());
    let page = Page { broker, cookie, client_id: socket.client_id.clone() };
    page.send(1).await;
    // Nothing shows when the broker has noticed the end of a socket that only connects deliver to.
    for _ in 0..3 {
        let (got, reply) = connect_acknowledging(&mut socket, 1, 1).await;
        assert_eq!((got, &reply["successful"]), (vec![1], &json!(true)));
        socket.websocket.reset();
        sleep(Duration::from_millis(150)).await;
        socket = page.socket().await;
    }
    page.send(2).await;
    assert_eq!(socket.one(publish("4", "/b", 0)).await, published("4", "/b"));
    let (_, reply) = connect_acknowledging(&mut socket, 4, 0).await;
    assert_eq!(reply, unknown_connect("7"));
    renew(&mut socket).await;
    let mut polling = page.polling(&socket.client_id).await;
    let got = polling.send(json!([subscribe("9", "/a"), connect_now("10")])).await;
    assert_eq!(data(&got), [2], "1 was acknowledged: {got:?}");
}

#[tokio::test]
async fn sf06_the_handshake_over_the_same_socket_is_answered_without_websocket() {
    let (page, first) = Page::open(broker().await, true).await;
    page.reset(first).await;
    page.lose(2).await;
    let mut socket = page.steered().await;
    let reply = renew(&mut socket).await;
    assert_eq!(reply["supportedConnectionTypes"], json!(SHORT));
    assert_eq!(reply["advice"], json!({"reconnect": "retry", "interval": 0, "timeout": 45000}));
    assert_ne!(socket.client_id, page.client_id);
    assert!(!page.broker.knows(&page.client_id), "the old session has moved");
}

#[tokio::test]
async fn sf07_the_first_connect_over_http_closes_the_socket_with_1000() {
    let (page, first) = Page::open(broker().await, true).await;
    page.reset(first).await;
    page.lose(2).await;
    let mut socket = page.steered().await;
    renew(&mut socket).await;
    let mut polling = page.polling(&socket.client_id).await;
    polling.subscribe("/a").await;
    socket.websocket.quiet().await;
    polling.fetch().await;
    assert_eq!(socket.close_code().await, 1000);
}

#[tokio::test]
async fn sf09_everything_published_meanwhile_comes_once_and_in_order_when_it_is_claimed() {
    let (page, first) = Page::open(broker().await, true).await;
    page.reset(first).await;
    page.lose(2).await;
    page.send(1).await;
    let mut socket = page.steered().await;
    page.send(2).await;
    renew(&mut socket).await;
    page.send(3).await;
    let mut polling = page.polling(&socket.client_id).await;
    assert_eq!(data(&polling.fetch().await), [0; 0], "the application has not subscribed yet");
    page.send(4).await;
    // A connect may be under way beside it, and nothing orders two responses.
    let got = polling.send(json!([subscribe("9", "/a"), publish("10", "/b", 0)])).await;
    assert_eq!(data(&got), [0; 0], "only connects deliver");
    assert_eq!(data(&polling.fetch().await), [1, 2, 3, 4]);
    page.send(5).await;
    assert_eq!(data(&polling.fetch().await), [5]);
}

#[tokio::test]
async fn sf09_a_held_connect_brings_what_a_subscribe_beside_it_releases() {
    let (page, first) = Page::open(broker().await, true).await;
    page.reset(first).await;
    page.lose(2).await;
    page.send(1).await;
    let mut socket = page.steered().await;
    renew(&mut socket).await;
    let mut polling = page.polling(&socket.client_id).await;
    let mut beside = page.polling(&socket.client_id).await;
    polling.one(connect_now("8")).await;
    let mut held = polling.hold("10").await;
    assert_eq!(data(&beside.send(json!([subscribe("9", "/a")])).await), [0; 0]);
    assert_eq!(data(&held.messages().await), [1]);
}

#[tokio::test]
async fn sf10_the_cookie_of_the_session_links_a_handshake_over_another_connection() {
    let (page, first) = Page::open(broker().await, true).await;
    page.reset(first).await;
    page.lose(2).await;
    let _socket = page.steered().await;
    let body = json!([handshake()]).to_string();
    let cookie = page.cookie.as_deref().expect("a cookie");
    let request = Request::post("/cometd", body).header("Cookie", cookie);
    let reply = http::request(page.broker.address, &request).await.messages();
    assert_eq!(reply[0]["supportedConnectionTypes"], json!(SHORT));
    assert!(!page.broker.knows(&page.client_id), "the old session has moved");
}

#[tokio::test]
async fn sf10_an_address_alone_gets_the_short_list_and_nobodys_messages() {
    let (page, first) = Page::open(broker().await, false).await;
    page.reset(first).await;
    page.lose(2).await;
    page.send(1).await;
    let _socket = page.steered().await;
    let mut stranger = Socket::open(page.broker.address).await;
    assert_eq!(renew(&mut stranger).await["supportedConnectionTypes"], json!(SHORT));
    let mut polling = page.polling(&stranger.client_id).await;
    assert_eq!(data(&polling.send(json!([subscribe("9", "/a"), connect_now("8")])).await), [0; 0]);
    assert!(page.broker.knows(&page.client_id) && page.broker.queued(&page.client_id) > 0);
    let mut next = Socket::open(page.broker.address).await;
    assert_eq!(renew(&mut next).await["supportedConnectionTypes"], json!(FULL), "one was expected");
}

#[tokio::test]
async fn sf10_without_a_cookie_the_socket_itself_is_the_link() {
    let (page, first) = Page::open(broker().await, false).await;
    page.reset(first).await;
    page.lose(2).await;
    page.send(1).await;
    let mut socket = page.steered().await;
    assert_eq!(renew(&mut socket).await["supportedConnectionTypes"], json!(SHORT));
    let mut polling = page.polling(&socket.client_id).await;
    polling.send(json!([subscribe("9", "/a")])).await;
    assert_eq!(data(&polling.fetch().await), [1]);
}

#[tokio::test]
async fn sf10_sessions_of_one_browser_are_steered_one_at_a_time() {
    let broker = broker().await;
    let (page, first) = Page::open(broker, true).await;
    page.reset(first).await;
    page.lose(1).await;
    // The first break showed no cookie, the second did; another tab loses two more.
    let mut tab = page.socket().await;
    tab.client_id.clear();
    renew(&mut tab).await;
    tab.subscribe("/a").await;
    tab.one(connect_now("2")).await;
    let other =
        Page { client_id: tab.client_id.clone(), cookie: page.cookie.clone(), broker: page.broker };
    other.reset(tab).await;
    other.lose(1).await;
    let mut second = other.socket().await;
    assert_eq!(second.one(connect_now("8")).await, unknown_connect("8"));
    let page = Page { broker: other.broker, ..page };
    let mut waiting = page.socket().await;
    // What the other tab probed with comes first.
    waiting.send(json!([connect_now("8")])).await;
    let reply = soon("the reply", async {
        loop {
            let message = waiting.recv().await.remove(0);
            if message["channel"] == "/meta/connect" {
                break message;
            }
        }
    });
    assert_eq!(reply.await["successful"], true, "the other goes first");
    renew(&mut second).await;
    assert_eq!(waiting.one(connect_now("9")).await, unknown_connect("9"));
}

#[tokio::test]
async fn sf11_while_it_moves_a_session_can_do_everything_but_connect() {
    let (page, first) = Page::open(broker().await, true).await;
    page.reset(first).await;
    page.lose(2).await;
    let mut socket = page.steered().await;
    assert_eq!(socket.one(publish("4", "/a", 1)).await, published("4", "/a"));
    assert_eq!(socket.one(subscribe("5", "/c")).await["successful"], true);
    assert_eq!(socket.one(connect_now("6")).await, unknown_connect("6"));
    assert_eq!(page.broker.counters().demoted.value(), 1, "it is one demotion");
    renew(&mut socket).await;
    let mut late = page.socket().await;
    assert_eq!(late.one(publish("7", "/a", 2)).await, refused("7", "/a", "402::session_unknown"));
}

#[tokio::test]
async fn sf11_a_session_that_never_comes_back_expires_with_its_messages() {
    let broker = broker_with(|c| c.session.max_interval = Duration::from_secs(1)).await;
    let (page, first) = Page::open(broker, true).await;
    page.reset(first).await;
    page.lose(2).await;
    let _socket = page.steered().await;
    page.broker.until_gone(&page.client_id).await;
}

#[tokio::test]
async fn sf10_another_tab_that_shakes_hands_over_its_own_socket_takes_nothing_over() {
    let (page, first) = Page::open(broker().await, true).await;
    let mut tab = page.socket().await;
    renew(&mut tab).await;
    tab.one(connect_now("2")).await;
    page.reset(first).await;
    page.lose(2).await;
    page.send(1).await;
    let mut socket = page.steered().await;
    renew(&mut tab).await;
    assert!(page.broker.knows(&page.client_id), "it still waits for its own client");
    renew(&mut socket).await;
    let mut polling = page.polling(&socket.client_id).await;
    polling.send(json!([subscribe("9", "/a")])).await;
    assert_eq!(data(&polling.fetch().await), [1]);
}

#[tokio::test]
async fn sf11_a_stream_of_a_session_that_moves_is_refused_like_a_connect() {
    let broker = broker_with(|config| config.transports.enabled.push(Transport::Streaming)).await;
    let (page, first) = Page::open(broker, true).await;
    page.reset(first).await;
    page.lose(2).await;
    let _socket = page.steered().await;
    let request = Request::get(&format!("/cometd/{}", page.client_id));
    let response = http::request(page.broker.address, &request).await;
    assert_eq!(response.status, 404);
    assert!(response.text().contains("402::session_unknown"), "{}", response.text());
}

#[tokio::test]
async fn sf11_monitors_hear_of_the_move_then_of_the_new_session_then_of_the_old_ones_end() {
    let broker = monitor::broker_with(|config| {
        config.auth.keys.push(ApiKey {
            channels: vec!["/a".into()],
            ..monitor::monitor_key("scoped", "the-scoped-secret")
        });
    })
    .await;
    let mut all = monitor::monitor(&broker, "/meta/**").await;
    let mut scoped = monitor::socket_with(&broker, "the-scoped-secret").await;
    scoped.subscribe("/meta/**").await;
    let mut scoped = Monitor::of(scoped);
    let (page, first) = Page::open(broker, true).await;
    let old = page.broker.sid(&page.client_id);
    page.reset(first).await;
    page.lose(2).await;
    let mut socket = page.steered().await;
    renew(&mut socket).await;
    let new = page.broker.sid(&socket.client_id);
    socket.one(connect_now("2")).await;
    socket.subscribe("/a").await;
    for monitor in [&mut all, &mut scoped] {
        assert_eq!(monitor.event_of("transport").await["kind"], "demoted");
        let (begin, end) = soon("handshake and disconnect", async {
            let begin = loop {
                let event = monitor.event().await;
                assert_ne!(event["type"], "disconnect", "too early");
                if event["type"] == "handshake" {
                    break event;
                }
            };
            (begin, monitor.event_of("disconnect").await)
        })
        .await;
        assert_eq!(json!([begin["sid"], begin["moved_from"]]), json!([new, old]));
        assert_eq!(json!([end["sid"], end["cause"]]), json!([old, "moved"]));
    }
}
