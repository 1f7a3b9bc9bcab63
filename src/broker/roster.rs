//! Sessions by their public names, in order: what operators ask for.
//!
//! A look-up costs the logarithm of the number of sessions, a page of a list as many steps as it has
//! entries. The price is a name and a pointer for each session, 14 bytes and the slack of a B-tree, and one
//! insertion at its handshake. The alternative, a walk of the map of sessions, would cost nothing until
//! somebody looks, and then hold up the handshakes of a shard.
//!
//! Names are dealt out by their first byte to parts with a lock each, and are taken from a part a few at a
//! time. With one lock for all a list of everybody kept it for half of the time that it took, and whoever
//! went through a machine with much to do met it, with its holder waiting for a processor.
//! Source: operations.md 6.

use std::{array, collections::BTreeMap, ops::Bound, sync::Arc};

use parking_lot::Mutex;

use super::{Broker, session::Session};
use crate::events::{Peer, Sid};

/// See the module documentation. Two sessions of one name are one in 10^14; the newer one is found.
pub(super) struct Roster([Part; PARTS]);

type Part = Mutex<BTreeMap<Sid, Arc<Session>>>;

impl Default for Roster {
    fn default() -> Self {
        Self(array::from_fn(|_| Part::default()))
    }
}

impl Roster {
    /// The part that a name belongs to.
    #[expect(clippy::indexing_slicing, reason = "a byte is below 256")]
    fn part(&self, sid: Sid) -> &Part {
        &self.0[usize::from(sid.first())]
    }

    fn insert(&self, sid: Sid, session: Arc<Session>) {
        self.part(sid).lock().insert(sid, session);
    }

    /// Forgets a session, if its name is not somebody else's by now.
    pub(super) fn remove(&self, session: &Session) {
        let Some(sid) = session.sid() else { return };
        let mut names = self.part(sid).lock();
        if names.get(&sid).is_some_and(|known| std::ptr::eq(&raw const **known, session)) {
            let gone = names.remove(&sid);
            drop(names);
            drop(gone);
        }
    }
}

impl Broker {
    /// Says who the client of `session` is; by the name that this gives it, operators find it.
    pub fn introduce(&self, session: &Arc<Session>, peer: Arc<Peer>) {
        session.introduce(peer);
        let Some(sid) = session.sid() else { return };
        self.roster.insert(sid, Arc::clone(session));
        // It may have ended meanwhile, when there was nothing to remove yet.
        if session.has_ended() {
            self.roster.remove(session);
        }
    }

    /// Finds a session by its public name.
    #[must_use]
    pub fn session_called(&self, sid: Sid) -> Option<Arc<Session>> {
        self.roster.part(sid).lock().get(&sid).cloned()
    }

    /// The first `count` sessions after a name, or from the beginning, in the order of their names.
    #[must_use]
    pub fn sessions_after(&self, mut after: Option<Sid>, count: usize) -> Vec<(Sid, Arc<Session>)> {
        let mut found = Vec::new();
        let first = after.map_or(0, |sid| usize::from(sid.first()));
        for part in self.roster.0.iter().skip(first) {
            loop {
                let wanted = PIECE.min(count - found.len());
                if wanted == 0 {
                    return found;
                }
                found.reserve(wanted); // not under the lock
                let before = found.len();
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                let names = part.lock();
                let some = names.range((from, Bound::Unbounded)).take(wanted);
                found.extend(some.map(|(sid, session)| (*sid, Arc::clone(session))));
                drop(names);
                // In parts to come all names are behind this one.
                after = found.last().map(|(sid, _)| *sid).or(after);
                if found.len() - before < wanted {
                    break;
                }
            }
        }
        found
    }
}

/// One for each first byte of a name.
const PARTS: usize = 256;
/// Sessions taken under a lock at a time: some ten microseconds, most of which are waits for memory.
const PIECE: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        broker::tests::{broker, id, start},
        events::Cause,
    };

    fn introduced(broker: &Arc<Broker>, number: u8) -> (Sid, Arc<Session>) {
        let session = broker.handshake(id(number), None, start()).unwrap();
        let sid = Sid::from_bytes([0, 0, 0, 0, 0, number]);
        broker.introduce(&session, Arc::new(Peer { sid: Some(sid), ..Peer::default() }));
        (sid, session)
    }

    #[test]
    fn sessions_are_found_by_name_and_listed_in_order_until_they_end() {
        let broker = broker(|_| {});
        let all: Vec<_> = [3, 1, 2].map(|number| introduced(&broker, number)).into();
        let sids = |after, count| -> Vec<String> {
            let page = broker.sessions_after(after, count);
            page.iter().map(|(sid, _)| sid.to_string()[10..].to_owned()).collect()
        };
        assert_eq!(sids(None, 2), ["01", "02"]);
        assert_eq!(sids(Some(all[2].0), 2), ["03"]);
        assert!(Arc::ptr_eq(&broker.session_called(all[1].0).unwrap(), &all[1].1));
        broker.end(&all[1].1, Cause::Kicked);
        assert!(broker.session_called(all[1].0).is_none());
        assert_eq!(sids(None, 9), ["02", "03"]);
    }

    #[test]
    fn a_list_goes_on_from_part_to_part_at_whatever_length() {
        let broker = broker(|_| {});
        // Three parts: more than a piece, nothing, one.
        let sids: Vec<Sid> = (0..=PIECE)
            .map(|number| Sid::from_bytes([7, 0, 0, 0, (number >> 8) as u8, number as u8]))
            .chain([Sid::from_bytes([255; 6])])
            .collect();
        for (number, sid) in sids.iter().enumerate().rev() {
            let session = broker.handshake(id(number as u8), None, start()).unwrap();
            broker.introduce(&session, Arc::new(Peer { sid: Some(*sid), ..Peer::default() }));
        }
        for count in [1, 2, PIECE - 1, PIECE, PIECE + 1, PIECE + 2, usize::MAX] {
            let (mut after, mut met) = (None, Vec::new());
            loop {
                let some = broker.sessions_after(after, count);
                assert!(some.len() <= count);
                let Some((last, _)) = some.last() else { break };
                after = Some(*last);
                met.extend(some.iter().map(|(sid, _)| *sid));
            }
            assert_eq!(met, sids, "{count} at a time");
        }
        assert!(broker.sessions_after(None, 0).is_empty());
    }

    #[test]
    fn a_session_that_ended_before_its_introduction_is_not_listed() {
        let broker = broker(|_| {});
        let session = broker.handshake(id(1), None, start()).unwrap();
        broker.end(&session, Cause::Client);
        let sid = Sid::from_bytes([1; 6]);
        broker.introduce(&session, Arc::new(Peer { sid: Some(sid), ..Peer::default() }));
        assert!(broker.session_called(sid).is_none());
    }

    #[test]
    fn an_older_session_of_the_same_name_does_not_take_the_newer_ones_place_along() {
        let broker = broker(|_| {});
        let (sid, older) = introduced(&broker, 1);
        let newer = broker.handshake(id(9), None, start()).unwrap();
        broker.introduce(&newer, Arc::new(Peer { sid: Some(sid), ..Peer::default() }));
        broker.end(&older, Cause::Client);
        assert!(Arc::ptr_eq(&broker.session_called(sid).unwrap(), &newer));
    }
}
