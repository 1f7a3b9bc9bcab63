//! One client's session: who it is, what it subscribed to, until when it lives.
//!
//! A session is a locked struct, not a task. Its mailbox is handed from carrier to carrier
//! ([`Session::claim`]); its deadline is one atomic word that a heartbeat stores into. Times are
//! milliseconds of the broker's clock. Source: Bayeux 1.0 on client state; protocol.md 49-56.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use parking_lot::Mutex;
use uuid::Uuid;

use super::{
    activity::LastActive,
    batch::Batch,
    browser::BrowserId,
    lazy::LazyDue,
    limits::{Cause, Counters},
    mailbox::{Carrier, Generation, Mailbox, Pushed, QueueBounds, Ready, Take},
    settings::Settings,
    sid::Sid,
    topic::{Subscriber, Topic},
};
use crate::bayeux::{ChannelName, Frame, Refusal};

mod flow;

/// Deadline of a session whose `/meta/connect` is held (protocol.md 51).
const HELD: u64 = u64::MAX;

/// The secret name of a session: 128 random bits, written as 32 hex digits (protocol.md 22).
///
/// Its `Debug` form shows nothing: a clientId is a bearer secret and must not reach a log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(Uuid);

impl SessionId {
    /// Makes an id of 16 bytes from a secure random source.
    #[must_use]
    pub const fn from_bytes(random: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(random))
    }

    /// Reads a clientId as written by [`Self::client_id`]; anything else is not ours.
    #[must_use]
    pub fn parse(client_id: &str) -> Option<Self> {
        let digits: &[u8; 32] = client_id.as_bytes().try_into().ok()?;
        let mut bytes = [0; 16];
        for (byte, [high, low]) in bytes.iter_mut().zip(digits.as_chunks().0) {
            *byte = hex_value(*high)? << 4 | hex_value(*low)?;
        }
        Some(Self::from_bytes(bytes))
    }

    /// The clientId on the wire.
    #[must_use]
    pub fn client_id(&self) -> String {
        self.0.simple().to_string()
    }

    /// The raw bytes, for keyed hashes that may be logged.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// See the module documentation.
pub struct Session {
    id: SessionId,
    sid: OnceLock<Sid>,
    browser: Option<BrowserId>,
    created: u64,
    connected: AtomicBool,
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
        id: SessionId,
        browser: Option<BrowserId>,
        settings: &Settings,
        counters: Arc<Counters>,
        now: u64,
    ) -> Self {
        Self {
            id,
            sid: OnceLock::new(),
            browser,
            created: now,
            connected: AtomicBool::new(false),
            active: LastActive::new(now),
            deadline: AtomicU64::new(0),
            wheel_due: AtomicU64::new(u64::MAX),
            bounds: QueueBounds {
                messages_max: settings.queue_messages_max,
                bytes_max: settings.queue_bytes_max,
            },
            counters,
            mailbox: Mutex::new(Mailbox::new(settings.deliver_only)),
            subscriptions: Mutex::new(Some(Vec::new())),
        }
    }

    /// The session's secret id.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Gives the session its public name; the first one stays.
    pub fn name(&self, sid: Sid) {
        let _ = self.sid.set(sid);
    }

    /// Its public name, if it was given one.
    #[must_use]
    pub fn sid(&self) -> Option<Sid> {
        self.sid.get().copied()
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
        self.mailbox.lock().len()
    }

    /// Bytes that wait, with those in a carrier's hands.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.mailbox.lock().bytes()
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
        let frames = self.mailbox.lock().take(Some(owner), take)?;
        Some(Batch::new(Arc::clone(self), frames))
    }

    /// Switches the acknowledgement extension on, for good (protocol.md 123, 124).
    pub fn start_acknowledging(&self) {
        self.mailbox.lock().start_acknowledging();
    }

    /// The client has every batch up to `number`; one that was never sent says nothing
    /// (protocol.md 125).
    pub fn acknowledge(&self, number: u64) {
        let count = self.mailbox.lock().acknowledge(number);
        self.counters.delivered.add(count);
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
        let (number, frames) = self.mailbox.lock().take_numbered(owner)?;
        Some((number, Batch::kept(frames)))
    }

    /// Marks an HTTP request in progress whose response will carry the queue (protocol.md 57).
    #[must_use]
    pub fn begin_request(self: &Arc<Self>) -> RequestGuard {
        self.mailbox.lock().request_begun();
        RequestGuard(Arc::clone(self))
    }

    /// Appends a frame. Returns what is to be done about it; see [`Pushed`].
    pub(super) fn push(&self, frame: &Frame) -> Pushed {
        let mut pushed = self.mailbox.lock().push(frame, self.bounds);
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

    /// Marks the session connected, for a connect that takes nothing over; true the first time.
    pub fn set_connected(&self) -> bool {
        !self.connected.swap(true, Ordering::Relaxed)
    }

    /// Hands delivery to a new carrier; the deadline is off while `held`, else `life`.
    pub(super) fn claim(&self, carrier: Carrier, held: bool, life: u64) -> Generation {
        let deadline = if held { HELD } else { life };
        let mut mailbox = self.mailbox.lock();
        let (generation, waker) = mailbox.claim(carrier);
        self.deadline.store(deadline, Ordering::SeqCst);
        drop(mailbox);
        if let Some(waker) = waker {
            waker.wake();
        }
        generation
    }

    /// Starts the expiry clock if `generation` still owns the session; true if it did.
    pub(super) fn release(&self, generation: Generation, due: u64) -> bool {
        let mailbox = self.mailbox.lock();
        let owner = mailbox.is_owner(generation);
        if owner {
            self.deadline.store(due, Ordering::SeqCst);
        }
        owner
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
        if list.iter().any(|known| known.name == *name) {
            return Ok(());
        }
        if list.len() >= subscriptions_max {
            return Err(Refusal::SubscribeDenied { reason: "subscription_limit" });
        }
        let (topic, key) = enter(self)?;
        if list.is_empty() {
            // Most sessions have one subscription; a vector would make room for four.
            list.reserve_exact(1);
        }
        list.push(Subscription { name: name.clone(), topic, key });
        Ok(())
    }

    /// Drops a subscription. `None` if there was none, else what [`Topic::remove`] says.
    pub(super) fn unsubscribe(&self, name: &ChannelName) -> Option<bool> {
        let mut subscriptions = self.subscriptions.lock();
        let list = subscriptions.as_mut()?;
        let index = list.iter().position(|known| known.name == *name)?;
        let gone = list.swap_remove(index);
        // Still under the lock: a subscription made meanwhile would be a second one in the topic.
        Some(gone.topic.remove(gone.key))
    }

    /// Ends the session and hands over its subscriptions; `None` if it had ended already.
    pub(super) fn end(&self) -> Option<Vec<Subscription>> {
        self.subscriptions.lock().take()
    }

    /// Empties the mailbox for good and tells the carrier; returns the messages discarded.
    pub(super) fn close_mailbox(&self, cause: Cause) -> usize {
        let (waker, discarded) = self.mailbox.lock().close(cause);
        if let Some(waker) = waker {
            waker.wake();
        }
        discarded
    }

    /// Called by a [`Batch`] that is done, with what it has not written.
    pub(super) fn settle(&self, written: usize, unwritten: Vec<Frame>) {
        let settled = self.mailbox.lock().settle(unwritten);
        self.counters.delivered.add(written);
        self.counters.dropped(settled.dropped);
        self.counters.discarded.add(settled.discarded);
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

/// Future of [`Session::signal`], built on std alone.
#[derive(Debug)]
pub struct Signal<'a> {
    session: &'a Session,
    owner: Generation,
}

impl Future for Signal<'_> {
    type Output = Ready;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ready> {
        let ready = self.session.mailbox.lock().ready(self.owner, cx.waker());
        ready.map_or(Poll::Pending, Poll::Ready)
    }
}

/// While it lives a held connect sleeps on, because this request's response carries the queue.
#[derive(Debug)]
pub struct RequestGuard(Arc<Session>);

impl RequestGuard {
    /// Takes the queue for the response, unless a WebSocket or only connect replies may carry it.
    #[must_use]
    pub fn take(&self) -> Option<Batch> {
        let frames = self.0.mailbox.lock().take(None, Take::ALL)?;
        Some(Batch::new(Arc::clone(&self.0), frames))
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let waker = self.0.mailbox.lock().request_ended();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// What a hex digit stands for; clientIds have small letters only.
const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
