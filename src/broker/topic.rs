//! One channel name or pattern: its subscribers and the order of what is published to it.
//!
//! Order comes from a baton. The first publisher to find a channel idle takes the baton and delivers,
//! run by run, also what others publish meanwhile; it lays the baton down when nothing is pending.
//! So every subscriber of a channel, exact or by pattern, sees one order, without a task per channel.
//! Patterns only lend their subscribers; order belongs to the concrete channel.
//!
//! Subscribers have [`Places`], of which a publish takes a shared snapshot that is rebuilt only
//! after a change: a walk holds no lock and meets each subscriber once, whatever comes and goes.
//! Lock order: `order`, then `subscribers`. Wakers fire after both are released.

mod places;

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use self::places::Places;
pub(super) use self::places::Subscriber;
use super::{
    matching::Remembered,
    reach::Reach,
    session::{Session, SessionId},
};
use crate::bayeux::Frame;

/// Frames that one run delivers together.
const RUN_FRAMES_MAX: usize = 64;
/// Bytes that one run delivers together; the first frame goes whatever its size.
const RUN_BYTES_MAX: usize = 64 << 10;

/// Publishers for which a topic where nobody waits keeps room: a kilobyte and a half.
const WAITING_KEPT: usize = 64;

/// Position of a message in the order of its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Seq(u64);

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
        self.except == Some(session.kin())
            || self.reach.as_ref().is_some_and(|reach| reach.excludes(session))
    }
}

/// The topic was swept away between look-up and use: look it up again.
#[derive(Debug)]
pub(super) struct Retired<T>(pub(super) T);

/// What the sweep finds out about a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It stays, and need not be looked at again before it has lost its last subscriber.
    Subscribed,
    /// It has no subscribers; look again.
    Unused,
    /// It may be removed for good.
    Retired,
}

/// See the module documentation.
#[derive(Default)]
pub(super) struct Topic {
    /// Stays when nobody uses it.
    persistent: bool,
    /// Of a channel: the patterns over it.
    patterns: Remembered,
    /// When something was last published, in the broker's milliseconds and never 0; 0: not yet.
    published_at: AtomicU64,
    order: Mutex<Order>,
    subscribers: Mutex<Subscribers>,
    /// How many subscribers have left so far. Written under the lock of `subscribers`.
    left: AtomicU32,
}

#[derive(Default)]
struct Order {
    next: Seq,
    /// Everything before this has reached its mailboxes.
    delivered: Seq,
    pending: VecDeque<Pending>,
    /// Whether somebody holds the baton.
    delivering: bool,
    /// Publishers that wait for the holder to deliver their message, in the order of these.
    waiting: Vec<(Seq, Waker)>,
    idle_passes: u8,
    retired: bool,
}

#[derive(Default)]
struct Subscribers {
    places: Places,
    snapshot: Option<Snapshot>,
    /// The sweep has found subscribers and looks no more; a new topic is listed.
    unlisted: bool,
    retired: bool,
}

impl Topic {
    pub(super) fn new(persistent: bool) -> Self {
        Self { persistent, ..Self::default() }
    }

    /// The patterns over this channel, as far as it knows them.
    pub(super) const fn patterns(&self) -> &Remembered {
        &self.patterns
    }

    /// Notes that something was published, at a time of the broker's clock.
    pub(super) fn note_publish(&self, now: u64) {
        self.published_at.store(now.max(1), Ordering::Relaxed);
    }

    /// Messages so far, and when the last one came.
    pub(super) fn published(&self) -> (u64, Option<u64>) {
        let count = self.order.lock().next.0;
        let last = self.published_at.load(Ordering::Relaxed);
        (count, (last > 0).then_some(last))
    }

    /// Number of subscribers.
    pub(super) fn subscribers(&self) -> usize {
        self.subscribers.lock().places.len()
    }

    pub(super) const fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// Adds a subscriber.
    pub(super) fn add(&self, session: Arc<Session>) -> Result<Subscriber, Retired<()>> {
        let mut subscribers = self.subscribers.lock();
        if subscribers.retired {
            return Err(Retired(()));
        }
        let place = subscribers.places.insert(session);
        let stale = subscribers.snapshot.take();
        drop(subscribers);
        // It counts a reference down for each subscriber.
        drop(stale);
        Ok(place)
    }

    /// Puts `session` in the place of a subscriber: whoever walks meets one of the two.
    pub(super) fn replace(&self, subscriber: Subscriber, session: Arc<Session>) {
        let mut subscribers = self.subscribers.lock();
        let stale = subscribers.snapshot.take();
        let gone = subscribers.places.replace(subscriber, session);
        drop(subscribers);
        drop((stale, gone));
    }

    /// Takes a subscriber out. True if it was the last one of a topic that the sweep has not listed:
    /// then the caller has to.
    pub(super) fn remove(&self, subscriber: Subscriber) -> bool {
        let mut subscribers = self.subscribers.lock();
        let stale = subscribers.snapshot.take();
        let gone = subscribers.places.remove(subscriber);
        // Release: who reads it, and takes the lists of subscribers then, finds wherever the one who leaves
        // entered before.
        self.left.store(self.left.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
        let mut unlisted = false;
        if subscribers.places.is_empty() {
            unlisted = !self.persistent && std::mem::take(&mut subscribers.unlisted);
        }
        drop(subscribers);
        drop((stale, gone));
        unlisted
    }

    /// The subscribers of this moment; costs a copy only after a change.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.subscribers.lock().snapshot()
    }

    /// Appends to `lists` the subscribers of each topic that has some, one topic after the other. False if somebody
    /// has left one of them meanwhile, before its turn: who entered another one for it, after the turn of
    /// that, is in none of the lists, although it never was without a subscription.
    ///
    /// If nobody has, who was in a topic at the beginning is so at its turn. The counters only grow, so
    /// their sums are equal only if each of them is.
    pub(super) fn snapshots<'a>(
        topics: impl Iterator<Item = &'a Arc<Self>> + Clone,
        lists: &mut Vec<Snapshot>,
    ) -> bool {
        let before = topics.clone().map(|topic| topic.left.load(Ordering::Acquire));
        let before = before.fold(0, u32::wrapping_add);
        let mut after = 0_u32;
        for topic in topics {
            let mut subscribers = topic.subscribers.lock();
            after = after.wrapping_add(topic.left.load(Ordering::Relaxed));
            lists.extend(subscribers.snapshot_of_some());
        }
        before == after
    }

    /// As [`Self::snapshots`], all of one moment, in which `is_current` is asked as well; returns its
    /// answer. Holds the locks of all topics, for as long as it takes to copy what has changed.
    ///
    /// They are taken in the order of addresses, so that two who do this wait for each other, not both.
    pub(super) fn snapshots_at_once<'a>(
        topics: impl Iterator<Item = &'a Arc<Self>>,
        lists: &mut Vec<Snapshot>,
        is_current: impl FnOnce() -> bool,
    ) -> bool {
        let mut topics: Vec<_> = topics.collect();
        topics.sort_unstable_by_key(|topic| Arc::as_ptr(topic));
        let mut locked: Vec<_> = topics.iter().map(|topic| topic.subscribers.lock()).collect();
        let current = is_current();
        lists.extend(locked.iter_mut().filter_map(|subscribers| subscribers.snapshot_of_some()));
        current
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

    /// For the holder: the next messages to deliver, into an empty `run`, or `false` after laying the
    /// baton down.
    pub(super) fn next_run(&self, run: &mut Vec<Pending>) -> bool {
        debug_assert!(run.is_empty(), "the run before is delivered");
        let mut order = self.order.lock();
        let mut bytes = 0;
        let fits = |next: &&Pending| {
            let is_first = bytes == 0;
            bytes += next.frame.bytes();
            is_first || bytes <= RUN_BYTES_MAX
        };
        let count = order.pending.iter().take(RUN_FRAMES_MAX).take_while(fits).count();
        if count == order.pending.len() {
            // As nearly always: the list itself changes hands, without a copy.
            *run = std::mem::take(&mut order.pending).into();
        } else {
            run.extend(order.pending.drain(..count));
        }
        order.delivering = !run.is_empty();
        order.delivering
    }

    /// For the holder: `count` more messages have reached their mailboxes. Returns the end of what
    /// is delivered and whether more is pending.
    pub(super) fn delivered(&self, count: usize, wakes: &mut Vec<Waker>) -> (Seq, bool) {
        let mut order = self.order.lock();
        order.delivered = Seq(order.delivered.0 + count as u64);
        let end = order.delivered;
        let count = order.waiting.partition_point(|(seq, _)| *seq < end);
        wakes.extend(order.waiting.drain(..count).map(|(_, waker)| waker));
        if order.waiting.is_empty() && order.waiting.capacity() > WAITING_KEPT {
            order.waiting = Vec::new();
        }
        (end, !order.pending.is_empty())
    }

    /// Looks for the sweep whether the topic is used; one that was not for `passes` looks is retired.
    pub(super) fn look(&self, passes: u8) -> Use {
        let mut order = self.order.lock();
        let mut subscribers = self.subscribers.lock();
        if self.persistent || !subscribers.places.is_empty() {
            order.idle_passes = 0;
            subscribers.unlisted = true;
            return Use::Subscribed;
        }
        if order.delivering {
            order.idle_passes = 0;
            return Use::Unused;
        }
        order.idle_passes = order.idle_passes.saturating_add(1);
        if order.idle_passes < passes {
            return Use::Unused;
        }
        order.retired = true;
        subscribers.retired = true;
        Use::Retired
    }

    fn is_delivered(&self, seq: Seq, waker: &Waker) -> bool {
        let mut order = self.order.lock();
        if seq < order.delivered {
            return true;
        }
        match order.waiting.binary_search_by_key(&seq, |(known, _)| *known) {
            Ok(index) => {
                if let Some((_, known)) = order.waiting.get_mut(index) {
                    known.clone_from(waker);
                }
            }
            // Nearly always the last one: who publishes begins to wait at once.
            Err(index) => order.waiting.insert(index, (seq, waker.clone())),
        }
        false
    }
}

impl Subscribers {
    fn snapshot(&mut self) -> Snapshot {
        Arc::clone(self.snapshot.get_or_insert_with(|| self.places.to_shared()))
    }

    fn snapshot_of_some(&mut self) -> Option<Snapshot> {
        (!self.places.is_empty()).then(|| self.snapshot())
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
