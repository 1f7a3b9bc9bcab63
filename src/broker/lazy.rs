//! When lazy messages stop waiting for others.
//!
//! A lazy message lies in its queue without waking anybody, until a message that is not lazy, a
//! connect's own end or its time takes it along. The first two need nothing from here; for the third a
//! session stands here once, at the earliest time that it knows of, and is asked again then: whatever
//! was delivered meanwhile need not be taken out.
//! Source: protocol.md 122; CometD's `ServerSessionImpl.flushLazy`.

use std::{
    collections::BTreeMap,
    task::Waker,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{Broker, deliver::Wakes, session::SessionId};

/// Period of [`Broker::wake_lazy`]: a lazy message is at most this much late.
pub const LAZY_TICK: Duration = Duration::from_millis(50);
/// Later than every time.
const NEVER: u64 = u64::MAX;

/// What a session answers when its time has come.
#[derive(Debug, Default)]
pub(super) struct LazyDue {
    /// To be fired: its lazy messages are due.
    pub(super) waker: Option<Waker>,
    /// It has later ones.
    pub(super) later: Option<u64>,
}

/// Whether what waits in one queue may go on waiting. Times are the broker's milliseconds.
#[derive(Debug)]
pub(super) struct Patience {
    /// What waits is to be delivered at once, lazy messages along with the others.
    hurry: bool,
    /// When the lazy messages are due.
    due: u64,
    /// When the session will be asked.
    asked: u64,
}

impl Patience {
    /// A message has entered the queue. Returns when the session wants to be asked, if that is
    /// earlier than it knew before.
    pub(super) fn entered(&mut self, lazy_until: Option<u64>) -> Option<u64> {
        let Some(until) = lazy_until else {
            self.hurry = true;
            return None;
        };
        if self.hurry {
            return None;
        }
        self.due = self.due.min(until);
        if self.asked <= until {
            return None;
        }
        self.asked = until;
        Some(until)
    }

    /// Messages have left the queue for a carrier. The rest, if any, follows them.
    pub(super) const fn taken(&mut self, is_rest: bool) {
        self.hurry = is_rest;
        self.due = NEVER;
    }

    /// What waits must not wait any longer, because a carrier failed to write it.
    pub(super) const fn lose(&mut self) {
        self.hurry = true;
    }

    /// Nothing waits any more.
    pub(super) const fn calm(&mut self) {
        self.hurry = false;
    }

    pub(super) const fn is_lost(&self) -> bool {
        self.hurry
    }

    /// The session is asked. Returns when it wants to be asked again; what waits may be due now.
    pub(super) fn ask(&mut self, now: u64) -> Option<u64> {
        if self.asked > now {
            // An entry of the past: the session stands elsewhere, or nowhere.
            return None;
        }
        if self.due <= now {
            (self.hurry, self.due) = (true, NEVER);
        }
        self.asked = self.due;
        Some(self.due).filter(|due| *due != NEVER)
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self { hurry: false, due: NEVER, asked: NEVER }
    }
}

/// Sessions by the time at which they want to be asked; see the module documentation.
#[derive(Debug, Default)]
pub(super) struct LazyTimes(Mutex<BTreeMap<u64, Vec<SessionId>>>);

impl LazyTimes {
    pub(super) fn insert(&self, at: u64, session: SessionId) {
        self.0.lock().entry(at).or_default().push(session);
    }

    /// Takes out everybody whose time has come.
    fn due(&self, now: u64) -> impl Iterator<Item = SessionId> {
        let mut times = self.0.lock();
        let later = times.split_off(&now.saturating_add(1));
        std::mem::replace(&mut *times, later).into_values().flatten()
    }
}

impl Broker {
    /// Whether [`Self::wake_lazy`] ever has anything to do.
    #[must_use]
    pub fn has_lazy_channels(&self) -> bool {
        self.rules.has_lazy()
    }

    /// Wakes the carriers of lazy messages whose time has come. Call it every [`LAZY_TICK`].
    pub fn wake_lazy(&self, now: Instant) {
        let at = self.clock.at(now);
        let mut wakes = Wakes::default();
        for id in self.lazy.due(at) {
            let Some(session) = self.sessions.get(&id) else { continue };
            let LazyDue { waker, later } = session.lazy_due(at);
            if let Some(later) = later {
                self.lazy.insert(later, id);
            }
            wakes.extend(waker);
        }
    }
}

#[cfg(test)]
mod tests;
