//! The delivery promises without faults, judged by the ledger: reliability.md P1, P2, P3, P7.
//! With faults: `faults.rs`.

use protocol_tests::{
    bayeux::{Polling, Socket, connect, connect_now, deliveries},
    broker::Broker,
    deadline::{PATIENCE, within},
    ledger::{Event, Ledger, Post, body},
};
use serde_json::{Value, json};

const CHANNELS: [&str; 2] = ["/ledger/a", "/ledger/b"];

/// Publishes `count` numbered messages to each channel over one socket, each confirmed before the
/// next.
async fn publish_all(broker: &Broker, ledger: Ledger, publisher: &str, count: u64) {
    let mut socket = Socket::connected(broker.address).await;
    for number in 0..count {
        for channel in CHANNELS {
            let (publisher, channel) = (publisher.to_owned(), channel.to_owned());
            let post = Post { publisher, channel, number };
            ledger.record(Event::Publishing(post.clone()));
            socket.publish(&post.channel, body(&post)).await;
            ledger.record(Event::Published(post));
        }
    }
}

fn record_subscriptions(ledger: &Ledger, session: &str) {
    for channel in CHANNELS {
        let (session, channel) = (session.to_owned(), channel.to_owned());
        ledger.record(Event::Subscribed { session, channel });
    }
}

fn record_all(ledger: &Ledger, session: &str, messages: &[Value]) {
    for message in messages {
        ledger.received(session, message);
    }
}

/// Reads `expected` deliveries as a subscriber by WebSocket.
async fn listen(mut socket: Socket, ledger: &Ledger, name: &str, expected: usize) {
    while ledger.count(name) < expected {
        record_all(ledger, name, &socket.recv().await);
    }
}

/// Reads `expected` deliveries as a subscriber by long-polling.
async fn poll(mut session: Polling, ledger: &Ledger, name: &str, expected: usize) {
    while ledger.count(name) < expected {
        let messages = session.send(json!([connect("3")])).await;
        record_all(ledger, name, &deliveries(&messages));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_message_arrives_once_and_in_order_on_both_transports() {
    const EACH: u64 = 200;
    let broker = Broker::holding(1000).await;
    let ledger = Ledger::default();
    let expected = 3 * CHANNELS.len() * EACH as usize;
    let socket = Socket::subscribed(broker.address, "/ledger/*").await;
    let greedy = Socket::subscribed(broker.address, "/**").await;
    let polling = Polling::subscribed(broker.address, "/ledger/**").await;
    for name in ["socket", "greedy", "polling"] {
        record_subscriptions(&ledger, name);
    }
    within(8 * PATIENCE, "all deliveries", async {
        tokio::join!(
            publish_all(&broker, ledger.clone(), "p", EACH),
            publish_all(&broker, ledger.clone(), "q", EACH),
            publish_all(&broker, ledger.clone(), "r", EACH),
            listen(socket, &ledger, "socket", expected),
            listen(greedy, &ledger, "greedy", expected),
            poll(polling, &ledger, "polling", expected),
        )
    })
    .await;
    let report = ledger.report();
    report.assert_clean();
    assert_eq!((report.confirmed, report.delivered), (expected, 3 * expected));
}

/// Moves a session to and fro between long-polling and new WebSockets while messages flow. A socket
/// that was left is read to its last frame first: what it carried came before the move.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_moves_between_carriers_loses_and_doubles_nothing() {
    const EACH: u64 = 300;
    let broker = Broker::holding(1000).await;
    let ledger = Ledger::default();
    let expected = CHANNELS.len() * EACH as usize;
    let session = Polling::subscribed(broker.address, "/ledger/*").await;
    record_subscriptions(&ledger, "mover");
    let moving = async {
        while ledger.count("mover") < expected {
            let mut socket = Socket::adopt(broker.address, &session.client_id).await;
            socket.send(connect_now("1")).await;
            for _ in 0..10 {
                if ledger.count("mover") == expected {
                    return;
                }
                record_all(&ledger, "mover", &socket.recv().await);
            }
            let mut back = session.begin(json!([connect("2")])).await;
            let response = back.messages().await;
            let left_behind = socket.websocket.whole_frames().await;
            for frame in left_behind {
                let messages: Vec<Value> = serde_json::from_slice(&frame.payload).expect("JSON");
                record_all(&ledger, "mover", &deliveries(&messages));
            }
            record_all(&ledger, "mover", &deliveries(&response));
        }
    };
    within(8 * PATIENCE, "all deliveries", async {
        tokio::join!(moving, publish_all(&broker, ledger.clone(), "p", EACH))
    })
    .await;
    let report = ledger.report();
    report.assert_clean();
    assert_eq!(report.delivered, expected, "{report}");
}
