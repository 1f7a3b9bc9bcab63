//! A session that goes over into another one, because its client is steered to another transport.
//!
//! The client cannot be told to keep its clientId and change its transport; it can only be told to
//! shake hands anew. So the new session takes over what the old one has: subscriptions, parked until
//! the client renews them, and messages. A walk that is under way meets one of the two, never both,
//! and the old session passes on what still reaches it. Source: protocol.md SF5-SF11.

use std::{
    sync::{Arc, atomic::Ordering},
    task::Waker,
};

use super::{Session, SessionId};
use crate::{
    bayeux::{ChannelName, Frame},
    broker::{
        mailbox::{Carrier, Closed, Estate, Pushed, Settled},
        routes::Routes,
    },
};

/// What a session gave up that its client did not claim in time.
#[derive(Debug, Default)]
pub(in crate::broker) struct Forgotten {
    /// Subscriptions, and whether the sweep is to look at the topic; see
    /// [`Topic::remove`](crate::broker::topic::Topic::remove).
    pub(in crate::broker) subscriptions: Vec<(ChannelName, bool)>,
    /// Messages that waited for them.
    pub(in crate::broker) discarded: usize,
}

impl Session {
    /// Notes what is known of the transports of its client.
    pub fn set_routes(&self, routes: Routes) {
        self.routes.set(routes);
    }

    /// What is known of the transports of its client.
    #[must_use]
    pub fn routes(&self) -> Routes {
        self.routes.get()
    }

    /// Whether a WebSocket delivers.
    #[must_use]
    pub fn is_on_socket(&self) -> bool {
        self.mailbox.lock().carrier() == Carrier::Socket
    }

    /// Whether its client was told to shake hands anew, and has not done so.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        let mailbox = self.mailbox.lock();
        mailbox.is_leaving() && mailbox.heir().is_none()
    }

    /// What a session and all that it goes over into have in common: a message is for one of them.
    pub(in crate::broker) const fn kin(&self) -> SessionId {
        self.kin
    }

    /// The session that its client has now: itself, unless it has moved on.
    pub(in crate::broker) fn latest(self: &Arc<Self>) -> Arc<Self> {
        let mut latest = Arc::clone(self);
        loop {
            let Some(heir) = latest.mailbox.lock().heir().cloned() else { break };
            latest = heir;
        }
        latest
    }

    /// Stops every delivery until a session takes over, or this one expires at `life`. False if it
    /// has ended or is leaving already.
    pub(in crate::broker) fn leave(&self, life: u64) -> bool {
        let mut mailbox = self.mailbox.lock();
        let Some(wakers) = mailbox.leave() else { return false };
        let before = self.deadline.swap(life, Ordering::SeqCst);
        self.count_held(before, life);
        drop(mailbox);
        wakers.into_iter().flatten().for_each(Waker::wake);
        true
    }

    /// Hands subscriptions and messages over to `heir`, which nobody else knows yet; `None` if
    /// one of the two has ended.
    pub(in crate::broker) fn hand_over(&self, heir: &Arc<Self>) -> Option<Closed> {
        let mut subscriptions = self.subscriptions.lock();
        // Held until the topics know it: whoever ends the heir then finds what to take out of them.
        let mut inherited = heir.subscriptions.lock();
        let place = inherited.as_mut()?;
        let list = subscriptions.take()?;
        // From here on whatever reaches this session goes to the heir.
        let mut mailbox = self.mailbox.lock();
        let Estate { frames, out, waker, feed } = mailbox.bequeath(heir);
        let closed = Closed { delivered: mailbox.delivered(), discarded: 0 };
        let before = self.deadline.swap(0, Ordering::SeqCst);
        self.count_held(before, 0);
        heir.mailbox.lock().inherit(frames, out, list.iter().map(|entry| entry.name.clone()));
        drop(mailbox);
        for entry in &list {
            entry.topic.replace(entry.key, Arc::clone(heir));
        }
        *place = list;
        drop(inherited);
        drop(subscriptions);
        if let Some(feed) = feed {
            feed.forget();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        Some(closed)
    }

    /// The first connect of the client has come: what is for itself need not wait.
    pub(in crate::broker) fn release_own(&self) {
        let released = self.mailbox.lock().release_own();
        self.finish(released);
    }

    /// Counts and wakes for what is no longer parked; under no lock of the mailbox.
    pub(super) fn finish(&self, released: Option<Settled>) {
        let Some(Settled { waker, dropped, .. }) = released else { return };
        self.counters.dropped(dropped);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Gives up the subscriptions that its client has not renewed, and what waits for them.
    ///
    /// One that is renewed at this moment is renewed before, and stays, or made anew after.
    pub(in crate::broker) fn forget_parked(&self) -> Forgotten {
        let mut forgotten = Forgotten::default();
        let mut subscriptions = self.subscriptions.lock();
        let Some(list) = subscriptions.as_mut() else { return forgotten };
        // Known to the mailbox until the topics have forgotten them: what still comes is parked.
        let names = self.mailbox.lock().parked_names();
        for gone in list.extract_if(.., |known| names.contains(&known.name)) {
            let was_last = gone.topic.remove(gone.key);
            forgotten.subscriptions.push((gone.name, was_last));
        }
        self.counters.subscriptions.sub(forgotten.subscriptions.len());
        forgotten.discarded = self.mailbox.lock().forget_parked();
        forgotten
    }

    /// Takes a frame of a walk that began before the move.
    #[cold]
    #[inline(never)] // it calls itself where clients move often, and nobody else is to pay for it
    pub(super) fn push_late(&self, frame: &Frame) -> Pushed {
        self.push(frame)
    }

    /// Takes back what a carrier of the session before has not written; with nothing, it was written.
    pub(super) fn take_back(&self, unwritten: Vec<Frame>) {
        let mut mailbox = self.mailbox.lock();
        if let Some(heir) = mailbox.heir().cloned() {
            drop(mailbox);
            return heir.take_back(unwritten);
        }
        let settled = mailbox.take_back(unwritten);
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
