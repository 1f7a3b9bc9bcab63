//! What waits for one listener: a bounded ring, a pace, and a count of what it did not get.
//!
//! Above its pace events of one type become one that says how many. At the bound of the ring the
//! oldest go, and one `lost` event says which. Neither costs the sender more than a count.
//! Source: monitoring.md 8.4, 8.5.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::event::{Event, EventType, Subject, What};
use crate::config::Monitor;

/// Bounds of one listener, from `[monitor]`.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Events per second; as many as `burst` at once after a pause.
    pub per_second: u32,
    /// See `per_second`.
    pub burst: u32,
    /// Events in the ring.
    pub events_max: usize,
    /// About the bytes of them.
    pub bytes_max: usize,
}

impl From<&Monitor> for Bounds {
    fn from(config: &Monitor) -> Self {
        Self {
            per_second: config.events_per_second,
            burst: config.burst,
            events_max: config.ring_events,
            bytes_max: config.ring_bytes,
        }
    }
}

/// An event and the bits of where the listener wants it; what they mean is the listener's business.
pub type Entry = (Arc<Event>, u8);

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Queue {
    ring: VecDeque<Entry>,
    bytes: usize,
    bounds: Bounds,
    /// In thousandths of an event.
    tokens: u64,
    merged: [Merged; EventType::ALL.len()],
    lost: Option<Lost>,
}

/// Events of one type above the pace.
#[derive(Debug, Clone, Copy, Default)]
struct Merged {
    count: u64,
    places: u8,
    last_seq: u64,
    first_seq: u64,
}

/// A stretch of events that were dropped.
#[derive(Debug, Clone, Copy)]
struct Lost {
    count: u64,
    from_seq: u64,
    to_seq: u64,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            ring: VecDeque::new(),
            bytes: 0,
            bounds,
            tokens: u64::from(bounds.burst) * TOKEN,
            merged: Default::default(),
            lost: None,
        }
    }

    /// Whether there is anything to take.
    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty() && self.lost.is_none()
    }

    /// Whether one more event would get leave.
    pub(super) const fn has_leave(&self) -> bool {
        self.tokens >= TOKEN
    }

    /// Asks for leave to push one more event; without it the event is only counted.
    pub(super) fn admit(&mut self, kind: EventType, seq: u64, places: u8) -> bool {
        if self.tokens >= TOKEN {
            self.tokens -= TOKEN;
            return true;
        }
        self.merge(kind, seq, 1, places);
        false
    }

    /// Counts events above the pace, numbered from `first_seq`.
    pub(super) fn merge(&mut self, kind: EventType, first_seq: u64, count: u64, places: u8) {
        if let Some(merged) = self.merged.get_mut(kind as usize) {
            if merged.count == 0 {
                merged.first_seq = first_seq;
            }
            merged.count += count;
            merged.places |= places;
            merged.last_seq = first_seq + count - 1;
        }
    }

    /// Appends an event; returns how many had to go.
    pub(super) fn push(&mut self, event: Arc<Event>, places: u8) -> u64 {
        self.bytes += event.bytes();
        self.ring.push_back((event, places));
        let before = self.lost.map_or(0, |lost| lost.count);
        while self.ring.len() > self.bounds.events_max || self.bytes > self.bounds.bytes_max {
            let was_merged = self.drop_oldest();
            // What was merged at one time goes at one time, or the numbers of the lost would have
            // holes in which others lie that are still to come.
            while was_merged && self.ring.front().is_some_and(|(event, _)| is_merged(event)) {
                self.drop_oldest();
            }
        }
        self.lost.map_or(0, |lost| lost.count) - before
    }

    /// Lets some time pass: tokens grow, and what was merged becomes events.
    pub(super) fn pass(&mut self, elapsed: Duration, at: Duration) -> u64 {
        let grown = u64::from(self.bounds.per_second)
            .saturating_mul(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
        let full = u64::from(self.bounds.burst.max(1)) * TOKEN;
        self.tokens = self.tokens.saturating_add(grown).min(full);
        let mut dropped = 0;
        for kind in EventType::ALL {
            let Some(merged) = self.merged.get_mut(*kind as usize) else { continue };
            let Merged { count, places, last_seq, first_seq } = std::mem::take(merged);
            if count > 0 {
                let what = What::Merged { of: *kind, count, first_seq };
                let event =
                    Event { seq: last_seq, at, subject: Subject::default(), error: None, what };
                dropped += self.push(Arc::new(event), places);
            }
        }
        dropped
    }

    /// Takes the oldest events, up to `count_max`; first what says that some are missing, for `places`.
    pub(super) fn take(&mut self, count_max: usize, at: Duration, places: u8) -> Vec<Entry> {
        let lost = self.lost.take().map(|Lost { count, from_seq, to_seq }| {
            let what = What::Lost { count, from_seq, to_seq };
            let event = Event { seq: to_seq, at, subject: Subject::default(), error: None, what };
            (Arc::new(event), places)
        });
        let count = count_max.min(self.ring.len());
        let taken = self.ring.drain(..count);
        let entries: Vec<Entry> = lost.into_iter().chain(taken).collect();
        let own = |entry: &&Entry| entry.0.kind() != EventType::Lost;
        self.bytes -= entries.iter().filter(own).map(|(event, _)| event.bytes()).sum::<usize>();
        entries
    }

    /// Drops the oldest event and notes it; true if it stood for several.
    fn drop_oldest(&mut self) -> bool {
        let Some((event, _)) = self.ring.pop_front() else { return false };
        self.bytes -= event.bytes();
        let (count, first) = match event.what {
            What::Merged { count, first_seq, .. } => (count, first_seq),
            _ => (1, event.seq),
        };
        let lost = self.lost.get_or_insert(Lost { count: 0, from_seq: first, to_seq: event.seq });
        lost.count += count;
        lost.from_seq = lost.from_seq.min(first);
        lost.to_seq = lost.to_seq.max(event.seq);
        is_merged(&event)
    }
}

const fn is_merged(event: &Event) -> bool {
    matches!(event.what, What::Merged { .. })
}

/// One event in the unit of tokens: a millisecond at one event per second.
const TOKEN: u64 = 1_000;

#[cfg(test)]
mod tests;
