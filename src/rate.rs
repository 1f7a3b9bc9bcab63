//! A pace, of one API key for instance: so many messages per second, and after a pause as many at once.
//!
//! The generic cell rate algorithm: one atomic word holds the time at which all that was admitted is
//! used up. No lock, no timer, and nothing to refill.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Gcra {
    /// Nanoseconds since the start: when the admitted messages are used up.
    used_until: AtomicU64,
    /// Nanoseconds of one message.
    each: AtomicU64,
}

impl Gcra {
    /// Admits `per_second` messages a second.
    pub(crate) const fn new(per_second: u32) -> Self {
        Self { used_until: AtomicU64::new(0), each: AtomicU64::new(nanos_of_one(per_second)) }
    }

    /// Admits `per_second` from now on.
    pub(crate) fn adjust(&self, per_second: u32) {
        self.each.store(nanos_of_one(per_second), Ordering::Relaxed);
    }

    /// Takes the place of one message at `now`, counted from any fixed moment.
    ///
    /// # Errors
    /// The time until there is a place.
    pub(crate) fn take(&self, now: Duration) -> Result<(), Duration> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let each = self.each.load(Ordering::Relaxed);
        let next = |used: u64| {
            let until = used.max(now).saturating_add(each);
            (until <= now.saturating_add(BURST_NANOS)).then_some(until)
        };
        let taken = self.used_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        taken.map(|_| ()).map_err(|used| {
            let until = used.saturating_add(each);
            Duration::from_nanos(until.saturating_sub(now).saturating_sub(BURST_NANOS))
        })
    }
}

const fn nanos_of_one(per_second: u32) -> u64 {
    BURST_NANOS / if per_second == 0 { 1 } else { per_second as u64 }
}

/// A second's worth may come at once.
const BURST_NANOS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seconds_worth_comes_at_once_and_then_one_by_one() {
        let rate = Gcra::new(10);
        let now = Duration::from_secs(7);
        assert_eq!((0..20).filter(|_| rate.take(now).is_ok()).count(), 10);
        assert_eq!(rate.take(now), Err(Duration::from_millis(100)));
        assert_eq!(rate.take(now + Duration::from_millis(99)), Err(Duration::from_millis(1)));
        assert_eq!(rate.take(now + Duration::from_millis(100)), Ok(()));
        assert!(rate.take(now + Duration::from_millis(100)).is_err());
        let later = now + Duration::from_secs(60);
        assert_eq!((0..20).filter(|_| rate.take(later).is_ok()).count(), 10);
    }

    #[test]
    fn another_rate_holds_from_the_next_message_on() {
        let (rate, now) = (Gcra::new(10), Duration::from_secs(7));
        assert!((0..10).all(|_| rate.take(now).is_ok()) && rate.take(now).is_err());
        rate.adjust(1000);
        assert_eq!(rate.take(now), Err(Duration::from_millis(1)));
        let later = now + Duration::from_millis(500);
        assert_eq!((0..1000).filter(|_| rate.take(later).is_ok()).count(), 500);
        rate.adjust(1);
        assert_eq!(rate.take(later + Duration::from_secs(60)), Ok(()));
        assert_eq!(rate.take(later + Duration::from_secs(60)), Err(Duration::from_secs(1)));
    }

    #[test]
    fn the_rate_holds_over_time_whatever_the_pace_of_asking() {
        let rate = Gcra::new(1000);
        let asked = (0..50_000).map(|step| Duration::from_micros(step * 100));
        let admitted = asked.filter(|now| rate.take(*now).is_ok()).count();
        // Five seconds and the first second's burst.
        assert!((5990..=6010).contains(&admitted), "{admitted}");
    }
}
