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

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

use super::topic::Topic;

/// Counts every pattern that was made or swept away.
#[derive(Debug, Default)]
pub(super) struct PatternGeneration(AtomicU64);

/// Topics of patterns.
pub(super) type Patterns = Arc<[Arc<Topic>]>;

/// The patterns over one channel; see the module documentation.
#[derive(Default)]
pub(super) struct Remembered(Mutex<Option<Found>>);

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
    /// The patterns of now; asks `look_up` only after a change.
    ///
    /// No lock is held while it is asked: the table may be locked by a sweep that waits for ours.
    pub(super) fn get(
        &self,
        generation: &PatternGeneration,
        look_up: impl FnOnce() -> Patterns,
    ) -> Patterns {
        // Read before the look-up: what changes meanwhile makes the result stale at once.
        let generation = generation.current();
        let known = self
            .0
            .lock()
            .as_ref()
            .filter(|found| found.generation == generation)
            .map(|found| Arc::clone(&found.patterns));
        known.unwrap_or_else(|| {
            let patterns = look_up();
            let found = Found { generation, patterns: Arc::clone(&patterns) };
            let stale = self.0.lock().replace(found);
            drop(stale);
            patterns
        })
    }

    /// Lets go of what was found at another generation, on a channel where nobody publishes: the
    /// patterns may be gone.
    pub(super) fn forget_stale(&self, generation: u64) {
        let stale = self.0.lock().take_if(|found| found.generation != generation);
        drop(stale);
    }
}

#[cfg(test)]
mod tests;
