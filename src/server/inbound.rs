//! The body of a request, which comes back if its handler leaves it unread.
//!
//! A response may be ready before its request is: the origin is foreign, the path leads nowhere. What
//! has arrived of such a body is then thrown away, and if that is all of it, the connection goes on. If
//! more is to come the connection ends with the response, and the stream lingers (`listen/timed.rs`), so
//! that who still sends can read why. The connection also asks here, at a stop, whether it waits for its
//! client. Source: RFC 9112 9.3, 9.6.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::{
    Request,
    body::{Body, Frame, Incoming, SizeHint},
    header::EXPECT,
};
use parking_lot::Mutex;
use tokio::task::yield_now;

use super::listen::HeadClock;

/// What a handler reads.
pub(super) struct Inbound {
    /// `None` at its end.
    body: Option<Incoming>,
    unread: Option<Arc<Unread>>,
}

/// Where a body goes that its handler has let go of before the end.
pub(super) struct Unread {
    body: Mutex<Option<Incoming>>,
    heads: Arc<HeadClock>,
    /// The client sends nothing before it is asked to (RFC 9110 10.1.1).
    waits: bool,
}

/// Keeps an eye on the body of a request, if it has one.
pub(super) fn watch(
    request: Request<Incoming>,
    heads: &Arc<HeadClock>,
) -> (Request<Inbound>, Option<Arc<Unread>>) {
    let waits = request.headers().contains_key(EXPECT);
    let unread = (!request.body().is_end_stream()).then(|| {
        heads.set_body_awaited(true);
        Arc::new(Unread { body: Mutex::new(None), heads: Arc::clone(heads), waits })
    });
    let watched = unread.clone();
    (request.map(|body| Inbound { body: Some(body), unread: watched }), unread)
}

impl Unread {
    /// Whether nothing is left of the body, once what has arrived was thrown away. Waits for nobody.
    pub(super) async fn is_over(&self) -> bool {
        let Some(mut body) = self.body.lock().take() else { return true };
        // To ask for it would be to say `100 Continue`.
        if self.waits {
            return false;
        }
        let mut bytes = 0;
        for _ in 0..TURNS_MAX {
            loop {
                match poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await {
                    Poll::Ready(None) => return true,
                    Poll::Ready(Some(Err(_))) => return false,
                    Poll::Ready(Some(Ok(frame))) => {
                        bytes += frame.data_ref().map_or(0, Bytes::len);
                        if body.is_end_stream() {
                            return true;
                        }
                        if bytes > DISCARDED_BYTES_MAX {
                            return false;
                        }
                    }
                    Poll::Pending => break,
                }
            }
            // hyper reads what it was asked for when the service lets it.
            yield_now().await;
        }
        false
    }
}

impl Inbound {
    /// Its handler ends it by itself when the server stops: it may have other things to wait for.
    pub(super) fn heeds_the_stop(&self) {
        if let Some(unread) = &self.unread {
            unread.heads.set_body_awaited(false);
        }
    }

    fn ended(&mut self) {
        self.body = None;
        self.heeds_the_stop();
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if frame.is_none() {
            this.ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| !body.is_end_stream());
        self.ended();
        if let (Some(unread), Some(body)) = (&self.unread, body) {
            *unread.body.lock() = Some(body);
        }
    }
}

/// What is thrown away for the sake of the connection: as much as a plain request is long (`lean.rs`).
const DISCARDED_BYTES_MAX: usize = 16 << 10;
/// hyper needs one turn for each read, and a chunked body that has arrived in one piece at most three.
const TURNS_MAX: usize = 4;
