//! How many calls are in flight: of one service, of one session, of all together.
//!
//! There is no queue. A call that would be one too many is refused, because a caller who is told so at
//! once can do something else, and a queue in front of a slow service only makes everybody late.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use crate::{broker::SessionId, config::Dial};

/// The bounds on all services together, and who calls.
pub(super) struct Slots {
    pub(super) calls_max: Dial<usize>,
    pub(super) per_session_max: Dial<usize>,
    /// Locked before [`InFlight`].
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    calls: usize,
    /// Sessions with calls in flight, so never more than `calls`.
    by_session: HashMap<SessionId, usize>,
}

/// The calls of one service.
pub(super) struct InFlight {
    max: usize,
    calls: Mutex<usize>,
}

/// The place of one call; given back when dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    service: Arc<InFlight>,
    session: SessionId,
}

impl Slots {
    pub(super) fn new(calls_max: usize, per_session_max: usize) -> Arc<Self> {
        let (calls_max, per_session_max) = (Dial::new(calls_max), Dial::new(per_session_max));
        Arc::new(Self { calls_max, per_session_max, taken: Mutex::default() })
    }

    /// Takes a place for a call of `session`; `None` at any of the three bounds.
    pub(super) fn take(
        self: &Arc<Self>,
        service: &Arc<InFlight>,
        session: SessionId,
    ) -> Option<Slot> {
        let mut taken = self.taken.lock();
        let mut calls = service.calls.lock();
        let own = taken.by_session.get(&session).copied().unwrap_or(0);
        if taken.calls >= self.calls_max.now()
            || own >= self.per_session_max.now()
            || *calls >= service.max
        {
            return None;
        }
        *calls += 1;
        taken.calls += 1;
        taken.by_session.insert(session, own + 1);
        Some(Slot { slots: Arc::clone(self), service: Arc::clone(service), session })
    }
}

impl InFlight {
    pub(super) const fn new(max: usize) -> Self {
        Self { max, calls: Mutex::new(0) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock();
        let mut calls = self.service.calls.lock();
        *calls = calls.saturating_sub(1);
        taken.calls = taken.calls.saturating_sub(1);
        if let Some(own) = taken.by_session.get_mut(&self.session) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.by_session.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(byte: u8) -> SessionId {
        SessionId::from_bytes([byte; 16])
    }

    #[test]
    fn each_bound_holds_and_places_come_back() {
        let slots = Slots::new(3, 2);
        let (small, large) = (Arc::new(InFlight::new(1)), Arc::new(InFlight::new(9)));
        let first = slots.take(&small, session(1)).unwrap();
        assert!(slots.take(&small, session(2)).is_none(), "the service's own bound");
        let second = slots.take(&large, session(1)).unwrap();
        assert!(slots.take(&large, session(1)).is_none(), "the bound of a session");
        let third = slots.take(&large, session(2)).unwrap();
        assert!(slots.take(&large, session(3)).is_none(), "the bound of all");
        drop(first);
        let again = slots.take(&small, session(3)).unwrap();
        drop((second, third, again));
        let taken = slots.taken.lock();
        assert_eq!((taken.calls, taken.by_session.len()), (0, 0));
        assert_eq!((*small.calls.lock(), *large.calls.lock()), (0, 0));
    }
}
