//! The one place that reads the clock.
//!
//! The core takes `now` as an argument, so that tests and the simulation decide what time it is. The
//! clock is monotonic: a wall clock that jumps changes no deadline (reliability.md F12). The wall clock
//! is read for what clients are told, and decides nothing.

use std::time::{Duration, Instant, SystemTime};

/// The present moment, to be handed down to the core.
#[expect(clippy::disallowed_methods, reason = "the shell reads the clock here and nowhere else")]
pub fn now() -> Instant {
    Instant::now()
}

/// The time of day, since 1970, for extensions that tell it.
#[expect(clippy::disallowed_methods, reason = "told to clients, never decided by")]
pub fn time_of_day() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
