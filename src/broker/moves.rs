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

use super::{Broker, BrowserId, Session, SessionId, limits::Unlogged};
use crate::{bayeux::Refusal, events::Cause};

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
    /// It needs no room: the old one goes.
    ///
    /// # Errors
    /// `402::session_unknown` if the old session has ended meanwhile.
    pub fn succeed(
        &self,
        old: &Arc<Session>,
        id: SessionId,
        browser: Option<BrowserId>,
        now: Instant,
    ) -> Result<Arc<Session>, Refusal> {
        let session = self.open((id, old.kin()), browser, now);
        let Some(closed) = old.hand_over(&session) else {
            self.end(&session, Cause::Client);
            return Err(Refusal::SessionUnknown);
        };
        self.sessions.remove(&old.id());
        self.roster.remove(old);
        self.ended(old, &[], Cause::Moved, closed);
        let due = self.clock.after(now, CLAIM_TIME);
        self.moves.claims.lock().push_back((due, id));
        Ok(session)
    }

    /// Takes the list of subscriptions that nobody renewed since the last call, for the log.
    #[must_use]
    pub fn take_unclaimed(&self) -> Vec<Unclaimed> {
        self.moves.unclaimed.take()
    }

    /// Gives up what was not claimed in time.
    pub(super) fn forget_unclaimed(&self, now: u64) {
        loop {
            let due = self.moves.claims.lock().pop_front_if(|(due, _)| *due <= now);
            let Some((_, id)) = due else { return };
            let Some(session) = self.sessions.get(&id).map(|entry| Arc::clone(entry.value()))
            else {
                continue;
            };
            let (names, discarded) = session.forget_parked();
            let subscriptions =
                names.iter().filter(|name| self.unsubscribe(&session, name).is_ok()).count();
            if subscriptions + discarded > 0 {
                self.counters.discarded.add(discarded);
                self.moves.unclaimed.push(Unclaimed { id, subscriptions, discarded });
            }
        }
    }
}
