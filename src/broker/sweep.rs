//! How channels vanish that nobody uses, and what is due at a tick in general.
//!
//! A topic without subscribers stands in a list, once, from the moment that it has none. Each tick looks
//! at this list only: a million channels with subscribers cost it nothing, where looking at each took a
//! quarter of a second. Whatever grows with their number goes in steps. Source: protocol.md 121.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;

use super::{Broker, Cause, matching::Rememberers, session::Due, topic::Use};
use crate::bayeux::ChannelName;

/// Sessions or channels that one step of a tick looks at: a few milliseconds, if all of them end.
pub(super) const STEP: usize = 4096;
/// Consecutive ticks without subscriber or message after which a channel vanishes: three seconds,
/// as long as three of CometD's sweeps (protocol.md 121).
pub(super) const SWEEP_PASSES: u8 = 6;
/// Ticks between two looks for channels that remember patterns which are gone: a minute.
pub(super) const FORGET_TICKS: u64 = 120;

/// No round of forgetting is under way.
const NO_ROUND: usize = usize::MAX;

/// What the sweep of channels keeps between two ticks.
pub(super) struct Sweep {
    /// Names of topics without subscribers.
    unused: Mutex<Vec<ChannelName>>,
    /// Those of them that this tick has not looked at yet.
    left: Mutex<Vec<ChannelName>>,
    /// Channels that remember patterns.
    rememberers: Rememberers,
    /// How far the round is that looks at them for patterns that are gone; [`NO_ROUND`]: none is.
    round: AtomicUsize,
    ticks: AtomicU64,
    /// The generation of patterns at the beginning of the last round.
    forgotten: AtomicU64,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            unused: Mutex::default(),
            left: Mutex::default(),
            rememberers: Rememberers::default(),
            round: AtomicUsize::new(NO_ROUND),
            ticks: AtomicU64::default(),
            forgotten: AtomicU64::default(),
        }
    }
}

impl Sweep {
    /// A topic was made, or has lost its last subscriber.
    pub(super) fn list(&self, name: ChannelName) {
        self.unused.lock().push(name);
    }

    pub(super) const fn rememberers(&self) -> &Rememberers {
        &self.rememberers
    }
}

impl Broker {
    /// Does what is due: expires sessions, sheds load, sweeps channels. Call it every
    /// [`TICK`](super::TICK).
    ///
    /// Returns whether some of it is left: then call it again, once others had their turn.
    /// If it is called much too late, because the process was stopped, every deadline moves by the
    /// pause (protocol.md 53).
    pub fn tick(&self, now: Instant) -> bool {
        self.clock.tick(now);
        // While channels are looked at, the tick has shed already.
        let sweeps = !self.sweep.left.lock().is_empty();
        if self.expire(now) || !sweeps && self.shed() || self.sweep() {
            return true;
        }
        self.forget_unclaimed(self.clock.at(now));
        self.forget_patterns();
        false
    }

    /// Asks sessions whose slot of the wheel has come up; true if some are left.
    fn expire(&self, now: Instant) -> bool {
        let at = self.clock.at(now);
        let (due, more) = self.wheel.lock().due(at, STEP);
        for (id, entry) in due {
            let Some(session) = self.sessions.get(&id).map(|found| Arc::clone(found.value()))
            else {
                continue;
            };
            match session.due(entry, at) {
                Due::Stale => {}
                Due::Expired => {
                    self.end(&session, Cause::Expired);
                }
                // A held session has no deadline; once released it lives at least this long.
                Due::Held => {
                    self.schedule(&session, self.clock.after(now, self.settings.max_interval));
                }
                Due::Later(deadline) => self.schedule(&session, deadline),
            }
        }
        more
    }

    /// Looks at channels without subscribers; true if some are left for this tick.
    fn sweep(&self) -> bool {
        let mut left = std::mem::take(&mut *self.sweep.left.lock());
        if left.is_empty() {
            left = std::mem::take(&mut *self.sweep.unused.lock());
        }
        let mut step = left.split_off(left.len().saturating_sub(STEP));
        step.retain(|name| {
            let mut stays = false;
            let removed = self.topics.remove_if(name, |name, topic| {
                let found = topic.look(SWEEP_PASSES);
                stays = found == Use::Unused;
                let goes = found == Use::Retired;
                if goes && name.is_pattern() {
                    self.patterns.advance();
                }
                if goes {
                    topic.patterns().forget_all(&self.sweep.rememberers);
                }
                goes
            });
            self.topics_len.fetch_sub(usize::from(removed.is_some()), Ordering::Relaxed);
            stays
        });
        self.sweep.unused.lock().append(&mut step);
        let more = !left.is_empty();
        *self.sweep.left.lock() = left;
        more
    }

    /// Has quiet channels let go of patterns that are gone: now and then a round, one step of it at a
    /// tick.
    fn forget_patterns(&self) {
        let Sweep { rememberers, round, ticks, forgotten, .. } = &self.sweep;
        let tick = ticks.fetch_add(1, Ordering::Relaxed) + 1;
        let generation = self.patterns.current();
        let mut from = round.load(Ordering::Relaxed);
        if from == NO_ROUND {
            let is_time = tick.is_multiple_of(FORGET_TICKS);
            if !is_time || forgotten.swap(generation, Ordering::Relaxed) == generation {
                return;
            }
            from = 0;
        }
        let (some, more) = rememberers.some(from, STEP);
        some.iter().for_each(|topic| topic.patterns().forget_stale(generation, rememberers));
        round.store(if more { from + STEP } else { NO_ROUND }, Ordering::Relaxed);
    }
}
