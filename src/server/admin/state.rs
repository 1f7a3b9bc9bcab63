//! What the admin API keeps between requests, and how it reaches the program around the broker.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;

use super::problem::Problem;
use crate::{
    config::Remark,
    metrics::Spread,
    server::{app::App, live::Reloaded},
};

/// See the module documentation.
pub(in crate::server) struct State {
    pub(super) started: Instant,
    /// Held while somebody looks at all sessions or channels: one at a time, whatever operators do.
    looking: Arc<Semaphore>,
    last: Mutex<Option<LastLook>>,
    /// Where values of the configuration came from.
    pub(super) origins: RwLock<HashMap<&'static str, String>>,
    /// What is doubtful about the configuration.
    pub(super) warnings: RwLock<Vec<Remark>>,
    /// Whoever reads the configuration again.
    reloads: Mutex<Option<mpsc::Sender<ReloadCall>>>,
    /// Cancelled when an operator wants the broker to stop.
    pub(super) stop: CancellationToken,
}

/// What the counters said when somebody last asked.
struct LastLook {
    at: Instant,
    seen: Seen,
    pace: Option<Pace>,
}

/// What is counted since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) counts: Counts,
    /// Microseconds that deliveries took.
    pub(super) latencies: Spread,
}

/// How it goes at the time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    pub(super) rates: Rates,
    /// Milliseconds of the middle delivery and of the slowest but one in a hundred; `None`: none was timed.
    pub(super) latency: Option<(f64, f64)>,
}

/// Messages published and delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) published: u64,
    pub(super) delivered: u64,
}

/// Both per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    pub(super) published: f64,
    pub(super) delivered: f64,
}

/// An operator's wish that the configuration be read again. Dropped unanswered, it is refused.
#[derive(Debug)]
pub struct ReloadCall(oneshot::Sender<Result<Reloaded, Vec<String>>>);

impl ReloadCall {
    /// Tells the operator what came of it: what changed, or the mistakes.
    pub fn answer(self, outcome: Result<Reloaded, Vec<String>>) {
        // An operator who has left does not want to know.
        let _ = self.0.send(outcome);
    }
}

impl State {
    pub(in crate::server) fn new(now: Instant) -> Self {
        Self {
            started: now,
            looking: Arc::new(Semaphore::new(1)),
            last: Mutex::new(None),
            origins: RwLock::default(),
            warnings: RwLock::default(),
            reloads: Mutex::new(None),
            stop: CancellationToken::new(),
        }
    }

    /// Says where values of the configuration came from, by their keys.
    pub(in crate::server) fn set_origins(&self, origins: HashMap<&'static str, String>) {
        *self.origins.write() = origins;
    }

    /// Says what is doubtful about the configuration.
    pub(in crate::server) fn set_warnings(&self, warnings: Vec<Remark>) {
        *self.warnings.write() = warnings;
    }

    /// Waits until an operator wants the broker to stop.
    pub(in crate::server) async fn stops(&self) {
        self.stop.cancelled().await;
    }

    /// The calls to read the configuration again; they go to the newest receiver.
    pub(in crate::server) fn reload_calls(&self) -> mpsc::Receiver<ReloadCall> {
        let (sender, receiver) = mpsc::channel(1);
        *self.reloads.lock() = Some(sender);
        receiver
    }

    /// Has the configuration read again.
    pub(super) async fn reload(&self) -> Result<Reloaded, Problem> {
        let nobody = || {
            let text = "this broker runs inside another program, which reads no configuration";
            Problem::ReloadRefused(vec![text.into()])
        };
        let sender = self.reloads.lock().clone().ok_or_else(nobody)?;
        let (reply, answer) = oneshot::channel();
        sender.send(ReloadCall(reply)).await.map_err(|_| nobody())?;
        answer.await.map_err(|_| nobody())?.map_err(Problem::ReloadRefused)
    }

    /// The pace since the last question at least [`RATE_TIME`] ago; of a shorter time the one before.
    pub(super) fn pace(&self, seen: Seen, now: Instant) -> Option<Pace> {
        let mut last = self.last.lock();
        let pace = match &*last {
            Some(known) => {
                let elapsed = now.saturating_duration_since(known.at);
                if elapsed < RATE_TIME {
                    return known.pace;
                }
                // Over a longer time it would be no word about now.
                (elapsed < RATE_TIME_MAX).then(|| known.seen.pace(&seen, elapsed))
            }
            None => None,
        };
        *last = Some(LastLook { at: now, seen, pace });
        pace
    }
}

impl Seen {
    /// The pace until `later`.
    fn pace(&self, later: &Self, elapsed: Duration) -> Pace {
        let taken = later.latencies.since(&self.latencies);
        let millis = |part| taken.quantile(part).map(|micros| micros.round() / 1_000.0);
        Pace {
            rates: self.counts.rates(later.counts, elapsed),
            latency: millis(0.5).zip(millis(0.99)),
        }
    }
}

impl Counts {
    /// Per second, until `later`.
    pub(super) fn rates(self, later: Self, elapsed: Duration) -> Rates {
        let rate = |before: u64, after: u64| {
            let per_second = after.saturating_sub(before) as f64 / elapsed.as_secs_f64().max(0.001);
            (per_second * 10.0).round() / 10.0
        };
        Rates {
            published: rate(self.published, later.published),
            delivered: rate(self.delivered, later.delivered),
        }
    }
}

/// Looks at much of the broker, beside the threads that serve clients.
///
/// # Errors
/// [`Problem::Draining`] at the very end of the process.
pub(super) async fn look<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> T + Send + 'static,
) -> Result<T, Problem> {
    let turn = Arc::clone(&app.admin.looking).acquire_owned().await;
    let app = Arc::clone(app);
    let looking = spawn_blocking(move || {
        // Moved here: a client that leaves must not let in the next one while its own work goes on.
        let _turn = turn;
        work(&app)
    });
    looking.await.map_err(|_| Problem::Draining)
}

/// Time between the two looks of a rate.
pub(super) const RATE_TIME: Duration = Duration::from_secs(1);
const RATE_TIME_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        metrics::{Histogram, LATENCIES},
        server::clock,
    };

    #[test]
    fn the_pace_is_that_since_the_last_question_a_second_ago() {
        let start = clock::now();
        let state = State::new(start);
        let histogram = Histogram::new(LATENCIES);
        let seen = |published| Seen {
            counts: Counts { published, delivered: published * 2 },
            latencies: Spread::of([&histogram].into_iter()),
        };
        let at = |millis| start + Duration::from_millis(millis);
        histogram.record(9_000_000);
        assert_eq!(state.pace(seen(0), at(0)), None);
        assert_eq!(state.pace(seen(10), at(900)), None);
        histogram.record_many(800, 3);
        let pace = state.pace(seen(30), at(2_000)).unwrap();
        assert_eq!((pace.rates.published, pace.rates.delivered), (15.0, 30.0));
        assert_eq!(pace.latency, Some((0.75, 0.995)), "of three between 0.5 and 1 ms");
        assert_eq!(state.pace(seen(99), at(2_500)), Some(pace), "nobody else's look shortens it");
        let quiet = state.pace(seen(99), at(4_000)).unwrap();
        assert_eq!(quiet.latency, None, "nothing was delivered");
        assert_eq!(state.pace(seen(99), at(70_000)), None, "too long ago");
    }
}
