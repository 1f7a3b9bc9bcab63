//! Which browsers are in service: how many connected sessions each has.
//!
//! It is asked for at upgrades, which anybody can make (protocol.md SF13), so it is a look-up. The price is an entry
//! for each browser that has a connected session, 20 bytes and the slack of a B-tree. A hash table would take as
//! much, and stop everybody while it grows.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::atomic::Ordering,
};

use parking_lot::Mutex;

use super::{Broker, browser::BrowserId, session::Session};

/// See the module documentation. Bounded by the number of sessions.
#[derive(Debug, Default)]
pub(super) struct Served(Mutex<BTreeMap<BrowserId, u32>>);

impl Served {
    /// Counts a session that has connected, once.
    pub(super) fn enter(&self, session: &Session) {
        let Some(browser) = session.browser() else { return };
        let mut browsers = self.0.lock();
        if !session.serves.swap(true, Ordering::Relaxed) {
            *browsers.entry(browser).or_default() += 1;
        }
        drop(browsers);
        // It may have ended meanwhile, when there was nothing to take out yet.
        if session.has_ended() {
            self.leave(session);
        }
    }

    /// Takes out a session that has ended, if it is in.
    pub(super) fn leave(&self, session: &Session) {
        let Some(browser) = session.browser() else { return };
        let mut browsers = self.0.lock();
        if !session.serves.swap(false, Ordering::Relaxed) {
            return;
        }
        if let Entry::Occupied(mut entry) = browsers.entry(browser) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    /// Whether a session of `browser` is in.
    pub(super) fn has(&self, browser: BrowserId) -> bool {
        self.0.lock().contains_key(&browser)
    }
}

impl Broker {
    /// Marks a session connected, for a connect that takes nothing over; true the first time.
    pub fn set_connected(&self, session: &Session) -> bool {
        let first = session.set_connected();
        if first {
            self.served.enter(session);
        }
        first
    }

    /// Whether a session of `browser` has connected and lives.
    #[must_use]
    pub fn serves(&self, browser: BrowserId) -> bool {
        self.served.has(browser)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Barrier},
        thread,
    };

    use super::*;
    use crate::{
        broker::{
            Carrier, Cause,
            tests::{broker, id, start},
        },
        config::Config,
    };

    const ONE: BrowserId = BrowserId::from_bytes([1; 16]);
    const OTHER: BrowserId = BrowserId::from_bytes([2; 16]);

    fn open(broker: &Broker, number: u8, browser: Option<BrowserId>) -> Arc<Session> {
        broker.handshake(id(number), browser, start()).unwrap()
    }

    fn entries(broker: &Broker) -> usize {
        broker.served.0.lock().len()
    }

    #[test]
    fn a_browser_is_served_from_its_first_connect_to_the_end_of_its_last_session() {
        let broker = broker(|_| {});
        let (first, second) = (open(&broker, 1, Some(ONE)), open(&broker, 2, Some(ONE)));
        let silent = open(&broker, 3, Some(OTHER));
        assert!(!broker.serves(ONE), "it has only shaken hands");
        for session in [&first, &first, &second] {
            broker.connect(session, Carrier::Poll, start());
        }
        assert!(broker.serves(ONE) && !broker.serves(OTHER));
        broker.end(&silent, Cause::Client);
        broker.end(&first, Cause::Expired);
        assert!(broker.serves(ONE), "its other session lives");
        assert!(broker.end(&second, Cause::Kicked) && !broker.end(&second, Cause::Kicked));
        assert!(!broker.serves(ONE));
        assert_eq!(entries(&broker), 0);
    }

    #[test]
    fn a_connect_that_takes_nothing_over_counts_and_one_without_a_browser_does_not() {
        let broker = broker(|_| {});
        let (session, local) = (open(&broker, 1, Some(ONE)), open(&broker, 2, None));
        assert!(broker.set_connected(&session) && !broker.set_connected(&session));
        assert!(broker.set_connected(&local));
        assert_eq!((broker.serves(ONE), entries(&broker)), (true, 1));
        broker.end(&local, Cause::Client);
        broker.end(&session, Cause::Client);
        assert_eq!(entries(&broker), 0);
    }

    #[test]
    fn a_client_that_moves_is_served_by_its_new_session() {
        let broker = broker(|_| {});
        let old = open(&broker, 1, Some(ONE));
        broker.connect(&old, Carrier::Socket, start());
        assert!(broker.leave(&old, start()));
        let (new, _) = broker.succeed(&old, id(2), Some(ONE), start()).unwrap();
        assert!(!broker.serves(ONE), "the new one has not connected");
        broker.connect(&new, Carrier::Poll, start());
        assert!(broker.serves(ONE));
        broker.end(&new, Cause::Client);
        assert_eq!(entries(&broker), 0);
    }

    #[test]
    fn a_session_that_ended_before_its_connect_leaves_no_entry() {
        let broker = Broker::new(&Config::default(), start());
        let session = open(&broker, 1, Some(ONE));
        broker.end(&session, Cause::Client);
        broker.connect(&session, Carrier::Poll, start());
        assert_eq!((broker.serves(ONE), entries(&broker)), (false, 0));
    }

    #[test]
    fn sessions_that_end_while_they_connect_leave_no_entry() {
        let broker = broker(|_| {});
        for number in 0..200 {
            let session = open(&broker, number, Some(ONE));
            let both = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    both.wait();
                    broker.connect(&session, Carrier::Poll, start());
                });
                both.wait();
                broker.end(&session, Cause::Client);
            });
            assert_eq!(entries(&broker), 0, "session {number}");
        }
    }
}
