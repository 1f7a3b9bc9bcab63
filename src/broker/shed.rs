//! What is done when the queues of all sessions together near their ceiling: those sessions end whose end
//! frees the most, so that publishers are not refused for the sake of clients that do not read.
//!
//! A message that waits in many queues is there once. Clients that stall together on one broadcast have long
//! queues, and ending some of them frees nothing; so of each message counts only the share of one queue.
//! Source: architecture.md 6; protocol.md 64.

use std::sync::Arc;

use super::{
    Broker, Cause,
    session::{Session, SessionId},
    sweep::STEP,
};

/// Share of the queue ceiling above which sessions are ended, in percent.
const SHED_PRESSURE_PERCENT: usize = 85;
/// Sessions that one tick may end to get below the mark.
const SHED_PER_TICK: usize = 64;
/// Sessions that a tick ends although that frees next to nothing.
const SHED_IN_VAIN_MAX: usize = 4;
/// An end that frees less is one of these.
const SHED_BYTES_MIN: usize = 1024;
/// Messages that one step looks at: a millisecond, if none is in a cache.
const STEP_LOOKS: usize = 16 << 10;

/// What the end of a session would free, in bytes; the heavier ends first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Weight {
    /// At once: of each message that it keeps, the share of one of those who have it.
    pub(super) kept: usize,
    /// Once its carrier has heard of the end. Who else has these messages nobody knows.
    pub(super) carried: usize,
    /// Of what it keeps, what nobody else has: so much is free when it ends, whoever ends besides.
    pub(super) alone: usize,
}

/// A search for the heaviest sessions.
pub(super) struct Round {
    /// Sessions that it has not looked at.
    left: Vec<SessionId>,
    /// The heaviest so far, the lightest of them first.
    heaviest: Vec<(Weight, Arc<Session>)>,
}

impl Round {
    /// Considers a session; returns how many messages it looked at.
    fn consider(&mut self, session: &Arc<Session>) -> usize {
        let is_full = self.heaviest.len() >= SHED_PER_TICK;
        let lightest = self.heaviest.first().filter(|_| is_full);
        let least = lightest.map_or(0, |(weight, _)| weight.kept);
        let Some((weight, looked)) = session.weight(least) else { return 0 };
        let place = self.heaviest.partition_point(|(known, _)| *known < weight);
        self.heaviest.insert(place, (weight, Arc::clone(session)));
        if is_full {
            self.heaviest.remove(0);
        }
        looked
    }
}

impl Broker {
    /// Ends the heaviest sessions while the ceiling is near. True if the search for them is not over: then
    /// call it again, once others had their turn.
    pub(super) fn shed(&self) -> bool {
        let under_way = self.shedding.lock().take();
        let Some(mut round) = under_way.or_else(|| self.begin_round()) else { return false };
        let mut looked = 0;
        for _ in 0..STEP {
            if looked >= STEP_LOOKS {
                break;
            }
            let Some(id) = round.left.pop() else { break };
            looked += self.find(id).map_or(0, |session| round.consider(&session));
        }
        if !round.left.is_empty() {
            *self.shedding.lock() = Some(round);
            return true;
        }
        self.end_heaviest(round.heaviest);
        false
    }

    fn begin_round(&self) -> Option<Round> {
        (self.pressure_percent() >= SHED_PRESSURE_PERCENT).then(|| Round {
            left: self.sessions.iter().map(|entry| *entry.key()).collect(),
            heaviest: Vec::new(),
        })
    }

    fn end_heaviest(&self, heaviest: Vec<(Weight, Arc<Session>)>) {
        let mut in_vain = 0;
        for (_, session) in heaviest.into_iter().rev() {
            if in_vain >= SHED_IN_VAIN_MAX || self.pressure_percent() < SHED_PRESSURE_PERCENT {
                return;
            }
            // Weighed again: the search took a while, and ends change what the others share.
            let Some((weight, _)) = session.weight(0) else { continue };
            in_vain += usize::from(weight.alone < SHED_BYTES_MIN);
            self.end(&session, Cause::Limit);
        }
    }
}
