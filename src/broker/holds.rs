//! How many connects each browser holds (protocol.md 75).
//!
//! A browser opens about six HTTP/1.1 connections to a host. Two tabs that each hold a poll leave
//! little for the rest of the page, so further tabs are answered at once and poll at an interval.
//! Over HTTP/2 they share one connection, with room for many. The two are counted apart.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::{browser::BrowserId, session::SessionId};

/// What is counted together: a browser and whether its requests share a connection.
type Key = (BrowserId, bool);

/// The sessions of each browser that hold a connect; a browser without any has no entry.
///
/// A session stands here twice for the moment in which a newer connect of it has come and the older
/// one has not yet left: it must not shut itself out by superseding itself (protocol.md 41).
#[derive(Debug, Default)]
pub(super) struct Holds(Mutex<HashMap<Key, Vec<SessionId>>>);

impl Holds {
    /// Enters a held connect of `session`, unless `max` other sessions under `key` hold one already;
    /// `None` for `max`: no limit. 0 shuts out the only session, too.
    pub(super) fn enter(
        self: &Arc<Self>,
        key: Key,
        session: SessionId,
        max: Option<u32>,
    ) -> Option<HoldSlot> {
        let mut holds = self.0.lock();
        let sessions = holds.get(&key).map(Vec::as_slice).unwrap_or_default();
        if max.is_some_and(|max| others(sessions, session) >= max) {
            return None;
        }
        holds.entry(key).or_default().push(session);
        Some(HoldSlot { holds: Arc::clone(self), key, session })
    }

    /// Whether `browser` holds any connect.
    pub(super) fn has(&self, browser: BrowserId) -> bool {
        let holds = self.0.lock();
        [false, true].iter().any(|multiplexed| holds.contains_key(&(browser, *multiplexed)))
    }
}

/// The number of different sessions in `sessions` beside `own`. The list is as short as the limit.
fn others(sessions: &[SessionId], own: SessionId) -> u32 {
    let mut others: Vec<SessionId> = Vec::new();
    for session in sessions {
        if *session != own && !others.contains(session) {
            others.push(*session);
        }
    }
    u32::try_from(others.len()).unwrap_or(u32::MAX)
}

/// One held connect of a browser; dropped when the hold ends.
#[derive(Debug)]
pub struct HoldSlot {
    holds: Arc<Holds>,
    key: Key,
    session: SessionId,
}

impl Drop for HoldSlot {
    fn drop(&mut self) {
        let mut holds = self.holds.0.lock();
        let Some(sessions) = holds.get_mut(&self.key) else { return };
        if let Some(place) = sessions.iter().position(|session| *session == self.session) {
            sessions.swap_remove(place);
        }
        if sessions.is_empty() {
            holds.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROWSER: BrowserId = BrowserId::from_bytes([1; 16]);
    const ONE: Key = (BROWSER, false);
    const OTHER: Key = (BrowserId::from_bytes([2; 16]), false);
    const TAB: SessionId = SessionId::from_bytes([3; 16]);
    const SECOND_TAB: SessionId = SessionId::from_bytes([4; 16]);

    #[test]
    fn a_browser_holds_up_to_its_limit_and_leaves_no_entry() {
        let holds = Arc::new(Holds::default());
        let slot = holds.enter(ONE, TAB, Some(1)).expect("first hold");
        assert!(holds.enter(ONE, SECOND_TAB, Some(1)).is_none());
        assert!(holds.enter(OTHER, SECOND_TAB, Some(1)).is_some());
        drop(slot);
        assert!(holds.0.lock().is_empty());
        assert!(holds.enter(ONE, TAB, Some(0)).is_none());
        assert!(holds.enter(ONE, TAB, None).is_some());
    }

    #[test]
    fn holds_over_a_shared_connection_count_apart() {
        let holds = Arc::new(Holds::default());
        let single = holds.enter(ONE, TAB, Some(1));
        let shared = holds.enter((BROWSER, true), SECOND_TAB, Some(1)).expect("its own limit");
        assert!(holds.enter((BROWSER, true), TAB, Some(1)).is_none());
        drop(single);
        assert!(holds.has(BROWSER));
        drop(shared);
        assert!(!holds.has(BROWSER));
    }

    #[test]
    fn a_session_may_supersede_its_own_hold() {
        let holds = Arc::new(Holds::default());
        let older = holds.enter(ONE, TAB, Some(1)).expect("first hold");
        let newer = holds.enter(ONE, TAB, Some(1)).expect("its own successor");
        drop(older);
        assert!(holds.enter(ONE, SECOND_TAB, Some(1)).is_none(), "the newer one still holds");
        drop(newer);
        assert!(holds.0.lock().is_empty());
    }
}
