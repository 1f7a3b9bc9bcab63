//! T10 behind a proxy: no other client ever gets the answer to a request that somebody hid.
//!
//! Each case goes through the proxy on a connection of its own. Whatever proxy and broker make of it,
//! the next clients use the connections to the broker that it has left, and must get their own
//! answers. What reached the broker is not judged here: tests/bad_input does that.

use std::time::Duration;

use protocol_tests::{
    broker::Broker,
    http::{Connection, Request},
    proxy::Proxy,
    reverse_proxy::{Kind, ReverseProxy},
    smuggling::cases,
};
use serde_json::json;

/// Requests of the client that must notice nothing: as many as it takes to use what HAProxy kept.
const FOLLOWERS: usize = 3;

#[tokio::test]
async fn a_hidden_request_is_never_answered_to_another_client_behind_nginx() {
    no_answer_goes_astray(Kind::Nginx).await;
}

#[tokio::test]
async fn a_hidden_request_is_never_answered_to_another_client_behind_haproxy() {
    no_answer_goes_astray(Kind::HaProxy).await;
}

#[tokio::test]
async fn a_hidden_request_is_never_answered_to_another_client_behind_apache() {
    no_answer_goes_astray(Kind::Apache).await;
}

async fn no_answer_goes_astray(kind: Kind) {
    let broker = Broker::start().await;
    let counter = Proxy::start(broker.address).await;
    let proxy = ReverseProxy::start(kind, counter.address).await;
    let cases = cases();
    let (mut requests, mut answered) = (0, 0);
    for (name, bytes, _) in &cases {
        let mut attacker = Connection::open(proxy.address).await;
        attacker.send_even_if_closed(bytes).await;
        while attacker.response_within(Duration::from_millis(60)).await.is_some() {
            answered += 1;
        }
        let mut follower = Connection::open(proxy.address).await;
        for turn in 0..FOLLOWERS {
            let id = format!("{answered}x{requests}x{turn}");
            // A publish without session: refused, with the id that only this request has.
            let message = json!([{"channel": "/own", "data": 1, "id": id, "clientId": "none"}]);
            let response = follower.exchange(&Request::post("/cometd", message.to_string())).await;
            assert_eq!(response.messages()[0]["id"], id, "{kind}, after {name:?}: {response:?}");
            requests += 1;
        }
    }
    let connections = counter.counts().accepted;
    println!(
        "{kind}: {} cases, {answered} answers, {requests} followers, {connections} connections",
        cases.len()
    );
    assert!(connections < requests, "{kind} has to share connections, or nothing is proved");
}
