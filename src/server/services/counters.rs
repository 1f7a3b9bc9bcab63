//! What is counted of service channels.

use crate::broker::Counter;

/// Counts since the start. Every call ends in one of the others, unless the server ends first.
#[derive(Debug, Default)]
pub struct ServiceCounters {
    /// Messages that were for a service.
    pub calls: Counter,
    /// Calls whose reply is in the queue of the session that called.
    pub replied: Counter,
    /// Calls that the service answered with nothing.
    pub silent: Counter,
    /// Calls that failed, other than the two below.
    pub failed: Counter,
    /// Calls that were not answered in time.
    pub timed_out: Counter,
    /// Calls refused because as many were in flight as may be.
    pub overloaded: Counter,
    /// Of all replies and failures those that found no session any more.
    pub dropped: Counter,
}
