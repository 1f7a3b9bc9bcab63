//! Messages on their way from a mailbox to a connection.

use std::{mem::take, sync::Arc, task::Context};

use super::{mailbox::Generation, monitor::Feed, session::Session};
use crate::bayeux::Frame;

/// Frames in a carrier's hands. Dropped before they are all written, the rest returns to the front
/// of the queue, unless its session keeps them until they are acknowledged. Events of a monitor, which
/// come last, return to its feed in either case.
#[derive(Debug)]
pub struct Batch {
    /// Where unwritten frames return to; `None`: their session has kept them.
    session: Option<Arc<Session>>,
    /// Where unwritten events return to.
    feed: Option<Arc<Feed>>,
    /// Who writes; the default: the response of some request.
    owner: Generation,
    frames: Vec<Frame>,
    written: usize,
}

impl Batch {
    pub(super) const fn new(session: Arc<Session>, frames: Vec<Frame>, owner: Generation) -> Self {
        Self { session: Some(session), feed: None, owner, frames, written: 0 }
    }

    /// Adds what waits in `feed` to what was taken from the queue; `None` if both is nothing.
    pub(super) fn with_events(
        session: Arc<Session>,
        frames: Option<Vec<Frame>>,
        feed: Arc<Feed>,
        flows: bool,
        owner: Generation,
    ) -> Option<Self> {
        let mut frames = frames.unwrap_or_default();
        frames.extend(feed.take(flows));
        // Also an empty batch is out, and settled when it is dropped.
        let batch = Self { session: Some(session), feed: Some(feed), owner, frames, written: 0 };
        (!batch.frames.is_empty()).then_some(batch)
    }

    /// Frames that their session keeps until they are acknowledged, and events, which nobody keeps.
    pub(super) fn kept(mut frames: Vec<Frame>, feed: Option<Arc<Feed>>) -> Self {
        if let Some(feed) = &feed {
            frames.extend(feed.take(false));
        }
        Self { session: None, feed, owner: Generation::NONE, frames, written: 0 }
    }

    /// All frames of the batch, oldest first.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The frames, and the count of those wholly written, which a writer moves on.
    pub fn progress(&mut self) -> (&[Frame], &mut usize) {
        (&self.frames, &mut self.written)
    }

    /// Ends a batch that is wholly written by the WebSocket of `owner`. True if there is more to do for
    /// it at once; otherwise it is woken.
    pub fn flowed(mut self, owner: Generation, cx: &Context<'_>) -> bool {
        debug_assert_eq!(self.written, self.frames.len(), "the rest would be lost");
        debug_assert!(self.feed.is_none(), "events do not flow by themselves");
        let session = self.session.take();
        session.is_some_and(|session| session.flowed(take(&mut self.frames), owner, cx))
    }

    /// The session that keeps newer carriers waiting while this batch is out; `None` if it does not.
    pub(crate) const fn lender(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }

    /// Declares every frame written.
    pub fn settle(&mut self) {
        self.written = self.frames.len();
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(feed) = &self.feed {
            // Behind all messages; they count for themselves.
            let first = self.frames.iter().position(Frame::is_events).unwrap_or(self.frames.len());
            let mut events = self.frames.split_off(first);
            let written = self.written.saturating_sub(first).min(events.len());
            feed.give_back(events.split_off(written));
        }
        if let Some(session) = &self.session {
            session.settle(take(&mut self.frames), self.written, self.owner);
        }
    }
}
