//! What counts as a break, for whom, and who is led away: SF1-SF4.

use std::time::Duration;

use protocol_tests::{
    bayeux::{Socket, connect_now, delivery, handshake, subscribe},
    websocket::{CLOSE, Frame},
};
use serde_json::json;
use tokio::time::sleep;

use crate::*;

#[tokio::test]
async fn sf03_the_third_broken_socket_within_the_window_is_one_too_many() {
    let (page, first) = Page::open(broker().await, true).await;
    page.reset(first).await;
    page.lose(1).await;
    let mut third = page.socket().await;
    assert_eq!(third.one(connect_now("7")).await["successful"], true, "two breaks are none");
    page.reset(third).await;
    page.steered().await;
    assert_eq!(page.broker.counters().demoted.value(), 1);
}

#[tokio::test]
async fn sf03_zero_switches_it_off() {
    let broker = broker_with(|config| config.transports.websocket.demote_after = 0).await;
    let (page, first) = Page::open(broker, true).await;
    page.reset(first).await;
    page.lose(5).await;
}

#[tokio::test]
async fn sf01_what_the_client_closes_itself_is_no_break_unless_it_missed_a_reply() {
    for (code, reason, breaks) in
        [(1001, "", false), (1000, "", false), (1000, "Message Timeout", true)]
    {
        let (page, first) = Page::open(broker().await, true).await;
        page.reset(first).await;
        page.lose(1).await;
        let mut socket = page.socket().await;
        assert_eq!(socket.one(connect_now("7")).await["successful"], true);
        let payload = [&u16::to_be_bytes(code)[..], reason.as_bytes()].concat();
        socket.websocket.send(&Frame::new(CLOSE, payload)).await;
        socket.websocket.end().await;
        let mut next = page.socket().await;
        let reply = next.one(connect_now("8")).await;
        assert_eq!(reply["successful"], !breaks, "{code} {reason:?}: {reply}");
    }
}

#[tokio::test]
async fn sf01_a_socket_left_behind_by_a_client_that_polls_is_no_break() {
    let (page, first) = Page::open(broker().await, true).await;
    page.reset(first).await;
    page.lose(1).await;
    let mut socket = page.socket().await;
    assert_eq!(socket.one(connect_now("7")).await["successful"], true);
    let mut polling = page.polling(&page.client_id).await;
    assert_eq!(polling.one(connect_now("8")).await["successful"], true);
    socket.websocket.reset();
    sleep(Duration::from_millis(100)).await;
    let mut next = page.socket().await;
    assert_eq!(next.one(connect_now("9")).await["successful"], true);
}

#[tokio::test]
async fn sf01_a_socket_that_carried_no_session_is_no_break() {
    let (page, first) = Page::open(broker().await, true).await;
    page.reset(first).await;
    page.lose(1).await;
    let idle = page.socket().await;
    idle.websocket.reset();
    sleep(Duration::from_millis(100)).await;
    let mut next = page.socket().await;
    assert_eq!(next.one(connect_now("8")).await["successful"], true);
}

#[tokio::test]
async fn sf02_behind_one_address_nobody_pays_for_the_breaks_of_others() {
    let (page, first) = Page::open(broker().await, false).await;
    let mut neighbour = Socket::connected(page.broker.address).await;
    page.reset(first).await;
    page.lose(2).await;
    let neighbours = Page { client_id: neighbour.client_id.clone(), ..page };
    assert_eq!(neighbour.one(connect_now("5")).await["successful"], true);
    neighbour.subscribe("/a").await;
    neighbours.reset(neighbour).await;
    let mut next = neighbours.socket().await;
    assert_eq!(next.one(connect_now("6")).await["successful"], true, "it lost one only");
    let mut new = Socket::open(neighbours.broker.address).await;
    assert_eq!(renew(&mut new).await["supportedConnectionTypes"], json!(FULL));
}

#[tokio::test]
async fn sf04_a_client_that_can_only_use_websocket_keeps_it() {
    let broker = broker().await;
    let mut only = handshake();
    only["supportedConnectionTypes"] = json!(["websocket"]);
    let mut first = Socket::handshake_with(broker.address, only.clone()).await;
    first.one(connect_now("2")).await;
    first.subscribe("/a").await;
    let cookie = Some(first.websocket.response.cookie());
    let page = Page { broker, cookie, client_id: first.client_id.clone() };
    page.reset(first).await;
    page.lose(4).await;
    let mut socket = page.socket().await;
    socket.send_raw(json!([only]).to_string()).await;
    assert_eq!(socket.recv().await[0]["supportedConnectionTypes"], json!(FULL));
}

#[tokio::test]
async fn sf04_without_long_polling_nobody_is_steered() {
    let broker = broker_with(|config| config.transports.enabled.truncate(1)).await;
    let (page, first) = Page::open(broker, true).await;
    first.websocket.reset();
    for _ in 0..4 {
        let mut socket = page.socket().await;
        assert_eq!(socket.one(connect_now("7")).await["successful"], true);
        socket.websocket.reset();
        sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test]
async fn sf04_a_client_that_stays_on_websocket_is_served_there_and_steered_once() {
    let (page, first) = Page::open(broker().await, true).await;
    page.reset(first).await;
    page.lose(2).await;
    page.send(1).await;
    let mut socket = page.steered().await;
    renew(&mut socket).await;
    // As aiocometd does: connect and subscriptions in one frame over the same socket.
    socket.send(json!([connect_now("2"), subscribe("3", "/a")])).await;
    let got = socket.recv_messages(3).await;
    assert_eq!(data(&got), [1], "{got:?}");
    page.send(2).await;
    assert_eq!(socket.recv().await, [delivery("/a", 2)]);
    let stayed = Page { client_id: socket.client_id.clone(), ..page };
    stayed.reset(socket).await;
    stayed.lose(4).await;
    assert_eq!(stayed.broker.counters().demoted.value(), 1);
}
