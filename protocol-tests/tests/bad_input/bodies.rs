//! T1: bodies far over the limit, declared or not.

use std::{net::SocketAddr, time::Duration};

use protocol_tests::{
    bayeux::{Polling, publish, published},
    deadline::soon,
    http::{Connection, Request},
};
use tokio::{task::JoinSet, time::Instant};

use crate::siege::Siege;

fn post() -> Request {
    Request::new("POST", "/cometd").header("Content-Type", "application/json")
}

/// Sends `head` and then bytes without end; returns the status and when the connection ended.
async fn flood(address: SocketAddr, head: Request, piece: Vec<u8>) -> (u16, Duration) {
    let mut connection = Connection::open(address).await;
    connection.send(head.bytes()).await;
    let start = Instant::now();
    while connection.try_send(&piece).await {
        assert!(start.elapsed() < Duration::from_secs(8), "the flood is taken for ever");
    }
    let response = connection.response_or_end().await;
    // A reset may overtake the response, because the broker does not read for ever.
    (response.map_or(413, |response| response.status), start.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_bodies_are_refused_before_they_are_stored() {
    let siege = Siege::begin(&[]).await;
    let mut declared = Connection::open(siege.address()).await;
    declared.send(post().header("Content-Length", "100000000").bytes()).await;
    assert_eq!(declared.response().await.status, 413, "though nothing of it ever comes");
    assert_eq!(declared.closed().await, b"");

    let mut floods = JoinSet::new();
    for number in 0..8 {
        let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
        let (head, piece) = match number % 2 {
            0 => (post().header("Transfer-Encoding", "chunked"), chunk),
            _ => (post().header("Content-Length", "999999999999"), vec![b' '; 0x10000]),
        };
        floods.spawn(flood(siege.address(), head, piece));
    }
    while let Some(flood) = floods.join_next().await {
        let (status, lasted) = flood.expect("no panic");
        println!("{status} and the end after {lasted:?}");
        assert_eq!(status, 413);
    }
    siege.end("T1 bodies", 32).await;
}

#[tokio::test]
async fn a_body_of_just_the_limit_passes() {
    let siege = Siege::begin(&["limits.message_size=64KiB"]).await;
    let mut session = Polling::connected(siege.address()).await;
    let empty = session.request(publish("3", "/a", "")).bytes();
    let envelope = empty.len() - empty.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(0) - 4;
    for (over, status) in [(-1, 200), (0, 200), (1, 413)] {
        let length = 65_536 - envelope as i64 + over;
        let message = publish("3", "/a", "x".repeat(length as usize));
        let response = session.post(message).await;
        assert_eq!(response.status, status, "{over} over the limit");
        if status == 200 {
            assert_eq!(response.messages(), [published("3", "/a")]);
        }
    }
    siege.end("T1 limit", 16).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_dribble_are_not_waited_for() {
    let siege = Siege::begin(&["limits.body_timeout=1s"]).await;
    let mut clients = JoinSet::new();
    for _ in 0..100 {
        let address = siege.address();
        clients.spawn(async move {
            let mut connection = Connection::open(address).await;
            connection.send(post().header("Content-Length", "1000").bytes()).await;
            // A byte every 100 ms: far too slow, never silent, and at an end after a minute and a half.
            let dribble = async {
                while connection.try_send(b" ").await {
                    let wait = Duration::from_millis(100);
                    if let Some(response) = connection.response_within(wait).await {
                        assert_eq!(response.status, 408);
                        break;
                    }
                }
            };
            soon("the end of a body that dribbles", dribble).await;
        });
    }
    clients.join_all().await;
    siege.end("T2 slow bodies", 16).await;
}
