//! What the operations of a mailbox leave to be done and counted, once its lock is released.

use std::task::Waker;

use crate::events::{Cause, Policy};

/// What a push did.
#[derive(Debug, Default)]
pub(in crate::broker) struct Pushed {
    /// To be fired once every lock is released.
    pub(in crate::broker) waker: Option<Waker>,
    /// Lossy messages that made room or found none.
    pub(in crate::broker) dropped: Dropped,
    /// The message went into the queue, if only to be dropped at once for its policy. Not so at an
    /// overflow and in an ended mailbox.
    pub(in crate::broker) entered: bool,
    /// Something is there to carry the message now: a WebSocket, a held connect, or a request whose
    /// response takes the queue.
    pub(in crate::broker) carried: bool,
    /// The bound is reached and nothing lossy is left to drop: the session has to end.
    pub(in crate::broker) overflow: bool,
    /// Messages in the queue that were looked at or dropped, if they were more than a few.
    pub(in crate::broker) looked: usize,
    /// The message is lazy: its session is to be asked then (protocol.md 122).
    pub(in crate::broker) ask_at: Option<u64>,
}

/// What taking back a batch did.
#[derive(Debug, Default)]
pub(in crate::broker) struct Settled {
    /// To be fired once the lock is released.
    pub(in crate::broker) waker: Option<Waker>,
    /// Messages that a newer one of their channel had replaced meanwhile.
    pub(in crate::broker) dropped: Dropped,
    /// Messages that found no queue to return to, because the session has ended.
    pub(in crate::broker) discarded: usize,
    /// Why it has.
    pub(in crate::broker) ended: Option<Cause>,
}

/// How a mailbox has ended.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Ending {
    /// Under what its messages count.
    pub(in crate::broker) cause: Cause,
    /// What its carrier hears.
    pub(in crate::broker) told: Cause,
}

impl Settled {
    /// Messages came back to a mailbox that has ended.
    pub(super) fn discarded(count: usize, ending: Ending) -> Self {
        Self { discarded: count, ended: Some(ending.cause), ..Self::default() }
    }
}

/// What the end of a mailbox leaves to tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::broker) struct Closed {
    /// Messages that its client got.
    pub(in crate::broker) delivered: u64,
    /// Messages that waited, unacknowledged ones included.
    pub(in crate::broker) discarded: usize,
}

impl From<Cause> for Ending {
    fn from(cause: Cause) -> Self {
        Self { cause, told: cause }
    }
}

/// Lossy messages dropped, by the policy of their channel.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) struct Dropped {
    pub(in crate::broker) oldest: usize,
    pub(in crate::broker) latest: usize,
}

impl Dropped {
    /// The policy that dropped something.
    pub(in crate::broker) const fn policy(self) -> Option<Policy> {
        match self {
            Self { oldest: 0, latest: 0 } => None,
            Self { oldest: 0, .. } => Some(Policy::Latest),
            _ => Some(Policy::DropOldest),
        }
    }

    pub(super) const fn total(self) -> u64 {
        self.oldest as u64 + self.latest as u64
    }
}
