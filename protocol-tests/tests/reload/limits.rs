//! Limits, changed while sessions live.

use protocol_tests::{
    bayeux::{Polling, Socket, handshake, publish, refused},
    http::{self, Request},
};
use serde_json::{Value, json};

use super::{Site, names};

fn batch(count: usize) -> Value {
    (0..count).map(|n| publish("p", "/a", n as u64)).collect()
}

#[tokio::test]
async fn limits_hold_for_the_next_message_of_those_who_are_connected() {
    let site = Site::start("limits", "[limits]\nbatch = 3\nsubscriptions = 2\n");
    let mut socket = Socket::connected(site.address()).await;
    let mut poller = Polling::connected(site.address()).await;
    assert_eq!(poller.post(batch(4)).await.status, 400);
    socket.subscribe("/a").await;
    socket.subscribe("/b").await;
    let third = json!({"id": "s", "channel": "/meta/subscribe", "subscription": "/c"});
    assert_eq!(socket.one(third.clone()).await["successful"], false);

    let answer = site.reload("[limits]\nbatch = 4\nsubscriptions = 3\n").await;
    assert_eq!(names(&answer, "reloaded"), ["limits.batch", "limits.subscriptions"]);
    let change = json!({"key": "limits.batch", "before": 3, "after": 4, "reload": "now"});
    assert_eq!(answer["changes"][0], change);
    assert_eq!(poller.post(batch(4)).await.messages().len(), 4);
    assert_eq!(poller.post(batch(5)).await.status, 400);
    // Four that the poller published, and the replies to four of its own with their deliveries.
    socket.recv_messages(4).await;
    socket.send(batch(4)).await;
    socket.recv_messages(8).await;
    assert_eq!(socket.one(third).await["successful"], true);

    // What is beyond a lower bound stays.
    site.reload("[limits]\nbatch = 4\nsubscriptions = 1\n").await;
    poller.publish("/b", 1).await;
    assert_eq!(socket.recv().await[0]["channel"], "/b");
    let fourth = json!({"id": "s", "channel": "/meta/subscribe", "subscription": "/d"});
    assert_eq!(socket.one(fourth).await["successful"], false);
    socket.send(batch(5)).await;
    assert_eq!(socket.close_code().await, 1011);
}

#[tokio::test]
async fn a_lower_number_of_sessions_ends_none() {
    let site = Site::start("sessions", "");
    let mut socket = Socket::subscribed(site.address(), "/a").await;
    let mut poller = Polling::connected(site.address()).await;
    site.reload("[limits]\nsessions = 1\n").await;
    let shake = Request::post("/cometd", json!([handshake()]).to_string());
    assert_eq!(http::request(site.address(), &shake).await.status, 503);
    poller.publish("/a", 1).await;
    assert_eq!(socket.recv().await[0]["data"], 1);
    site.reload("[limits]\nsessions = 3\n").await;
    assert_eq!(http::request(site.address(), &shake).await.status, 200);
    assert_eq!(http::request(site.address(), &shake).await.status, 503);
}

#[tokio::test]
async fn a_websocket_keeps_the_message_size_that_it_was_opened_with() {
    let large = |length: usize| json!([publish("p", "/a", "x".repeat(length))]);
    let site = Site::start("size", "[limits]\nmessage_size = \"2KiB\"\n");
    let mut before = Socket::subscribed(site.address(), "/a").await;
    let mut poller = Polling::connected(site.address()).await;
    assert_eq!(poller.post(large(3000)).await.status, 413);
    site.reload("[limits]\nmessage_size = \"4KiB\"\n").await;
    let mut poller = Polling::connected(site.address()).await;
    assert_eq!(poller.post(large(3000)).await.status, 200);
    assert_eq!(before.recv().await[0]["channel"], "/a");
    let mut after = Socket::subscribed(site.address(), "/b").await;
    after.send(large(3000)).await;
    assert_eq!(after.recv().await[0]["successful"], true);
    assert_eq!(before.recv().await[0]["channel"], "/a");
    before.send(large(3000)).await;
    assert_eq!(before.recv().await, [refused("p", "/a", "413:2048:message_too_large")]);
}

#[tokio::test]
async fn the_queue_of_a_session_is_bounded_as_when_it_began() {
    let site = Site::start("queue", "[session.queue]\nmax_messages = 2\n");
    let mut old = Polling::subscribed(site.address(), "/a").await;
    site.reload("[session.queue]\nmax_messages = 4\n").await;
    let mut new = Polling::subscribed(site.address(), "/a").await;
    let mut publisher = Polling::connected(site.address()).await;
    for n in 0..4 {
        publisher.publish("/a", n).await;
    }
    assert_eq!(old.fetch().await[0]["error"], "402::session_unknown", "its queue was full");
    assert_eq!(new.fetch().await.len(), 5);
}
