//! Sessions whose clients an operator sent away, for as long as these might not know it.
//!
//! A client that holds no connect at the moment, because it is between two polls, cannot be told with the
//! reply to one (protocol.md 80). Its next connect would only hear that the session is unknown, and it would
//! begin anew. Source: docs/admin-api.md, `disconnect`.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use parking_lot::Mutex;

use super::{Broker, SessionId, id_hash::IdHash};

/// See the module documentation.
#[derive(Default)]
pub(super) struct Dismissed(Mutex<Known>);

#[derive(Default)]
struct Known {
    ids: HashSet<SessionId, IdHash>,
    /// Oldest first, with the times at which they are forgotten.
    order: VecDeque<(u64, SessionId)>,
}

impl Dismissed {
    /// Remembers a session for `life` from `now`, in milliseconds of the broker's clock.
    pub(super) fn remember(&self, id: SessionId, now: u64, life: Duration) {
        let due = now.saturating_add(u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
        let mut known = self.0.lock();
        while known.order.front().is_some_and(|(due, _)| *due <= now)
            || known.order.len() >= DISMISSED_MAX
        {
            let Some((_, gone)) = known.order.pop_front() else { break };
            known.ids.remove(&gone);
        }
        if known.ids.insert(id) {
            known.order.push_back((due, id));
        }
    }

    fn has(&self, id: SessionId) -> bool {
        self.0.lock().ids.contains(&id)
    }
}

impl Broker {
    /// Whether a session that is not there any more was ended to keep its client away: for as long after that
    /// as any client is waited for, the longest pause that one may announce included.
    #[must_use]
    pub fn is_dismissed(&self, id: SessionId) -> bool {
        self.dismissed.has(id)
    }
}

/// Most sessions remembered, 100 bytes each. Of more at once the oldest are forgotten: their clients, if
/// they were between two connects, begin anew.
const DISMISSED_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_millis(100);

    fn id(number: usize) -> SessionId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        SessionId::from_bytes(bytes)
    }

    #[test]
    fn sessions_are_forgotten_when_their_time_is_over_and_others_come() {
        let dismissed = Dismissed::default();
        dismissed.remember(id(1), 0, LIFE);
        dismissed.remember(id(2), 50, LIFE);
        assert!(dismissed.has(id(1)) && dismissed.has(id(2)) && !dismissed.has(id(3)));
        dismissed.remember(id(3), 100, LIFE);
        assert!(!dismissed.has(id(1)) && dismissed.has(id(2)) && dismissed.has(id(3)));
    }

    #[test]
    fn there_are_never_more_than_the_limit() {
        let dismissed = Dismissed::default();
        (0..=DISMISSED_MAX).for_each(|number| dismissed.remember(id(number), 0, LIFE));
        assert!(!dismissed.has(id(0)) && dismissed.has(id(1)) && dismissed.has(id(DISMISSED_MAX)));
        let known = dismissed.0.lock();
        assert_eq!((known.ids.len(), known.order.len()), (DISMISSED_MAX, DISMISSED_MAX));
    }
}
