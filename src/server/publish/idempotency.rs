//! Repeats: a message under an idempotency key is published once, however often it is sent.
//!
//! The first result is remembered for `api.idempotency_ttl` and given to every repeat; a repeat that
//! comes while the first is under way waits for it. Failures are not remembered: whoever was refused
//! for want of room should try again. Ids of Bayeux messages would not do, since clients start them
//! anew after a reload. Source: operations.md 5.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{message::Receipt, problem::Problem};

/// What a repeat is recognised by: the API key, the client's key, and for a broadcast the channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name(Arc<(Arc<str>, Box<str>, Box<str>)>);

/// A hash of everything that the message consists of.
pub(super) type Fingerprint = [u8; 32];

/// The outcome of a message.
pub(super) type Outcome = Result<Receipt, Problem>;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Idempotency {
    ttl: Duration,
    entries_max: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Name, Entry>,
    /// Oldest first; an entry that was replaced since has another serial number.
    order: VecDeque<(Instant, u64, Name)>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    serial: u64,
    fingerprint: Fingerprint,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// The first is under way.
    Running(watch::Receiver<Option<Outcome>>),
    Done(Receipt),
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
    serial: u64,
    told: watch::Sender<Option<Outcome>>,
}

impl Name {
    pub(super) fn new(principal: &Arc<str>, key: &str, channel: &str) -> Self {
        Self(Arc::new((Arc::clone(principal), key.into(), channel.into())))
    }
}

impl Idempotency {
    pub(super) fn new(ttl: Duration, entries_max: usize) -> Self {
        Self { ttl, entries_max, table: Mutex::default() }
    }

    /// Says what is to be done about a message that comes at `now`.
    pub(super) fn claim(
        self: &Arc<Self>,
        name: Name,
        fingerprint: Fingerprint,
        now: Instant,
    ) -> Claim {
        let mut table = self.table.lock();
        table.forget(now, self.ttl, self.entries_max);
        if let Some(entry) = table.entries.get(&name) {
            return match &entry.state {
                _ if entry.fingerprint != fingerprint => Claim::Conflict,
                State::Running(first) => Claim::Wait(first.clone()),
                State::Done(receipt) => Claim::Done(*receipt),
            };
        }
        let serial = table.next;
        table.next += 1;
        let (told, first) = watch::channel(None);
        let state = State::Running(first);
        table.entries.insert(name.clone(), Entry { serial, fingerprint, state });
        table.order.push_back((now, serial, name.clone()));
        Claim::First(Ticket { owner: Arc::clone(self), name, serial, told })
    }
}

impl Table {
    /// Makes room: what is too old goes, and the oldest of what is too much.
    fn forget(&mut self, now: Instant, ttl: Duration, entries_max: usize) {
        while let Some((since, serial, name)) = self.order.front() {
            let old = now.saturating_duration_since(*since) >= ttl;
            if !old && self.order.len() < entries_max {
                return;
            }
            if self.entries.get(name).is_some_and(|entry| entry.serial == *serial) {
                self.entries.remove(name);
            }
            self.order.pop_front();
        }
    }
}

impl Ticket {
    /// Remembers a success; tells those who wait in any case.
    pub(super) fn settle(self, outcome: Outcome) {
        if let Ok(receipt) = outcome
            && let Some(entry) = self.owner.table.lock().entries.get_mut(&self.name)
            && entry.serial == self.serial
        {
            entry.state = State::Done(receipt);
        }
        self.told.send_replace(Some(outcome));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut table = self.owner.table.lock();
        let unsettled = table.entries.get(&self.name).is_some_and(|entry| {
            entry.serial == self.serial && matches!(entry.state, State::Running(_))
        });
        if unsettled {
            table.entries.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests;
