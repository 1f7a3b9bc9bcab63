//! The subscribers of a topic, each at a place by which it is found again.
//!
//! They stand in the order in which they came, under numbers that are never used twice. Who leaves makes
//! a gap; before three of four places are gaps they are closed up, so a topic that nearly everybody has
//! left neither keeps the memory of its best days nor has each snapshot walk over it.

use std::sync::Arc;

use crate::broker::session::Session;

/// Place of a subscriber in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) struct Subscriber(u64);

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// In the order of their numbers; `None`: a gap. The last one is none.
    places: Vec<(u64, Option<Arc<Session>>)>,
    /// Places that are no gaps.
    taken: usize,
    next: u64,
}

impl Places {
    /// Number of subscribers.
    pub(super) const fn len(&self) -> usize {
        self.taken
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// Gives `session` the last place.
    pub(super) fn insert(&mut self, session: Arc<Session>) -> Subscriber {
        let number = self.next;
        self.next += 1;
        // Where as many leave as come, gaps are enough; each closing makes room for an eighth at least.
        if self.places.len() == self.places.capacity() && self.gaps() > self.places.len() / 8 {
            self.close_up();
        }
        self.places.push((number, Some(session)));
        self.taken += 1;
        Subscriber(number)
    }

    /// Puts `session` in the place of another one, which it returns; `None`: nobody was there.
    pub(super) fn replace(
        &mut self,
        place: Subscriber,
        session: Arc<Session>,
    ) -> Option<Arc<Session>> {
        let index = self.find(place)?;
        let taken = self.places.get_mut(index)?.1.as_mut()?;
        Some(std::mem::replace(taken, session))
    }

    /// Empties a place; returns who was there.
    pub(super) fn remove(&mut self, place: Subscriber) -> Option<Arc<Session>> {
        let index = self.find(place)?;
        let gone = self.places.get_mut(index)?.1.take()?;
        self.taken -= 1;
        while self.places.pop_if(|(_, session)| session.is_none()).is_some() {}
        if self.taken == 0 {
            self.places = Vec::new();
        } else if self.places.len() > GAPS_MIN && self.taken < self.places.len() / 4 {
            self.close_up();
            self.places.shrink_to(self.taken * 2);
        }
        Some(gone)
    }

    /// All subscribers, in the order in which they came.
    pub(super) fn to_shared(&self) -> Arc<[Arc<Session>]> {
        let mut all = Vec::with_capacity(self.taken);
        all.extend(self.places.iter().filter_map(|(_, session)| session.clone()));
        all.into()
    }

    const fn gaps(&self) -> usize {
        self.places.len() - self.taken
    }

    fn close_up(&mut self) {
        self.places.retain(|(_, session)| session.is_some());
    }

    fn find(&self, Subscriber(number): Subscriber) -> Option<usize> {
        let (first, _) = self.places.first()?;
        // Right unless gaps were closed behind the first place.
        let guess = usize::try_from(number.checked_sub(*first)?).ok()?;
        if self.places.get(guess).is_some_and(|(found, _)| *found == number) {
            return Some(guess);
        }
        self.places.binary_search_by_key(&number, |(found, _)| *found).ok()
    }
}

/// Fewer places are not worth closing up: a kilobyte.
const GAPS_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        broker::{Settings, tests::id},
        config::Config,
    };

    fn session(settings: &Settings) -> Arc<Session> {
        Arc::new(Session::new((id(1), id(1)), None, settings, Arc::default(), 0))
    }

    fn same(places: &Places, expected: &[(Subscriber, Arc<Session>)]) -> bool {
        let all = places.to_shared();
        places.len() == expected.len()
            && all.iter().zip(expected).all(|(one, (_, other))| Arc::ptr_eq(one, other))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Comings, leavings and replacements in waves, so that gaps are closed in between.
        #[test]
        fn everybody_is_found_at_its_place_whatever_the_others_do(
            waves in prop::collection::vec((0..200_usize, 0..200_usize, any::<prop::sample::Index>()), 1..8),
        ) {
            let settings = Settings::new(&Config::default());
            let (mut places, mut expected) = (Places::default(), Vec::new());
            for (come, leave, which) in waves {
                for _ in 0..come {
                    let new = session(&settings);
                    expected.push((places.insert(Arc::clone(&new)), new));
                }
                for _ in 0..leave.min(expected.len()) {
                    let (place, gone) = expected.remove(which.index(expected.len()));
                    let removed = places.remove(place);
                    prop_assert!(removed.is_some_and(|removed| Arc::ptr_eq(&removed, &gone)));
                    prop_assert!(places.remove(place).is_none(), "a second time");
                    prop_assert!(places.replace(place, gone).is_none());
                }
                if !expected.is_empty() {
                    let index = which.index(expected.len());
                    let (place, old) = &mut expected[index];
                    let new = session(&settings);
                    let replaced = places.replace(*place, Arc::clone(&new));
                    prop_assert!(replaced.is_some_and(|replaced| Arc::ptr_eq(&replaced, old)));
                    *old = new;
                }
                prop_assert!(same(&places, &expected));
            }
        }
    }

    #[test]
    fn who_stays_alone_does_not_keep_the_room_of_the_crowd() {
        let one = session(&Settings::new(&Config::default()));
        for stays in [0, 500, 999] {
            let mut places = Places::default();
            let crowd: Vec<_> = (0..1_000).map(|_| places.insert(Arc::clone(&one))).collect();
            for (number, place) in crowd.iter().enumerate() {
                assert!(places.remove(*place).is_some(), "{number}");
                if number == stays {
                    places.insert(Arc::clone(&one));
                }
            }
            assert_eq!(places.len(), 1);
            assert!(places.places.len() <= GAPS_MIN, "{} places", places.places.len());
            assert!(places.places.capacity() <= 2 * GAPS_MIN, "{}", places.places.capacity());
        }
    }

    #[test]
    fn a_crowd_in_which_everybody_changes_all_the_time_does_not_grow() {
        let one = session(&Settings::new(&Config::default()));
        let mut places = Places::default();
        let mut crowd: std::collections::VecDeque<_> =
            (0..1_000).map(|_| places.insert(Arc::clone(&one))).collect();
        for _ in 0..10_000 {
            crowd.push_back(places.insert(Arc::clone(&one)));
            places.remove(crowd.pop_front().unwrap());
        }
        assert_eq!(places.len(), 1_000);
        assert!(places.places.capacity() <= 2_048, "{}", places.places.capacity());
    }
}
