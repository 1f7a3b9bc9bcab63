//! A held poll outside of hyper.
//!
//! While hyper waits for a response it keeps two buffers of 8 KiB and its state, many times what a
//! held connect needs. So if hyper took the request, the connection is taken apart once the connect is
//! held: hyper has read the request to its end and is dropped, the stream stays, and the response is
//! written here. Requests that hyper must see through, HTTP/1.0, those that close the connection and
//! those with a body that nobody reads, are not parked (`http.rs`).

use std::future::pending;

use tokio::select;

use super::{
    app::App,
    lean::response,
    listen::Timed,
    route::{Held, counted},
};
use crate::metrics::HttpPath;

/// Holds a connect and answers it. Returns the stream for its next request, if there is to be one.
pub(super) async fn answer(app: &App, stream: Timed, held: Box<Held>) -> Option<Timed> {
    let response = select! {
        response = held.respond(app) => response,
        // Nobody is left to answer. What waits stays in the queue (protocol.md 56, 93).
        () = client_left(&stream) => return None,
        () = app.drain.ended() => return None,
    };
    response::send(app, stream, counted(app, HttpPath::Bayeux, response)).await
}

/// Waits for the end of the client's side. Bytes that come instead are its next request: they stay
/// where they are, and from then on its end is not seen before the response is written.
async fn client_left(stream: &Timed) {
    if stream.peek().await.is_ok_and(|bytes| bytes > 0) {
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<A, B, C, F>(_call: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// What a held poll costs in user space is this, its session and what tokio keeps of a socket, 3.4 KB
    /// together (benchmarks.md): each byte here is a megabyte at a million clients. Raise a bound only
    /// for something that holding needs; box the rest.
    #[test]
    fn a_parked_poll_stays_small() {
        let answering = bytes::<&App, _, _, _>(answer);
        assert!(answering <= 1_152, "the future that holds: {answering} bytes");
        let held = size_of::<Held>();
        assert!(held <= 304, "what is kept of its request: {held} bytes");
    }
}
