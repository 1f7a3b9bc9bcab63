//! Sessions whose clients an operator sent away, for as long as these might not know it.
//!
//! A client that holds no connect at the moment, because it is between two polls, cannot be told with the
//! reply to one (protocol.md 80). Its next connect would only hear that the session is unknown, and it would
//! begin anew. Source: docs/admin-api.md, `disconnect`.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use parking_lot::Mutex;

use super::{Broker, SessionId, id_hash::IdHash};

/// See the module documentation.
#[derive(Default)]
pub(super) struct Dismissed(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// With the times until which they are known.
    ids: HashMap<SessionId, u64, IdHash>,
    /// Oldest first. Who is over goes when another one comes.
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
        if known.ids.insert(id, due).is_none() {
            known.order.push_back((due, id));
        }
    }

    fn has(&self, id: SessionId, now: u64) -> bool {
        self.0.lock().ids.get(&id).is_some_and(|due| now < *due)
    }
}

impl Broker {
    /// Whether a session that is not there any more was ended to keep its client away: for as long after that
    /// as any client is waited for, the longest pause that one may announce included.
    #[must_use]
    pub fn is_dismissed(&self, id: SessionId) -> bool {
        self.dismissed.has(id, self.clock.latest())
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
    fn sessions_are_known_for_their_time_and_go_when_others_come() {
        let dismissed = Dismissed::default();
        dismissed.remember(id(1), 0, LIFE);
        dismissed.remember(id(2), 50, LIFE);
        let has = |number, now| dismissed.has(id(number), now);
        assert!(has(1, 99) && has(2, 99) && !has(3, 99));
        assert!(!has(1, 100) && has(2, 100), "its time is over, whether others come or not");
        dismissed.remember(id(3), 100, LIFE);
        assert!(!has(1, 100) && has(2, 100) && has(3, 100));
        assert_eq!(dismissed.0.lock().ids.len(), 2);
    }

    #[test]
    fn there_are_never_more_than_the_limit() {
        let dismissed = Dismissed::default();
        (0..=DISMISSED_MAX).for_each(|number| dismissed.remember(id(number), 0, LIFE));
        let has = |number| dismissed.has(id(number), 0);
        assert!(!has(0) && has(1) && has(DISMISSED_MAX));
        let known = dismissed.0.lock();
        assert_eq!((known.ids.len(), known.order.len()), (DISMISSED_MAX, DISMISSED_MAX));
    }
}
