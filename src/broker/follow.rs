//! Who follows messages from their publisher to their receivers, a tracer for one: the broker tells it
//! when a message that it has given a number is delivered, and knows nothing else of it.
//!
//! Compiled in with the feature `otel` only. Without it [`FOLLOWS`] is false, and the optimiser removes
//! what asks for it.

use std::fmt;

use super::{mailbox::Generation, session::Session};
use crate::{
    bayeux::{Mark, Trail},
    events::Sid,
};

/// Whether this build can follow messages at all.
pub const FOLLOWS: bool = cfg!(feature = "otel");

/// Hears of deliveries of the messages that it follows. It is called on their way, by whoever writes: it
/// must not wait.
pub trait Follower: fmt::Debug + Send + Sync {
    /// A message is delivered.
    fn delivered(&self, arrival: &Arrival);
}

/// A delivery of a message that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The number of the message.
    pub trail: Trail,
    /// Its mark: numbers are used again, and a message may wait for long.
    pub mark: Mark,
    /// Microseconds since its arrival.
    pub age: u64,
    /// How it came to the client: index of a [`Route`](crate::metrics::Route).
    pub route: usize,
    /// The public name of the session, if it has one.
    pub sid: Option<Sid>,
    /// What the delivery ended with.
    pub end: End,
}

/// What a delivery ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The message was written.
    Written {
        /// It arrived when no carrier was there, and waited for one.
        waited: bool,
    },
    /// Its client has acknowledged it; when it was written, the first time, nobody noted.
    Acknowledged,
}

impl Arrival {
    /// What `session` got, if somebody may follow it. `now`: microseconds of the broker's time.
    pub(super) fn of(session: &Session, mark: Mark, now: u64, end: End) -> Option<Self> {
        let trail = mark.trail()?;
        let (route, sid) = (session.route(), session.sid());
        Some(Self { trail, mark, age: mark.age(now), route, sid, end })
    }
}

impl End {
    /// A message of that age was written by the carrier of `owner`.
    pub(super) fn written(owner: Generation, accepted: u64) -> Self {
        Self::Written { waited: owner != Generation::NONE && !owner.was_there(accepted) }
    }
}
