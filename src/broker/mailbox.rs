//! The queue of one session between its connections.
//!
//! Order is first in, first out. A carrier takes a [`Batch`](super::Batch); what it has not written
//! when the batch is dropped returns to the front, so a dying connection loses nothing. While a batch
//! is out nobody takes another, so a newer carrier never overtakes an older one. A session that
//! acknowledges keeps what it sent in its [`AckWindow`] instead, and sends it again until it is
//! acknowledged. Knows no transport and reads no clock.
//! Source: Bayeux 1.0 on message delivery; protocol.md 56-64; CometD's `ServerSessionImpl`, which
//! drains messages into dead connections where this does not.

mod aside;
mod carrier;
mod events;
mod lossy;
mod out;
mod outcome;
mod parked;
mod weight;

use std::{collections::VecDeque, sync::Arc, task::Waker};

pub use self::carrier::{Carrier, Generation};
use self::{aside::Aside, lossy::Room, out::Out, parked::Transit};
pub(super) use self::{
    outcome::{Closed, Dropped, Ending, Pushed, Settled},
    parked::Estate,
};
use super::{
    ack::AckWindow,
    lazy::{LazyDue, Patience},
    monitor::Feed,
};
use crate::{
    bayeux::{Frame, Mark},
    events::Cause,
};

/// Why a carrier was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// Messages wait.
    Messages,
    /// A newer carrier has taken over.
    Superseded,
    /// The session has ended.
    Ended(Cause),
}

/// How much a carrier takes at once.
#[derive(Debug, Clone, Copy)]
pub struct Take {
    /// Number of frames.
    pub frames_max: usize,
    /// Bytes of frames; the first frame is taken whatever its size.
    pub bytes_max: usize,
}

impl Take {
    /// Everything: a poll response carries the whole queue, which is bounded itself.
    pub const ALL: Self = Self { frames_max: usize::MAX, bytes_max: usize::MAX };
    /// One `writev`: 64 slices are what the kernel call takes (performance.md 7).
    pub const WRITE: Self = Self { frames_max: 64, bytes_max: 64 << 10 };
}

/// Bounds of a queue, from `[session.queue]`. Frames in a carrier's hands, unacknowledged and parked
/// ones count.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueBounds {
    pub(super) messages_max: usize,
    pub(super) bytes_max: usize,
}

/// Frames for which an empty queue keeps room: 64 bytes of a session that has had messages.
const KEPT_ROOM: usize = 8;

/// See the module documentation. Lives behind the session's mutex.
#[derive(Debug)]
pub(super) struct Mailbox {
    queue: VecDeque<Frame>,
    /// Lossy messages of a queue that has become long; `None` for all but those.
    aside: Option<Box<Aside>>,
    /// Bytes of both.
    queue_bytes: usize,
    /// The batch that is out.
    out: Option<Out>,
    owner: Generation,
    carrier: Carrier,
    /// Taken on the empty to non-empty edge, so a burst wakes once.
    waiter: Option<Waker>,
    /// HTTP requests in progress that will carry the queue in their response (protocol.md 57).
    requests: u16,
    deliver_only: bool,
    /// The session is the heir of another one and has had no WebSocket: only connects deliver, because its
    /// client subscribes beside a connect, and nothing orders the two responses.
    inherited: bool,
    /// What was sent and is not acknowledged; `None` without the extension.
    unacknowledged: Option<Box<AckWindow>>,
    /// Whether what waits is due.
    patience: Patience,
    /// A message has come since somebody asked.
    had_messages: bool,
    /// Messages that the client got, and lossy ones that it did not.
    delivered: u64,
    dropped: u64,
    /// Where the events of a session that monitors are.
    feed: Option<Arc<Feed>>,
    ended: Option<Ending>,
    /// What a move to or from another session has left to do; `None` for all but a few.
    transit: Option<Box<Transit>>,
}

impl Mailbox {
    pub(super) fn new(deliver_only: bool) -> Self {
        Self {
            queue: VecDeque::new(),
            aside: None,
            queue_bytes: 0,
            out: None,
            owner: Generation::default(),
            carrier: Carrier::None,
            waiter: None,
            requests: 0,
            deliver_only,
            inherited: false,
            unacknowledged: None,
            patience: Patience::default(),
            had_messages: false,
            delivered: 0,
            dropped: 0,
            feed: None,
            ended: None,
            transit: None,
        }
    }

    /// Switches acknowledgement on: from now on only connect replies deliver (protocol.md 124).
    pub(super) fn start_acknowledging(&mut self) {
        self.deliver_only = true;
        self.unacknowledged.get_or_insert_default();
    }

    /// The client has every batch up to `number`; says how many messages and bytes that settled.
    pub(super) fn acknowledge(&mut self, number: u64) -> (usize, usize) {
        let Some(window) = &mut self.unacknowledged else { return (0, 0) };
        let before = window.bytes();
        let count = window.acknowledge(number);
        self.delivered += count as u64;
        (count, before - window.bytes())
    }

    /// The marks of the followed messages that [`Self::acknowledge`] of `number` would forget.
    pub(super) fn followed_until(&self, number: u64) -> Vec<Mark> {
        let window = self.unacknowledged.as_ref();
        window.map(|window| window.followed_until(number).collect()).unwrap_or_default()
    }

    /// Whether messages were sent that the client has not acknowledged.
    pub(super) fn must_resend(&self) -> bool {
        self.unacknowledged.as_ref().is_some_and(|window| window.len() > 0)
    }

    /// The next number and everything unacknowledged, the whole queue included, for a connect reply
    /// of `owner`. `None` without the extension, and for a carrier that may not deliver any more:
    /// its reply must not have a number, because the client would acknowledge what it never got.
    pub(super) fn take_numbered(&mut self, owner: Generation) -> Option<(u64, Vec<Frame>)> {
        let free = self.out.is_none() && !self.is_leaving();
        if owner != self.owner || self.ended.is_some() || !free {
            return None;
        }
        self.unacknowledged.as_ref()?;
        let frames = self.drain();
        self.patience.taken(false);
        self.unacknowledged.as_mut().map(|window| window.send(frames))
    }

    /// Appends a frame; see [`Pushed`]. An ended mailbox takes nothing.
    pub(super) fn push(&mut self, frame: &Frame, bounds: QueueBounds) -> Pushed {
        if self.ended.is_some() {
            return Pushed::default();
        }
        if let Some(parked) = self.park(frame, bounds) {
            return parked;
        }
        if frame.is_lossy() || self.aside.is_some() || !self.fits(frame, bounds) {
            return self.push_making_room(frame, bounds);
        }
        if self.queue.is_empty() {
            self.patience.calm();
        }
        self.queue_bytes += frame.bytes();
        self.queue.push_back(frame.clone());
        self.pushed(frame, Room::default())
    }

    /// What a push did that put `frame` into the queue.
    #[inline(always)] // twice, once for each way into the queue
    fn pushed(&mut self, frame: &Frame, Room { dropped, looked }: Room) -> Pushed {
        self.had_messages = true;
        Pushed {
            ask_at: self.patience.entered(frame.lazy_until()),
            waker: self.wake(),
            dropped,
            looked,
            entered: true,
            carried: self.is_carried(),
            overflow: false,
        }
    }

    /// Says why the carrier of `owner` should act, or `None` after keeping `waker` for later.
    pub(super) fn ready(&mut self, owner: Generation, waker: &Waker) -> Option<Ready> {
        if let Some(ending) = self.ended {
            return Some(Ready::Ended(ending.told));
        }
        if owner != self.owner {
            return Some(Ready::Superseded);
        }
        let delivers = self.carrier != Carrier::None && !self.held_off();
        if delivers && self.has_something() && self.out.is_none() {
            return Some(Ready::Messages);
        }
        self.keep(waker);
        None
    }

    fn keep(&mut self, waker: &Waker) {
        match &mut self.waiter {
            Some(known) => known.clone_from(waker),
            None => self.waiter = Some(waker.clone()),
        }
    }

    /// Takes frames for the WebSocket of `owner`, or says what else it should do; `None` after keeping
    /// `waker`. Messages of a deliver-only session are only reported, and only to a held connect.
    pub(super) fn flow(
        &mut self,
        owner: Generation,
        connect: bool,
        waker: &Waker,
    ) -> Option<Result<Vec<Frame>, Ready>> {
        match self.ready(owner, waker)? {
            Ready::Messages if self.deliver_only && !connect => {
                self.keep(waker);
                None
            }
            Ready::Messages if !self.deliver_only => {
                // Without messages it is events: these are not taken under the lock.
                Some(self.take(Some(owner), Take::WRITE).ok_or(Ready::Messages))
            }
            ready => Some(Err(ready)),
        }
    }

    /// Takes frames for `owner`, or for a request (`None`) while no WebSocket delivers. Nothing of a
    /// session that acknowledges: see [`Self::take_numbered`].
    pub(super) fn take(&mut self, owner: Option<Generation>, take: Take) -> Option<Vec<Frame>> {
        let entitled = match owner {
            Some(owner) => owner == self.owner,
            None => !self.carrier.flows() && self.requests_carry(),
        };
        let acknowledges = self.unacknowledged.is_some();
        let available = !self.is_empty() && self.out.is_none() && !self.is_leaving();
        if !entitled || acknowledges || !available || self.ended.is_some() {
            return None;
        }
        if self.aside.is_some() {
            let (frames, bytes) = self.take_apart(take);
            self.patience.taken(!self.is_empty());
            self.out = Some(Out::new(frames.len(), bytes));
            return Some(frames);
        }
        let mut bytes = 0;
        let mut count = 0;
        for frame in self.queue.iter().take(take.frames_max) {
            if count > 0 && bytes + frame.bytes() > take.bytes_max {
                break;
            }
            bytes += frame.bytes();
            count += 1;
        }
        let frames: Vec<Frame> = if count == self.queue.len() {
            std::mem::take(&mut self.queue).into()
        } else {
            self.queue.drain(..count).collect()
        };
        self.queue_bytes -= bytes;
        self.patience.taken(!self.queue.is_empty());
        self.out = Some(Out::new(count, bytes));
        Some(frames)
    }

    /// Counts what a batch has written.
    pub(super) const fn wrote(&mut self, count: usize) {
        self.delivered += count as u64;
    }

    /// Takes back what a batch has not written, in order; see [`Settled`]. The room of a small batch becomes
    /// that of the queue: otherwise the publisher of each message would get memory from the allocator that
    /// the writer gives back, on another thread.
    pub(super) fn settle(&mut self, mut unwritten: Vec<Frame>) -> Settled {
        let mut settled = Settled::default();
        self.out = None;
        if let Some(ending) = self.ended {
            return Settled::discarded(unwritten.len(), ending);
        }
        while let Some(frame) = unwritten.pop() {
            if self.has_newer(&frame) {
                settled.dropped.latest += 1;
            } else {
                self.prepend(frame);
            }
        }
        if self.queue.capacity() == 0 && unwritten.capacity() <= KEPT_ROOM {
            self.queue = unwritten.into();
        }
        self.dropped += settled.dropped.total();
        settled.waker = self.wake();
        settled
    }

    /// Entitles a new carrier; to be woken are the old one and a writer that is stuck with a batch. `now`:
    /// milliseconds of the broker's time.
    pub(super) fn claim(&mut self, carrier: Carrier, now: u64) -> (Generation, [Option<Waker>; 2]) {
        self.owner = self.owner.next(now);
        self.carrier = carrier;
        self.inherited &= carrier != Carrier::Socket;
        (self.owner, [self.waiter.take(), self.overtake()])
    }

    /// Forgets a carrier that is gone.
    pub(super) fn detach(&mut self, owner: Generation) {
        if owner == self.owner {
            self.carrier = Carrier::None;
            self.waiter = None;
        }
    }

    pub(super) fn is_owner(&self, owner: Generation) -> bool {
        owner == self.owner && self.ended.is_none()
    }

    /// Ends the mailbox: the queue goes; says whom to wake and what became of the messages.
    pub(super) fn close(
        &mut self,
        ending: impl Into<Ending>,
    ) -> (Option<Waker>, Closed, Option<Arc<Feed>>) {
        let discarded = self.waiting() + self.unacknowledged();
        self.transit = None;
        self.unacknowledged = None;
        (self.queue, self.aside) = (VecDeque::new(), None);
        self.queue_bytes = 0;
        self.ended = Some(ending.into());
        let closed = Closed { delivered: self.delivered, discarded };
        (self.waiter.take(), closed, self.feed.take())
    }

    /// A request that answers with the queue has begun: a held connect sleeps on.
    pub(super) fn request_begun(&mut self) {
        self.requests = self.requests.saturating_add(1);
    }

    /// That request is over; what it left in the queue is the held connect's (protocol.md 60).
    pub(super) fn request_ended(&mut self) -> Option<Waker> {
        self.requests = self.requests.saturating_sub(1);
        self.wake()
    }

    /// Whether only connect replies deliver, with numbers.
    pub(super) const fn acknowledges(&self) -> bool {
        self.unacknowledged.is_some()
    }

    /// What kind of connection delivers now.
    pub(super) const fn carrier(&self) -> Carrier {
        self.carrier
    }

    pub(super) const fn deliver_only(&self) -> bool {
        self.deliver_only
    }

    /// Messages in the queue and parked.
    pub(super) fn waiting(&self) -> usize {
        self.len() + self.parked().0
    }

    /// Number of messages that were sent and are not acknowledged.
    pub(super) fn unacknowledged(&self) -> usize {
        self.unacknowledged.as_ref().map_or(0, |window| window.len())
    }

    pub(super) fn bytes(&self) -> usize {
        self.queue_bytes + self.elsewhere().1
    }

    /// Messages that were written to the client; with the ack extension, acknowledged ones.
    pub(super) const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Lossy messages that the client did not get.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether messages wait that are not, or no longer, lazy.
    pub(super) fn is_due(&self) -> bool {
        self.patience.is_lost() && !self.is_empty()
    }

    /// Asks about lazy messages; see [`LazyDue`].
    pub(super) fn lazy_due(&mut self, now: u64) -> LazyDue {
        let later = self.patience.ask(now);
        LazyDue { waker: self.wake(), later }
    }

    /// Whether a message has come since the last call.
    pub(super) fn had_messages(&mut self) -> bool {
        std::mem::take(&mut self.had_messages)
    }

    /// Whether a connection other than a held connect, which the session knows of, delivers now.
    fn is_carried(&self) -> bool {
        let requested = self.requests > 0 && self.requests_carry();
        !self.deliver_only && self.carrier == Carrier::Socket || requested
    }

    /// Whether responses to other requests than connects carry the queue, while no WebSocket does.
    const fn requests_carry(&self) -> bool {
        !self.deliver_only && !self.inherited
    }

    /// Whether the queue is left to the response of a request that is in progress, or to a session to
    /// come.
    fn held_off(&self) -> bool {
        self.requests > 0 && !self.carrier.flows() && self.requests_carry() || self.is_leaving()
    }

    fn wake(&mut self) -> Option<Waker> {
        let due = self.has_something() && self.out.is_none() && !self.held_off();
        if due { self.waiter.take() } else { None }
    }

    #[inline(always)] // each push asks
    fn fits(&self, frame: &Frame, bounds: QueueBounds) -> bool {
        let (count, bytes) = self.elsewhere();
        self.len() + count < bounds.messages_max
            && self.queue_bytes + bytes + frame.bytes() <= bounds.bytes_max
    }
}

#[cfg(test)]
mod tests;
