//! What a monitor may see, and for how long. Source: monitoring.md 6.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::event::{EventType, Types};
use crate::bayeux::ChannelName;

/// See the module documentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Rights {
    /// The types of events.
    pub types: Types,
    /// The channels that events may be about; empty: all. Sessions without a subscription inside are
    /// hidden.
    pub scope: Box<[ChannelName]>,
    /// Whether what is published is shown, if `monitor.payloads` allows it at all.
    pub payload: bool,
    /// Whether the key that gave them has been taken back.
    pub revoked: Revoked,
}

/// A switch that is thrown once; its clones are one switch.
#[derive(Debug, Clone, Default)]
pub struct Revoked(Arc<AtomicBool>);

impl PartialEq for Revoked {
    fn eq(&self, other: &Self) -> bool {
        self.is_set() == other.is_set()
    }
}

impl Revoked {
    /// Throws the switch.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was thrown.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Rights {
    /// What an operator sees who was not narrowed: all but what is published.
    #[must_use]
    pub fn usual() -> Self {
        let types = Types::ALL.without(EventType::Publish);
        Self { types, scope: Box::default(), payload: false, revoked: Revoked::default() }
    }

    /// Everything, publishes with their payload included.
    #[must_use]
    pub fn all() -> Self {
        let (scope, revoked) = (Box::default(), Revoked::default());
        Self { types: Types::ALL, scope, payload: true, revoked }
    }
}
