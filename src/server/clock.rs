//! The one place that reads the clock.
//!
//! The core takes `now` as an argument, so that tests and the simulation decide what time it is. The
//! clock is monotonic: a wall clock that jumps changes no deadline (reliability.md F12).

use std::time::Instant;

/// The present moment, to be handed down to the core.
#[expect(clippy::disallowed_methods, reason = "the shell reads the clock here and nowhere else")]
pub fn now() -> Instant {
    Instant::now()
}
