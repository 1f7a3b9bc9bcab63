//! Who the client of a session is and how it comes, as far as others may be told.

use std::sync::{Arc, atomic::Ordering};

use super::Session;
use crate::{
    bayeux::ChannelName,
    config::Transport,
    events::{Peer, Sid, Subject},
};

/// No connect has come yet.
pub(super) const NO_TRANSPORT: u8 = u8::MAX;

impl Session {
    /// Says who the session's client is; the first word stays.
    pub(in crate::broker) fn introduce(&self, peer: Arc<Peer>) {
        let _ = self.peer.set(peer);
    }

    /// What is known of its client, if it has one.
    #[must_use]
    pub fn peer(&self) -> Option<&Arc<Peer>> {
        self.peer.get()
    }

    /// Its public name, if it was given one.
    #[must_use]
    pub fn sid(&self) -> Option<Sid> {
        self.peer().and_then(|peer| peer.sid)
    }

    /// The transport of its last connect.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        Transport::ALL.get(usize::from(self.transport.load(Ordering::Relaxed))).copied()
    }

    /// Notes the transport of a connect, and returns the one before.
    pub fn set_transport(&self, transport: Transport) -> Option<Transport> {
        let index = Transport::ALL.iter().position(|known| *known == transport);
        let index = index.and_then(|index| u8::try_from(index).ok()).unwrap_or(NO_TRANSPORT);
        let before = self.transport.swap(index, Ordering::Relaxed);
        Transport::ALL.get(usize::from(before)).copied()
    }

    /// Whom events of it are about.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject { peer: self.peer().cloned(), transport: self.transport() }
    }

    /// Whether some subscription lies within `pattern`.
    #[must_use]
    pub fn subscribes_within(&self, pattern: &ChannelName) -> bool {
        let subscriptions = self.subscriptions.lock();
        subscriptions.iter().flatten().any(|known| pattern.covers(known.name.as_str()))
    }
}
