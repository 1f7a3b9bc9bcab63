//! One channel name or pattern: its subscribers and the order of what is published to it.
//!
//! Order comes from a baton. The first publisher to find a channel idle takes the baton and delivers,
//! run by run, also what others publish meanwhile; it lays the baton down when nothing is pending.
//! So every subscriber of a channel, exact or by pattern, sees one order, without a task per channel.
//! Patterns only lend their subscribers; order belongs to the concrete channel.
//!
//! Subscribers live in a slab, from which a publish takes a shared snapshot that is rebuilt only
//! after a change: a walk holds no lock and meets each subscriber once, whatever comes and goes.
//! Lock order: `order`, then `subscribers`. Wakers fire after both are released.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;
use slab::Slab;

use super::{
    reach::Reach,
    session::{Session, SessionId},
};
use crate::bayeux::Frame;

/// Frames that one run delivers together.
const RUN_FRAMES_MAX: usize = 64;
/// Bytes that one run delivers together; the first frame goes whatever its size.
const RUN_BYTES_MAX: usize = 64 << 10;

/// Position of a message in the order of its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Seq(u64);

/// Place of a subscriber in its topic, to leave it again in constant time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subscriber(usize);

/// Sessions as they stood at one moment.
pub(super) type Snapshot = Arc<[Arc<Session>]>;

/// A message on its way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) frame: Frame,
    /// The publisher, where it shall not hear itself (protocol.md 63).
    pub(super) except: Option<SessionId>,
    /// What else its publisher leaves out and wants to know.
    pub(super) reach: Option<Arc<Reach>>,
}

impl Pending {
    /// Whether the message is not for `session`, though it subscribed.
    pub(super) fn skips(&self, session: &Session) -> bool {
        self.except == Some(session.id())
            || self.reach.as_ref().is_some_and(|reach| reach.excludes(session))
    }
}

/// The topic was swept away between look-up and use: look it up again.
#[derive(Debug)]
pub(super) struct Retired<T>(pub(super) T);

/// See the module documentation.
#[derive(Default)]
pub(super) struct Topic {
    /// Stays when nobody uses it.
    persistent: bool,
    order: Mutex<Order>,
    subscribers: Mutex<Subscribers>,
}

#[derive(Default)]
struct Order {
    next: Seq,
    /// Everything before this has reached its mailboxes.
    delivered: Seq,
    pending: VecDeque<Pending>,
    /// Whether somebody holds the baton.
    delivering: bool,
    /// Publishers that wait for the holder to deliver their message.
    waiting: Vec<(Seq, Waker)>,
    idle_passes: u8,
    retired: bool,
}

#[derive(Default)]
struct Subscribers {
    slab: Slab<Arc<Session>>,
    snapshot: Option<Snapshot>,
    retired: bool,
}

impl Topic {
    pub(super) fn new(persistent: bool) -> Self {
        Self { persistent, ..Self::default() }
    }

    /// Adds a subscriber.
    pub(super) fn add(&self, session: Arc<Session>) -> Result<Subscriber, Retired<()>> {
        let mut subscribers = self.subscribers.lock();
        if subscribers.retired {
            return Err(Retired(()));
        }
        subscribers.snapshot = None;
        Ok(Subscriber(subscribers.slab.insert(session)))
    }

    /// Takes a subscriber out.
    pub(super) fn remove(&self, subscriber: Subscriber) {
        let mut subscribers = self.subscribers.lock();
        let stale = subscribers.snapshot.take();
        let gone = subscribers.slab.try_remove(subscriber.0);
        if subscribers.slab.is_empty() {
            subscribers.slab = Slab::new();
        }
        drop(subscribers);
        drop((stale, gone));
    }

    /// The subscribers of this moment; costs a copy only after a change.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut subscribers = self.subscribers.lock();
        let Subscribers { slab, snapshot, .. } = &mut *subscribers;
        let build = || slab.iter().map(|(_, session)| Arc::clone(session)).collect();
        Arc::clone(snapshot.get_or_insert_with(build))
    }

    /// Gives a message its place; true if the caller now holds the baton.
    pub(super) fn enqueue(&self, message: Pending) -> Result<(Seq, bool), Retired<Pending>> {
        let mut order = self.order.lock();
        if order.retired {
            return Err(Retired(message));
        }
        let seq = order.next;
        order.next = Seq(seq.0 + 1);
        order.idle_passes = 0;
        order.pending.push_back(message);
        let holder = !order.delivering;
        order.delivering = true;
        Ok((seq, holder))
    }

    /// For the holder: the next messages to deliver, or `false` after laying the baton down.
    pub(super) fn next_run(&self, run: &mut Vec<Pending>) -> bool {
        let mut order = self.order.lock();
        let mut bytes = 0;
        while let Some(next) = order.pending.front() {
            let size = next.frame.bytes();
            if run.len() >= RUN_FRAMES_MAX || (!run.is_empty() && bytes + size > RUN_BYTES_MAX) {
                break;
            }
            bytes += size;
            run.extend(order.pending.pop_front());
        }
        if run.is_empty() {
            order.delivering = false;
            order.pending = VecDeque::new();
        }
        !run.is_empty()
    }

    /// For the holder: `count` more messages have reached their mailboxes. Returns the end of what
    /// is delivered and whether more is pending.
    pub(super) fn delivered(&self, count: usize, wakes: &mut Vec<Waker>) -> (Seq, bool) {
        let mut order = self.order.lock();
        order.delivered = Seq(order.delivered.0 + count as u64);
        let end = order.delivered;
        wakes.extend(order.waiting.extract_if(.., |(seq, _)| *seq < end).map(|(_, waker)| waker));
        (end, !order.pending.is_empty())
    }

    /// Counts a sweep that found this topic unused; true when it may be removed for good.
    pub(super) fn retire_after(&self, passes: u8) -> bool {
        let mut order = self.order.lock();
        let mut subscribers = self.subscribers.lock();
        if self.persistent || order.delivering || !subscribers.slab.is_empty() {
            order.idle_passes = 0;
            return false;
        }
        order.idle_passes = order.idle_passes.saturating_add(1);
        let retired = order.idle_passes >= passes;
        order.retired = retired;
        subscribers.retired = retired;
        retired
    }

    fn is_delivered(&self, seq: Seq, waker: &Waker) -> bool {
        let mut order = self.order.lock();
        if seq < order.delivered {
            return true;
        }
        match order.waiting.iter_mut().find(|(known, _)| *known == seq) {
            Some((_, known)) => known.clone_from(waker),
            None => order.waiting.push((seq, waker.clone())),
        }
        false
    }
}

/// Future that is ready when the baton's holder has delivered a message; built on std alone.
pub struct Delivered {
    topic: Arc<Topic>,
    seq: Seq,
}

impl Delivered {
    pub(super) const fn new(topic: Arc<Topic>, seq: Seq) -> Self {
        Self { topic, seq }
    }
}

impl Future for Delivered {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.topic.is_delivered(self.seq, cx.waker()) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests;
