//! One listener of the hub: what it wants, what it may have, what waits for it.

use std::{sync::Arc, task::Waker, time::Duration};

use super::{
    Events, PAYLOADS, POLLS, Pulse, REFUSED_PUBLISHES, State,
    event::{Event, EventType, Stats, Subject, Types, What},
    filter::{Filter, Glance},
    queue::{Entry, Queue},
    rights::Rights,
};
use crate::bayeux::ChannelName;

/// Name of a listener that is a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerId(pub(super) u64);

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) id: ListenerId,
    rights: Arc<Rights>,
    interests: Vec<Interest>,
    queue: Queue,
    /// Where the event that is being told goes; 0: nowhere.
    admitted: u8,
    pub(super) is_tap: bool,
    /// Of a tap that waits.
    waker: Option<Waker>,
}

/// One subscription of a listener.
#[derive(Debug, Clone)]
pub struct Interest {
    /// What it is called.
    pub name: ChannelName,
    /// Where its events go, as bits of the listener's own; not 0.
    pub places: u8,
    /// Which types the name stands for.
    pub types: Types,
    /// Which of them are wanted.
    pub filter: Filter,
}

impl Interest {
    const fn concerns(&self, kind: EventType) -> bool {
        self.types.has(kind) && self.filter.types.has(kind)
    }

    fn passes(&self, glance: &Glance<'_>, seq: u64) -> bool {
        self.types.has(glance.kind) && self.filter.passes(glance, seq)
    }
}

/// The node takes no more listeners. The operator is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("monitor.max_subscribers is reached")]
pub struct TooMany;

// === impl Listener ===

impl Listener {
    /// Asks whether the event numbered `seq` is for this listener now. If so it is counted, and
    /// [`Self::accept`] is to follow with it, unless it came too fast.
    pub(super) fn ask(&mut self, glance: &Glance<'_>, seq: u64) -> bool {
        let wanted = |interest: &&Interest| interest.passes(glance, seq);
        let places = self.interests.iter().filter(wanted).fold(0, |all, it| all | it.places);
        let asked = places != 0 && self.rights.allow(glance);
        self.admitted =
            if asked && self.queue.admit(glance.kind, seq, places) { places } else { 0 };
        self.admitted != 0
    }

    /// Whether it might take such an event now; a sample is not drawn yet.
    pub(super) fn heeds(&self, glance: &Glance<'_>) -> bool {
        let covers = |it: &Interest| it.types.has(glance.kind) && it.filter.covers(glance);
        self.queue.has_leave() && self.rights.allow(glance) && self.interests.iter().any(covers)
    }

    /// Whether it needs no look at an event of that type: it gets all of them, or none.
    pub(super) fn is_plain(&self, kind: EventType) -> bool {
        let plain = |it: &Interest| !it.concerns(kind) || it.filter.takes_all();
        !self.rights.types.has(kind)
            || self.rights.scope.is_empty() && self.interests.iter().all(plain)
    }

    /// Counts events of a type that it is plain for, numbered from `first_seq`, as having come too fast.
    pub(super) fn count_all(&mut self, kind: EventType, count: u64, first_seq: u64) {
        let concerned = self.interests.iter().filter(|it| it.concerns(kind));
        let places = concerned.fold(0, |all, it| all | it.places);
        if places != 0 && self.rights.types.has(kind) && self.is_plain(kind) {
            self.queue.merge(kind, first_seq, count, places);
        }
    }

    /// Takes the event that it was asked about; returns how many older ones had to go.
    pub(super) fn accept(&mut self, event: &Arc<Event>) -> u64 {
        match std::mem::take(&mut self.admitted) {
            0 => 0,
            places => self.queue.push(Arc::clone(event), places),
        }
    }

    pub(super) fn pass(&mut self, elapsed: Duration, at: Duration) -> u64 {
        self.queue.pass(elapsed, at)
    }

    /// Adds itself to those that have something to fetch.
    pub(super) fn tell(&mut self, pulse: &mut Pulse) {
        if self.queue.is_empty() {
            return;
        }
        if self.is_tap {
            pulse.wakers.extend(self.waker.take());
        } else {
            pulse.listeners.push(self.id);
        }
    }

    /// Bits of what it wants and may have.
    pub(super) fn wanted(&self, payloads: bool) -> u32 {
        let mut wanted = 0;
        for Interest { filter, types, .. } in &self.interests {
            let types = types.and(filter.types).and(self.rights.types);
            wanted |= types.bits();
            if types.has(EventType::Connect) && filter.polls {
                wanted |= POLLS;
            }
            if types.has(EventType::Publish) {
                wanted |= REFUSED_PUBLISHES;
                if payloads && self.rights.payload {
                    wanted |= PAYLOADS;
                }
            }
        }
        wanted
    }

    /// Whether nothing waits; then `waker` is kept for when something does.
    pub(super) fn waits(&mut self, waker: &Waker) -> bool {
        let empty = self.queue.is_empty();
        if empty {
            match &mut self.waker {
                Some(known) => known.clone_from(waker),
                None => self.waker = Some(waker.clone()),
            }
        }
        empty
    }

    pub(super) fn take(&mut self, count_max: usize, at: Duration) -> Vec<Entry> {
        let lost = Glance::of(EventType::Lost);
        let wanted = |interest: &&Interest| interest.passes(&lost, 0);
        let places = self.interests.iter().filter(wanted).fold(0, |all, it| all | it.places);
        self.queue.take(count_max, at, places)
    }
}

// === impl Events ===

impl Events {
    /// Makes a listener of a session.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn listen(&self, rights: Arc<Rights>) -> Result<ListenerId, TooMany> {
        self.add(rights, Vec::new(), false)
    }

    /// Adds an interest, or replaces the one of that name. If it covers `stats`, `snapshot` is the
    /// first thing that comes of it.
    pub fn want(&self, id: ListenerId, interest: Interest, snapshot: impl FnOnce() -> Stats) {
        let at = (self.time_of_day)();
        let mut state = self.state();
        let seq = state.seq;
        let Some(listener) = state.listener(id) else { return };
        let places = interest.places;
        let stats = Glance::of(EventType::Stats);
        let covered = interest.passes(&stats, seq) && listener.rights.allow(&stats);
        listener.interests.retain(|known| known.name != interest.name);
        listener.interests.push(interest);
        if covered {
            let stats = Stats { snapshot: true, ..snapshot() };
            let what = What::Stats(Box::new(stats));
            let event = Event { seq, at, subject: Subject::default(), error: None, what };
            listener.queue.push(Arc::new(event), places);
        }
        self.refresh(&state);
    }

    /// Takes an interest back; false if there was none of that name.
    pub fn unwant(&self, id: ListenerId, name: &ChannelName) -> bool {
        let mut state = self.state();
        let Some(listener) = state.listener(id) else { return false };
        let before = listener.interests.len();
        listener.interests.retain(|known| known.name != *name);
        let had = listener.interests.len() < before;
        self.refresh(&state);
        had
    }

    /// Number of interests of a listener.
    #[must_use]
    pub fn interests(&self, id: ListenerId) -> usize {
        self.state().listener(id).map_or(0, |listener| listener.interests.len())
    }

    /// Ends a listener.
    pub fn forget(&self, id: ListenerId) {
        let mut state = self.state();
        state.listeners.retain(|listener| listener.id != id);
        self.refresh(&state);
    }

    /// Takes what waits for a listener, oldest first, at most `count_max` and the word about lost ones.
    #[must_use]
    pub fn take(&self, id: ListenerId, count_max: usize) -> Vec<Entry> {
        let at = (self.time_of_day)();
        let mut state = self.state();
        let taken = state.listener(id).map(|listener| listener.take(count_max, at));
        drop(state);
        taken.unwrap_or_default()
    }

    /// Number of sessions that monitor.
    #[must_use]
    pub fn monitors(&self) -> usize {
        self.state().listeners.iter().filter(|listener| !listener.is_tap).count()
    }

    pub(super) fn add(
        &self,
        rights: Arc<Rights>,
        interests: Vec<Interest>,
        is_tap: bool,
    ) -> Result<ListenerId, TooMany> {
        let mut state = self.state();
        let alike = state.listeners.iter().filter(|listener| listener.is_tap == is_tap).count();
        if alike >= state.listeners_max {
            return Err(TooMany);
        }
        let id = ListenerId(state.next_id);
        state.next_id += 1;
        let queue = Queue::new(state.bounds);
        let (admitted, waker) = (0, None);
        state.listeners.push(Listener { id, rights, interests, queue, admitted, is_tap, waker });
        self.refresh(&state);
        let idle = state.idle.take();
        drop(state);
        if let Some(idle) = idle {
            idle.wake();
        }
        Ok(id)
    }
}

impl State {
    pub(super) fn listener(&mut self, id: ListenerId) -> Option<&mut Listener> {
        self.listeners.iter_mut().find(|listener| listener.id == id)
    }
}
