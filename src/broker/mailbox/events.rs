//! The events of a session that monitors, as its mailbox sees them: not messages, but a reason to wake
//! the carrier, and something that travels behind the messages.
//!
//! Source: monitoring.md 8.4, 8.6.

use std::{sync::Arc, task::Waker};

use super::{Generation, Mailbox};
use crate::broker::monitor::Feed;

impl Mailbox {
    /// Whether a carrier has a reason to act: messages, or events that may travel by themselves.
    pub(super) fn has_something(&self) -> bool {
        self.is_due() || self.has_events_due()
    }

    /// Frames that a carrier would take now, all events as one.
    pub(in crate::broker) fn backlog(&self) -> usize {
        self.len() + usize::from(self.has_events_due())
    }

    /// The feed of a session that monitors: `made`, unless there is one; `None` at its end.
    pub(in crate::broker) fn monitor(&mut self, made: Arc<Feed>) -> Option<Arc<Feed>> {
        if self.ended.is_none() && self.feed.is_none() {
            self.feed = Some(made);
        }
        self.feed.clone()
    }

    pub(in crate::broker) const fn feed(&self) -> Option<&Arc<Feed>> {
        self.feed.as_ref()
    }

    /// Leave to take events, behind the messages that `owner` took, and whether its connection flows. A
    /// batch counts as out then, even if no message is in it.
    pub(in crate::broker) fn lend_feed(
        &mut self,
        owner: Generation,
        took: bool,
    ) -> Option<(Arc<Feed>, bool)> {
        let feed = self.feed.as_ref()?;
        let free = took || self.out.is_none();
        let entitled = self.is_owner(owner) && !self.is_leaving();
        if !entitled || !free || self.acknowledges() || !self.is_empty() {
            return None;
        }
        let flows = self.flows();
        if flows && !feed.is_due() {
            return None;
        }
        let feed = Arc::clone(feed);
        self.out.get_or_insert_default();
        Some((feed, flows))
    }

    /// Lets events travel, and says whom to wake for them: over a connection that flows at every pulse,
    /// with answers to polls only if `polls_too`.
    pub(in crate::broker) fn events_due(&mut self, polls_too: bool) -> Option<Waker> {
        let feed = self.feed.as_ref().filter(|_| polls_too || self.flows())?;
        feed.set_due();
        self.wake()
    }

    /// Whether events need no connect to travel.
    const fn flows(&self) -> bool {
        self.carrier.flows() && !self.deliver_only
    }

    fn has_events_due(&self) -> bool {
        self.feed.as_ref().is_some_and(|feed| feed.is_due())
    }
}
