//! When each session has to end: the rules of protocol.md 49 to 53, said without a wheel.

use std::sync::Arc;

use bayeuxd::broker::{Cause, Generation, Session};

use crate::acks::Acks;

/// `session.max_interval` of every simulated broker.
pub(crate) const MAX_INTERVAL_MS: u64 = 5_000;
/// `session.handshake_grace` of every simulated broker.
pub(crate) const GRACE_MS: u64 = 2_000;

/// What the rules say about one session. Times are in the broker's milliseconds.
pub(crate) struct Life {
    pub(crate) session: Arc<Session>,
    pub(crate) ended: Option<Cause>,
    /// The simulation itself asked for the end.
    pub(crate) condemned: bool,
    /// Its client was told to shake hands anew.
    pub(crate) leaving: bool,
    /// What its client acknowledges, if it does.
    pub(crate) acks: Option<Acks>,
    owner: Option<Generation>,
    held: bool,
    deadline: u64,
}

impl Life {
    /// A session after its handshake.
    pub(crate) const fn new(session: Arc<Session>, now: u64) -> Self {
        let deadline = now + GRACE_MS;
        let (ended, acks, owner) = (None, None, None);
        let (condemned, leaving, held) = (false, false, false);
        Self { session, ended, condemned, leaving, acks, owner, held, deadline }
    }

    pub(crate) fn is_owner(&self, generation: Generation) -> bool {
        self.ended.is_none() && self.owner == Some(generation)
    }

    /// Any message.
    pub(crate) fn touch(&mut self, now: u64) {
        let life = if self.session.is_connected() { MAX_INTERVAL_MS } else { GRACE_MS };
        self.deadline = self.deadline.max(now + life);
    }

    /// Nothing delivers any more, and nothing keeps it from expiring.
    pub(crate) const fn leave(&mut self, now: u64) {
        (self.leaving, self.owner, self.held) = (true, None, false);
        self.deadline = now + MAX_INTERVAL_MS;
    }

    /// A carrier takes over.
    pub(crate) const fn claim(&mut self, generation: Generation, held: bool, now: u64) {
        self.owner = Some(generation);
        self.held = held && !self.leaving;
        self.deadline = now + MAX_INTERVAL_MS;
    }

    /// A connect is answered, or its connection gone.
    pub(crate) fn left(&mut self, generation: Generation, interval: u64, now: u64) {
        if self.is_owner(generation) {
            self.held = false;
            self.deadline = now + interval + MAX_INTERVAL_MS;
        }
    }

    /// The broker says that the session has ended.
    pub(crate) fn end(&mut self, cause: Cause, now: u64) {
        assert!(self.ended.is_none(), "ended twice");
        if cause == Cause::Expired {
            assert!(!self.held, "expired while a connect was held");
            assert!(now >= self.deadline, "expired at {now}, alive until {}", self.deadline);
        }
        let asked = matches!(cause, Cause::Client | Cause::Kicked);
        assert_eq!(asked, self.condemned, "ended as {cause:?}");
        self.ended = Some(cause);
    }

    /// After a tick: whoever is alive may be.
    pub(crate) fn assert_not_overdue(&self, now: u64) {
        let alive = self.ended.is_some() || self.held || now <= self.deadline + 1_000;
        assert!(alive, "alive at {now}, {} ms after its end", now - self.deadline);
    }
}
