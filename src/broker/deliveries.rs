//! What was delivered: how much, by which transport, and how late.
//!
//! A delivery costs two additions, on one line of memory that belongs to its transport. Of one message
//! in eight, when it was published decides which, the arrival is noted and its deliveries are timed:
//! reading the clock for each would cost a fan-out several percent. Deliveries to a client that was
//! away when the message came are late through no fault of ours and are not timed.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::{
    follow::{Arrival, End, FOLLOWS, Follower},
    mailbox::Generation,
    session::Session,
};
use crate::{
    bayeux::{Frame, Mark},
    metrics::{BATCHES, Histogram, LATENCIES, Labels as _, Route},
};

/// The deliveries of one message in so many are timed, of the first among them.
const EVERY: u64 = 8;

/// See the module documentation.
#[derive(Debug)]
pub struct Deliveries {
    lanes: Box<[Lane]>,
    batches: Histogram,
    /// The only clock below the server: what it says is told, and decides nothing.
    watch: OnceLock<Watch>,
    follower: OnceLock<Arc<dyn Follower>>,
}

/// Deliveries by one transport.
#[derive(Debug)]
#[repr(align(64))]
struct Lane {
    messages: AtomicU64,
    bytes: AtomicU64,
    latency: Histogram,
}

#[derive(Debug, Clone, Copy)]
struct Watch {
    now: fn() -> Instant,
    epoch: Instant,
}

impl Deliveries {
    /// Messages delivered.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.messages().sum()
    }

    /// Messages delivered, by the index of their route.
    pub fn messages(&self) -> impl Iterator<Item = u64> {
        self.lanes.iter().map(|lane| lane.messages.load(Ordering::Relaxed))
    }

    /// Their bytes as encoded for the wire, before compression.
    pub fn bytes(&self) -> impl Iterator<Item = u64> {
        self.lanes.iter().map(|lane| lane.bytes.load(Ordering::Relaxed))
    }

    /// Microseconds from arrival to the socket.
    pub fn latencies(&self) -> impl Iterator<Item = &Histogram> {
        self.lanes.iter().map(|lane| &lane.latency)
    }

    /// Messages written together with a message.
    #[must_use]
    pub const fn batches(&self) -> &Histogram {
        &self.batches
    }

    /// Has latencies measured from now on; `epoch` is the beginning of the broker's time.
    pub(super) fn measure(&self, now: fn() -> Instant, epoch: Instant) {
        let _ = self.watch.set(Watch { now, epoch });
    }

    /// Has the deliveries of followed messages told; the first follower stays.
    pub(super) fn follow(&self, follower: Arc<dyn Follower>) {
        let _ = self.follower.set(follower);
    }

    /// Whether there is somebody who follows messages.
    pub(super) fn is_followed(&self) -> bool {
        FOLLOWS && self.follower.get().is_some()
    }

    /// Counts messages that a client has acknowledged; `route`: index of a [`Route`].
    pub(super) fn acknowledged(&self, route: usize, messages: usize, bytes: usize) {
        if let Some(lane) = self.lanes.get(route) {
            lane.messages.fetch_add(messages as u64, Ordering::Relaxed);
            lane.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// Tells of followed messages that the client of `session` has acknowledged.
    pub(super) fn tell_acknowledged(&self, session: &Session, marks: &[Mark]) {
        let (Some(follower), Some(watch)) = (self.follower.get(), self.watch.get()) else { return };
        let now = watch.micros();
        let arrival = |mark: &Mark| Arrival::of(session, *mark, now, End::Acknowledged);
        marks.iter().filter_map(arrival).for_each(|arrival| follower.delivered(&arrival));
    }

    /// Counts what the carrier of `owner` has written; [`Generation::NONE`]: the response of some request.
    pub(super) fn wrote(&self, session: &Session, written: &[Frame], owner: Generation) {
        let Some(lane) = self.lanes.get(session.route()) else { return };
        let (mut bytes, mut marked) = (0, false);
        for frame in written {
            bytes += frame.bytes();
            marked |= frame.mark().is_some();
        }
        lane.messages.fetch_add(written.len() as u64, Ordering::Relaxed);
        lane.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if marked {
            self.time(lane, session, written, owner);
        }
    }

    #[cold]
    fn time(&self, lane: &Lane, session: &Session, written: &[Frame], owner: Generation) {
        let Some(watch) = self.watch.get() else { return };
        let now = watch.micros();
        for mark in written.iter().filter_map(Frame::mark) {
            let age = mark.age(now);
            let accepted = now.saturating_sub(age);
            if mark.is_timed() {
                self.batches.record(written.len() as u64);
                if owner.was_there(accepted) {
                    lane.latency.record(age);
                }
            }
            if FOLLOWS {
                let end = End::written(owner, accepted);
                let arrival = Arrival::of(session, mark, now, end);
                if let (Some(follower), Some(arrival)) = (self.follower.get(), arrival) {
                    follower.delivered(&arrival);
                }
            }
        }
    }
}

impl Watch {
    /// Microseconds of the broker's time.
    fn micros(&self) -> u64 {
        micros((self.now)(), self.epoch)
    }
}

impl Default for Deliveries {
    fn default() -> Self {
        let lane = || Lane {
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            latency: Histogram::new(LATENCIES),
        };
        Self {
            lanes: (0..Route::COUNT).map(|_| lane()).collect(),
            batches: Histogram::new(BATCHES),
            watch: OnceLock::new(),
            follower: OnceLock::new(),
        }
    }
}

/// Whether the message that comes after `published` others is one whose deliveries are timed.
pub(super) const fn is_timed(published: u64) -> bool {
    published.is_multiple_of(EVERY)
}

/// Microseconds of the broker's time, pauses of the process included.
pub(super) fn micros(now: Instant, epoch: Instant) -> u64 {
    let elapsed = now.saturating_duration_since(epoch).as_micros();
    u64::try_from(elapsed).unwrap_or(u64::MAX)
}
