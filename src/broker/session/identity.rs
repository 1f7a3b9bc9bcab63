//! Who the client of a session is, as far as others may be told.

use std::sync::Arc;

use super::Session;
use crate::{
    bayeux::ChannelName,
    events::{Peer, Sid, Subject},
};

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
