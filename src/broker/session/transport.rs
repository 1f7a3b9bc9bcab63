//! By which transport a session is connected, and how many sessions are by each.

use std::sync::atomic::{AtomicU8, Ordering};

use super::Session;
use crate::{
    config::Transport,
    metrics::{Counts, Labels as _, Route},
};

/// Index of a [`Route`], with [`ENDED`]. [`Route::Local`]: no message has come yet; of a session of the
/// program itself, none ever does.
#[derive(Debug)]
pub(super) struct LastTransport(AtomicU8);

/// The session has ended and counts no more.
const ENDED: u8 = 0x80;

impl LastTransport {
    /// Enters a session that has begun.
    pub(super) fn begin(sessions: &Counts<Route>) -> Self {
        sessions.add(Route::Local, 1);
        Self(AtomicU8::new(Route::Local.index() as u8))
    }

    fn load(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn of(value: u8) -> Option<Transport> {
        Transport::ALL.get(usize::from(value & !ENDED)).copied()
    }

    fn route(value: u8) -> Route {
        Self::of(value).map_or(Route::Local, Route::By)
    }
}

impl Session {
    /// The transport of its last connect.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        LastTransport::of(self.transport.load())
    }

    /// Notes the transport of a connect, and returns the one before.
    pub fn set_transport(&self, transport: Transport) -> Option<Transport> {
        let index = Route::By(transport).index() as u8;
        let alive = |before| (before & ENDED == 0).then_some(index);
        let before =
            self.transport.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, alive).ok()?;
        if before != index {
            self.counters.sessions.sub(LastTransport::route(before), 1);
            self.counters.sessions.add(Route::By(transport), 1);
        }
        LastTransport::of(before)
    }

    /// How messages come to its client, also of what comes late: index of a [`Route`].
    pub(in crate::broker) fn route(&self) -> usize {
        usize::from(self.transport.load() & !ENDED)
    }

    /// Takes it out of the count; it has ended.
    pub(in crate::broker) fn uncount(&self) {
        let before = self.transport.0.fetch_or(ENDED, Ordering::Relaxed);
        if before & ENDED == 0 {
            self.counters.sessions.sub(LastTransport::route(before), 1);
        }
    }
}
