//! New pages, the way back, and WebSockets through which nothing passes: SF8, SF12, SF13.

use std::time::Duration;

use bayeuxd::config::Promote;
use protocol_tests::{
    bayeux::{Socket, connect_now, handshake, publish, subscribe, unknown_connect},
    broker::Broker,
    deadline::until,
    websocket::{WebSocket, upgrade_request},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::*;

/// How long a demotion lasts that a test sees the end of: far longer than what it does meanwhile.
const DEMOTED: Duration = Duration::from_secs(2);
/// How much later it is over for certain.
const MOMENT: Duration = Duration::from_millis(100);

/// Opens a socket of the page and loses it after the given frames.
async fn mute(page: &Page, texts: &[Value]) {
    let mut socket = page.socket().await;
    for text in texts {
        socket.send_raw(text.to_string()).await;
        socket.recv().await;
    }
    socket.websocket.reset();
    // What shows that the broker has noticed is the subject of the tests.
    sleep(Duration::from_millis(100)).await;
}

async fn visitor(broker: Broker) -> Page {
    let websocket = WebSocket::open(broker.address).await;
    let cookie = Some(websocket.response.cookie());
    let page = Page { broker, cookie, client_id: String::new() };
    websocket.reset();
    sleep(Duration::from_millis(100)).await;
    page
}

#[tokio::test]
async fn sf08_a_new_page_of_a_demoted_browser_gets_the_short_list_at_once_and_others_do_not() {
    let (page, first) = Page::open(broker().await, true).await;
    page.reset(first).await;
    page.lose(2).await;
    let mut own = page.socket().await;
    assert_eq!(renew(&mut own).await["supportedConnectionTypes"], json!(SHORT));
    let mut other = Socket::open(page.broker.address).await;
    assert_eq!(renew(&mut other).await["supportedConnectionTypes"], json!(FULL));
}

#[tokio::test]
async fn sf12_when_the_demotion_ends_handshakes_offer_websocket_again() {
    let broker = broker_with(|config| {
        config.transports.websocket.demote_for = DEMOTED;
    })
    .await;
    let (page, first) = Page::open(broker, true).await;
    page.reset(first).await;
    page.lose(2).await;
    let mut during = page.socket().await;
    assert_eq!(renew(&mut during).await["supportedConnectionTypes"], json!(SHORT));
    sleep(DEMOTED + MOMENT).await;
    let mut after = page.socket().await;
    assert_eq!(renew(&mut after).await["supportedConnectionTypes"], json!(FULL));
}

#[tokio::test]
async fn sf12_steer_sends_a_polling_client_back_when_its_hold_ends_without_a_message() {
    for (promote, back) in [(Promote::Steer, true), (Promote::Handshake, false)] {
        let broker = broker_with(|config| {
            config.transports.websocket.demote_for = DEMOTED;
            config.transports.websocket.promote = promote;
        })
        .await;
        let (page, first) = Page::open(broker, true).await;
        page.reset(first).await;
        page.lose(2).await;
        let mut socket = page.steered().await;
        renew(&mut socket).await;
        let mut polling = page.polling(&socket.client_id).await;
        polling.send(json!([subscribe("9", "/a"), connect_now("8")])).await;
        let reply = polling.hold("10").await.messages().await.remove(0);
        assert_eq!(reply["successful"], true, "demoted for another moment: {reply}");
        sleep(DEMOTED).await;
        let reply = polling.hold("11").await.messages().await.remove(0);
        if !back {
            assert_eq!(reply["successful"], true, "{reply}");
            continue;
        }
        assert_eq!(reply, unknown_connect("11"));
        page.send(1).await;
        let mut socket = page.socket().await;
        assert_eq!(renew(&mut socket).await["supportedConnectionTypes"], json!(FULL));
        socket.one(connect_now("2")).await;
        socket.send(json!([subscribe("3", "/a")])).await;
        assert_eq!(data(&socket.recv_messages(2).await), [1]);
        assert_eq!(page.broker.counters().promoted.value(), 1);
    }
}

/// A client whose polls or WebSockets lack the cookie would come back to an empty session.
#[tokio::test]
async fn sf12_who_could_not_be_told_again_over_a_new_websocket_is_not_sent_back() {
    for (sockets_show_it, polls_show_it) in [(true, false), (false, true)] {
        let broker = broker_with(|config| {
            config.transports.websocket.demote_for = DEMOTED;
            config.transports.websocket.promote = Promote::Steer;
        })
        .await;
        let (page, first) = Page::open(broker, sockets_show_it).await;
        let cookie = first.websocket.response.cookie();
        page.reset(first).await;
        page.lose(2).await;
        let mut socket = page.steered().await;
        assert_eq!(renew(&mut socket).await["supportedConnectionTypes"], json!(SHORT));
        // Of this socket, whose browser the new session has.
        let own = if sockets_show_it { cookie } else { socket.websocket.response.cookie() };
        let page = Page { cookie: polls_show_it.then_some(own), ..page };
        let mut polling = page.polling(&socket.client_id).await;
        polling.send(json!([subscribe("9", "/a"), connect_now("8")])).await;
        sleep(DEMOTED).await;
        for id in ["10", "11"] {
            let reply = polling.hold(id).await.messages().await.remove(0);
            assert_eq!(reply["successful"], true, "{sockets_show_it} {polls_show_it}: {reply}");
        }
        assert_eq!(page.broker.counters().promoted.value(), 0);
    }
}

#[tokio::test]
async fn sf13_after_two_sockets_through_which_nothing_passed_upgrades_are_refused() {
    let broker = broker_with(|config| {
        config.transports.websocket.demote_for = DEMOTED;
    })
    .await;
    let page = visitor(broker).await;
    mute(&page, &[json!([handshake()])]).await;
    assert_eq!(page.upgrade().await.expect_err("a refusal").status, 503);
    let stranger = WebSocket::try_open(page.broker.address, &upgrade_request("/cometd")).await;
    stranger.expect("nobody else is refused");
    sleep(DEMOTED + MOMENT).await;
    page.upgrade().await.expect("it was for a time");
}

#[tokio::test]
async fn sf13_a_browser_that_gets_through_is_never_refused() {
    // Its sockets pass messages.
    let page = visitor(broker().await).await;
    mute(&page, &[json!([handshake()]), json!([publish("2", "/a", 1)])]).await;
    mute(&page, &[]).await;
    page.upgrade().await.expect("an upgrade");
    // Or a session of it is in service.
    let page = visitor(broker().await).await;
    let mut polling = page.polling("").await;
    let reply = polling.send(json!([handshake()])).await;
    polling.client_id = reply[0]["clientId"].as_str().expect("a session").to_owned();
    polling.fetch().await;
    mute(&page, &[]).await;
    mute(&page, &[]).await;
    page.upgrade().await.expect("an upgrade");
    until("a session", || page.broker.knows(&polling.client_id)).await;
}
