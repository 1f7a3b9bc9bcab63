//! Waiting with a limit.
//!
//! A test waits for an event and names it; when the event does not come, the panic says which one
//! was missing. [`PATIENCE`] is generous because it is only ever spent by a failing test.
//!
//! Limits and upper bounds count beats of the test's runtime, not the clock of the wall: on a machine that is
//! busy with other things beats come as late as the broker's work does, and an event of the broker that is late
//! by itself falls behind them. They do not see a broker in the same process that keeps the only thread of
//! the runtime: while it does, nothing beats. A test of that wants a broker process, or more threads.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
    time::Duration,
};

use tokio::{
    select,
    task::{JoinHandle, unconstrained},
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep},
};

/// How long an event may take that should come at once.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How long a test watches for something that must *not* happen.
///
/// Long enough for a loopback round trip on a loaded machine, short enough to be paid often.
pub const QUIET: Duration = Duration::from_millis(120);

/// Awaits `event` for at most [`PATIENCE`].
///
/// # Panics
/// With `what` if it does not come in time.
pub async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    within(PATIENCE, what, event).await
}

/// Awaits `event` for at most `limit`, in which this process was not held up.
///
/// # Panics
/// With `what` if it does not come in time.
pub async fn within<T>(limit: Duration, what: &str, event: impl Future<Output = T>) -> T {
    if_within(limit, event).await.unwrap_or_else(|| panic!("no {what} within {limit:?}"))
}

/// What comes of `event`, if that is not later than `limit`; of zero: if it has come already.
pub async fn if_within<T>(limit: Duration, event: impl Future<Output = T>) -> Option<T> {
    if limit.is_zero() {
        let mut event = pin!(event);
        return poll_fn(|cx| match event.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => Poll::Ready(None),
        })
        .await;
    }
    let late = async {
        let mut beats = beats(limit / BEATS_OF_A_LIMIT);
        for _ in 0..BEATS_OF_A_LIMIT {
            beats.tick().await;
        }
    };
    select! {
        biased;
        value = event => Some(value),
        // An event that is busy all the time must not use up what the task may do at a time.
        () = unconstrained(late) => None,
    }
}

/// Into how many beats a limit is divided: a pause of this process costs one of them, however long it is.
const BEATS_OF_A_LIMIT: u32 = 50;

/// Measures time by the beats of this process, for upper bounds. What has to take a while at least is
/// measured by the clock.
#[derive(Debug)]
pub struct Heart {
    count: Arc<AtomicU32>,
    beating: JoinHandle<()>,
}

impl Heart {
    /// Time between two beats of a process that nobody holds up.
    const BEAT: Duration = Duration::from_millis(10);

    /// Begins to beat.
    pub fn start() -> Self {
        let count = Arc::<AtomicU32>::default();
        let counting = Arc::clone(&count);
        let beating = tokio::spawn(async move {
            let mut beats = beats(Self::BEAT);
            loop {
                beats.tick().await;
                counting.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { count, beating }
    }

    /// The time since the start.
    pub fn felt(&self) -> Duration {
        Self::BEAT * self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

/// Ticks, the first after `period`; one that was held up is not made up for.
fn beats(period: Duration) -> Interval {
    let period = period.max(Duration::from_millis(1));
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Looks at `condition` until it holds, for at most [`PATIENCE`]; for counters that offer no event.
///
/// # Panics
/// With `what` if it does not come to hold in time.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    soon(what, async {
        while !condition() {
            sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}
