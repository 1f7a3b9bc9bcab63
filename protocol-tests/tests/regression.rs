//! One test per bug: what went wrong, and how it was found.

use protocol_tests::{
    bayeux::{Polling, connect, connected, publish, refused},
    broker::Broker,
    websocket::WebSocket,
};

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
