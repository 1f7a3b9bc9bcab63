//! What the broker counts: every refusal, drop and end leaves a trace here.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use parking_lot::Mutex;

use super::{mailbox::Dropped, session::SessionId};
use crate::events::Cause;

/// Events of a kind kept for the log between two looks; more are only counted.
const UNLOGGED_MAX: usize = 1_000;

/// A session that is no more.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// Which one.
    pub id: SessionId,
    /// Why.
    pub cause: Cause,
    /// Messages that were waiting for it.
    pub discarded: usize,
    /// How long it lived.
    pub age: Duration,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicUsize);

impl Gauge {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, count: usize) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn value(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything counted since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Handshakes that opened a session.
    pub sessions_created: Counter,
    /// Sessions that ended, whatever the cause.
    pub sessions_ended: Counter,
    /// Sessions ended because their queue reached its bound.
    pub sessions_slow: Counter,
    /// Sessions ended because all queues together neared their ceiling.
    pub sessions_shed: Counter,
    /// Handshakes refused for want of room.
    pub handshakes_refused: Counter,
    /// Messages published to broadcast channels.
    pub published: Counter,
    /// Publishes refused at the ceiling of queued bytes.
    pub publishes_refused: Counter,
    /// Messages put into a session's queue.
    pub queued: Counter,
    /// Messages wholly written by a carrier; with the ack extension, acknowledged ones.
    pub delivered: Counter,
    /// Lossy messages dropped by `drop_oldest`.
    pub dropped_oldest: Counter,
    /// Lossy messages replaced or dropped by `latest`.
    pub dropped_latest: Counter,
    /// Messages that waited for a session when it ended, or for a subscription that a client which
    /// was moved did not renew.
    pub discarded: Counter,
    /// Clients told to leave WebSocket (protocol.md SF5).
    pub demoted: Counter,
    /// Clients told to come back to WebSocket (protocol.md SF12).
    pub promoted: Counter,
    /// Connects and streams that are held now.
    pub connects_held: Gauge,
    /// Subscriptions of all sessions now.
    pub subscriptions: Gauge,
}

impl Counters {
    pub(super) fn ended(&self, cause: Cause, discarded: usize) {
        self.sessions_ended.add(1);
        self.discarded.add(discarded);
        match cause {
            Cause::Slow => self.sessions_slow.add(1),
            Cause::Limit => self.sessions_shed.add(1),
            _ => {}
        }
    }

    pub(super) fn dropped(&self, dropped: Dropped) {
        if dropped != Dropped::default() {
            self.dropped_oldest.add(dropped.oldest);
            self.dropped_latest.add(dropped.latest);
        }
    }
}

/// What the log has not seen yet: ends of sessions, and subscriptions that nobody claimed.
pub(super) struct Unlogged<T>(Mutex<Vec<T>>);

impl<T> Unlogged<T> {
    pub(super) fn push(&self, event: T) {
        let mut log = self.0.lock();
        if log.len() < UNLOGGED_MAX {
            log.push(event);
        }
    }

    pub(super) fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock())
    }
}

impl<T> Default for Unlogged<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}
