//! The queue of a session whose client moves from one session to another.
//!
//! A client that the server steers to another transport shakes hands anew: its session is *leaving*,
//! then its messages are its heir's, who keeps them *parked* until the client subscribes again. An
//! application that has not renewed its subscriptions yet would drop what comes too early. Messages
//! of names that are not claimed go on being parked; of claimed ones they go straight to the queue.
//! Source: protocol.md SF5, SF9, SF11.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    task::Waker,
};

use super::{Carrier, Mailbox, Pushed, QueueBounds, Settled, out::Out};
use crate::{
    bayeux::{ChannelName, Frame, Kind, QueuePolicy},
    broker::{monitor::Feed, session::Session},
    events::Cause,
};

/// What a move has left to do in a mailbox. Only sessions that move, or have moved lately, have one.
#[derive(Debug, Default)]
pub(super) struct Transit {
    /// The client was told to shake hands anew: nothing leaves the queue any more.
    leaving: bool,
    /// The client has done so: what still comes in is for this session.
    heir: Option<Arc<Session>>,
    parked: Parked,
}

/// Messages and names that wait for the client to subscribe again.
#[derive(Debug, Default)]
struct Parked {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// Subscriptions of the session before that the client has not renewed.
    names: HashSet<ChannelName>,
    /// Subscriptions that it has made since the move.
    claimed: HashSet<ChannelName>,
}

/// What a session leaves to its heir.
pub(in crate::broker) struct Estate {
    /// Every message, unacknowledged ones first; of each channel in order.
    pub(in crate::broker) frames: Vec<Frame>,
    /// What is in a carrier's hands and comes back to the heir unless it is written.
    pub(in crate::broker) out: Option<Out>,
    /// The carrier, to be told.
    pub(in crate::broker) waker: Option<Waker>,
    /// To be forgotten.
    pub(in crate::broker) feed: Option<Arc<Feed>>,
}

impl Parked {
    /// Whether a message has to wait for a subscription.
    fn holds_back(&self, frame: &Frame) -> bool {
        if is_own(frame) {
            // It needs no subscription, but must not overtake what waits for the first connect.
            return self.frames.iter().any(is_own);
        }
        if self.names.is_empty() {
            return false;
        }
        let (mut parked, mut claimed) = (false, false);
        frame.channel().for_each_pattern(|name| {
            parked |= self.names.contains(name);
            claimed |= self.claimed.contains(name);
        });
        parked && !claimed
    }

    fn push_back(&mut self, frame: Frame) {
        self.bytes += frame.bytes();
        self.frames.push_back(frame);
    }

    /// Takes out, in order, what `wanted` says.
    fn take(&mut self, wanted: impl Fn(&Frame) -> bool) -> Vec<Frame> {
        let (taken, left): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.frames).into_iter().partition(wanted);
        self.bytes = left.iter().map(Frame::bytes).sum();
        self.frames = left;
        taken.into()
    }

    /// Drops the message that a newer one of its channel replaces.
    fn forget_channel(&mut self, newer: &Frame) -> usize {
        self.take(|frame| replaces(newer, frame)).len()
    }

    fn is_over(&self) -> bool {
        self.names.is_empty() && self.frames.is_empty()
    }
}

impl Mailbox {
    /// Stops every delivery because the client will shake hands anew; says whom to wake. `None` if
    /// the session has ended or is leaving already.
    pub(in crate::broker) fn leave(&mut self) -> Option<[Option<Waker>; 2]> {
        if self.ended.is_some() || self.is_leaving() {
            return None;
        }
        self.transit.get_or_insert_default().leaving = true;
        // No carrier gets this claim, so nothing asks when it was made.
        Some(self.claim(Carrier::None, 0).1)
    }

    /// Whether the client was told to shake hands anew and nothing may be delivered.
    pub(in crate::broker) fn is_leaving(&self) -> bool {
        self.transit.as_ref().is_some_and(|transit| transit.leaving)
    }

    /// The session that the client has moved on to.
    pub(in crate::broker) fn heir(&self) -> Option<&Arc<Session>> {
        self.transit.as_ref().and_then(|transit| transit.heir.as_ref())
    }

    /// Ends the mailbox in favour of `heir`. A monitor's events are not messages: they end here, and come
    /// again when it subscribes again.
    pub(in crate::broker) fn bequeath(&mut self, heir: &Arc<Session>) -> Estate {
        let mut frames =
            self.unacknowledged.take().map_or_else(Vec::new, |window| window.into_frames());
        // Of a channel that was claimed for a while, what is parked is newer than what is queued.
        frames.extend(self.drain());
        let transit = self.transit.get_or_insert_default();
        frames.extend(std::mem::take(&mut transit.parked).frames);
        transit.heir = Some(Arc::clone(heir));
        self.ended = Some(Cause::Moved.into());
        Estate { frames, out: self.out.take(), waker: self.waiter.take(), feed: self.feed.take() }
    }

    /// Begins as the heir of a session that had `names` and `frames`. While its carrier has a batch
    /// `out`, nobody takes another: what comes back of it is older than all else.
    pub(in crate::broker) fn inherit(
        &mut self,
        frames: Vec<Frame>,
        out: Option<Out>,
        names: impl Iterator<Item = ChannelName>,
    ) {
        self.out = out;
        self.inherited = true;
        let parked = &mut self.transit.get_or_insert_default().parked;
        parked.names.extend(names);
        frames.into_iter().for_each(|frame| parked.push_back(frame));
    }

    /// The client subscribed to `name`: everything parked that it matches joins the queue.
    pub(in crate::broker) fn release(&mut self, name: &ChannelName) -> Option<Settled> {
        let parked = &mut self.transit.as_mut()?.parked;
        parked.names.remove(name);
        parked.claimed.insert(name.clone());
        let frames = parked.take(|frame| name.matches(frame.channel()) && !is_own(frame));
        Some(self.enqueue_released(frames))
    }

    /// The client has connected: messages for itself, which need no subscription, join the queue.
    pub(in crate::broker) fn release_own(&mut self) -> Option<Settled> {
        let parked = &mut self.transit.as_mut()?.parked;
        let frames = parked.take(is_own);
        Some(self.enqueue_released(frames))
    }

    /// The client gave a subscription up: what comes for it is not claimed any more. What waited for
    /// nothing else joins the queue, as what is queued for any other subscription stays there.
    pub(in crate::broker) fn disclaim(&mut self, name: &ChannelName) -> Option<Settled> {
        let parked = &mut self.transit.as_mut()?.parked;
        parked.claimed.remove(name);
        if !parked.names.remove(name) {
            return None;
        }
        let names = std::mem::take(&mut parked.names);
        let waits = |frame: &Frame| names.iter().any(|other| other.matches(frame.channel()));
        let frames = parked.take(|frame| !waits(frame) && !is_own(frame));
        parked.names = names;
        Some(self.enqueue_released(frames))
    }

    /// Subscriptions of the session before that the client has not renewed.
    pub(in crate::broker) fn parked_names(&self) -> HashSet<ChannelName> {
        self.transit.as_ref().map_or_else(HashSet::new, |transit| transit.parked.names.clone())
    }

    /// Gives up what was not claimed, and says how many messages that were.
    pub(in crate::broker) fn forget_parked(&mut self) -> usize {
        let Some(transit) = &mut self.transit else { return 0 };
        let parked = std::mem::take(&mut transit.parked);
        self.end_transit();
        parked.frames.len()
    }

    /// Takes back what a carrier of the session before has not written; it is older than all else.
    pub(in crate::broker) fn take_back(&mut self, unwritten: Vec<Frame>) -> Settled {
        let mut settled = Settled::default();
        self.out = None;
        if let Some(ending) = self.ended {
            return Settled::discarded(unwritten.len(), ending);
        }
        // Where newer ones of its channel are queued, a message goes before them.
        let mut queued: HashSet<ChannelName> =
            self.frames().map(|frame| frame.channel().clone()).collect();
        let mut replaced = self.transit.as_ref().map_or_else(HashSet::new, |transit| {
            let parked = transit.parked.frames.iter();
            let latest = parked.filter(|frame| frame.policy() == QueuePolicy::Latest);
            latest.map(|frame| frame.channel().clone()).collect()
        });
        for frame in unwritten.into_iter().rev() {
            if replaced.contains(frame.channel()) || self.has_newer(&frame) {
                settled.dropped.latest += 1;
                continue;
            }
            match &mut self.transit {
                Some(transit)
                    if transit.parked.holds_back(&frame) && !queued.contains(frame.channel()) =>
                {
                    if frame.policy() == QueuePolicy::Latest {
                        replaced.insert(frame.channel().clone());
                    }
                    transit.parked.bytes += frame.bytes();
                    transit.parked.frames.push_front(frame);
                }
                _ => {
                    queued.insert(frame.channel().clone());
                    self.prepend(frame);
                }
            }
        }
        self.dropped += settled.dropped.total();
        settled.waker = self.wake();
        settled
    }

    /// Parks a message that its client has not subscribed to again; `None`: it is not to be parked.
    pub(super) fn park(&mut self, frame: &Frame, bounds: QueueBounds) -> Option<Pushed> {
        let parked = &mut self.transit.as_mut()?.parked;
        if !parked.holds_back(frame) {
            return None;
        }
        let mut pushed = Pushed { entered: true, ..Pushed::default() };
        if frame.policy() == QueuePolicy::Latest {
            pushed.looked = parked.frames.len();
            pushed.dropped.latest += parked.forget_channel(frame);
        }
        if !self.fits(frame, bounds) {
            match frame.policy() {
                QueuePolicy::Disconnect => {
                    pushed.entered = false;
                    pushed.overflow = true;
                }
                // Nothing parked is thrown out for it: half a minute is all that it would have had.
                QueuePolicy::DropOldest => pushed.dropped.oldest += 1,
                QueuePolicy::Latest => pushed.dropped.latest += 1,
            }
            self.dropped += pushed.dropped.total();
            return Some(pushed);
        }
        if let Some(transit) = &mut self.transit {
            transit.parked.push_back(frame.clone());
        }
        self.dropped += pushed.dropped.total();
        self.had_messages = true;
        Some(pushed)
    }

    /// Messages that are parked.
    pub(super) fn parked_frames(&self) -> impl Iterator<Item = &Frame> {
        self.transit.iter().flat_map(|transit| &transit.parked.frames)
    }

    /// Number and bytes of parked messages.
    pub(super) fn parked(&self) -> (usize, usize) {
        self.transit
            .as_ref()
            .map_or((0, 0), |transit| (transit.parked.frames.len(), transit.parked.bytes))
    }

    fn enqueue_released(&mut self, frames: Vec<Frame>) -> Settled {
        let mut settled = Settled::default();
        for frame in frames {
            if self.has_newer(&frame) {
                // What was parked is the newer one.
                settled.dropped.latest += self.forget_channel(&frame);
            }
            self.make_ready_for(&frame);
            self.append(frame);
            self.patience.lose();
        }
        self.dropped += settled.dropped.total();
        if self.transit.as_ref().is_some_and(|transit| transit.parked.is_over()) {
            self.end_transit();
        }
        settled.waker = self.wake();
        settled
    }

    /// Frees the memory of a move that is over.
    fn end_transit(&mut self) {
        if self.transit.as_ref().is_some_and(|transit| !transit.leaving && transit.heir.is_none()) {
            self.transit = None;
        }
    }
}

/// Whether a message is for the session itself, whatever it subscribed to.
fn is_own(frame: &Frame) -> bool {
    frame.channel().kind() == Kind::Service
}

/// Whether `newer` takes the place of `older`, because only the latest message of their channel counts.
fn replaces(newer: &Frame, older: &Frame) -> bool {
    older.policy() == QueuePolicy::Latest && newer.channel() == older.channel()
}
