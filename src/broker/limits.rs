//! What the broker counts: every refusal, drop and end leaves a trace here.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use parking_lot::Mutex;

use super::{deliveries::Deliveries, mailbox::Dropped, session::SessionId};
use crate::{
    events::Cause,
    metrics::{Counts, FAN_OUTS, Histogram, Route},
};

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

/// Everything counted since the start, and some numbers of now.
#[derive(Debug)]
pub struct Counters {
    /// Sessions that live, by the transport of their last connect.
    pub sessions: Counts<Route>,
    /// Handshakes that opened a session.
    pub sessions_created: Counter,
    /// Sessions that ended, by cause.
    pub sessions_ended: Counts<Cause>,
    /// Handshakes refused for want of room.
    pub handshakes_refused: Counter,
    /// Messages published to broadcast channels.
    pub published: Counter,
    /// Publishes refused at the ceiling of queued bytes.
    pub publishes_refused: Counter,
    /// Sessions that published messages reached.
    pub fan_out: Histogram,
    /// Messages put into a session's queue.
    pub queued: Counter,
    /// Messages wholly written by a carrier; with the ack extension, acknowledged ones.
    pub delivered: Deliveries,
    /// Lossy messages dropped by `drop_oldest`.
    pub dropped_oldest: Counter,
    /// Lossy messages replaced or dropped by `latest`.
    pub dropped_latest: Counter,
    /// Messages that waited for a session when it ended, or for a subscription that a client which
    /// was moved did not renew; by the cause of that.
    pub discarded: Counts<Cause>,
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
    /// Messages that wait for sessions: in queues, in the hands of carriers, or unacknowledged.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        // What goes out is read first, so that what comes meanwhile does not make the result negative.
        let dropped = self.dropped_oldest.value() + self.dropped_latest.value();
        let gone = self.delivered.value() + self.discarded.value() + dropped;
        self.queued.value().saturating_sub(gone)
    }

    pub(super) fn ended(&self, cause: Cause, discarded: usize) {
        self.sessions_ended.add(cause, 1);
        self.discarded.add(cause, discarded);
    }

    pub(super) fn dropped(&self, dropped: Dropped) {
        if dropped != Dropped::default() {
            self.dropped_oldest.add(dropped.oldest);
            self.dropped_latest.add(dropped.latest);
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            sessions: Counts::default(),
            sessions_created: Counter::default(),
            sessions_ended: Counts::default(),
            handshakes_refused: Counter::default(),
            published: Counter::default(),
            publishes_refused: Counter::default(),
            fan_out: Histogram::new(FAN_OUTS),
            queued: Counter::default(),
            delivered: Deliveries::default(),
            dropped_oldest: Counter::default(),
            dropped_latest: Counter::default(),
            discarded: Counts::default(),
            demoted: Counter::default(),
            promoted: Counter::default(),
            connects_held: Gauge::default(),
            subscriptions: Gauge::default(),
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
