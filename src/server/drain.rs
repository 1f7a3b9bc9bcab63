//! The steps of a graceful stop.
//!
//! Held connects and WebSockets are told to come back, spread over time: cometd.js has no jitter of
//! its own, so the server's advice is what keeps a restart from becoming a stampede.
//! Source: architecture.md 8; protocol.md 140; reliability.md F5, F16.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper::header::HeaderValue;
use tokio::{select, time::sleep};
use tokio_util::sync::CancellationToken;

/// Connections told to go per second, or more if there is no time for that.
const CLOSES_PER_SECOND: usize = 2_000;
/// The share of the time that is left in which everybody is told: the last ones need some to be written
/// to and to close.
const CLOSING_SHARE: f64 = 0.8;
/// Reconnects per second that the advised intervals aim at.
const RECONNECTS_PER_SECOND: usize = 500;
/// The longest interval advised.
const INTERVAL_MAX: Duration = Duration::from_secs(30);

/// The progress of a stop, as connections see it.
#[derive(Debug)]
pub(crate) struct Drain {
    announced: AtomicBool,
    /// Whether `begin` is cancelled or about to be: a look at the token takes a lock that all
    /// connections share.
    begun: AtomicBool,
    /// Cancelled when clients are sent away; by `end`, too.
    begin: CancellationToken,
    /// Cancelled when the server has ended.
    end: CancellationToken,
    plan: OnceLock<Plan>,
    told: AtomicUsize,
}

/// What one stopping server did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Clients that were told to come back.
    pub told: usize,
    /// Connections still open when time ran out.
    pub open: usize,
    /// Messages that still waited in queues.
    pub unsent: usize,
    /// From the signal to the end; zero if it was aborted without one.
    pub elapsed: Duration,
    /// A second signal ended it at once.
    pub aborted: bool,
}

/// Over how long a given number of clients is spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    closing: Duration,
    returning: Duration,
}

impl Plan {
    fn new(sessions: usize, time: Duration) -> Self {
        let over = |rate: usize| Duration::from_secs_f64(sessions as f64 / rate as f64);
        Self {
            closing: over(CLOSES_PER_SECOND).min(time.mul_f64(CLOSING_SHARE)),
            returning: over(RECONNECTS_PER_SECOND).min(INTERVAL_MAX),
        }
    }
}

impl Drain {
    /// A server that serves.
    pub(crate) fn new() -> Self {
        let end = CancellationToken::new();
        Self {
            announced: AtomicBool::new(false),
            begun: AtomicBool::new(false),
            begin: end.child_token(),
            end,
            plan: OnceLock::new(),
            told: AtomicUsize::new(0),
        }
    }

    /// Turns `/readyz` to 503 while everything still works.
    pub(crate) fn announce(&self) {
        self.announced.store(true, Ordering::Relaxed);
    }

    /// Whether a stop has been announced.
    pub(crate) fn is_announced(&self) -> bool {
        self.announced.load(Ordering::Relaxed)
    }

    /// Whether clients are being sent away, or the server has ended.
    pub(crate) fn is_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Begins to send `sessions` clients away, within `time`.
    pub(crate) fn begin(&self, sessions: usize, time: Duration) {
        self.plan.get_or_init(|| Plan::new(sessions, time));
        self.begun.store(true, Ordering::Relaxed);
        self.begin.cancel();
    }

    /// Ends the server: what still runs stops without a word.
    pub(crate) fn end(&self) {
        self.begun.store(true, Ordering::Relaxed);
        self.end.cancel();
    }

    /// Waits until clients are sent away.
    pub(crate) async fn begins(&self) {
        self.begin.cancelled().await;
    }

    /// Waits until the server has ended.
    pub(crate) async fn ended(&self) {
        self.end.cancelled().await;
    }

    /// Waits until it is this client's turn to go; returns the interval to advise. With many clients
    /// turns are far apart, so a client is served on until then.
    pub(crate) async fn sends_away(&self) -> Duration {
        self.begins().await;
        // Boxed, because a client that waits for the beginning need not keep the room for a timer.
        Box::pin(self.turn()).await
    }

    async fn turn(&self) -> Duration {
        let plan = self.plan.get().copied().unwrap_or_else(|| Plan::new(0, Duration::ZERO));
        select! {
            () = sleep(jitter(plan.closing)) => {
                self.told.fetch_add(1, Ordering::Relaxed);
            }
            // Too late for words.
            () = self.ended() => {}
        }
        jitter(plan.returning)
    }

    /// Clients told so far.
    pub(crate) fn told(&self) -> usize {
        self.told.load(Ordering::Relaxed)
    }
}

/// A random `Retry-After` of 2 to 10 seconds.
pub(super) fn retry_after() -> HeaderValue {
    HeaderValue::from(2 + jitter(Duration::from_secs(8)).as_secs())
}

/// A random time up to `spread`, in whole milliseconds.
pub(super) fn jitter(spread: Duration) -> Duration {
    let mut random = [0; 4];
    // Without randomness everybody comes at once, which is bad but no reason to fail.
    let share = match getrandom::fill(&mut random) {
        Ok(()) => f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX),
        Err(_) => 0.0,
    };
    Duration::from_millis(spread.mul_f64(share).as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_spread_over_their_number_by_the_rate() {
        let time = Duration::from_secs(30);
        let plan = Plan::new(10_000, time);
        assert_eq!(plan.closing, Duration::from_secs(5));
        assert_eq!(plan.returning, Duration::from_secs(20));
        assert_eq!(Plan::new(100_000, time).returning, INTERVAL_MAX);
        assert_eq!(Plan::new(0, time).closing, Duration::ZERO);
    }

    #[test]
    fn everybody_is_told_within_the_time_however_many_there_are() {
        let plan = Plan::new(200_000, Duration::from_secs(30));
        assert_eq!(plan.closing, Duration::from_secs(24));
        assert_eq!(Plan::new(1, Duration::ZERO).closing, Duration::ZERO);
    }

    #[test]
    fn jitter_stays_within_its_spread() {
        let spread = Duration::from_millis(20);
        for _ in 0..100 {
            assert!(jitter(spread) <= spread);
        }
        assert_eq!(jitter(Duration::ZERO), Duration::ZERO);
    }
}
