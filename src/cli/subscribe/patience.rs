//! How long to wait for a broker that is away or has too much to do, and when to give up.
//!
//! Knows no clock: what counts is the time that was waited.

use std::time::Duration;

/// The waits since something last worked.
#[derive(Debug, Default)]
pub(super) struct Patience {
    waits: u32,
    waited: Duration,
}

impl Patience {
    /// The next pause: what was `advised`, else longer and longer ones. `None`: it is time to give up.
    pub(super) fn next(&mut self, advised: Option<Duration>) -> Option<Duration> {
        let own = PAUSE_MIN.saturating_mul(1 << self.waits.min(8)).min(PAUSE_MAX);
        let pause = advised.unwrap_or(own).max(PAUSE_MIN);
        self.waited = self.waited.saturating_add(pause);
        self.waits = self.waits.saturating_add(1);
        (self.waited <= WAITED_MAX).then_some(pause)
    }

    /// Something worked.
    pub(super) fn renew(&mut self) {
        *self = Self::default();
    }
}

const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause that nobody asked for.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Whoever was away so long has not just been restarted.
pub(super) const WAITED_MAX: Duration = Duration::from_secs(15 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_unless_they_are_advised() {
        let mut patience = Patience::default();
        let mut next = |advised: Option<u64>| {
            patience.next(advised.map(Duration::from_secs)).map(|pause| pause.as_secs())
        };
        let own: Vec<_> = std::iter::repeat_with(|| next(None)).take(6).flatten().collect();
        assert_eq!(own, [1, 2, 4, 8, 16, 30]);
        assert_eq!((next(Some(7)), next(Some(0)), next(None)), (Some(7), Some(1), Some(30)));
    }

    #[test]
    fn patience_ends_and_begins_again_when_something_worked() {
        let mut patience = Patience::default();
        assert_eq!(patience.next(Some(WAITED_MAX)), Some(WAITED_MAX));
        assert_eq!(patience.next(None), None);
        patience.renew();
        assert_eq!(patience.next(None), Some(PAUSE_MIN));
        assert_eq!(patience.next(Some(WAITED_MAX)), None, "a broker that asks for more than that");
    }
}
