//! What a monitor may see. Source: monitoring.md 6.

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
}

impl Rights {
    /// What an operator sees who was not narrowed: all but what is published.
    #[must_use]
    pub fn usual() -> Self {
        let types = Types::ALL.without(EventType::Publish);
        Self { types, scope: Box::default(), payload: false }
    }

    /// Everything, publishes with their payload included.
    #[must_use]
    pub fn all() -> Self {
        Self { types: Types::ALL, scope: Box::default(), payload: true }
    }
}
