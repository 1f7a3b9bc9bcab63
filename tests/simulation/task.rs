//! What runs on a connection, as the server would run it: held polls, sockets, plain requests.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bayeuxd::broker::{Batch, Generation, Ready, RequestGuard, Session, Take};

use crate::ledger::Number;

/// A waker that remembers. A task runs only after its bell rang or at its own time, so a wake-up
/// that the broker forgets stays forgotten, as in an executor.
pub(crate) struct Bell(AtomicBool);

impl Bell {
    /// A bell that has rung: a new task runs once by itself.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    pub(crate) fn has_rung(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn ring(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn quiet(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

/// How a write will end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The client gets all of it.
    Arrives,
    /// All of it is handed over, and none reaches the client.
    Lost,
    /// The connection dies half-way.
    Cut,
}

/// A write that takes its time.
pub(crate) struct Writing {
    pub(crate) batch: Option<Batch>,
    /// Of a session that acknowledges: it keeps what the batch holds.
    pub(crate) number: Option<u64>,
    pub(crate) done_at: u64,
    pub(crate) end: End,
}

/// The kind of a connection, with what only that kind has. Times are virtual milliseconds.
pub(crate) enum Kind {
    /// A `/meta/connect` over HTTP.
    Poll { generation: Generation, hold_until: u64, interval: u64 },
    /// A WebSocket, with the end of its held connect and the interval that follows.
    Socket { generation: Generation, connect: Option<(u64, u64)>, take: Take, dies_at: u64 },
    /// An HTTP request whose response carries the queue; it waits for its own messages.
    Request { guard: Option<RequestGuard>, waits: Vec<Number>, ready_at: u64 },
}

/// See the module documentation.
pub(crate) struct Task {
    pub(crate) client: usize,
    /// The session's number in the ledger.
    pub(crate) reader: usize,
    pub(crate) session: Arc<Session>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) kind: Kind,
    pub(crate) writing: Option<Writing>,
    /// The client is gone and does not say so: nothing that is written arrives.
    pub(crate) deserted: bool,
}

impl Task {
    /// The generation of a carrier that waits for messages.
    pub(crate) fn waits_as(&self) -> Option<Generation> {
        match self.kind {
            _ if self.writing.is_some() => None,
            Kind::Poll { generation, .. } => Some(generation),
            Kind::Socket { generation, connect, .. } => {
                (connect.is_some() || !self.session.is_deliver_only()).then_some(generation)
            }
            Kind::Request { .. } => None,
        }
    }

    /// Whether its request holds off a held poll.
    pub(crate) const fn is_request(&self) -> bool {
        matches!(self.kind, Kind::Request { guard: Some(_), .. })
    }

    /// Whether it is a WebSocket.
    pub(crate) const fn is_socket(&self) -> bool {
        matches!(self.kind, Kind::Socket { .. })
    }

    /// Frames that only it has.
    pub(crate) fn frames(&self) -> usize {
        let writing = self.writing.as_ref().filter(|writing| writing.number.is_none());
        let batch = writing.and_then(|writing| writing.batch.as_ref());
        batch.map_or(0, |batch| batch.frames().len())
    }

    /// Bytes of frames that its session has or had as well.
    pub(crate) fn shared_bytes(&self) -> usize {
        let writing = self.writing.as_ref().filter(|writing| writing.number.is_some());
        let frames = writing.and_then(|writing| writing.batch.as_ref()).map(Batch::frames);
        frames.unwrap_or_default().iter().map(bayeuxd::bayeux::Frame::bytes).sum()
    }

    /// Asks the session why to act; `None`: the bell will ring.
    pub(crate) fn signal(&self, generation: Generation) -> Option<Ready> {
        self.bell.quiet();
        let waker = Waker::from(Arc::clone(&self.bell));
        match pin!(self.session.signal(generation)).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(ready) => Some(ready),
            Poll::Pending => None,
        }
    }
}

/// The numbers of the messages in a batch.
pub(crate) fn numbers(batch: &Batch) -> Vec<Number> {
    let number = |object: &[u8]| {
        let text = std::str::from_utf8(object).expect("a frame is UTF-8");
        let (_, data) = text.split_once("\"data\":[").expect("the data is an array");
        let digits = data.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok()).expect("it begins with the number")
    };
    batch.frames().iter().map(|frame| number(frame.object())).collect()
}
