//! What a connection had taken and not written returns to the queue.
//!
//! The queue is larger than all kernel buffers together, so at the break most of it is still in the
//! broker's hands.

use std::{ops::Range, time::Duration};

use protocol_tests::{
    bayeux::{Polling, Socket, connect, connect_now, deliveries, publish},
    broker::Broker,
    deadline::{soon, within},
    http::Connection,
    websocket::{CLOSE, Frame, TEXT, WebSocket, upgrade_request},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::carrier::messages_of;

/// Messages in the queue.
pub(crate) const COUNT: u64 = 1200;
/// Bytes of each, more or less: ten megabytes in all, of which the kernel takes about four.
pub(crate) const BYTES: usize = 8000;

async fn roomy(write_timeout_ms: u64) -> Broker {
    Broker::with(|config| {
        config.session.queue.max_bytes = 64 << 20;
        config.session.queue.max_messages = 10_000;
        config.limits.message_size = 16 << 20;
        config.limits.write_timeout = Duration::from_millis(write_timeout_ms);
    })
    .await
}

/// Publishes all messages of [`BYTES`] each to `/a`.
pub(crate) async fn fill(broker: &Broker) {
    fill_with(broker, 0..COUNT).await;
}

/// Publishes the messages with these numbers.
pub(crate) async fn fill_with(broker: &Broker, numbers: Range<u64>) {
    let mut publisher = Polling::connected(broker.address).await;
    let padding = "x".repeat(BYTES);
    for first in numbers.clone().step_by(100) {
        let some = first..numbers.end.min(first + 100);
        let batch: Value = some.map(|n| publish("p", "/a", json!([n, padding]))).collect();
        publisher.send(batch).await;
    }
}

pub(crate) fn number(message: &Value) -> u64 {
    message["data"][0].as_u64().expect("a numbered message")
}

/// Everything that waits for a session, as numbers.
async fn rest(session: &mut Polling) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&(COUNT - 1)) {
        numbers.extend(deliveries(&session.fetch().await).iter().map(number));
    }
    numbers
}

/// A socket of `session` with a small receive buffer; the messages begin to flow on it.
async fn narrow(broker: &Broker, session: &Polling) -> TcpStream {
    let mut connection = Connection::open_narrow(broker.address).await;
    let response = connection.exchange(&upgrade_request("/cometd")).await;
    let websocket = WebSocket::upgraded(connection, response).expect("an upgrade");
    let mut socket = Socket { websocket, client_id: session.client_id.clone() };
    socket.send(json!([connect_now("3")])).await;
    let (stream, unread) = socket.websocket.into_parts();
    assert!(unread.is_empty(), "nothing but the 101 was read");
    stream
}

/// The numbers of the whole deliveries in a stream of frames.
fn whole_frames(mut bytes: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some((frame, length)) = Frame::parse(bytes) {
        bytes = &bytes[length..];
        assert_ne!(frame.opcode, CLOSE, "{:?}", frame.close_reason());
        if frame.opcode == TEXT {
            numbers.extend(deliveries(&messages_of(&frame)).iter().map(number));
        }
    }
    numbers
}

#[tokio::test]
async fn half_a_response_counts_for_nothing() {
    let broker = roomy(10_000).await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    fill(&broker).await;
    for reset in [true, false] {
        let mut connection = Connection::open_narrow(broker.address).await;
        connection.send(session.request(json!([connect_now("3")])).bytes()).await;
        let (mut stream, _) = connection.into_parts();
        let mut part = vec![0; 100_000];
        within(Duration::from_secs(5), "part of a response", stream.read_exact(&mut part))
            .await
            .expect("part of a response");
        assert!(part.starts_with(b"HTTP/1.1 200"));
        if reset {
            stream.set_zero_linger().expect("set linger");
        }
        drop(stream);
    }
    assert_eq!(rest(&mut session).await, Vec::from_iter(0..COUNT), "all of it comes again");
}

/// A connection that waits for a slow reader does not outlive its server.
#[tokio::test]
async fn an_ended_server_waits_for_no_slow_reader() {
    let broker = roomy(60_000).await;
    let session = Polling::subscribed(broker.address, "/a").await;
    fill(&broker).await;
    let mut stream = narrow(&broker, &session).await;
    soon("the first bytes", stream.readable()).await.expect("a sound socket");
    broker.kill().await;
    // What arrives at a socket that is closed is answered with a reset.
    soon("the end of the connection", async {
        while stream.write_all(&[0]).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn frames_that_were_not_written_return_to_the_queue() {
    let broker = roomy(10_000).await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    fill(&broker).await;
    let mut stream = narrow(&broker, &session).await;
    let mut read = vec![0; 50 * BYTES];
    within(Duration::from_secs(5), "some frames", stream.read_exact(&mut read))
        .await
        .expect("some frames");
    stream.set_zero_linger().expect("set linger");
    drop(stream);
    let received = whole_frames(&read);
    assert_eq!(received, Vec::from_iter(0..received.len() as u64));
    let rest = rest(&mut session).await;
    assert_eq!(rest, Vec::from_iter(rest[0]..COUNT), "in order, and without a hole to the end");
    let lost = rest[0] - received.len() as u64;
    let written = broker.counters().delivered.value();
    println!("read {} frames, lost {lost} in flight, {} came back", received.len(), rest.len());
    assert_eq!(written - rest.len() as u64, rest[0], "lost were only those the kernel had taken");
    assert!(rest.len() > COUNT as usize / 4, "the kernel took all: {}", rest.len());
}

/// Linux reports a socket writable only when a third of its send buffer is free, so a client that read
/// 300 kB/s was cut off in the middle of its messages. Found by this test.
#[tokio::test]
async fn a_slow_reader_is_not_taken_for_a_dead_one() {
    let broker = roomy(250).await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    fill(&broker).await;
    let mut stream = narrow(&broker, &session).await;
    let mut bytes = Vec::new();
    let start = Instant::now();
    let mut chunk = [0; 4096];
    while start.elapsed() < Duration::from_millis(2500) {
        let count = stream.read(&mut chunk).await.expect("a live connection");
        assert_ne!(count, 0, "closed after {:?}", start.elapsed());
        bytes.extend_from_slice(&chunk[..count]);
        sleep(Duration::from_millis(10)).await;
    }
    println!("read {} kB in {:?}", bytes.len() >> 10, start.elapsed());
    let mut chunk = vec![0; 1 << 20];
    while !holds_the_reply(&bytes) {
        let count = stream.read(&mut chunk).await.expect("a live connection");
        assert_ne!(count, 0, "closed after {:?}", start.elapsed());
        bytes.extend_from_slice(&chunk[..count]);
    }
    assert_eq!(whole_frames(&bytes), Vec::from_iter(0..COUNT));
    assert_eq!(session.fetch().await.len(), 1, "nothing came back");
}

/// What the kernel had taken can still be read after the broker has given up, so nothing at all may
/// be missing: of the frame in the middle of which the connection ended, all comes again.
#[tokio::test]
async fn a_reader_that_stops_is_given_up_and_loses_nothing() {
    let broker = roomy(250).await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    fill(&broker).await;
    let mut stream = narrow(&broker, &session).await;
    // Several times the write timeout: a client that reads nothing has nothing to wait for.
    sleep(Duration::from_millis(1200)).await;
    let rest = rest(&mut session).await;
    let mut bytes = Vec::new();
    within(Duration::from_secs(5), "end of the stream", stream.read_to_end(&mut bytes))
        .await
        .expect("an end in order");
    let received = whole_frames(&bytes);
    assert!(!received.is_empty() && rest.len() > COUNT as usize / 4, "the kernel took part of it");
    println!("read {} frames in the end, {} came back", received.len(), rest.len());
    assert_eq!([received, rest].concat(), Vec::from_iter(0..COUNT));
}

/// The new carrier used to wait for the old one's write timeout. Found in review.
#[tokio::test]
async fn a_stuck_socket_gives_way_to_a_newer_carrier_at_once() {
    let broker = roomy(60_000).await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    fill(&broker).await;
    let mut stuck = narrow(&broker, &session).await;
    let mut read = vec![0; BYTES];
    within(Duration::from_secs(5), "a frame", stuck.read_exact(&mut read)).await.expect("a frame");
    let rest = within(Duration::from_secs(20), "the rest", rest(&mut session)).await;
    assert_eq!(rest, Vec::from_iter(rest[0]..COUNT), "in order, and without a hole to the end");
}

/// The same for a poll whose held response is stuck.
#[tokio::test]
async fn a_stuck_response_gives_way_to_a_newer_connect_at_once() {
    let broker = roomy(60_000).await;
    let mut session = Polling::subscribed(broker.address, "/a").await;
    let mut connection = Connection::open_narrow(broker.address).await;
    connection.send(session.request(json!([connect("3")])).bytes()).await;
    connection.quiet().await;
    // One burst that the kernel cannot take whole, in a single response.
    let mut publisher = Polling::connected(broker.address).await;
    let padding = "x".repeat(90_000);
    let batch: Value = (0..100).map(|n| publish("p", "/a", json!([n, padding]))).collect();
    publisher.send(batch).await;
    let (mut stuck, _) = connection.into_parts();
    let mut read = vec![0; BYTES];
    within(Duration::from_secs(5), "a part", stuck.read_exact(&mut read)).await.expect("a part");
    let mut numbers = Vec::new();
    let all = async {
        while numbers.last() != Some(&99) {
            numbers.extend(deliveries(&session.fetch().await).iter().map(number));
        }
    };
    within(Duration::from_secs(20), "the burst", all).await;
    assert_eq!(numbers, Vec::from_iter(0..100), "half a response counts for nothing");
}

/// Whether the stream ends with the reply to the connect, which comes after all deliveries.
fn holds_the_reply(bytes: &[u8]) -> bool {
    let tail = &bytes[bytes.len().saturating_sub(300)..];
    let mark = b"/meta/connect";
    tail.windows(mark.len()).any(|window| window == mark) && tail.ends_with(b"}]")
}
