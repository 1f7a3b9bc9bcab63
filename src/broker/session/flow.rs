//! Deliveries that flow over a WebSocket: take a batch, write it, settle it, within one poll.
//!
//! Each step takes the lock of the mailbox once, because this is what a delivery costs.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use super::Session;
use crate::{
    bayeux::Frame,
    broker::{
        batch::Batch,
        mailbox::{Generation, Ready},
    },
};

impl Session {
    /// Takes one write of what waits for the WebSocket of `owner`, as [`Self::take`] does, or says what
    /// else it should do. Of a deliver-only session it hears, without taking: that messages
    /// wait while it holds a `connect` (protocol.md 59), and of its end at any time.
    pub fn poll_flow(
        self: &Arc<Self>,
        owner: Generation,
        connect: bool,
        cx: &Context<'_>,
    ) -> Poll<Result<Batch, Ready>> {
        let flow = self.mailbox.lock().flow(owner, connect, cx.waker());
        flow.map_or(Poll::Pending, |flow| {
            Poll::Ready(flow.map(|frames| Batch::new(Arc::clone(self), frames, owner)))
        })
    }

    /// Called by a [`Batch`] that is wholly written; true if there is more to do at once for the carrier
    /// of `owner`, which is woken otherwise.
    pub(in crate::broker) fn flowed(
        &self,
        mut written: Vec<Frame>,
        owner: Generation,
        cx: &Context<'_>,
    ) -> bool {
        self.counters.delivered.wrote(self, &written, owner);
        let count = written.len();
        written.clear();
        let mut mailbox = self.mailbox.lock();
        mailbox.wrote(count);
        let settled = mailbox.settle(written);
        let more = mailbox.ready(owner, cx.waker()).is_some();
        let heir = mailbox.heir().cloned();
        drop(mailbox);
        if let Some(heir) = heir {
            heir.take_back(Vec::new());
        }
        if let Some(waker) = settled.waker {
            waker.wake();
        }
        more
    }
}
