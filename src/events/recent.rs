//! The newest events of the node, for who asks afterwards what happened to a session.
//!
//! Publishes and polls are not kept: a second of them would push out everything else.
//! Source: operations.md 6 ("last 50 meta events").

use std::{collections::VecDeque, sync::Arc};

use super::{
    REFUSED_PUBLISHES,
    event::{Event, EventType, Types},
    filter::Glance,
    sid::Sid,
};

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Recent {
    ring: VecDeque<Arc<Event>>,
    events_max: usize,
}

impl Recent {
    pub(super) const fn new(events_max: usize) -> Self {
        Self { ring: VecDeque::new(), events_max }
    }

    /// Bits of what is kept.
    pub(super) const fn wanted(&self) -> u32 {
        if self.events_max == 0 { 0 } else { KEPT.bits() | REFUSED_PUBLISHES }
    }

    pub(super) const fn keeps(&self, glance: &Glance<'_>) -> bool {
        let kept = (KEPT.has(glance.kind) && !glance.poll)
            || matches!(glance.kind, EventType::Publish) && glance.refused;
        kept && self.events_max > 0
    }

    pub(super) fn push(&mut self, event: Arc<Event>) {
        if self.ring.len() >= self.events_max {
            self.ring.pop_front();
        }
        self.ring.push_back(event);
    }

    pub(super) fn newest(&self, sid: Option<Sid>, count_max: usize) -> Vec<Arc<Event>> {
        let wanted = |event: &&Arc<Event>| sid.is_none() || event.sid() == sid;
        let newest = self.ring.iter().rev().filter(wanted).take(count_max);
        let mut events: Vec<_> = newest.cloned().collect();
        events.reverse();
        events
    }
}

const KEPT: Types =
    Types::ALL.without(EventType::Publish).without(EventType::Stats).without(EventType::Lost);
