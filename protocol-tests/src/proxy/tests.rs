//! The proxy before an echo server: every fault must show at the client, and nothing else.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::deadline::QUIET;

/// A server that returns what it receives.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

/// Sends `bytes` through the proxy and reads to the end; the error of a reset stays visible.
async fn through(proxy: &Proxy, bytes: &[u8]) -> (Vec<u8>, std::io::Result<usize>) {
    let mut stream = TcpStream::connect(proxy.address).await.expect("connect");
    stream.write_all(bytes).await.expect("write");
    let mut received = Vec::new();
    let mut result = Ok(0);
    while received.len() < bytes.len() {
        result = soon("bytes", stream.read_buf(&mut received)).await;
        if !matches!(result, Ok(1..)) {
            break;
        }
    }
    (received, result)
}

#[tokio::test]
async fn relays_faithfully_by_default() {
    let proxy = Proxy::start(echo().await).await;
    let bytes: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    assert_eq!(through(&proxy, &bytes).await.0, bytes);
    proxy.until("the end of the connection", |counts| counts.open == 0).await;
}

#[tokio::test]
async fn cuts_after_exactly_so_many_bytes() {
    let proxy = Proxy::start(echo().await).await;
    for cut in [0, 1, 17, 63] {
        proxy.next(Plan::cut_to_client(cut, End::Close));
        let (received, result) = through(&proxy, &[b'x'; 64]).await;
        assert_eq!((received.len() as u64, result.ok()), (cut, Some(0)), "FIN after {cut}");
        proxy.next(Plan::cut_to_broker(cut, End::Close));
        let (received, result) = through(&proxy, &[b'x'; 64]).await;
        assert!(received.len() as u64 <= cut && result.is_ok(), "FIN after {cut} upwards");
    }
}

#[tokio::test]
async fn a_reset_is_seen_as_one() {
    let proxy = Proxy::start(echo().await).await;
    proxy.next(Plan::cut_to_client(3, End::Reset));
    let (_, result) = through(&proxy, &[b'x'; 64]).await;
    let kind = result.expect_err("a reset").kind();
    assert_eq!(kind, std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_frozen_proxy_is_silent_until_thawed() {
    let proxy = Proxy::start(echo().await).await;
    let mut stream = TcpStream::connect(proxy.address).await.expect("connect");
    proxy.until("the connection", |counts| counts.open == 1).await;
    proxy.freeze();
    stream.write_all(b"x").await.expect("write");
    let mut byte = [0];
    assert!(tokio::time::timeout(QUIET, stream.read(&mut byte)).await.is_err());
    proxy.thaw();
    assert_eq!(soon("the byte", stream.read(&mut byte)).await.ok(), Some(1));
}

#[tokio::test]
async fn a_cut_ends_open_connections_and_spares_later_ones() {
    let proxy = Proxy::start(echo().await).await;
    let mut stream = TcpStream::connect(proxy.address).await.expect("connect");
    proxy.until("the connection", |counts| counts.open == 1).await;
    proxy.cut(End::Close);
    assert_eq!(soon("the end", stream.read(&mut [0])).await.ok(), Some(0));
    assert_eq!(through(&proxy, b"later").await.0, b"later");
}

#[tokio::test]
async fn a_status_is_answered_without_the_broker() {
    let proxy = Proxy::start(echo().await).await;
    proxy.next(Plan::status(503));
    let request = crate::http::Request::post("/cometd", "[]");
    assert_eq!(crate::http::request(proxy.address, &request).await.status, 503);
}
