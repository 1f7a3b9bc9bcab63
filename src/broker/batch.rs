//! Messages on their way from a mailbox to a connection.

use std::{sync::Arc, task::Context};

use super::{mailbox::Generation, session::Session};
use crate::bayeux::Frame;

/// Frames in a carrier's hands. Dropped before they are all written, the rest returns to the front
/// of the queue, unless its session keeps them until they are acknowledged.
#[derive(Debug)]
pub struct Batch {
    /// Where unwritten frames return to; `None`: their session has kept them.
    session: Option<Arc<Session>>,
    frames: Vec<Frame>,
    written: usize,
}

impl Batch {
    pub(super) const fn new(session: Arc<Session>, frames: Vec<Frame>) -> Self {
        Self { session: Some(session), frames, written: 0 }
    }

    /// Frames that their session keeps until they are acknowledged.
    pub(super) const fn kept(frames: Vec<Frame>) -> Self {
        Self { session: None, frames, written: 0 }
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
        let session = self.session.take();
        session.is_some_and(|session| session.flowed(self.written, owner, cx))
    }

    /// Declares every frame written.
    pub fn settle(&mut self) {
        self.written = self.frames.len();
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let Some(session) = &self.session else { return };
        let written = self.written.min(self.frames.len());
        session.settle(written, self.frames.split_off(written));
    }
}
