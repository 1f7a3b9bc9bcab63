//! What the broker tells of its sessions.
//!
//! A session without a public name belongs to the program itself; nothing is told of it. Of one that
//! monitors neither connects nor its queue are told: each such event would end its poll, and so make
//! the next one. Source: monitoring.md 4, 8.1.

use std::time::{Duration, Instant};

use super::{Broker, session::Session};
use crate::{
    bayeux::{ChannelName, Refusal},
    events::{EventType, Glance, Policy, Stats, What},
};

/// What an event is about, before it is put together.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Its type.
    pub kind: EventType,
    /// The channel.
    pub channel: Option<&'a str>,
    /// It is an ordinary connect, or the end of its hold.
    pub poll: bool,
    /// Why it was refused.
    pub error: Option<Refusal>,
}

impl<'a> About<'a> {
    /// Something of that type, granted.
    #[must_use]
    pub const fn of(kind: EventType) -> Self {
        Self { kind, channel: None, poll: false, error: None }
    }

    /// About a channel.
    #[must_use]
    pub const fn on(self, channel: &'a str) -> Self {
        Self { channel: Some(channel), ..self }
    }

    /// Refused.
    #[must_use]
    pub const fn refused(self, error: Refusal) -> Self {
        Self { error: Some(error), ..self }
    }

    fn glance<'s>(
        &self,
        session: &Session,
        subscribes: &'s dyn Fn(&ChannelName) -> bool,
    ) -> Glance<'s>
    where
        'a: 's,
    {
        let Self { kind, channel, poll, error } = *self;
        Glance { kind, sid: session.sid(), channel, poll, refused: error.is_some(), subscribes }
    }
}

impl Broker {
    /// Tells of something that the client of `session` did.
    pub fn tell(&self, session: &Session, about: About<'_>, make: impl FnOnce() -> What) {
        let quiet = matches!(about.kind, EventType::Connect | EventType::Queue);
        if session.sid().is_none() || (quiet && session.is_monitor()) {
            return;
        }
        let within = |pattern: &ChannelName| session.subscribes_within(pattern);
        let glance = about.glance(session, &within);
        self.events.tell(&glance, about.error, || (session.subject(), make()));
    }

    /// Whether a publish is to be told when it is done, because somebody would get it by itself.
    #[must_use]
    pub fn heeds_publish(&self, session: Option<&Session>, channel: &ChannelName) -> bool {
        if self.events.passes_over_publish() {
            return false;
        }
        let within = |pattern: &ChannelName| {
            session.is_some_and(|session| session.subscribes_within(pattern))
        };
        let sid = session.and_then(Session::sid);
        let kind = EventType::Publish;
        let channel = Some(channel.as_str());
        self.events.heeds_publish(&Glance { sid, channel, subscribes: &within, ..Glance::of(kind) })
    }

    /// Tells of the end of a session, whose subscriptions are taken from it already: `within` knows
    /// whether one of them lay within a pattern.
    pub(super) fn tell_end(
        &self,
        session: &Session,
        within: &dyn Fn(&ChannelName) -> bool,
        what: What,
    ) {
        if session.sid().is_none() {
            return;
        }
        let about = About::of(EventType::Disconnect);
        let glance = about.glance(session, within);
        self.events.emit(&glance, || (session.subject(), what));
    }

    /// Tells that a queue dropped messages or ran over, once a second for each session.
    pub(super) fn tell_queue(&self, session: &Session, policy: Policy) {
        let second = self.clock.latest() / 1_000;
        let second = u32::try_from(second & u64::from(u32::MAX >> 1)).unwrap_or_default();
        // The end of a session is told at once, whatever came before.
        if !session.may_tell_queue(second) && policy != Policy::Disconnect {
            return;
        }
        // Asked before: the hub, which would ask later, is below the lock of a mailbox.
        let (messages, bytes, dropped) = session.pressure();
        let what = What::Queue { messages, bytes, policy, dropped };
        self.tell(session, About::of(EventType::Queue), || what);
    }

    /// Tells that what waited for subscriptions was given up; `within` knows whether one of them lay
    /// within a pattern.
    pub(super) fn tell_unclaimed(
        &self,
        session: &Session,
        within: &dyn Fn(&ChannelName) -> bool,
        discarded: usize,
    ) {
        if session.sid().is_none() || session.is_monitor() {
            return;
        }
        let (messages, bytes, _) = session.pressure();
        let (policy, dropped) = (Policy::Unclaimed, discarded as u64);
        let glance = About::of(EventType::Queue).glance(session, within);
        let what = What::Queue { messages, bytes, policy, dropped };
        self.events.emit(&glance, || (session.subject(), what));
    }

    /// How much later than it should have a connect of `session` comes now; `None`: one is held.
    #[must_use]
    pub fn overdue(&self, session: &Session, now: Instant) -> Option<Duration> {
        let life = u64::try_from(self.settings.max_interval.as_millis()).unwrap_or(u64::MAX);
        session.overdue(life, self.clock.at(now))
    }

    /// Totals of the node. Rates are left at zero: they belong to whoever looks regularly.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            snapshot: false,
            sessions: self.sessions(),
            connects_held: self.counters.connects_held.value(),
            channels: self.channels(),
            subscriptions: self.counters.subscriptions.value(),
            in_per_s: 0.0,
            out_per_s: 0.0,
            queue_bytes: self.queued_bytes(),
        }
    }
}
