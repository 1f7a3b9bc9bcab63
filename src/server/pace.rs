//! At most one log line per period for things that clients can cause at will.
//!
//! Knows nothing of what is logged: the caller asks for leave and gets the number of lines it left
//! out since the last one. Source: operations.md section 8.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lets one line pass per period and counts the others.
#[derive(Debug)]
pub struct Pace {
    period: Duration,
    /// Held for a comparison and an addition only, never while a line is written.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    suppressed: u64,
}

impl Pace {
    /// Lets one line pass per `period`, the first at once.
    pub fn new(period: Duration) -> Self {
        Self { period, state: Mutex::default() }
    }

    /// Answers whether a line may be written at `now`: `Some` with the number of lines suppressed
    /// since the previous one, or `None`.
    pub fn permit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        if state.last.is_some_and(|last| now.saturating_duration_since(last) < self.period) {
            state.suppressed = state.suppressed.saturating_add(1);
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::clock;

    #[test]
    fn passes_one_line_per_period_and_counts_the_rest() {
        let pace = Pace::new(Duration::from_secs(60));
        let start = clock::now();
        assert_eq!(pace.permit(start), Some(0));
        assert_eq!(pace.permit(start + Duration::from_secs(1)), None);
        assert_eq!(pace.permit(start + Duration::from_secs(59)), None);
        assert_eq!(pace.permit(start + Duration::from_secs(60)), Some(2));
        assert_eq!(pace.permit(start + Duration::from_secs(120)), Some(0));
    }
}
