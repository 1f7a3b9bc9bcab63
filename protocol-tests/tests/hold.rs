//! One hold at the defaults: 45 seconds, the longest test of all.

use std::time::Duration;

use protocol_tests::{
    bayeux::{Polling, Socket, connect, connected},
    broker::Broker,
    deadline::within,
    websocket::{Frame, PING, PONG},
};
use serde_json::json;
use tokio::time::Instant;

/// The default hold, and how late its end may be (reliability.md P9).
const HOLD: Duration = Duration::from_secs(45);
const LATEST: Duration = Duration::from_secs(46);

#[tokio::test]
async fn p035_a_default_hold_lasts_45_seconds_over_http() {
    let broker = Broker::start().await;
    let session = Polling::connected(broker.address).await;
    let start = Instant::now();
    let mut held = session.begin(json!([connect("3")])).await;
    let (response, _) = within(LATEST, "reply after the hold", async {
        // The harness waits 5 s for a response; this one takes longer, so wait for its bytes first.
        held.connection.readable().await;
        (held.messages().await, ())
    })
    .await;
    assert_eq!(response, [connected("3", 45_000)]);
    assert!(start.elapsed() >= HOLD, "{:?}", start.elapsed());
}

#[tokio::test]
async fn p105_a_default_hold_lasts_45_seconds_over_websocket() {
    let broker = Broker::start().await;
    let mut socket = Socket::connected(broker.address).await;
    let start = Instant::now();
    socket.send(json!([connect("3")])).await;
    let mut pings = 0;
    let reply = within(LATEST, "reply after the hold", async {
        loop {
            let frame = socket.websocket.next_frame().await.expect("an open socket");
            if frame.opcode != PING {
                return frame;
            }
            pings += 1;
            socket.websocket.send(&Frame::new(PONG, frame.payload)).await;
        }
    })
    .await;
    let messages: serde_json::Value = serde_json::from_slice(&reply.payload).expect("JSON");
    assert_eq!(messages, json!([connected("3", 45_000)]));
    assert!(start.elapsed() >= HOLD, "{:?}", start.elapsed());
    assert_eq!(pings, 1, "after 25 s of silence");
}
