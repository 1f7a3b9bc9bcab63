//! Deliveries in hyper's hands: what hyper has been given to write and has not written.
//!
//! hyper keeps a response in a buffer of its own until the socket has taken it, and nobody can ask for it
//! back. The only way to get a stuck batch out of there is to end the connection. When that is due is known
//! here: every piece of a response is registered until hyper is done with it.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Buf;
use hyper::body::{Body as HttpBody, Frame as HttpFrame, SizeHint};
use parking_lot::Mutex;

use super::body::{Body, Rope};
use crate::broker::Session;

/// The sessions whose deliveries one connection still has to write, in the order in which it writes them.
/// No more than hyper takes pieces ahead of its writing.
#[derive(Default)]
pub(super) struct Unwritten(Mutex<VecDeque<Arc<Session>>>);

impl Unwritten {
    /// Ready once a newer carrier waits for any of them. To be asked while nothing can be written.
    pub(super) fn poll_overtaken(&self, cx: &Context<'_>) -> Poll<()> {
        let sessions = self.0.lock();
        // Each keeps the waker, so all are asked.
        let overtaken =
            sessions.iter().filter(|session| session.poll_overtaken(cx).is_ready()).count();
        if overtaken > 0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// A response body whose deliveries are registered.
pub(super) struct Watched {
    body: Body,
    unwritten: Arc<Unwritten>,
}

/// A piece of it.
pub(super) struct Piece {
    rope: Rope,
    /// Where it is registered, if it has deliveries.
    unwritten: Option<Arc<Unwritten>>,
}

// === impl Watched ===

impl Watched {
    /// Registers what is delivered by `body` with `unwritten`.
    pub(super) const fn new(body: Body, unwritten: Arc<Unwritten>) -> Self {
        Self { body, unwritten }
    }
}

impl HttpBody for Watched {
    type Data = Piece;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<HttpFrame<Piece>>>> {
        let Self { body, unwritten } = self.get_mut();
        let frame = Pin::new(body).poll_frame(cx);
        frame.map_ok(|frame| frame.map_data(|rope| Piece::new(rope, unwritten)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Piece ===

impl Piece {
    fn new(rope: Rope, unwritten: &Arc<Unwritten>) -> Self {
        let unwritten = rope.lender().map(|session| {
            unwritten.0.lock().push_back(Arc::clone(session));
            Arc::clone(unwritten)
        });
        Self { rope, unwritten }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.rope.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.rope.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.rope.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.rope.advance(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(unwritten) = &self.unwritten {
            // Pieces go in the order in which they came, but for the last ones of a lost connection.
            unwritten.0.lock().pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::{
        broker::Take,
        server::body::tests::{overtake, session_with},
    };

    /// The only piece of a body with deliveries, or without.
    fn piece(unwritten: &Arc<Unwritten>, batch: Option<crate::broker::Batch>) -> Piece {
        let mut body = Watched::new(Body::messages(&[], batch, b"{}", None), Arc::clone(unwritten));
        match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().ok().unwrap(),
            _ => panic!("no piece"),
        }
    }

    #[test]
    fn deliveries_are_known_until_their_piece_is_done_with() {
        let unwritten = Arc::new(Unwritten::default());
        let is_overtaken =
            || unwritten.poll_overtaken(&Context::from_waker(Waker::noop())).is_ready();
        let [(first, owner_of_first), (second, owner_of_second)] =
            [session_with(1), session_with(1)];
        let pieces = [
            piece(&unwritten, first.take(owner_of_first, Take::ALL)),
            piece(&unwritten, None),
            piece(&unwritten, second.take(owner_of_second, Take::ALL)),
        ];
        overtake(&first);
        assert!(is_overtaken());
        let [done, plain, left] = pieces;
        drop(done);
        assert_eq!(first.queued(), 1, "it was not written");
        assert!(!is_overtaken(), "whoever comes for the first session now has its messages");
        drop(plain);
        overtake(&second);
        assert!(is_overtaken());
        drop(left);
        assert!(!is_overtaken());
    }
}
