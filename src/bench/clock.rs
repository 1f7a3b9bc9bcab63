//! The tool's clock: nanoseconds since it started, so that a time fits into eight bytes.

use std::time::Instant;

/// A monotonic clock with its own origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    /// Starts at 0.
    pub(super) fn start() -> Self {
        Self(instant())
    }

    /// Reads the nanoseconds since [`Clock::start`].
    pub(super) fn now_ns(self) -> u64 {
        u64::try_from(instant().duration_since(self.0).as_nanos()).unwrap_or(u64::MAX)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a load tool measures time; nothing it decides is tested by it"
)]
fn instant() -> Instant {
    Instant::now()
}

/// Nanoseconds of one second.
pub(super) const SECOND_NS: u64 = 1_000_000_000;
/// Nanoseconds of one millisecond.
pub(super) const MILLISECOND_NS: u64 = 1_000_000;
