//! What happens in the broker, told to whoever listens: monitors, operators, the admin API.
//!
//! [`Event`] is one thing that happened; [`Events`] is where it is said, once, and from where it goes to
//! every listener that wants it and may have it. Saying something that nobody wants costs one relaxed
//! load. A listener is a session that monitors, whose events travel with its messages, or a [`Tap`],
//! from which the program takes them. Each has a bounded ring of its own and a pace; what goes beyond is
//! merged, dropped oldest first, and told.
//!
//! Nobody is woken by an event: listeners are at the next [`Events::pulse`], so publishers do not pay for
//! them. Reads no clock but the time of day that it was made with, which decides nothing.
//! Source: monitoring.md.

mod event;
mod filter;
mod hush;
mod listener;
mod peer;
mod queue;
mod recent;
mod rights;
mod sid;
mod tap;
mod write;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

pub use self::{
    event::{
        Auth, Cause, ConnectKind, Event, EventType, NodeEvent, Operation, Policy, Stats, Subject,
        Subscribed, TransportKind, Types, Via, What,
    },
    filter::{Filter, Glance},
    listener::{Interest, ListenerId, TooMany},
    peer::{Page, Pages, Peer, TEXT_CHARS_MAX, cut},
    queue::{Bounds, Entry},
    rights::{Revoked, Rights},
    sid::Sid,
    tap::Tap,
};
use self::{hush::Hushed, listener::Listener, recent::Recent};
use crate::{bayeux::Refusal, config::Monitor};

/// Period of [`Events::pulse`]: events are at most this late, unless they wait for a poll.
pub const PULSE: Duration = Duration::from_millis(50);
/// Over so long events above the pace are merged (monitoring.md 8.5).
const MERGE: Duration = Duration::from_millis(100);
/// Interest in every poll, beside the bits of the types.
const POLLS: u32 = 1 << 30;
/// Interest in refused publishes.
const REFUSED_PUBLISHES: u32 = 1 << 29;
/// Interest in what is published.
const PAYLOADS: u32 = 1 << 28;

/// See the module documentation.
#[derive(Debug)]
pub struct Events {
    /// Bits of the types that somebody wants.
    wanted: AtomicU32,
    hushed: Hushed,
    counts: [AtomicU64; EventType::ALL.len()],
    lost: AtomicU64,
    time_of_day: fn() -> Duration,
    payloads: bool,
    /// Held for a few pushes of a pointer; every event has its number and its place in all rings by it.
    /// Taken by [`Events::state`] alone.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seq: u64,
    recent: Recent,
    listeners: Vec<Listener>,
    /// Of those that begin to listen.
    bounds: Bounds,
    listeners_max: usize,
    next_id: u64,
    merged_at: Option<Instant>,
    /// Of the task that calls [`Events::pulse`], while there is nobody to call it for.
    idle: Option<Waker>,
}

/// Who is to be told after a pulse.
#[derive(Debug, Default)]
pub struct Pulse {
    /// Listeners of sessions that have something to fetch.
    pub listeners: Vec<ListenerId>,
    /// Taps that do; to be fired.
    pub(crate) wakers: Vec<Waker>,
}

impl Pulse {
    /// Wakes the taps.
    pub fn fire(self) {
        self.wakers.into_iter().for_each(Waker::wake);
    }
}

impl Events {
    /// Nobody listens yet. `time_of_day` is what events say of the time, since 1970.
    #[must_use]
    pub fn new(config: &Monitor, time_of_day: fn() -> Duration) -> Self {
        let state = State {
            seq: 0,
            recent: Recent::new(config.recent_events, config.ring_bytes),
            listeners: Vec::new(),
            bounds: config.into(),
            listeners_max: config.max_subscribers,
            next_id: 0,
            merged_at: None,
            idle: None,
        };
        let events = Self {
            wanted: AtomicU32::new(0),
            hushed: Hushed::default(),
            counts: Default::default(),
            lost: AtomicU64::new(0),
            time_of_day,
            payloads: config.payloads,
            state: Mutex::new(state),
        };
        events.refresh(&events.state());
        events
    }

    /// Takes the bounds and the pace of listeners that begin from now on.
    pub fn reload(&self, config: &Monitor) {
        let mut state = self.state();
        (state.bounds, state.listeners_max) = (config.into(), config.max_subscribers);
        state.recent.resize(config.recent_events, config.ring_bytes);
        self.refresh(&state);
    }

    /// Whether an event of that type would be told to anybody.
    #[must_use]
    pub fn wants(&self, kind: EventType) -> bool {
        self.wanted.load(Ordering::Relaxed) & kind.bit() != 0
    }

    /// Whether somebody wants an event for every poll.
    #[must_use]
    pub fn wants_polls(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) & POLLS != 0
    }

    /// Whether somebody wants to see what is published.
    #[must_use]
    pub fn wants_payloads(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) & PAYLOADS != 0
    }

    /// Tells an event to everybody who wants it and may have it. `make` is called at most once, and
    /// only if somebody does; it must not take locks that are held by whoever emits.
    pub fn emit(&self, glance: &Glance<'_>, make: impl FnOnce() -> (Subject, What)) {
        self.tell(glance, None, make);
    }

    /// As [`Self::emit`], of something that was refused, or not.
    pub fn tell(
        &self,
        glance: &Glance<'_>,
        error: Option<Refusal>,
        make: impl FnOnce() -> (Subject, What),
    ) {
        let bit = match (glance.kind, glance.poll, glance.refused) {
            (EventType::Publish, _, true) => REFUSED_PUBLISHES,
            (_, true, _) => POLLS,
            (kind, ..) => kind.bit(),
        };
        if self.wanted.load(Ordering::Relaxed) & bit == 0 {
            return;
        }
        let mut state = self.state();
        state.seq += 1;
        let seq = state.seq;
        self.count(glance.kind, 1);
        let mut asked = state.recent.keeps(glance);
        for listener in &mut state.listeners {
            asked |= listener.ask(glance, seq);
        }
        if !asked {
            return;
        }
        let (subject, what) = make();
        let event = Arc::new(Event { seq, at: (self.time_of_day)(), subject, error, what });
        let lost = state.listeners.iter_mut().map(|listener| listener.accept(&event)).sum();
        if state.recent.keeps(glance) {
            state.recent.push(event);
        }
        drop(state);
        self.lost.fetch_add(lost, Ordering::Relaxed);
    }

    /// The newest events of a session, or of all, newest last. Publishes are not kept, refused ones are.
    #[must_use]
    pub fn recent(&self, sid: Option<Sid>, count_max: usize) -> Vec<Arc<Event>> {
        self.state().recent.newest(sid, count_max)
    }

    /// Events told so far, of one type.
    #[must_use]
    pub fn told(&self, kind: EventType) -> u64 {
        self.counts.get(kind as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Events that listeners did not get because their ring was full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Moves time on for all listeners and says which have something to fetch. Call it every [`PULSE`]
    /// while [`Self::poll_listened`] says so.
    pub fn pulse(&self, now: Instant) -> Pulse {
        let at = (self.time_of_day)();
        let mut state = self.state();
        let since = now.saturating_duration_since(*state.merged_at.get_or_insert(now));
        let elapsed = (since >= MERGE).then_some(since);
        if elapsed.is_some() {
            state.merged_at = Some(now);
        }
        let mut pulse = Pulse::default();
        let mut lost = 0;
        for listener in &mut state.listeners {
            lost += elapsed.map_or(0, |elapsed| listener.pass(elapsed, at));
            listener.tell(&mut pulse);
        }
        if elapsed.is_some() {
            self.unhush();
        }
        drop(state);
        self.lost.fetch_add(lost, Ordering::Relaxed);
        pulse
    }

    /// Waits until somebody listens.
    pub fn poll_listened(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if !state.listeners.is_empty() {
            return Poll::Ready(());
        }
        state.idle = Some(cx.waker().clone());
        Poll::Pending
    }

    fn count(&self, kind: EventType, count: u64) {
        if let Some(counter) = self.counts.get(kind as usize) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Notes anew what is wanted.
    fn refresh(&self, state: &State) {
        let wanted = state.listeners.iter().fold(state.recent.wanted(), |wanted, listener| {
            wanted | listener.wanted(self.payloads)
        });
        self.wanted.store(wanted, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
