//! Thins out the log lines and events that clients can cause, so that bad requests stay visible and
//! cannot fill the disk. Reads no clock.
//! Source: docs/operations.md, section on the log; both sides of cometd issue 904.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::config::Dial;

/// Allows a number of lines per second for each reason.
#[derive(Debug)]
pub struct Sampler {
    lines_per_second: Dial<u32>,
    /// One short lock per refused request; reasons are few, so this map stays small.
    windows: Mutex<HashMap<&'static str, Window>>,
}

/// Whether a line may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Yes, and this many lines of the same reason were left out since the last one; if that is not
    /// 0 it belongs into the field `suppressed`.
    Yes {
        /// Lines left out.
        suppressed: u64,
    },
    /// No; it is counted.
    No,
}

/// What happened to one reason within a second.
#[derive(Debug)]
struct Window {
    begun: Instant,
    lines: u32,
    suppressed: u64,
}

impl Sampler {
    /// Allows `lines_per_second` for each reason (`log.errors_per_second`).
    pub fn new(lines_per_second: u32) -> Self {
        Self { lines_per_second: Dial::new(lines_per_second), windows: Mutex::new(HashMap::new()) }
    }

    /// Allows so many from now on.
    pub fn adjust(&self, lines_per_second: u32) {
        self.lines_per_second.turn(lines_per_second);
    }

    /// Asks for one line. `reason` is one of a closed set, never text of a client.
    pub fn allow(&self, reason: &'static str, now: Instant) -> Allowed {
        let mut windows = self.windows.lock();
        let window =
            windows.entry(reason).or_insert(Window { begun: now, lines: 0, suppressed: 0 });
        if now.saturating_duration_since(window.begun) >= SECOND {
            window.begun = now;
            window.lines = 0;
        }
        if window.lines >= self.lines_per_second.now() {
            window.suppressed += 1;
            return Allowed::No;
        }
        window.lines += 1;
        Allowed::Yes { suppressed: std::mem::take(&mut window.suppressed) }
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
mod tests {
    use super::*;

    const YES: Allowed = Allowed::Yes { suppressed: 0 };

    #[test]
    fn the_line_after_a_flood_tells_how_many_were_left_out() {
        let (sampler, start) = (Sampler::new(2), Instant::now());
        let answers: Vec<Allowed> = (0..5).map(|_| sampler.allow("json", start)).collect();
        assert_eq!(answers, [YES, YES, Allowed::No, Allowed::No, Allowed::No]);
        let later = start + SECOND;
        assert_eq!(sampler.allow("json", later), Allowed::Yes { suppressed: 3 });
        assert_eq!(sampler.allow("json", later), YES);
    }

    #[test]
    fn a_second_is_not_over_early() {
        let (sampler, start) = (Sampler::new(1), Instant::now());
        assert_eq!(sampler.allow("json", start), YES);
        assert_eq!(sampler.allow("json", start + SECOND - Duration::from_nanos(1)), Allowed::No);
    }

    #[test]
    fn reasons_do_not_share() {
        let (sampler, start) = (Sampler::new(1), Instant::now());
        assert_eq!(sampler.allow("json", start), YES);
        assert_eq!(sampler.allow("origin", start), YES);
        assert_eq!(sampler.allow("json", start), Allowed::No);
    }
}
