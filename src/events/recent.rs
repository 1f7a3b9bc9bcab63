//! The newest events of the node, for who asks afterwards what happened to a session.
//!
//! Publishes, polls and holds whose time was up are not kept: a second of them would push out everything else. For the same reason
//! what strangers do, and publishes that were refused, have a tenth of the room for themselves: whoever
//! floods the broker with nonsense pushes out nonsense.
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
    sessions: Kept,
    strangers: Kept,
}

/// Some events, the oldest first.
#[derive(Debug, Default)]
struct Kept {
    ring: VecDeque<Arc<Event>>,
    bytes: usize,
    events_max: usize,
    bytes_max: usize,
}

impl Recent {
    /// Keeps so many events, and about so many bytes of them.
    pub(super) fn new(events_max: usize, bytes_max: usize) -> Self {
        let mut recent = Self { sessions: Kept::default(), strangers: Kept::default() };
        recent.resize(events_max, bytes_max);
        recent
    }

    /// Keeps so many from now on; of those that are too many the oldest go.
    pub(super) fn resize(&mut self, events_max: usize, bytes_max: usize) {
        for (kept, share) in [(&mut self.sessions, 1), (&mut self.strangers, STRANGERS_SHARE)] {
            (kept.events_max, kept.bytes_max) = (events_max.div_ceil(share), bytes_max / share);
            kept.trim();
        }
    }

    /// Bits of what is kept.
    pub(super) const fn wanted(&self) -> u32 {
        if self.sessions.events_max == 0 { 0 } else { KEPT.bits() | REFUSED_PUBLISHES }
    }

    pub(super) const fn keeps(&self, glance: &Glance<'_>) -> bool {
        let kept = (KEPT.has(glance.kind) && !glance.poll)
            || matches!(glance.kind, EventType::Publish) && glance.refused;
        kept && self.sessions.events_max > 0
    }

    pub(super) fn push(&mut self, event: Arc<Event>) {
        let is_own = match event.kind() {
            EventType::Publish => false,
            EventType::Node => true,
            _ => event.sid().is_some(),
        };
        if is_own { self.sessions.push(event) } else { self.strangers.push(event) }
    }

    pub(super) fn newest(&self, sid: Option<Sid>, count_max: usize) -> Vec<Arc<Event>> {
        let wanted = |event: &&Arc<Event>| sid.is_none() || event.sid() == sid;
        let newest = |kept: &'_ Kept| -> Vec<Arc<Event>> {
            kept.ring.iter().rev().filter(wanted).take(count_max).cloned().collect()
        };
        let mut events = newest(&self.sessions);
        events.append(&mut newest(&self.strangers));
        events.sort_unstable_by_key(|event| event.seq);
        events.split_off(events.len().saturating_sub(count_max))
    }
}

impl Kept {
    fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.bytes();
        self.ring.push_back(event);
        self.trim();
    }

    fn trim(&mut self) {
        while self.ring.len() > self.events_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.ring.pop_front() else { return };
            self.bytes -= oldest.bytes();
        }
    }
}

/// Of the room of all, strangers have one part in so many besides.
const STRANGERS_SHARE: usize = 10;

const KEPT: Types =
    Types::ALL.without(EventType::Publish).without(EventType::Stats).without(EventType::Lost);
