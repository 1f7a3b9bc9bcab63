//! A broker without a server, for the benches: sessions, publishes and connections that take.

use std::{sync::Arc, time::Instant};

use bayeuxd::{
    Config,
    bayeux::{ChannelName, NameLimits},
    broker::{
        Broker, Carrier, Generation, Payload, Progress, Published, Session, SessionId, Take, Wakes,
    },
    server::clock,
};
use serde_json::value::RawValue;

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
        let halves = [self.opened, !self.opened].map(|seed| mixed(seed).to_ne_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(halves.as_flattened());
        let id = SessionId::from_bytes(id);
        self.broker.handshake(id, None, self.now).expect("there is room")
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
        let published = self.broker.publish(None, channel, Payload::from(data), self.now);
        let Ok(Published::Walk(mut delivery)) = published else { panic!("it is published") };
        let mut wakes = Wakes::default();
        while delivery.step(&mut wakes) != Progress::Done {}
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

/// 100 bytes of JSON.
pub(crate) fn data() -> Box<RawValue> {
    RawValue::from_string(format!(r#"{{"text":"{}","at":12345678}}"#, "x".repeat(75)))
        .expect("it is JSON")
}

/// Makes a channel name of its text.
pub(crate) fn name(text: &str) -> ChannelName {
    ChannelName::parse(text, NAME_LIMITS).expect("it is a name")
}

/// Spreads a number over all 64 bits (the finalizer of SplitMix64).
const fn mixed(seed: u64) -> u64 {
    let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

const NAME_LIMITS: NameLimits = NameLimits { bytes: 255, segments: 16 };
