//! Monitoring from the broker's side: rates, and waking whoever has events to fetch.
//!
//! Source: monitoring.md 4 (`stats`), 8.6.

use std::time::{Duration, Instant};

use super::Broker;
use crate::events::{EventType, Glance, Stats, Subject, What};

/// What the last `stats` event counted from.
#[derive(Debug, Default)]
pub(super) struct LastStats {
    told: Option<Instant>,
    published: u64,
    delivered: u64,
}

impl Broker {
    /// Brings events to listeners and tells totals when they are due. Call it every
    /// [`PULSE`](crate::events::PULSE) while somebody listens.
    pub fn pulse(&self, now: Instant) {
        self.tell_stats(now);
        let pulse = self.events.pulse(now);
        pulse.fire();
    }

    fn tell_stats(&self, now: Instant) {
        let mut last = self.last_stats.lock();
        let elapsed = last.told.map(|told| now.saturating_duration_since(told));
        if elapsed.is_some_and(|elapsed| elapsed < self.settings.stats_interval) {
            return;
        }
        let (published, delivered) =
            (self.counters.published.value(), self.counters.delivered.value());
        let before = (last.published, last.delivered);
        *last = LastStats { told: Some(now), published, delivered };
        drop(last);
        // After a time without listeners the first rate would be one over all of it.
        let Some(elapsed) = elapsed.filter(|elapsed| *elapsed < self.settings.stats_interval * 2)
        else {
            return;
        };
        self.events.emit(&Glance::of(EventType::Stats), || {
            let stats = Stats {
                in_per_s: rate(published - before.0, elapsed),
                out_per_s: rate(delivered - before.1, elapsed),
                ..self.stats()
            };
            (Subject::default(), What::Stats(Box::new(stats)))
        });
    }
}

fn rate(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(f64::EPSILON)
}
