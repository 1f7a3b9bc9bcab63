//! A broker without a server, for the benches: sessions, publishes and connections that take.

use std::{sync::Arc, time::Instant};

use bayeuxd::{
    Config,
    bayeux::ChannelName,
    broker::{Broker, Carrier, Generation, Session, Take},
    server::clock,
};
use serde_json::value::RawValue;

use crate::input::{id, publish};

/// See the module documentation.
pub(crate) struct Node {
    pub(crate) broker: Arc<Broker>,
    pub(crate) sessions: Vec<(Arc<Session>, Generation)>,
    pub(crate) now: Instant,
    opened: u64,
}

impl Node {
    pub(crate) fn new() -> Self {
        Self::of(Config::default())
    }

    /// As [`Self::new`], with room for as much.
    pub(crate) fn of(mut config: Config) -> Self {
        config.limits.sessions = 2_000_000;
        config.limits.channels = 2_000_000;
        let now = clock::now();
        Self { broker: Broker::new(&config, now), sessions: Vec::new(), now, opened: 0 }
    }

    /// Opens a session with a random-looking id, always the same one at the same point.
    pub(crate) fn open(&mut self) -> Arc<Session> {
        self.opened += 1;
        self.broker.handshake(id(self.opened), None, self.now).expect("there is room")
    }

    /// Opens a session with a connection and one subscription.
    pub(crate) fn subscriber(&mut self, pattern: &ChannelName) {
        let session = self.open();
        self.broker.subscribe(&session, pattern).expect("it may subscribe");
        let (_, owner) = self.broker.connect(&session, Carrier::Socket, self.now);
        self.sessions.push((session, owner));
    }

    /// Publishes and carries the message to every subscriber.
    pub(crate) fn publish(&self, channel: &ChannelName, data: &RawValue) {
        publish(&self.broker, channel, data, self.now);
    }

    /// Empties every queue as connections do.
    pub(crate) fn drain(&self) {
        for (session, owner) in &self.sessions {
            if let Some(mut batch) = session.take(*owner, Take::WRITE) {
                batch.settle();
            }
        }
    }
}
