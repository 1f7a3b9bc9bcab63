//! Who a publisher leaves out, how many sessions it reached, and who follows the message.
//!
//! Shared with the walk that carries the message, so that a publisher learns its numbers even when
//! another one holds the baton. Only messages that ask for it carry one: the others pay for the look
//! at an empty option.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{mailbox::Pushed, session::Session};
use crate::{bayeux::Trail, events::Sid};

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Reach {
    excluded: Box<[Sid]>,
    trail: Option<Trail>,
    sessions: AtomicUsize,
    queued: AtomicUsize,
}

impl Reach {
    /// Counts the sessions of one message, which those of `excluded` do not get.
    #[must_use]
    pub fn new(excluded: impl Into<Box<[Sid]>>) -> Self {
        Self { excluded: excluded.into(), ..Self::default() }
    }

    /// Has the deliveries of the message told to the follower, under a number of its own.
    #[must_use]
    pub fn followed(self, trail: Option<Trail>) -> Self {
        Self { trail, ..self }
    }

    /// Sessions in whose queue the message was put; final once the message is delivered.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Those of them that had no open carrier at that moment: the message waits for their return.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    pub(super) const fn trail(&self) -> Option<Trail> {
        self.trail
    }

    pub(super) fn excludes(&self, session: &Session) -> bool {
        !self.excluded.is_empty() && session.sid().is_some_and(|sid| self.excluded.contains(&sid))
    }

    // The lock that ends a delivery orders these for the publisher, so relaxed additions do.
    pub(super) fn count(&self, pushed: &Pushed) {
        if pushed.entered {
            self.sessions.fetch_add(1, Ordering::Relaxed);
            self.queued.fetch_add(usize::from(!pushed.carried), Ordering::Relaxed);
        }
    }
}
