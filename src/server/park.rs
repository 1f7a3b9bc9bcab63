//! A held poll outside of hyper.
//!
//! While hyper waits for a response it keeps two buffers of 8 KiB and its state, five times what a
//! held connect needs. So the connection is taken apart once the connect is held: hyper has read the
//! request to its end and is dropped, the stream stays, and the response is written here. After it
//! hyper starts anew on the same stream. Requests that hyper must see through, HTTP/1.0, those that
//! close the connection and those with a body that nobody reads, are not parked (`http.rs`).

use std::{
    future::{pending, poll_fn},
    io,
    pin::Pin,
    time::SystemTime,
};

use bytes::{Buf, Bytes};
use hyper::{Response, StatusCode};
use tokio::{io::AsyncWriteExt as _, select};
use tokio_util::io::poll_write_buf;
use tracing::debug;

use super::{
    app::App,
    body::{Body, Rope},
    listen::Timed,
    route::Held,
};
use crate::broker::{Generation, Ready, Session};

/// Holds a connect and answers it. Returns the stream for its next request, if there is to be one.
pub(super) async fn answer(app: &App, mut stream: Timed, held: Box<Held>) -> Option<Timed> {
    let (session, generation) = held.carries();
    let response = select! {
        response = held.respond(app) => response,
        // Nobody is left to answer. What waits stays in the queue (protocol.md 56, 93).
        () = client_left(&stream) => return None,
        () = app.drain.ended() => return None,
    };
    let goes_on = !app.drain.is_begun();
    let written = select! {
        biased;
        written = write(&mut stream, response, goes_on) => written,
        // A newer carrier waits for the deliveries of this response, which is stuck.
        () = taken_over(&session, generation) => return None,
    };
    match written {
        Ok(()) if goes_on => Some(stream),
        Ok(()) => {
            // The response is written; a failed farewell harms nobody.
            let _: io::Result<()> = stream.shutdown().await;
            None
        }
        Err(error) => {
            debug!(%error, "a poll was not answered");
            None
        }
    }
}

/// Waits for the end of the client's side. Bytes that come instead are its next request: they stay
/// where they are, and from then on its end is not seen before the response is written.
async fn client_left(stream: &Timed) {
    if stream.peek().await.is_ok_and(|bytes| bytes > 0) {
        pending::<()>().await;
    }
}

async fn taken_over(session: &Session, generation: Generation) {
    if session.signal(generation).await != Ready::Superseded {
        pending::<()>().await;
    }
}

/// Writes a whole response. Dropped or failed half-way, its deliveries return to their queue.
async fn write(stream: &mut Timed, response: Response<Body>, goes_on: bool) -> io::Result<()> {
    let (head, body) = response.into_parts();
    let Body::Whole(rope) = body else {
        return Err(io::Error::other("a poll is answered as a whole"));
    };
    let length = rope.as_ref().map_or(0, Rope::remaining);
    let mut text = status_line(head.status);
    for (name, value) in &head.headers {
        push_header(&mut text, name.as_str(), value.as_bytes());
    }
    push_header(&mut text, "content-length", length.to_string().as_bytes());
    push_header(&mut text, "date", date().as_bytes());
    if !goes_on {
        push_header(&mut text, "connection", b"close");
    }
    text.extend_from_slice(b"\r\n");
    match rope {
        Some(rope) => write_all(stream, Bytes::from(text).chain(rope)).await,
        None => write_all(stream, Bytes::from(text)).await,
    }
}

/// Writes with `writev`, so that shared frames are not copied.
async fn write_all(stream: &mut Timed, mut bytes: impl Buf) -> io::Result<()> {
    while bytes.has_remaining() {
        let written = poll_fn(|cx| poll_write_buf(Pin::new(&mut *stream), cx, &mut bytes)).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

fn status_line(status: StatusCode) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut text = Vec::with_capacity(HEAD_BYTES);
    text.extend_from_slice(b"HTTP/1.1 ");
    text.extend_from_slice(status.as_str().as_bytes());
    text.push(b' ');
    text.extend_from_slice(reason.as_bytes());
    text.extend_from_slice(b"\r\n");
    text
}

fn push_header(text: &mut Vec<u8>, name: &str, value: &[u8]) {
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

#[expect(clippy::disallowed_methods, reason = "RFC 9110 6.6.1: a response carries the date")]
fn date() -> String {
    httpdate::fmt_http_date(SystemTime::now())
}

/// Room for the head of an ordinary response.
const HEAD_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<A, B, C, F>(_call: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// What a held poll costs in user space is this, its session and what tokio keeps of a socket, 4.2 KB
    /// together (benchmarks.md): each byte here is a megabyte at a million clients. Raise a bound only
    /// for something that holding needs; box the rest.
    #[test]
    fn a_parked_poll_stays_small() {
        let answering = bytes::<&App, _, _, _>(answer);
        assert!(answering <= 1_984, "the future that holds: {answering} bytes");
        let held = size_of::<Held>();
        assert!(held <= 304, "what is kept of its request: {held} bytes");
    }
}
