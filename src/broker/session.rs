//! One client's session: who it is, what it subscribed to, until when it lives.
//!
//! A session is a locked struct, not a task. Its mailbox is handed from carrier to carrier
//! ([`Session::claim`]); its deadline is one atomic word that a heartbeat stores into. Times are
//! milliseconds of the broker's clock. Source: Bayeux 1.0 on client state; protocol.md 49-56.

mod carrying;
mod flow;
mod id;
mod identity;
mod monitoring;
mod moving;
mod overview;
mod transport;

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::Waker,
    time::Duration,
};

use parking_lot::Mutex;

pub(super) use self::moving::Forgotten;
use self::transport::LastTransport;
pub use self::{
    carrying::{RequestGuard, Signal},
    id::SessionId,
    overview::Overview,
};
use super::{
    activity::LastActive,
    batch::Batch,
    browser::BrowserId,
    lazy::LazyDue,
    limits::Counters,
    mailbox::{Carrier, Generation, Mailbox, Pushed, QueueBounds, Take},
    routes::SharedRoutes,
    settings::Settings,
    shed::Weight,
    topic::{Subscriber, Topic},
};
use crate::{
    bayeux::{ChannelName, Frame, Refusal},
    events::Peer,
};

/// Deadline of a session whose `/meta/connect` is held (protocol.md 51).
const HELD: u64 = u64::MAX;

/// See the module documentation.
pub struct Session {
    id: SessionId,
    /// The id of the first of the sessions that this one is the last of; see [`Session::kin`].
    kin: SessionId,
    /// What is known of its client; not of a session of the program itself.
    peer: OnceLock<Arc<Peer>>,
    browser: Option<BrowserId>,
    created: u64,
    connected: AtomicBool,
    /// It is counted for its browser; see [`Served`](super::served::Served), which alone writes it.
    pub(super) serves: AtomicBool,
    /// Its client gets events.
    monitors: AtomicBool,
    transport: LastTransport,
    routes: SharedRoutes,
    /// The second of the broker's clock in which a queue event told of it.
    queue_told: AtomicU32,
    /// Messages that its client published.
    received: AtomicU64,
    active: LastActive,
    deadline: AtomicU64,
    /// Time of the earliest entry in the expiry wheel that will look at this session.
    wheel_due: AtomicU64,
    bounds: QueueBounds,
    counters: Arc<Counters>,
    mailbox: Mutex<Mailbox>,
    /// `None` once the session has ended.
    subscriptions: Mutex<Option<Vec<Subscription>>>,
}

/// What the expiry wheel learns about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Another entry looks after it.
    Stale,
    /// Its connect is held: it has no deadline.
    Held,
    /// It lives until then, unless something moves it.
    Later(u64),
    /// Its time is over.
    Expired,
}

/// One entry of a session's subscriptions.
pub(super) struct Subscription {
    pub(super) name: ChannelName,
    pub(super) topic: Arc<Topic>,
    pub(super) key: Subscriber,
}

impl Session {
    pub(super) fn new(
        (id, kin): (SessionId, SessionId),
        browser: Option<BrowserId>,
        settings: &Settings,
        counters: Arc<Counters>,
        now: u64,
    ) -> Self {
        Self {
            id,
            kin,
            peer: OnceLock::new(),
            browser,
            created: now,
            connected: AtomicBool::new(false),
            serves: AtomicBool::new(false),
            monitors: AtomicBool::new(false),
            transport: LastTransport::begin(&counters.sessions),
            routes: SharedRoutes::default(),
            queue_told: AtomicU32::new(u32::MAX),
            received: AtomicU64::new(0),
            active: LastActive::new(now),
            deadline: AtomicU64::new(0),
            wheel_due: AtomicU64::new(u64::MAX),
            bounds: QueueBounds {
                messages_max: settings.bounds.queue_messages_max.now(),
                bytes_max: settings.bounds.queue_bytes_max.now(),
            },
            counters,
            mailbox: Mutex::new(Mailbox::new(settings.deliver_only)),
            subscriptions: Mutex::new(Some(Vec::new())),
        }
    }

    /// Most messages and bytes that may wait for it: `session.queue` as it was when it began.
    #[must_use]
    pub const fn queue_max(&self) -> (usize, usize) {
        (self.bounds.messages_max, self.bounds.bytes_max)
    }

    /// The session's secret id.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The browser cookie that the session is bound to (protocol.md 88).
    #[must_use]
    pub const fn browser(&self) -> Option<BrowserId> {
        self.browser
    }

    /// Whether a `/meta/connect` has been received.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Whether messages travel only with connect replies (protocol.md 59).
    #[must_use]
    pub fn is_deliver_only(&self) -> bool {
        self.mailbox.lock().deliver_only()
    }

    /// Whether the client acknowledges what it gets, so that only connect replies may deliver
    /// (protocol.md 124).
    #[must_use]
    pub fn acknowledges(&self) -> bool {
        self.mailbox.lock().acknowledges()
    }

    /// Whether an HTTP stream is open that delivers (protocol.md 138).
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        self.mailbox.lock().carrier() == Carrier::Stream
    }

    /// Whether messages wait that are not, or no longer, lazy (protocol.md 122).
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.mailbox.lock().is_due()
    }

    /// Number of messages that wait, without those in a carrier's hands.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.mailbox.lock().waiting()
    }

    /// Bytes that wait, with those in a carrier's hands.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.mailbox.lock().bytes()
    }

    /// What its end would free; see [`Mailbox::weight`].
    pub(super) fn weight(&self, least: usize) -> Option<(Weight, usize)> {
        self.mailbox.lock().weight(least)
    }

    /// Messages and bytes in its queue, and the lossy messages that it dropped so far.
    #[must_use]
    pub fn pressure(&self) -> (usize, usize, u64) {
        let mailbox = self.mailbox.lock();
        (mailbox.waiting(), mailbox.bytes(), mailbox.dropped())
    }

    /// Whether `generation` still delivers for this session.
    #[must_use]
    pub fn is_owner(&self, generation: Generation) -> bool {
        self.mailbox.lock().is_owner(generation)
    }

    /// Number of subscriptions.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.lock().as_ref().map_or(0, Vec::len)
    }

    /// Waits until the carrier of `owner` has something to do. Cancel-safe: it takes nothing.
    #[must_use]
    pub const fn signal(&self, owner: Generation) -> Signal<'_> {
        Signal { session: self, owner }
    }

    /// Takes waiting messages for the carrier of `owner`; `None` if there are none for it now.
    #[must_use]
    pub fn take(self: &Arc<Self>, owner: Generation, take: Take) -> Option<Batch> {
        let mut mailbox = self.mailbox.lock();
        let frames = mailbox.take(Some(owner), take);
        let feed = mailbox.lend_feed(owner, frames.is_some());
        drop(mailbox);
        match feed {
            // Events are encoded here, where no publisher waits for the lock of the mailbox.
            Some((feed, flows)) => Batch::with_events(Arc::clone(self), frames, feed, flows, owner),
            None => Some(Batch::new(Arc::clone(self), frames?, owner)),
        }
    }

    /// Switches the acknowledgement extension on, for good (protocol.md 123, 124).
    pub fn start_acknowledging(&self) {
        self.mailbox.lock().start_acknowledging();
    }

    /// The client has every batch up to `number`; one that was never sent says nothing
    /// (protocol.md 125).
    pub fn acknowledge(&self, number: u64) {
        let delivered = &self.counters.delivered;
        let mut mailbox = self.mailbox.lock();
        let followed =
            if delivered.is_followed() { mailbox.followed_until(number) } else { Vec::new() };
        let (messages, bytes) = mailbox.acknowledge(number);
        drop(mailbox);
        delivered.acknowledged(self.route(), messages, bytes);
        if !followed.is_empty() {
            delivered.tell_acknowledged(self, &followed);
        }
    }

    /// Whether a connect has to be answered at once, because messages were sent and are not
    /// acknowledged (protocol.md 127).
    #[must_use]
    pub fn must_resend(&self) -> bool {
        self.mailbox.lock().must_resend()
    }

    /// Number of messages that were sent and are not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.mailbox.lock().unacknowledged()
    }

    /// Takes everything unacknowledged, new or not, and the number for the connect reply that ends
    /// it. `None` without the extension, or if `owner` may not deliver any more (protocol.md 126).
    #[must_use]
    pub fn take_numbered(&self, owner: Generation) -> Option<(u64, Batch)> {
        let mut mailbox = self.mailbox.lock();
        let (number, frames) = mailbox.take_numbered(owner)?;
        let feed = mailbox.feed().cloned();
        drop(mailbox);
        Some((number, Batch::kept(frames, feed)))
    }

    /// Marks an HTTP request in progress whose response will carry the queue (protocol.md 57).
    #[must_use]
    pub fn begin_request(self: &Arc<Self>) -> RequestGuard {
        self.mailbox.lock().request_begun();
        RequestGuard(Arc::clone(self))
    }

    /// Appends a frame. Returns what is to be done about it; see [`Pushed`].
    #[inline(always)] // into the walk: as a call it is 3 % more instructions for each queue
    pub(super) fn push(&self, frame: &Frame) -> Pushed {
        let mut mailbox = self.mailbox.lock();
        if let Some(heir) = mailbox.heir().cloned() {
            drop(mailbox);
            return heir.push_late(frame);
        }
        let mut pushed = mailbox.push(frame, self.bounds);
        drop(mailbox);
        pushed.carried |= self.deadline.load(Ordering::Relaxed) == HELD;
        pushed
    }

    /// Asks about lazy messages; see [`LazyDue`].
    pub(super) fn lazy_due(&self, now: u64) -> LazyDue {
        self.mailbox.lock().lazy_due(now)
    }

    /// Whether a message has come since the last call.
    pub(super) fn had_messages(&self) -> bool {
        self.mailbox.lock().had_messages()
    }

    pub(super) const fn active(&self) -> &LastActive {
        &self.active
    }

    pub(super) const fn created(&self) -> u64 {
        self.created
    }

    /// Marks the session connected; true the first time.
    pub(super) fn set_connected(&self) -> bool {
        let first = !self.connected.swap(true, Ordering::Relaxed);
        if first {
            self.release_own();
        }
        first
    }

    /// Hands delivery to a new carrier; the deadline is off while `held`, else `life`. A session that is
    /// leaving has a deadline always: nothing that its client may hold open delivers.
    pub(super) fn claim(&self, carrier: Carrier, held: bool, life: u64, now: u64) -> Generation {
        let mut mailbox = self.mailbox.lock();
        let deadline = if held && !mailbox.is_leaving() { HELD } else { life };
        let (generation, wakers) = mailbox.claim(carrier, now);
        // Nobody would release a session that has ended.
        if !mailbox.has_ended() {
            let before = self.deadline.swap(deadline, Ordering::SeqCst);
            self.count_held(before, deadline);
        }
        drop(mailbox);
        wakers.into_iter().flatten().for_each(Waker::wake);
        generation
    }

    /// Starts the expiry clock if `generation` still owns the session; true if it did.
    pub(super) fn release(&self, generation: Generation, due: u64) -> bool {
        let mailbox = self.mailbox.lock();
        let owner = mailbox.is_owner(generation);
        if owner {
            let before = self.deadline.swap(due, Ordering::SeqCst);
            self.count_held(before, due);
        }
        owner
    }

    /// Keeps the count of held connects right; under the lock of the mailbox.
    fn count_held(&self, before: u64, after: u64) {
        match (before == HELD, after == HELD) {
            (false, true) => self.counters.connects_held.add(1),
            (true, false) => self.counters.connects_held.sub(1),
            _ => {}
        }
    }

    /// How long ago the session should have been heard of, if `life` was all it had then: how long a
    /// connect came too late. `None` while one is held.
    pub(super) fn overdue(&self, life: u64, now: u64) -> Option<Duration> {
        let deadline = self.deadline.load(Ordering::SeqCst);
        let since = (now + life).saturating_sub(deadline);
        (deadline != HELD).then_some(Duration::from_millis(since))
    }

    /// Whether a queue event may tell of it in this second of the broker's clock; once each.
    pub(super) fn may_tell_queue(&self, second: u32) -> bool {
        self.queue_told.swap(second, Ordering::Relaxed) != second
    }

    pub(super) fn detach(&self, generation: Generation) {
        self.mailbox.lock().detach(generation);
    }

    /// Moves the deadline later, never earlier; a held session stays held. True if it moved.
    pub(super) fn extend(&self, due: u64) -> bool {
        self.deadline.fetch_max(due, Ordering::SeqCst) < due
    }

    /// Answers the wheel, whose entry was made for the time `entry`.
    ///
    /// The mark of the entry goes before the deadline is read: a carrier that brings the deadline
    /// forward meanwhile either is seen here or sees that it has to make an entry itself.
    pub(super) fn due(&self, entry: u64, now: u64) -> Due {
        let mark =
            self.wheel_due.compare_exchange(entry, u64::MAX, Ordering::SeqCst, Ordering::SeqCst);
        match (mark, self.deadline.load(Ordering::SeqCst)) {
            (Err(_), _) => Due::Stale,
            (Ok(_), HELD) => Due::Held,
            (Ok(_), deadline) if deadline <= now => Due::Expired,
            (Ok(_), deadline) => Due::Later(deadline),
        }
    }

    /// Whether no entry of the wheel will look at this session by `due`; then the caller adds one.
    pub(super) fn needs_wheel(&self, due: u64) -> bool {
        self.wheel_due.fetch_min(due, Ordering::SeqCst) > due
    }

    /// Adds a subscription that `enter` creates, unless it exists or the session has ended.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        name: &ChannelName,
        subscriptions_max: usize,
        enter: impl FnOnce(&Arc<Self>) -> Result<(Arc<Topic>, Subscriber), Refusal>,
    ) -> Result<(), Refusal> {
        let mut subscriptions = self.subscriptions.lock();
        let list = subscriptions.as_mut().ok_or(Refusal::SessionUnknown)?;
        if !list.iter().any(|known| known.name == *name) {
            if list.len() >= subscriptions_max {
                return Err(Refusal::SubscribeDenied { reason: "subscription_limit" });
            }
            let (topic, key) = enter(self)?;
            if list.is_empty() {
                // Most sessions have one subscription; a vector would make room for four.
                list.reserve_exact(1);
            }
            list.push(Subscription { name: name.clone(), topic, key });
            self.counters.subscriptions.add(1);
        }
        let released = self.mailbox.lock().release(name);
        drop(subscriptions);
        self.finish(released);
        Ok(())
    }

    /// Drops a subscription. `None` if there was none, else what [`Topic::remove`] says.
    pub(super) fn unsubscribe(&self, name: &ChannelName) -> Option<bool> {
        let mut subscriptions = self.subscriptions.lock();
        let list = subscriptions.as_mut()?;
        let index = list.iter().position(|known| known.name == *name)?;
        let gone = list.swap_remove(index);
        self.counters.subscriptions.sub(1);
        // Still under the lock: a subscription made meanwhile would be a second one in the topic.
        let was_last = gone.topic.remove(gone.key);
        let released = self.mailbox.lock().disclaim(name);
        drop(subscriptions);
        self.finish(released);
        Some(was_last)
    }

    /// Ends the session and hands over its subscriptions; `None` if it had ended already.
    pub(super) fn end(&self) -> Option<Vec<Subscription>> {
        let list = self.subscriptions.lock().take()?;
        self.counters.subscriptions.sub(list.len());
        Some(list)
    }

    /// Called by a [`Batch`] of `owner` that is done, with what it has not written.
    pub(super) fn settle(&self, mut frames: Vec<Frame>, written: usize, owner: Generation) {
        let count = written.min(frames.len());
        let written = frames.get(..count).unwrap_or_default();
        self.counters.delivered.wrote(self, written, owner);
        frames.drain(..count);
        let (unwritten, mut mailbox) = (frames, self.mailbox.lock());
        mailbox.wrote(count);
        if let Some(heir) = mailbox.heir().cloned() {
            drop(mailbox);
            return heir.take_back(unwritten);
        }
        let settled = mailbox.settle(unwritten);
        drop(mailbox);
        self.counters.dropped(settled.dropped);
        if let Some(cause) = settled.ended {
            self.counters.discarded.add(cause, settled.discarded);
        }
        if let Some(waker) = settled.waker {
            waker.wake();
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("connected", &self.connected).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
