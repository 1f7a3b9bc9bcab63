//! The batch that is out: what it counts for, and how its writer hears that a newer carrier waits for it.
//!
//! While a batch is out nobody takes another. So a writer that cannot go on, because its client is gone
//! or does not read, asks here, and gives the batch up once a newer carrier has claimed the session. It
//! need not be a carrier itself: the response of any request may carry the queue.

use std::task::{Context, Poll, Waker};

use super::Mailbox;

/// See the module documentation. Small, because every session has room for one.
#[derive(Debug, Default)]
pub(in crate::broker) struct Out {
    bytes: usize,
    count: u32,
    /// A carrier has claimed since the batch was taken.
    overtaken: bool,
    /// Who writes the batch, if that cannot go on. Boxed: rare.
    writer: Option<Box<Waker>>,
}

impl Out {
    pub(super) fn new(count: usize, bytes: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self { bytes, count, ..Self::default() }
    }

    /// Frames and bytes that count for the bounds of the queue.
    pub(super) const fn size(&self) -> (usize, usize) {
        (self.count as usize, self.bytes)
    }
}

impl Mailbox {
    /// Ready once a carrier has claimed since the batch that is out was taken. For its writer alone,
    /// which is woken then.
    pub(in crate::broker) fn poll_overtaken(&mut self, cx: &Context<'_>) -> Poll<()> {
        let Some(out) = &mut self.out else { return Poll::Pending };
        if out.overtaken {
            return Poll::Ready(());
        }
        match &mut out.writer {
            Some(known) => known.as_mut().clone_from(cx.waker()),
            None => out.writer = Some(Box::new(cx.waker().clone())),
        }
        Poll::Pending
    }

    /// Notes a new carrier; says which writer to wake for it.
    pub(super) fn overtake(&mut self) -> Option<Waker> {
        let out = self.out.as_mut()?;
        out.overtaken = true;
        out.writer.take().map(|writer| *writer)
    }

    /// Bytes of the batch that is out.
    pub(super) fn out_bytes(&self) -> usize {
        self.out.as_ref().map_or(0, |out| out.size().1)
    }

    /// Frames and bytes that count although they are not in the queue: in a carrier's hands,
    /// unacknowledged or parked.
    pub(super) fn elsewhere(&self) -> (usize, usize) {
        let (count, bytes) = match &self.unacknowledged {
            Some(window) => (window.len(), window.bytes()),
            None => self.out.as_ref().map_or((0, 0), Out::size),
        };
        let (parked, parked_bytes) = self.parked();
        (count + parked, bytes + parked_bytes)
    }
}
