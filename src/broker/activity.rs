//! Whether a client still does anything beside connecting (protocol.md 132).
//!
//! A page that is open but forgotten connects for ever. Asked only when it connects, so a session ends
//! up to one hold later than its time. Source: CometD's `ActivityExtension`.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use super::{Broker, session::Session};
use crate::config::Activity;

/// When something last happened, in the broker's milliseconds.
#[derive(Debug)]
pub(super) struct LastActive(AtomicU64);

impl LastActive {
    pub(super) const fn new(now: u64) -> Self {
        Self(AtomicU64::new(now))
    }

    pub(super) fn note(&self, now: u64) {
        self.0.fetch_max(now, Ordering::Relaxed);
    }

    pub(super) fn since(&self, now: u64) -> u64 {
        now.saturating_sub(self.0.load(Ordering::Relaxed))
    }
}

impl Broker {
    /// Whether the session that connects now has been inactive for `session.max_inactivity`.
    #[must_use]
    pub fn is_idle(&self, session: &Session, now: Instant) -> bool {
        let now = self.clock.at(now);
        match self.settings.activity {
            Activity::Off => return false,
            Activity::Client => {}
            // Messages to it are noticed by the connect that follows them.
            Activity::ClientServer if session.had_messages() => session.active().note(now),
            Activity::ClientServer => {}
        }
        u128::from(session.active().since(now)) > self.settings.max_inactivity.as_millis()
    }
}
