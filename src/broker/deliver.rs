//! The walk of published messages to every matching mailbox.
//!
//! A message published to `/a/b/c` reaches the subscribers of `/**`, `/a/**`, `/a/b/**`, `/a/b/*`
//! and `/a/b/c`; the channel remembers which of these patterns exist (`matching`). A session that
//! matches several times gets one copy (protocol.md 62). The walk goes in steps, so that a huge
//! channel does not keep a worker thread from everything else; dropping it finishes it at once, so nobody
//! can leave the channel stuck with the baton taken. Who may be cancelled hands it on instead
//! (`server::dispatch::publish`), because it ends only when nobody else publishes any more.

use std::{collections::HashSet, sync::Arc, task::Waker};

use super::{
    Broker,
    id_hash::IdHash,
    matching::Patterns,
    session::{Session, SessionId},
    topic::{Delivered, Pending, Seq, Snapshot, Topic},
};
use crate::events::{Cause, Policy};

/// Mailbox pushes in one step: about a millisecond.
const STEP_PUSHES: usize = 4096;
/// Queued messages that one looks at, or drops, in the time of a push; measured, when none is in a cache.
const LOOKS_PER_PUSH: usize = 8;
/// Looks for the patterns over a channel while others are made or swept away between each look and the
/// next microsecond; then it has to go on with those that it knows.
const PATTERN_LOOKS_MAX: usize = 8;
/// Pushes after which receivers are no longer kept waiting for further messages of a burst.
const DUE_PUSHES: usize = STEP_PUSHES / 4;
/// Wakers collected before they are fired.
const WAKES_MAX: usize = 256;

/// How far a walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Step again.
    More,
    /// The caller's own message has arrived; what is left is other publishers'.
    Others,
    /// Everything has arrived and the baton lies down.
    Done,
}

/// Connections to wake, collected so that a burst wakes each once and no waker fires under a lock; and
/// how much was done meanwhile.
#[derive(Debug, Default)]
pub struct Wakes {
    wakers: Vec<Waker>,
    pushes: usize,
}

impl Wakes {
    pub(super) fn extend(&mut self, waker: Option<Waker>) {
        self.wakers.extend(waker);
    }

    /// Wakes everybody collected so far.
    pub fn fire(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }

    /// Whether it is time to let others run: since the last [`Self::rest`] the messages of a batch, each
    /// small enough to go without a pause, have together made the pushes of a step.
    #[must_use]
    pub const fn is_tired(&self) -> bool {
        self.pushes >= STEP_PUSHES
    }

    /// Whether so much was done since the last [`Self::rest`] that nobody should wait for more to be done.
    #[must_use]
    pub const fn is_due(&self) -> bool {
        self.pushes >= DUE_PUSHES
    }

    /// Wakes everybody and begins to count anew. The caller yields.
    pub fn rest(&mut self) {
        self.fire();
        self.pushes = 0;
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.fire();
    }
}

/// The baton of a channel, and the walk that its holder is on.
pub struct Delivery {
    broker: Arc<Broker>,
    topic: Arc<Topic>,
    own: Seq,
    run: Vec<Pending>,
    /// Subscribers of each matching name, the largest list last.
    lists: Vec<Snapshot>,
    /// Sessions of all lists but the last, by [`Session::kin`].
    met: HashSet<SessionId, IdHash>,
    index: usize,
    /// Messages of the run that went into mailboxes so far.
    reached: usize,
    /// Which of the lists; few, and small because connections have room for a walk.
    list: u16,
    done: bool,
}

impl Delivery {
    pub(super) fn new(broker: Arc<Broker>, topic: Arc<Topic>, own: Seq) -> Self {
        Self {
            broker,
            topic,
            own,
            run: Vec::new(),
            lists: Vec::new(),
            met: HashSet::default(),
            index: 0,
            reached: 0,
            list: 0,
            done: false,
        }
    }

    /// Ready once the caller's own message has arrived, whoever carries it there.
    #[must_use]
    pub fn arrival(&self) -> Delivered {
        Delivered::new(Arc::clone(&self.topic), self.own)
    }

    /// Whether everything has arrived and the baton lies down.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// Goes on for about a millisecond. Waking the receivers is left to `wakes`.
    pub fn step(&mut self, wakes: &mut Wakes) -> Progress {
        self.step_by(STEP_PUSHES, wakes)
    }

    /// Goes on for about so many mailbox pushes. Waking the receivers is left to `wakes`.
    pub fn step_by(&mut self, pushes: usize, wakes: &mut Wakes) -> Progress {
        if self.done {
            return Progress::Done;
        }
        if self.run.is_empty() && !self.begin_run() {
            self.done = true;
            return Progress::Done;
        }
        let pushes = pushes.max(1);
        let mut budget = pushes;
        // Counted once a step: writers count on the same line of memory what they deliver.
        let mut queued = 0;
        while budget > 0
            && let Some(session) = self.next_session(&mut budget)
        {
            queued += self.push(&session, &mut budget, wakes);
            budget = budget.saturating_sub(self.run.len());
        }
        wakes.pushes += pushes - budget;
        self.broker.counters.queued.add(queued);
        self.reached += queued;
        if budget == 0 {
            return Progress::More;
        }
        self.note_fan_out();
        let (end, more) = self.topic.delivered(self.run.len(), &mut wakes.wakers);
        self.run.clear();
        // With nothing pending, `begin_run` looks once more under the lock and lays the baton down.
        if !more && !self.begin_run() {
            self.done = true;
            return Progress::Done;
        }
        if self.own < end { Progress::Others } else { Progress::More }
    }

    /// Messages of a run reach the same sessions, but for the few that leave some out.
    fn note_fan_out(&mut self) {
        let (reached, run) = (std::mem::take(&mut self.reached), self.run.len());
        let each = if run == 1 { reached } else { reached.checked_div(run).unwrap_or_default() };
        self.broker.counters.fan_out.record_many(each as u64, run as u64);
    }

    /// Fetches the next run and the sessions that it is for; false when nothing is pending.
    fn begin_run(&mut self) -> bool {
        self.lists.clear();
        self.met.clear();
        (self.list, self.index) = (0, 0);
        if !self.topic.next_run(&mut self.run) {
            return false;
        }
        // Its own topic cannot be swept away while we hold the baton. A pattern that was made since may be
        // what somebody entered who left one of these before its counter was read.
        let generation = self.broker.patterns.current();
        let patterns = self.patterns();
        let topics = patterns.iter().chain([&self.topic]);
        let is_whole = Topic::snapshots(topics, &mut self.lists);
        if !is_whole || self.broker.patterns.current() != generation {
            self.take_lists_at_once();
        }
        self.lists.sort_by_key(|list| list.len());
        true
    }

    /// The patterns over the channel.
    fn patterns(&self) -> Patterns {
        let Some(first) = self.run.first() else { return Patterns::default() };
        let (broker, channel) = (&self.broker, first.frame.channel());
        self.topic.patterns().get(
            &broker.patterns,
            || broker.patterns_over(channel),
            || broker.sweep.rememberers().enter(&self.topic),
        )
    }

    /// Takes the lists of one moment: clients come and go that may exchange a subscription for another.
    ///
    /// Also one for a pattern that is new: it was made before anybody entered it, so before anybody left
    /// another topic for it, so before that topic was locked here. Then the generation has moved.
    fn take_lists_at_once(&mut self) {
        for _ in 0..PATTERN_LOOKS_MAX {
            let generation = self.broker.patterns.current();
            let patterns = self.patterns();
            let topics = patterns.iter().chain([&self.topic]);
            self.lists.clear();
            let is_current = || self.broker.patterns.current() == generation;
            if Topic::snapshots_at_once(topics, &mut self.lists, is_current) {
                return;
            }
        }
    }

    /// The next subscriber that this run has not met yet, if one turns up within `budget`: whoever was met
    /// costs a look.
    fn next_session(&mut self, budget: &mut usize) -> Option<Arc<Session>> {
        while *budget > 0 {
            let list = self.lists.get(usize::from(self.list))?;
            let Some(session) = list.get(self.index) else {
                self.list += 1;
                self.index = 0;
                continue;
            };
            self.index += 1;
            let last = usize::from(self.list) + 1 == self.lists.len();
            let new = match (self.lists.len(), last) {
                (1, _) => true,
                (_, true) => !self.met.contains(&session.kin()),
                (_, false) => self.met.insert(session.kin()),
            };
            if new {
                return Some(Arc::clone(session));
            }
            *budget -= 1;
        }
        None
    }

    /// Puts the run into one mailbox; says how many messages went in. What that costs beyond the push itself
    /// is taken from `budget`.
    fn push(&self, session: &Arc<Session>, budget: &mut usize, wakes: &mut Wakes) -> usize {
        let counters = &self.broker.counters;
        let mut queued = 0;
        for message in &self.run {
            if message.skips(session) {
                continue;
            }
            let pushed = session.push(&message.frame);
            if let Some(reach) = &message.reach {
                reach.count(&pushed);
            }
            if let Some(policy) = pushed.dropped.policy() {
                counters.dropped(pushed.dropped);
                self.broker.tell_queue(session, policy);
            }
            if pushed.looked > 0 {
                *budget = budget.saturating_sub(pushed.looked / LOOKS_PER_PUSH);
            }
            wakes.extend(pushed.waker);
            queued += usize::from(pushed.entered);
            if let Some(at) = pushed.ask_at {
                self.broker.lazy.insert(at, session.latest().id());
            }
            if pushed.overflow {
                let session = session.latest();
                self.broker.tell_queue(&session, Policy::Disconnect);
                self.broker.end(&session, Cause::Slow);
                return queued;
            }
        }
        if wakes.wakers.len() >= WAKES_MAX {
            wakes.fire();
        }
        queued
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let mut wakes = Wakes::default();
        while self.step(&mut wakes) != Progress::Done {}
    }
}

#[cfg(test)]
mod tests;
