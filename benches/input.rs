//! What the benches put in: ids, names, data, messages.

use std::{sync::Arc, time::Instant};

use bayeuxd::{
    bayeux::{ChannelName, NameLimits},
    broker::{Broker, Payload, Progress, Published, SessionId, Wakes},
};
use serde_json::value::RawValue;

/// Publishes and carries the message to every subscriber.
pub(crate) fn publish(broker: &Arc<Broker>, channel: &ChannelName, data: &RawValue, now: Instant) {
    let published = broker.publish(None, channel, Payload::from(data), now);
    let Ok(Published::Walk(mut delivery)) = published else { panic!("it is published") };
    let mut wakes = Wakes::default();
    while delivery.step(&mut wakes) != Progress::Done {}
}

/// A random-looking id, always the same one for a number.
pub(crate) fn id(number: u64) -> SessionId {
    let halves = [number, !number].map(|seed| mixed(seed).to_ne_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(halves.as_flattened());
    SessionId::from_bytes(id)
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
pub(crate) const fn mixed(seed: u64) -> u64 {
    let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

const NAME_LIMITS: NameLimits = NameLimits { bytes: 255, segments: 16 };
