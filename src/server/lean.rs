//! Polls without hyper.
//!
//! hyper costs a poll more than all else that we do for it: it is made anew after each hold, with two
//! buffers of 8 KiB. A plain request that arrives in one piece is therefore read, and answered, here.
//! Every other goes to hyper together with all bytes that were read, so what an unusual request means,
//! and what becomes of it, is hyper's to say. Nothing is kept between requests but the stream.
//! What plain means stands in one place, `request.rs`.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncWriteExt as _, ReadBuf},
    select,
    time::sleep,
};
use tracing::debug;

pub(super) use self::request::Request;
use super::{
    http::Http,
    listen::Timed,
    route::{self, Held, Routed},
};

mod request;
pub(super) mod response;

/// What becomes of a connection.
pub(super) enum Turn {
    /// Its connect is to be held; the request is done with.
    Hold(Timed, Box<Held>),
    /// The next bytes are for hyper.
    Pass(Timed),
    /// It has ended.
    End,
}

/// Answers plain requests until something else comes.
pub(super) async fn serve(http: &Http, mut stream: Timed) -> Turn {
    let app = &http.app;
    loop {
        let request = match next(http, &mut stream).await {
            Ok(Arrival::Plain(request)) => request,
            Ok(Arrival::Other) => return Turn::Pass(stream),
            Ok(Arrival::Nothing) => {
                // Nobody waits for an answer; a failed farewell harms nobody.
                let _: io::Result<()> = stream.shutdown().await;
                return Turn::End;
            }
            Err(error) => {
                debug!(%error, "connection ended");
                return Turn::End;
            }
        };
        let routed = select! {
            biased;
            // Boxed, so that the next wait does not keep the room for it.
            routed = Box::pin(route::respond_read(http, request)) => routed,
            () = app.drain.ended() => return Turn::End,
        };
        let response = match routed {
            Routed::Ready(response) | Routed::Streaming(response) => response,
            Routed::Held(held) => return Turn::Hold(stream, held),
        };
        let left = select! {
            biased;
            left = response::send(app, stream, response) => left,
            () = app.drain.ended() => None,
        };
        match left {
            Some(left) => stream = left,
            None => return Turn::End,
        }
    }
}

/// What has arrived.
enum Arrival {
    Plain(Request),
    /// Put back, for hyper.
    Other,
    /// The client has left, has said nothing for `limits.keep_alive`, or the server stops.
    Nothing,
}

async fn next(http: &Http, stream: &mut Timed) -> io::Result<Arrival> {
    let app = &http.app;
    select! {
        biased;
        arrival = poll_fn(|cx| poll_next(http, stream, cx)) => arrival,
        () = sleep(app.live.keep_alive.now()) => Ok(Arrival::Nothing),
        () = app.drain.begins() => Ok(Arrival::Nothing),
    }
}

/// Reads once, into a buffer that is gone when there is nothing to read.
fn poll_next(http: &Http, stream: &mut Timed, cx: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
    let mut scratch = [const { MaybeUninit::uninit() }; REQUEST_BYTES_MAX];
    let mut buffer = ReadBuf::uninit(&mut scratch);
    ready!(stream.poll_arrival(cx, &mut buffer))?;
    if buffer.filled().is_empty() {
        return Poll::Ready(Ok(Arrival::Nothing));
    }
    let bytes = Bytes::copy_from_slice(buffer.filled());
    Poll::Ready(Ok(match request::parse(&http.app.config, &http.app.live, &bytes) {
        Some((request, length)) => {
            // A copy, so that the request does not stay as long as what follows it.
            stream.unread(Bytes::copy_from_slice(bytes.get(length..).unwrap_or_default()));
            Arrival::Plain(request)
        }
        None => {
            stream.unread(bytes);
            Arrival::Other
        }
    }))
}

/// Of one read, on the stack and not zeroed. A longer request is hyper's.
const REQUEST_BYTES_MAX: usize = 16 << 10;
