//! Publishes that come while no listener has leave for one more.
//!
//! There are very many, and each would be looked at only to be counted. So once a look has found that
//! everybody who wants publishes wants all of them, and has had enough for now, the next ones are counted
//! in passing, without the lock of the hub. The count is entered as soon as somebody takes the lock;
//! the next pulse that gives leave ends it. What a monitor at its pace costs a publisher is this.
//! Source: monitoring.md 8.5, 8.7.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::MutexGuard;

use super::{Events, State, event::EventType, filter::Glance};

/// Nobody has leave for a publish. Beside the bits of the types that are wanted.
const HUSHED: u32 = 1 << 27;

/// Publishes counted in passing. On a line of memory of its own: all publishers write here, and what
/// lies beside it is read for every event.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Hushed(AtomicU64);

impl Events {
    /// Whether a publish needs no look: nobody wants one, or nobody has leave. In the latter case it has
    /// been counted.
    #[must_use]
    pub fn passes_over_publish(&self) -> bool {
        let wanted = self.wanted.load(Ordering::Relaxed);
        if wanted & EventType::Publish.bit() == 0 {
            return true;
        }
        let hushed = wanted & HUSHED != 0;
        if hushed {
            self.hushed.0.fetch_add(1, Ordering::Relaxed);
        }
        hushed
    }

    /// Whether somebody would get the publish by itself, so that it is worth finding out all about it.
    /// Otherwise it has been counted, as one of those that come too fast, and is not to be told. To be asked
    /// if [`Self::passes_over_publish`] does not know.
    #[must_use]
    pub fn heeds_publish(&self, glance: &Glance<'_>) -> bool {
        debug_assert_eq!(glance.kind, EventType::Publish);
        if !self.wants(glance.kind) {
            return false;
        }
        let mut state = self.state();
        if state.listeners.iter().any(|listener| listener.heeds(glance)) {
            return true;
        }
        state.seq += 1;
        let seq = state.seq;
        self.count(glance.kind, 1);
        for listener in &mut state.listeners {
            // It only counts: nobody has leave for one more.
            let _: bool = listener.ask(glance, seq);
        }
        if state.listeners.iter().all(|listener| listener.is_plain(EventType::Publish)) {
            self.wanted.fetch_or(HUSHED, Ordering::Relaxed);
        }
        false
    }

    /// Somebody may have leave again.
    pub(super) fn unhush(&self) {
        self.wanted.fetch_and(!HUSHED, Ordering::Relaxed);
    }

    /// Takes the lock and enters what was counted in passing: it comes before whatever is done now.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        if self.hushed.0.load(Ordering::Relaxed) > 0 {
            let count = self.hushed.0.swap(0, Ordering::Relaxed);
            let first_seq = state.seq + 1;
            state.seq += count;
            self.count(EventType::Publish, count);
            for listener in &mut state.listeners {
                listener.count_all(EventType::Publish, count, first_seq);
            }
        }
        state
    }
}
