//! Which messages are traced.
//!
//! A caller that sends its span decides for its messages; of the others a share is chosen. Both are
//! bounded by a rate, each by its own, so that neither a flood of sampled callers nor one of messages
//! makes the broker busy with traces, or takes the place of the other.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{Parent, span::mix};
use crate::rate::Gcra;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Sampler {
    /// Counts messages; begins anywhere.
    count: AtomicU64,
    share: Share,
    own: Gcra,
    callers: Gcra,
    limited: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
enum Share {
    All,
    /// Those whose number, well mixed, is below.
    Below(u64),
}

impl Sampler {
    /// Chooses a share of `ratio`, and at most `per_second` of each kind.
    pub(super) fn new(ratio: f64, per_second: u32, seed: u64) -> Self {
        let share = if ratio >= 1.0 {
            Share::All
        } else {
            // 2 to the power of 64: the cast cuts what is out of range.
            Share::Below((ratio * 18_446_744_073_709_551_616.0) as u64)
        };
        Self {
            count: AtomicU64::new(seed),
            share,
            own: Gcra::new(per_second),
            callers: Gcra::new(per_second),
            limited: AtomicU64::new(0),
        }
    }

    /// Whether a message at `now`, counted from any fixed moment, is traced.
    pub(super) fn wants(&self, parent: Option<&Parent>, now: Duration) -> bool {
        let (chosen, rate) = match parent {
            Some(parent) => (parent.sampled, &self.callers),
            None => (self.chooses(), &self.own),
        };
        if !chosen {
            return false;
        }
        let admitted = rate.take(now).is_ok();
        if !admitted {
            self.limited.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    /// Messages that would have been traced, were it not for the rate.
    pub(super) fn limited(&self) -> u64 {
        self.limited.load(Ordering::Relaxed)
    }

    /// Not every n-th: that might be the same channel of a hundred that are served in turn.
    fn chooses(&self) -> bool {
        match self.share {
            Share::All => true,
            Share::Below(0) => false,
            Share::Below(bound) => mix(self.count.fetch_add(1, Ordering::Relaxed)) < bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(7);

    fn parent(sampled: bool) -> Parent {
        Parent { trace_id: 1, span_id: 2, sampled, state: None }
    }

    #[test]
    fn about_the_share_is_chosen_and_nobody_is_favoured_by_turns() {
        let sampler = Sampler::new(0.01, u32::MAX, 77);
        let mut by_turn = [0; 100];
        for message in 0..1_000_000 {
            by_turn[message % 100] += u32::from(sampler.chooses());
        }
        let all: u32 = by_turn.iter().sum();
        assert!((9_500..10_500).contains(&all), "{all}");
        assert!(by_turn.iter().all(|turn| (50..200).contains(turn)), "{by_turn:?}");
    }

    #[test]
    fn all_and_nothing_are_exact() {
        let (all, none) = (Sampler::new(1.0, 1, 0), Sampler::new(0.0, 1, 0));
        assert!((0..1000).all(|_| all.chooses() && !none.chooses()));
    }

    #[test]
    fn a_caller_decides_for_its_messages() {
        let (all, none) = (Sampler::new(1.0, 9, 0), Sampler::new(0.0, 9, 0));
        assert!(!all.wants(Some(&parent(false)), NOW), "it does not record");
        assert!(none.wants(Some(&parent(true)), NOW));
        assert!(all.wants(None, NOW) && !none.wants(None, NOW));
        assert_eq!((all.limited(), none.limited()), (0, 0));
    }

    #[test]
    fn neither_kind_goes_beyond_its_rate_nor_takes_from_the_other() {
        let sampler = Sampler::new(1.0, 5, 0);
        let traced = (0..20).filter(|_| sampler.wants(Some(&parent(true)), NOW)).count();
        assert_eq!((traced, sampler.limited()), (5, 15));
        let traced = (0..7).filter(|_| sampler.wants(None, NOW)).count();
        assert_eq!((traced, sampler.limited()), (5, 17));
        assert!(sampler.wants(None, NOW + Duration::from_secs(1)));
    }
}
