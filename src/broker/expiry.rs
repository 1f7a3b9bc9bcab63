//! When sessions end by themselves: the broker's clock and a lazy hashed wheel of deadlines.
//!
//! A session sits in the wheel once. When its slot comes up the session is asked; alive, it goes
//! back in. So a heartbeat is one atomic store and never touches the wheel. A deadline that moves *earlier*
//! would need another entry; because nobody is left in the wheel for longer than any deadline takes, none
//! ever gets before the entry. Source: architecture.md 7; protocol.md 50-53.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    Broker,
    deliveries::micros,
    session::{Session, SessionId},
};

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
        later(self.at(now), life)
    }

    /// The broker's time of a deadline `life` after the last tick.
    pub(super) fn after_tick(&self, life: Duration) -> u64 {
        later(self.latest(), life)
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

fn later(from: u64, life: Duration) -> u64 {
    let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
    from.saturating_add(life).min(DEADLINE_MAX)
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

impl Broker {
    /// Moves the deadline of a session later, to `life` from `now`.
    pub(super) fn extend(&self, session: &Arc<Session>, life: Duration, now: Instant) {
        let due = self.clock.after(now, life);
        if session.extend(due) {
            self.schedule(session, due);
        }
    }

    /// Puts a session into the wheel if no earlier entry will look at it.
    ///
    /// It is looked at within `session.max_interval`, however late it is due: nothing gives it less from now on.
    /// So no deadline to come is before this entry, and a client that announces ever shorter pauses has no more of
    /// them than any other.
    pub(super) fn schedule(&self, session: &Session, due: u64) {
        let at = due.min(self.clock.after_tick(self.settings.max_interval));
        if session.needs_wheel(at) {
            self.wheel.lock().insert(session.id(), at);
        }
    }
}

const fn slot_ms() -> u64 {
    TICK.as_millis() as u64
}

#[cfg(test)]
mod tests;
