//! When sessions end by themselves: the broker's clock and a lazy hashed wheel of deadlines.
//!
//! A session sits in the wheel once. When its slot comes up the session is asked; alive, it goes
//! back in at its new deadline. So a heartbeat is one atomic store and never touches the wheel; only
//! a deadline that moves *earlier* adds an entry. Source: architecture.md 7; protocol.md 50-53.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::{deliveries::micros, session::SessionId};

/// Width of a slot, and the period of [`super::Broker::tick`]: a removal is at most two of them late.
pub const TICK: Duration = Duration::from_millis(500);
/// Slots of the wheel: deadlines further away are looked at again on the way.
const SLOTS: u64 = 256;
/// A tick that comes this much after the last one means that the process was stopped.
const PAUSE_MS: u64 = 5_000;
/// No deadline is later: above it is what stands for none at all.
const DEADLINE_MAX: u64 = u64::MAX / 2;

/// Milliseconds since the broker began, without the time that its process was stopped.
#[derive(Debug)]
pub(super) struct Clock {
    epoch: Instant,
    paused_ms: AtomicU64,
    ticked_ms: AtomicU64,
}

impl Clock {
    pub(super) const fn new(epoch: Instant) -> Self {
        Self { epoch, paused_ms: AtomicU64::new(0), ticked_ms: AtomicU64::new(0) }
    }

    /// The broker's time at `now`.
    ///
    /// Stands still once the tick is overdue by a pause: what happens between the end of a pause and
    /// the tick that takes it out of the time must not get a deadline that is too late by all of it.
    pub(super) fn at(&self, now: Instant) -> u64 {
        let ticked = self.ticked_ms.load(Ordering::Relaxed);
        self.since_epoch(now)
            .min(ticked + PAUSE_MS)
            .saturating_sub(self.paused_ms.load(Ordering::Relaxed))
    }

    /// Microseconds since the beginning, pauses included; for measuring.
    pub(super) fn micros(&self, now: Instant) -> u64 {
        micros(now, self.epoch)
    }

    pub(super) const fn epoch(&self) -> Instant {
        self.epoch
    }

    /// The broker's time of a deadline `life` after `now`.
    pub(super) fn after(&self, now: Instant, life: Duration) -> u64 {
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        self.at(now).saturating_add(life).min(DEADLINE_MAX)
    }

    /// The broker's time at the last tick.
    pub(super) fn latest(&self) -> u64 {
        self.ticked_ms
            .load(Ordering::Relaxed)
            .saturating_sub(self.paused_ms.load(Ordering::Relaxed))
    }

    /// Notes a tick; a long gap is taken out of the broker's time.
    pub(super) fn tick(&self, now: Instant) {
        let now = self.since_epoch(now);
        let gap = now.saturating_sub(self.ticked_ms.swap(now, Ordering::Relaxed));
        if gap > PAUSE_MS {
            self.paused_ms.fetch_add(gap, Ordering::Relaxed);
        }
    }

    fn since_epoch(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.epoch).as_millis();
        u64::try_from(elapsed).unwrap_or(u64::MAX)
    }
}

/// Something to ask a session at a time.
pub(super) type Entry = (SessionId, u64);

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<Vec<Entry>>,
    /// Taken out of their slots, and more than were asked for.
    ready: Vec<Entry>,
    /// Index of the last slot that was emptied, counted from the broker's beginning.
    cursor: u64,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), ready: Vec::new(), cursor: 0 }
    }

    /// Has `id` asked at `due`, at the earliest by the next tick.
    pub(super) fn insert(&mut self, id: SessionId, due: u64) {
        let slot = due.div_ceil(slot_ms()).clamp(self.cursor + 1, self.cursor + SLOTS - 1);
        if let Some(entries) = self.slots.get_mut((slot % SLOTS) as usize) {
            entries.push((id, due));
        }
    }

    /// Takes out up to `entries_max` entries that are due at `now`, and says whether more are.
    pub(super) fn due(&mut self, now: u64, entries_max: usize) -> (Vec<Entry>, bool) {
        let mut far = Vec::new();
        let until = now / slot_ms();
        let turns = until.saturating_sub(self.cursor).min(SLOTS);
        for slot in (self.cursor + 1)..=(self.cursor + turns) {
            let Some(entries) = self.slots.get_mut((slot % SLOTS) as usize) else { continue };
            for entry in std::mem::take(entries) {
                if entry.1 <= now { self.ready.push(entry) } else { far.push(entry) }
            }
        }
        self.cursor = self.cursor.max(until);
        for (id, at) in far {
            self.insert(id, at);
        }
        if self.ready.len() <= entries_max {
            return (std::mem::take(&mut self.ready), false);
        }
        (self.ready.split_off(self.ready.len() - entries_max), true)
    }

    /// Number of entries, stale ones included.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.iter().map(Vec::len).sum::<usize>() + self.ready.len()
    }
}

const fn slot_ms() -> u64 {
    TICK.as_millis() as u64
}

#[cfg(test)]
mod tests;
