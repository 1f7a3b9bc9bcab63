//! The deadlines of a connection, on sockets of this machine.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Response, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(20);

/// A guarded stream, its clock, and the client's end.
async fn pair(
    header_timeout: Duration,
    write_timeout: Duration,
) -> (Timed, Arc<HeadClock>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let clock = Arc::<HeadClock>::default();
    let deadlines = Deadlines { header_timeout, write_timeout };
    (Timed::new(stream, deadlines, Arc::clone(&clock)), clock, client)
}

/// Reads until the stream fails or ends, for at most three short timeouts.
async fn outcome(timed: &mut Timed) -> Option<io::Result<usize>> {
    let mut scratch = [0; 64];
    let reading = async {
        loop {
            match timed.read(&mut scratch).await {
                Ok(length) if length > 0 => {}
                ended => return ended,
            }
        }
    };
    time::timeout(SHORT * 3, reading).await.ok()
}

fn is_timeout(outcome: Option<io::Result<usize>>) -> bool {
    outcome.is_some_and(|read| read.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut))
}

#[tokio::test]
async fn an_idle_connection_has_no_head_deadline() {
    let (mut timed, _clock, _client) = pair(SHORT, LONG).await;
    assert!(outcome(&mut timed).await.is_none());
    assert!(timed.head.is_none());
}

#[tokio::test]
async fn a_begun_head_must_end_in_time_however_it_dribbles() {
    let (mut timed, _clock, mut client) = pair(SHORT, LONG).await;
    let dribble = tokio::spawn(async move {
        while client.write_all(b"x").await.is_ok() {
            time::sleep(SHORT / 10).await;
        }
    });
    let begun = clock::now();
    assert!(is_timeout(outcome(&mut timed).await));
    assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());
    dribble.abort();
}

#[tokio::test]
async fn a_body_is_not_timed_as_a_head() {
    let (mut timed, clock, mut client) = pair(SHORT, LONG).await;
    client.write_all(b"head").await.unwrap();
    timed.read_exact(&mut [0; 4]).await.unwrap();
    clock.request_received();
    client.write_all(b"body").await.unwrap();
    assert!(outcome(&mut timed).await.is_none());
}

#[tokio::test]
async fn the_next_head_is_timed_again() {
    let (mut timed, clock, mut client) = pair(SHORT, LONG).await;
    for _ in 0..3 {
        client.write_all(b"head").await.unwrap();
        timed.read_exact(&mut [0; 4]).await.unwrap();
        clock.request_received();
        clock.response_done();
    }
    // The connection is idle: the heads are complete although nobody looked in between.
    assert!(outcome(&mut timed).await.is_none());
    client.write_all(b"he").await.unwrap();
    assert!(is_timeout(outcome(&mut timed).await));
}

#[tokio::test]
async fn a_write_without_progress_fails_and_one_with_progress_goes_on() {
    let (mut timed, _clock, mut client) = pair(LONG, SHORT * 14).await;
    let writing = tokio::spawn(async move {
        let error = loop {
            let slices = [IoSlice::new(&[7; 30_000]), IoSlice::new(&[8; 30_000])];
            if let Err(error) = timed.write_vectored(&slices).await {
                break error;
            }
        };
        (error.kind(), timed)
    });
    // Slower than the deadline in all, but never without progress for nearly that long.
    let mut taken = vec![0; 200_000];
    for _ in 0..10 {
        time::sleep(SHORT * 2).await;
        client.read_exact(&mut taken).await.unwrap();
    }
    assert!(!writing.is_finished());
    let (kind, timed) = time::timeout(LONG, writing).await.unwrap().unwrap();
    assert_eq!(kind, io::ErrorKind::TimedOut);
    assert!(timed.is_write_vectored());
}

#[tokio::test]
async fn an_early_next_head_waits_for_the_response_to_leave() {
    let (mut timed, clock, mut client) = pair(SHORT, LONG).await;
    clock.request_received();
    clock.response_done();
    client.write_all(b"early").await.unwrap();
    timed.read_exact(&mut [0; 5]).await.unwrap();
    // The client does not read yet, so the response gets stuck.
    let chunk = vec![0; 64 << 10];
    let stuck = async { while timed.write(&chunk).await.is_ok() {} };
    assert!(time::timeout(SHORT, stuck).await.is_err());
    assert!(timed.write_stall.is_some());
    assert!(outcome(&mut timed).await.is_none(), "the head is timed although a write is pending");

    tokio::spawn(async move {
        let mut taken = [0; 4096];
        while client.read(&mut taken).await.is_ok_and(|length| length > 0) {}
    });
    timed.write_all(b"end").await.unwrap();
    assert!(is_timeout(outcome(&mut timed).await));
}

/// A server as the broker runs it: keep-alive by hyper, heads and writes by [`Timed`].
async fn serve_echo(timed: Timed, clock: Arc<HeadClock>) -> hyper::Result<()> {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        clock.request_received();
        let clock = Arc::clone(&clock);
        async move {
            let body = request.into_body().collect().await.map(|body| body.to_bytes());
            clock.response_done();
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::new(body.unwrap_or_default())))
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(LONG);
    server.serve_connection(TokioIo::new(timed), service).await
}

#[tokio::test]
async fn under_hyper_a_slow_head_is_cut_and_a_slow_body_is_not() {
    let (timed, clock, mut client) = pair(SHORT, LONG).await;
    let served = tokio::spawn(serve_echo(timed, clock));
    let mut response = [0; 512];
    for pause in [Duration::ZERO, SHORT * 2] {
        client
            .write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbo")
            .await
            .unwrap();
        time::sleep(pause).await;
        client.write_all(b"dy").await.unwrap();
        let length = client.read(&mut response).await.unwrap();
        let text = String::from_utf8_lossy(&response[..length]);
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("body"), "{text}");
        // Idle for longer than a head may take.
        time::sleep(pause).await;
    }
    client.write_all(b"POST / HTTP/1.1\r\nhost:").await.unwrap();
    let ended = time::timeout(SHORT * 10, served).await.unwrap().unwrap();
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(client.read(&mut response).await.unwrap_or(0), 0);
}
