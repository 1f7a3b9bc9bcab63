//! Moving a client from one session to another: the broker's part.
//!
//! Who is moved, and when, the server decides (`server::fallback`). Subscriptions that a client does
//! not renew within half a minute, and what waits for them, are given up, counted and told.
//! Source: protocol.md SF5-SF11.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    Broker, BrowserId, Session, SessionId, limits::Unlogged, session::Forgotten, sweep::STEP,
};
use crate::{
    bayeux::Refusal,
    events::{Cause, Sid, What},
};

/// How long a client that was moved may take to renew a subscription (protocol.md SF9).
pub const CLAIM_TIME: Duration = Duration::from_secs(30);

/// Subscriptions that a client which was moved did not renew in time.
#[derive(Debug, Clone, Copy)]
pub struct Unclaimed {
    /// Its session.
    pub id: SessionId,
    /// How many they were.
    pub subscriptions: usize,
    /// Messages that waited for them.
    pub discarded: usize,
}

/// A session that another one has taken over, whose end is to be told.
#[must_use]
#[derive(Debug)]
pub struct Moved {
    from: Arc<Session>,
    end: What,
}

impl Moved {
    /// The public name of the session that has ended.
    #[must_use]
    pub fn sid(&self) -> Option<Sid> {
        self.from.sid()
    }
}

/// Sessions that have something parked, oldest first, with the times at which that ends.
#[derive(Default)]
pub(super) struct Moves {
    claims: Mutex<VecDeque<(u64, SessionId)>>,
    unclaimed: Unlogged<Unclaimed>,
}

impl Broker {
    /// Makes `session` wait for its client to shake hands anew: nothing is delivered any more, and
    /// it expires after `session.max_interval`. False if it is leaving already, or has ended.
    pub fn leave(&self, session: &Session, now: Instant) -> bool {
        let life = self.clock.after(now, self.settings.max_interval);
        let leaves = session.leave(life);
        if leaves {
            self.schedule(session, life);
        }
        leaves
    }

    /// Opens a session, as [`Self::handshake`] does, that takes over everything from `old`, whose
    /// client it is for.
    ///
    /// It needs no room: the old one goes, which is to be told by [`Self::tell_moved`].
    ///
    /// # Errors
    /// `402::session_unknown` if the old session has ended meanwhile.
    pub fn succeed(
        &self,
        old: &Arc<Session>,
        id: SessionId,
        browser: Option<BrowserId>,
        now: Instant,
    ) -> Result<(Arc<Session>, Moved), Refusal> {
        let session = self.open((id, old.kin()), browser, now);
        let Some(closed) = old.hand_over(&session) else {
            self.end(&session, Cause::Client);
            return Err(Refusal::SessionUnknown);
        };
        self.forget_monitor(old);
        self.sessions.remove(&old.id());
        self.roster.remove(old);
        self.served.leave(old);
        old.uncount();
        let end = self.count_end(old, Cause::Moved, closed);
        let due = self.clock.after(now, CLAIM_TIME);
        self.moves.claims.lock().push_back((due, id));
        Ok((session, Moved { from: Arc::clone(old), end }))
    }

    /// Tells of the end of the session that `heir` has taken over from, once its own beginning was told
    /// (protocol.md SF11). Whoever listens to certain channels only is told by the subscriptions of the
    /// heir: they were the other one's.
    pub fn tell_moved(&self, moved: Moved, heir: &Session) {
        self.tell_end(&moved.from, &|pattern| heir.subscribes_within(pattern), moved.end);
    }

    /// Takes the list of subscriptions that nobody renewed since the last call, for the log.
    #[must_use]
    pub fn take_unclaimed(&self) -> Vec<Unclaimed> {
        self.moves.unclaimed.take()
    }

    /// Gives up what was not claimed in time, of a number of sessions at a time.
    pub(super) fn forget_unclaimed(&self, now: u64) {
        for _ in 0..STEP {
            let due = self.moves.claims.lock().pop_front_if(|(due, _)| *due <= now);
            let Some((_, id)) = due else { return };
            let Some(session) = self.sessions.get(&id).map(|entry| Arc::clone(entry.value()))
            else {
                continue;
            };
            let Forgotten { subscriptions: gone, discarded } = session.forget_parked();
            let subscriptions = gone.len();
            if subscriptions + discarded > 0 {
                self.counters.discarded.add(Cause::Moved, discarded);
                self.moves.unclaimed.push(Unclaimed { id, subscriptions, discarded });
                self.tell_unclaimed(
                    &session,
                    &|pattern| gone.iter().any(|(name, _)| pattern.covers(name.as_str())),
                    discarded,
                );
            }
            let unused = gone.into_iter().filter(|(_, was_last)| *was_last);
            unused.for_each(|(name, _)| self.sweep.list(name));
        }
    }
}
