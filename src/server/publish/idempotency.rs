//! Repeats: a message under an idempotency key is published once, however often it is sent.
//!
//! The first result is remembered for `api.idempotency_ttl` and given to every repeat; a repeat that
//! comes while the first is under way waits for it. Failures are not remembered: whoever was refused
//! for want of room should try again. Each API key has a memory of its own with its own bound, so that
//! none can make the broker forget what it owes to another. Ids of Bayeux messages would not do, since
//! clients start them anew after a reload. Source: operations.md 5.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use tokio::sync::watch;

use super::{message::Receipt, problem::Problem};
use crate::config::Dial;

/// What a repeat is recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// The id of the API key.
    principal: Arc<str>,
    message: Key,
}

/// The client's key, and for a broadcast the channel.
type Key = Arc<(Box<str>, Box<str>)>;

/// A hash of everything that the message consists of.
pub(super) type Fingerprint = [u8; 32];

/// The outcome of a message.
pub(super) type Outcome = Result<Receipt, Problem>;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Idempotency {
    ttl: Dial<Duration>,
    /// Most results of one API key.
    results_max: Dial<usize>,
    /// By the id of the API key; as many as keys publish under idempotency keys.
    tables: DashMap<Arc<str>, Table>,
    /// Results that were forgotten before their time, because their key had too many.
    evicted: AtomicU64,
}

/// What is remembered of one API key.
#[derive(Debug, Default)]
struct Table {
    /// Results, and beyond them at most one entry for each request in flight.
    entries: HashMap<Key, Entry>,
    /// The results, oldest first. Only what was published has a place, so that neither failures nor
    /// what is under way count, and nothing under way can be forgotten.
    order: VecDeque<(Instant, Key)>,
}

#[derive(Debug)]
struct Entry {
    fingerprint: Fingerprint,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// The first is under way.
    Running(watch::Receiver<Option<Outcome>>),
    /// The result, and since when it is known.
    Done(Receipt, Instant),
}

/// What is to be done about a message.
#[derive(Debug)]
pub(super) enum Claim {
    /// Publish it, and settle the ticket.
    First(Ticket),
    /// Wait for the first, which is under way. If it is given up, claim again.
    Wait(watch::Receiver<Option<Outcome>>),
    /// It was published before, with this result.
    Done(Receipt),
    /// The key was used for another message.
    Conflict,
}

/// The right and duty to publish the first of a kind. Dropped unsettled, it lets the next one try.
#[derive(Debug)]
pub(super) struct Ticket {
    owner: Arc<Idempotency>,
    name: Name,
    told: watch::Sender<Option<Outcome>>,
}

impl Name {
    pub(super) fn new(principal: &Arc<str>, key: &str, channel: &str) -> Self {
        let message = Arc::new((key.into(), channel.into()));
        Self { principal: Arc::clone(principal), message }
    }
}

impl Idempotency {
    pub(super) fn new(ttl: Duration, results_max: usize) -> Self {
        let (ttl, results_max) = (Dial::new(ttl), Dial::new(results_max));
        Self { ttl, results_max, tables: DashMap::new(), evicted: AtomicU64::new(0) }
    }

    /// Remembers so long and so many from now on. What a key has beyond that is forgotten when it publishes.
    pub(super) fn adjust(&self, ttl: Duration, results_max: usize) {
        self.ttl.turn(ttl);
        self.results_max.turn(results_max);
    }

    /// Results that were forgotten before their time, since the start.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Says what is to be done about a message that comes at `now`.
    pub(super) fn claim(
        self: &Arc<Self>,
        name: Name,
        fingerprint: Fingerprint,
        now: Instant,
    ) -> Claim {
        let mut table = self.tables.entry(Arc::clone(&name.principal)).or_default();
        table.forget_old(now, self.ttl.now(), FORGOTTEN_PER_CLAIM);
        let known = table.entries.get(&name.message);
        if let Some(entry) = known.filter(|entry| !entry.is_old(now, self.ttl.now())) {
            return match &entry.state {
                _ if entry.fingerprint != fingerprint => Claim::Conflict,
                State::Running(first) => Claim::Wait(first.clone()),
                State::Done(receipt, _) => Claim::Done(*receipt),
            };
        }
        let (told, first) = watch::channel(None);
        let state = State::Running(first);
        table.entries.insert(Arc::clone(&name.message), Entry { fingerprint, state });
        Claim::First(Ticket { owner: Arc::clone(self), name, told })
    }

    /// Forgets what is too old, also of keys that publish no more; a few milliseconds at most.
    pub(super) fn tick(&self, now: Instant) {
        let mut left = FORGOTTEN_PER_TICK;
        self.tables.retain(|_, table| {
            left -= table.forget_old(now, self.ttl.now(), left);
            !table.entries.is_empty()
        });
    }

    /// Remembers a result that is known since `now`, and forgets the oldest one of what is too much.
    fn remember(&self, name: &Name, receipt: Receipt, now: Instant) {
        let Some(mut table) = self.tables.get_mut(&name.principal) else { return };
        let table = &mut *table;
        let Some(entry) = table.entries.get_mut(&name.message) else { return };
        entry.state = State::Done(receipt, now);
        table.order.push_back((now, Arc::clone(&name.message)));
        while table.order.len() > self.results_max.now()
            && let Some(since) = table.forget_oldest()
        {
            if now.saturating_duration_since(since) < self.ttl.now() {
                self.evicted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Table {
    /// Forgets at most `most` of the results that are too old; says how many.
    fn forget_old(&mut self, now: Instant, ttl: Duration, most: usize) -> usize {
        let mut forgotten = 0;
        while forgotten < most
            && let Some((since, _)) = self.order.front()
            && now.saturating_duration_since(*since) >= ttl
        {
            self.forget_oldest();
            forgotten += 1;
        }
        forgotten
    }

    /// Forgets the oldest result; says since when it was known.
    fn forget_oldest(&mut self) -> Option<Instant> {
        let (since, key) = self.order.pop_front()?;
        // One that was too old, and was claimed anew before it was forgotten, stays.
        let is_same = |entry: &Entry| matches!(entry.state, State::Done(_, then) if then == since);
        if self.entries.get(&key).is_some_and(is_same) {
            self.entries.remove(&key);
        }
        Some(since)
    }
}

impl Entry {
    /// Whether this is a result whose time is over. It may be there still: few are forgotten at once.
    fn is_old(&self, now: Instant, ttl: Duration) -> bool {
        matches!(self.state, State::Done(_, since) if now.saturating_duration_since(since) >= ttl)
    }
}

impl Ticket {
    /// Remembers a success, known since `now`; tells those who wait in any case.
    pub(super) fn settle(self, outcome: Outcome, now: Instant) {
        if let Ok(receipt) = outcome {
            self.owner.remember(&self.name, receipt, now);
        }
        self.told.send_replace(Some(outcome));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(mut table) = self.owner.tables.get_mut(&self.name.principal) else { return };
        let entry = table.entries.get(&self.name.message);
        if entry.is_some_and(|entry| matches!(entry.state, State::Running(_))) {
            table.entries.remove(&self.name.message);
        }
    }
}

/// More than one, so that a memory full of old results empties.
const FORGOTTEN_PER_CLAIM: usize = 8;
/// A few milliseconds' work; several times what a key publishes in that time by default.
const FORGOTTEN_PER_TICK: usize = 10_000;

#[cfg(test)]
mod tests;
