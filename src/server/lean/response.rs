//! A whole response, written without hyper.
//!
//! The same headers that hyper would add: length, date, and the end of the connection if it ends.

use std::{future::poll_fn, io, pin::Pin, task::Poll, time::SystemTime};

use bytes::{Buf, Bytes, buf::Chain};
use hyper::{Response, StatusCode};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::poll_write_buf;
use tracing::debug;

use crate::server::{
    app::App,
    body::{Body, Rope},
    listen::Timed,
};

/// Writes a whole response. Returns the stream for the next request, if there is to be one.
///
/// Dropped or failed half-way, the deliveries of the response return to their queue. What is left of
/// the response when the future is made is its bytes: a held poll keeps room for this future.
pub(in crate::server) fn send(
    app: &App,
    mut stream: Timed,
    response: Response<Body>,
) -> impl Future<Output = Option<Timed>> {
    let goes_on = !app.drain.is_begun();
    let mut bytes = encode(response, goes_on);
    async move {
        let written = match &mut bytes {
            Some(bytes) => write_all(&mut stream, bytes).await,
            None => Err(io::Error::other("a poll is answered as a whole")),
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
}

/// The bytes of a response; `None`: its body has no known length, as that of no poll.
fn encode(response: Response<Body>, goes_on: bool) -> Option<Chain<Bytes, Rope>> {
    let (head, body) = response.into_parts();
    let Body::Whole(rope) = body else { return None };
    let rope = rope.unwrap_or_else(|| Rope::from(Bytes::new()));
    let mut text = status_line(head.status);
    for (name, value) in &head.headers {
        push_header(&mut text, name.as_str(), value.as_bytes());
    }
    push_header(&mut text, "content-length", rope.remaining().to_string().as_bytes());
    push_header(&mut text, "date", date().as_bytes());
    if !goes_on {
        push_header(&mut text, "connection", b"close");
    }
    text.extend_from_slice(b"\r\n");
    Some(Bytes::from(text).chain(rope))
}

/// Writes with `writev`, so that shared frames are not copied. Gives up what is stuck once a newer carrier
/// waits for its deliveries.
async fn write_all(stream: &mut Timed, bytes: &mut Chain<Bytes, Rope>) -> io::Result<()> {
    while bytes.has_remaining() {
        let written = poll_fn(|cx| match poll_write_buf(Pin::new(&mut *stream), cx, bytes) {
            Poll::Pending => bytes.last_ref().poll_overtaken(cx).map(|()| Err(overtaken())),
            written @ Poll::Ready(_) => written,
        });
        if written.await? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

fn overtaken() -> io::Error {
    io::Error::other("a newer connection waits for what this one does not take")
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
mod tests;
