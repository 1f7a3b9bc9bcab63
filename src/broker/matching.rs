//! Which patterns exist over a channel, remembered until a pattern comes or goes.
//!
//! A message published to `/a/b/c` also reaches the subscribers of `/**`, `/a/**`, `/a/b/**` and
//! `/a/b/*`: depth + 1 look-ups, most of them in vain and each a cache miss in a large table. So each
//! channel keeps what it found, with the generation that it found it at. The generation moves with
//! every pattern that is made or swept away; channels, which come and go far more often, do not count.
//!
//! A pattern is never overlooked. The generation moves while the table's shard is locked for the new
//! pattern, so whoever finds the pattern there, to subscribe to it, does so after the move; a publish
//! after that reads the new generation and looks again. A publisher that reads the new generation first
//! waits for the shard before it can miss the pattern.
//!
//! A channel where nobody publishes would keep patterns that are gone. So those that remember some
//! stand in a list, at which the sweep looks now and then, a part at a time.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use parking_lot::Mutex;
use slab::Slab;

use super::topic::Topic;

/// Counts every pattern that was made or swept away.
#[derive(Debug, Default)]
pub(super) struct PatternGeneration(AtomicU64);

/// Topics of patterns.
pub(super) type Patterns = Arc<[Arc<Topic>]>;

/// The patterns over one channel; see the module documentation.
pub(super) struct Remembered {
    found: Mutex<Option<Found>>,
    /// Its place among the [`Rememberers`], or [`NOWHERE`]. Written under the lock of `found`.
    place: AtomicU32,
}

/// Channels that remember a pattern. Its lock is taken under that of what they remember, never the
/// other way round.
#[derive(Default)]
pub(super) struct Rememberers(Mutex<Slab<Arc<Topic>>>);

struct Found {
    generation: u64,
    patterns: Patterns,
}

impl PatternGeneration {
    /// A pattern comes or goes. To be called while its shard of the table is locked.
    pub(super) fn advance(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// The number of changes so far.
    pub(super) fn current(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Remembered {
    /// The patterns of now; asks `look_up` only after a change, and `enter` for a place among the
    /// [`Rememberers`] with the first pattern.
    ///
    /// No lock is held while it looks up: the table may be locked by a sweep that waits for ours.
    pub(super) fn get(
        &self,
        generation: &PatternGeneration,
        look_up: impl FnOnce() -> Patterns,
        enter: impl FnOnce() -> u32,
    ) -> Patterns {
        // Read before the look-up: what changes meanwhile makes the result stale at once.
        let generation = generation.current();
        let known = self
            .found
            .lock()
            .as_ref()
            .filter(|found| found.generation == generation)
            .map(|found| Arc::clone(&found.patterns));
        known.unwrap_or_else(|| {
            let patterns = look_up();
            let found = Found { generation, patterns: Arc::clone(&patterns) };
            let mut known = self.found.lock();
            if !patterns.is_empty() && self.place.load(Ordering::Relaxed) == NOWHERE {
                self.place.store(enter(), Ordering::Relaxed);
            }
            let stale = known.replace(found);
            drop(known);
            drop(stale);
            patterns
        })
    }

    /// Lets go of what was found at another generation, on a channel where nobody publishes: the
    /// patterns may be gone.
    pub(super) fn forget_stale(&self, generation: u64, rememberers: &Rememberers) {
        self.forget(rememberers, |found| found.generation != generation);
    }

    /// Lets go of everything, because the channel goes.
    pub(super) fn forget_all(&self, rememberers: &Rememberers) {
        self.forget(rememberers, |_| true);
    }

    fn forget(&self, rememberers: &Rememberers, which: impl Fn(&Found) -> bool) {
        let mut known = self.found.lock();
        let stale = known.take_if(|found| which(found));
        let mut left = None;
        if known.as_ref().is_none_or(|found| found.patterns.is_empty()) {
            left = rememberers.leave(self.place.swap(NOWHERE, Ordering::Relaxed));
        }
        drop(known);
        drop((stale, left));
    }
}

impl Default for Remembered {
    fn default() -> Self {
        Self { found: Mutex::default(), place: AtomicU32::new(NOWHERE) }
    }
}

impl Rememberers {
    /// Gives a channel a place.
    pub(super) fn enter(&self, topic: &Arc<Topic>) -> u32 {
        let mut places = self.0.lock();
        // As many channels as would fill it up need a terabyte.
        let place = u32::try_from(places.vacant_key()).unwrap_or(NOWHERE);
        if place != NOWHERE {
            places.insert(Arc::clone(topic));
        }
        place
    }

    /// Empties a place; what was there is for the caller to drop, under no lock.
    fn leave(&self, place: u32) -> Option<Arc<Topic>> {
        if place == NOWHERE {
            return None;
        }
        let mut places = self.0.lock();
        let left = places.try_remove(place as usize);
        if places.is_empty() {
            *places = Slab::new();
        }
        left
    }

    /// The channels in so many places from one on, and whether there are more behind them.
    pub(super) fn some(&self, from: usize, count: usize) -> (Vec<Arc<Topic>>, bool) {
        let places = self.0.lock();
        let to = from.saturating_add(count);
        let some = (from..to).filter_map(|place| places.get(place).cloned()).collect();
        (some, to < places.capacity())
    }
}

/// No place among the [`Rememberers`].
const NOWHERE: u32 = u32::MAX;

#[cfg(test)]
mod tests;
