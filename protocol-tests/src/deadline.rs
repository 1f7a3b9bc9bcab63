//! Waiting with a limit.
//!
//! A test waits for an event and names it; when the event does not come, the panic says which one
//! was missing. [`PATIENCE`] is generous because it is only ever spent by a failing test.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep, timeout};

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

/// Awaits `event` for at most `limit`.
///
/// # Panics
/// With `what` if it does not come in time.
pub async fn within<T>(limit: Duration, what: &str, event: impl Future<Output = T>) -> T {
    match timeout(limit, event).await {
        Ok(value) => value,
        Err(_) => panic!("no {what} within {limit:?}"),
    }
}

/// Looks at `condition` until it holds, for at most [`PATIENCE`]; for counters that offer no event.
///
/// # Panics
/// With `what` if it does not come to hold in time.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not reached within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}
