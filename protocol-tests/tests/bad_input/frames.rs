//! T3: WebSocket frames that no client sends.

use std::{net::SocketAddr, time::Duration};

use protocol_tests::{
    bayeux::Socket,
    deadline::{PATIENCE, within},
    websocket::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, TEXT, WebSocket},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::siege::Siege;

/// Sends bytes on a fresh socket; the close code that comes of it.
async fn close_code(address: SocketAddr, bytes: &[u8]) -> u16 {
    let mut websocket = WebSocket::open(address).await;
    websocket.send_bytes(bytes).await;
    websocket.close().await.expect("a close frame").0
}

#[tokio::test]
async fn violations_close_their_own_connection_only() {
    let siege = Siege::begin(&[]).await;
    let text = || Frame::text("[]");
    let mut cases: Vec<(String, Vec<u8>, u16)> = Vec::new();
    let mut case = |name: &str, bytes: Vec<u8>, code| cases.push((name.to_owned(), bytes, code));
    for rsv in 1..8 {
        case(&format!("reserved bits {rsv}"), text().reserved(rsv).bytes(), 1002);
        case(&format!("ping with {rsv}"), Frame::new(PING, "").reserved(rsv).bytes(), 1002);
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        case(&format!("opcode {opcode}"), Frame::new(opcode, "").bytes(), 1002);
    }
    for opcode in [TEXT, PING, PONG, CLOSE] {
        case(&format!("unmasked {opcode}"), Frame::new(opcode, "").unmasked().bytes(), 1002);
    }
    for opcode in [PING, PONG, CLOSE] {
        case(&format!("long control {opcode}"), Frame::new(opcode, [0; 126]).bytes(), 1002);
        case(&format!("fragmented {opcode}"), Frame::new(opcode, "").unfinished().bytes(), 1002);
    }
    case("continuation of nothing", Frame::new(CONTINUATION, "x").bytes(), 1002);
    let interrupted = [text().unfinished().bytes(), text().bytes()].concat();
    case("text within a message", interrupted, 1002);
    for length in [1 << 63, (1 << 63) + 1, u64::MAX] {
        case(&format!("length {length}"), Frame::declaring(length), 1002);
    }
    for length in [65_537, 1 << 20, 1 << 32, (1 << 63) - 1] {
        case(&format!("length {length}"), Frame::declaring(length), 1009);
    }
    case("binary", Frame::new(BINARY, "[]").bytes(), 1003);
    case("close of one byte", Frame::new(CLOSE, [3]).bytes(), 1002);
    for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535] {
        case(&format!("close {code}"), Frame::close(code).bytes(), 1002);
    }
    case("close reason", Frame::new(CLOSE, [0x03, 0xe8, 0xff]).bytes(), 1007);
    for (name, bytes, code) in cases {
        assert_eq!(close_code(siege.address(), &bytes).await, code, "{name}");
    }
    siege.end("T3 violations", 8).await;
}

#[tokio::test]
async fn bad_utf8_is_found_at_every_split() {
    let siege = Siege::begin(&[]).await;
    let bad: [&[u8]; 8] = [
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
        b"\x80",
        b"\xf8\x88\x80\x80\x80",
    ];
    for bytes in bad {
        let payload = [b"[\"", bytes, b"\"]"].concat();
        for split in 0..=payload.len() {
            let (one, two) = payload.split_at(split);
            let first = Frame::text(one).unfinished().bytes();
            let frames = [first, Frame::new(CONTINUATION, two).bytes()].concat();
            let code = close_code(siege.address(), &frames).await;
            assert_eq!(code, 1007, "{payload:x?} at {split}");
        }
    }
    siege.end("T3 UTF-8", 8).await;
}

/// `ws` CVE-2026-48779: fragments of a byte each pinned twenty times their size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_in_endless_fragments_are_refused() {
    let siege = Siege::begin(&[]).await;
    let mut clients = JoinSet::new();
    for number in 0..50 {
        let address = siege.address();
        clients.spawn(async move {
            let mut websocket = WebSocket::open(address).await;
            websocket.send(&Frame::text("x").unfinished()).await;
            let payload = if number % 2 == 0 { "x" } else { "" };
            let piece = Frame::new(CONTINUATION, payload).unfinished().bytes().repeat(131);
            for _ in 0..1000 {
                websocket.send_bytes(&piece).await;
            }
            // The flood behind the close frame makes a reset possible.
            if let Some((code, _)) = websocket.close().await {
                assert!([1008, 1009].contains(&code), "{code}");
            }
        });
    }
    clients.join_all().await;
    siege.end("T3 fragments", 16).await;
}

/// A peer that asks without end and reads nothing is not read either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_pings_is_held_up() {
    let siege = Siege::begin(&[]).await;
    let mut clients = JoinSet::new();
    for number in 0..4 {
        let address = siege.address();
        clients.spawn(async move {
            let websocket = WebSocket::open(address).await;
            let (mut stream, _) = websocket.into_parts();
            let pings = Frame::new(PING, [b'p'; 125]).bytes().repeat(1000);
            let mut sent = 0;
            while sent < 20 {
                let written = timeout(PATIENCE / 10, stream.write_all(&pings)).await;
                match written {
                    Ok(Ok(())) => sent += 1,
                    _ => break,
                }
                if number % 2 == 0 {
                    let mut pongs = vec![0; 127 * 1000];
                    stream.read_exact(&mut pongs).await.expect("a pong for each");
                }
            }
            sent * 1000
        });
    }
    println!("pings taken: {:?}", clients.join_all().await);
    let mut socket = Socket::connected(siege.address()).await;
    socket.subscribe("/a").await;
    drop(socket);
    siege.end("T3 pings", 16).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_messages_cost_no_more_than_the_limit() {
    let siege = Siege::begin(&[]).await;
    let mut sockets = Vec::new();
    for _ in 0..50 {
        let mut websocket = WebSocket::open(siege.address()).await;
        let bytes = Frame::text([b' '; 65_536]).bytes();
        websocket.send_bytes(&bytes[..bytes.len() - 1]).await;
        sockets.push(websocket);
    }
    within(PATIENCE, "arrival of the bytes", async {
        while siege.growth() < 2 << 20 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    drop(sockets);
    siege.end("T3 unfinished, 50 x 64 KiB", 12).await;
}
