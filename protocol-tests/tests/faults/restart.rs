//! A broker that ends, by plan or not, and the next one in its place.
//! Source: reliability.md P6, F5; protocol.md 37, 140.

use std::time::Duration;

use protocol_tests::{
    bayeux::{Polling, Socket, connect, connect_now, deliveries, unknown_connect},
    broker::Broker,
    http::Connection,
    ledger::Ledger,
    proxy::Proxy,
    websocket::{CLOSE, TEXT},
};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    carrier::messages_of,
    flow::{CHANNEL, Flow, received, subscribed},
};

#[tokio::test]
async fn after_a_crash_clients_are_told_and_nothing_old_comes_again() {
    let broker = Broker::start().await;
    let proxy = Proxy::start(broker.address).await;
    let mut polling = Polling::subscribed(proxy.address, "/a").await;
    let mut socket = Socket::subscribed(proxy.address, "/a").await;
    Polling::connected(broker.address).await.publish("/a", "old").await;
    broker.kill().await;
    let broker = Broker::start().await;
    proxy.redirect(broker.address);

    let replies = polling.elsewhere(json!([connect_now("5")])).await;
    assert_eq!(replies, [unknown_connect("5")]);
    polling = Polling::subscribed(proxy.address, "/a").await;
    let mut adopted = Socket::adopt(proxy.address, &socket.client_id).await;
    assert_eq!(adopted.one(connect_now("6")).await, unknown_connect("6"));
    adopted.renew().await;
    socket = adopted;
    socket.one(connect_now("7")).await;
    socket.subscribe("/a").await;

    Polling::connected(broker.address).await.publish("/a", "new").await;
    let fetched = deliveries(&polling.fetch().await);
    assert_eq!(fetched.len(), 1, "{fetched:?}");
    assert_eq!(fetched[0]["data"], "new");
    assert_eq!(socket.recv().await[0]["data"], "new");
}

/// Every client sees all messages up to some point and none behind it: no gap is presented as
/// continuity.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_amid_messages_leaves_no_gap() {
    let broker = Broker::start().await;
    let ledger = Ledger::default();
    let mut clients = JoinSet::new();
    for number in 0..30 {
        let name = format!("{number}");
        let socket = Socket::subscribed(broker.address, CHANNEL).await;
        clients.spawn(until_closed(socket, format!("s{name}"), ledger.clone()));
        let session = Polling::subscribed(broker.address, CHANNEL).await;
        clients.spawn(until_told(session, format!("p{name}"), ledger.clone()));
    }
    let flow = Flow::start(broker.address, &ledger, 5).await;
    sleep(Duration::from_millis(500)).await;
    let count = flow.stop().await;
    let drained = broker.stop().await;
    clients.join_all().await;
    let mut report = ledger.report();
    // Whoever was between two polls did not get the rest: it counts as unsent, and leaves no gap.
    for missing in &report.lost {
        let (session, number) = missing.split_once(": p /flow #").expect("a missing message");
        assert!(session.starts_with('p'), "{missing}: a WebSocket gets everything");
        let number: usize = number.parse().expect("a number");
        assert!(number >= ledger.count(session), "{missing} is a gap");
    }
    println!("{count} messages, {drained:?}, delivered {}", report.delivered);
    assert_eq!((drained.open, drained.aborted), (0, false), "{drained:?}");
    assert_eq!(std::mem::take(&mut report.lost).len(), drained.unsent, "{drained:?}");
    assert!(drained.elapsed < Duration::from_secs(5), "{drained:?}");
    report.assert_clean();
}

async fn until_closed(mut socket: Socket, name: String, ledger: Ledger) {
    subscribed(&ledger, &name);
    socket.send(json!([connect("c")])).await;
    loop {
        let frame = socket.websocket.frame().await;
        match frame.opcode {
            TEXT => received(&ledger, &name, &messages_of(&frame)),
            CLOSE => {
                assert_eq!(frame.close_reason().0, 1001);
                return;
            }
            _ => panic!("unexpected {frame:?}"),
        }
    }
}

/// Polls until the broker says when to come back, or is gone.
async fn until_told(session: Polling, name: String, ledger: Ledger) {
    subscribed(&ledger, &name);
    let mut connection = Connection::open(session.address).await;
    loop {
        connection.send_even_if_closed(session.request(json!([connect("c")])).bytes()).await;
        let Some(response) = connection.response_or_end().await else { return };
        let messages = response.messages();
        received(&ledger, &name, &messages);
        let is_last = |message: &Value| message["advice"]["interval"].as_u64() > Some(0);
        if messages.iter().any(is_last) || response.header("connection") == Some("close") {
            return;
        }
    }
}
