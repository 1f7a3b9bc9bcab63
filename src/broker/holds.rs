//! How many connects each browser holds (protocol.md 75).
//!
//! A browser opens about six HTTP/1.1 connections to a host. Two tabs that each hold a poll leave
//! little for the rest of the page, so further tabs are answered at once and poll at an interval.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::browser::BrowserId;

/// Held connects by browser cookie; a browser without one has no entry.
#[derive(Debug, Default)]
pub(super) struct Holds(Mutex<HashMap<BrowserId, u32>>);

impl Holds {
    /// Counts one more held connect unless the browser has `max` already; `None` for `max`: no limit.
    pub(super) fn enter(
        self: &Arc<Self>,
        browser: BrowserId,
        max: Option<u32>,
    ) -> Option<HoldSlot> {
        let mut counts = self.0.lock();
        let held = counts.get(&browser).copied().unwrap_or(0);
        if max.is_some_and(|max| held >= max) {
            return None;
        }
        counts.insert(browser, held + 1);
        Some(HoldSlot { holds: Arc::clone(self), browser })
    }
}

/// One held connect of a browser; dropped when the hold ends.
#[derive(Debug)]
pub struct HoldSlot {
    holds: Arc<Holds>,
    browser: BrowserId,
}

impl Drop for HoldSlot {
    fn drop(&mut self) {
        let mut counts = self.holds.0.lock();
        if let Some(held) = counts.get_mut(&self.browser) {
            *held -= 1;
            if *held == 0 {
                counts.remove(&self.browser);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_holds_up_to_its_limit_and_leaves_no_entry() {
        let holds = Arc::new(Holds::default());
        let (one, other) = (BrowserId::from_bytes([1; 16]), BrowserId::from_bytes([2; 16]));
        let slot = holds.enter(one, Some(1)).expect("first hold");
        assert!(holds.enter(one, Some(1)).is_none());
        assert!(holds.enter(other, Some(1)).is_some());
        drop(slot);
        assert!(holds.0.lock().is_empty());
        assert!(holds.enter(one, Some(0)).is_none());
        assert!(holds.enter(one, None).is_some());
    }
}
