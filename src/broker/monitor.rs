//! Monitoring by channels: who may subscribe to which name, rates, and waking whoever has events to
//! fetch.
//!
//! A subscription to a monitoring channel is no topic: it is an interest of the session's listener at
//! [`Events`](crate::events::Events), and its events come by the session's [`Feed`].
//! Source: monitoring.md 2, 4-6, 8.

mod feed;
mod names;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) use self::{
    feed::Feed,
    names::{denied, is_feed_b, is_known},
};
use super::{Broker, session::Session};
use crate::{
    bayeux::{ChannelName, Kind, MonitorRequest, Refusal},
    events::{
        EventType, Filter, Glance, Interest, ListenerId, Rights, Sid, Stats, Subject, Types, What,
    },
};

/// Polls of monitors are answered for the sake of events every so many pulses (monitoring.md 8.6).
const PULSES_PER_POLL: u64 = 5;

/// What goes on from pulse to pulse.
#[derive(Default)]
pub(super) struct Monitoring {
    /// Sessions that monitor, by their listeners.
    sessions: Vec<(ListenerId, Arc<Session>)>,
    pulses: u64,
    /// What the last `stats` event counted from.
    told: Option<Instant>,
    published: u64,
    delivered: u64,
}

impl Broker {
    /// Whether a name is one of the monitoring channels, or any other below `/meta`: no channel for
    /// messages.
    #[must_use]
    pub fn is_monitoring(&self, name: &ChannelName) -> bool {
        name.kind() == Kind::Meta || is_feed_b(&self.settings.monitor_prefix, name.as_str())
    }

    /// Subscribes `session` to a monitoring channel. Subscribing again replaces the filter.
    ///
    /// # Errors
    /// Refusals of monitoring.md 2 and 5.
    pub fn monitor(
        &self,
        session: &Arc<Session>,
        name: &ChannelName,
        request: Result<MonitorRequest<'_>, Refusal>,
    ) -> Result<(), Refusal> {
        let prefix = &self.settings.monitor_prefix;
        let rights = session.peer().and_then(|peer| peer.rights.as_ref());
        let rights = rights.filter(|rights| !rights.revoked.is_set());
        let rights = rights.ok_or_else(|| denied(prefix, name))?;
        let (places, only) = names::place(prefix, name.as_str())?;
        if only.is_some_and(|kind| kind != EventType::Lost && !rights.types.has(kind)) {
            return Err(Refusal::SubscribeDenied { reason: "monitor_type" });
        }
        let filter = self.filter(&request?)?;
        let types = only.map_or(Types::ALL, |kind| Types::NONE.with(kind));
        let feed = self.feed(session, rights)?.ok_or(Refusal::SessionUnknown)?;
        feed.want(Interest { name: name.clone(), places, types, filter }, || self.stats());
        Ok(())
    }

    /// Takes a subscription to a monitoring channel back; false if there was none.
    pub(super) fn unmonitor(&self, session: &Session, name: &ChannelName) -> bool {
        session.feed().is_some_and(|feed| feed.unwant(name))
    }

    /// Lets go of a session that has ended. While nobody listens no pulse would.
    pub(super) fn forget_monitor(&self, session: &Session) {
        if !session.is_monitor() {
            return;
        }
        let mut monitoring = self.monitoring.lock();
        let is_it = |known: &Arc<Session>| std::ptr::eq(&raw const **known, session);
        let gone: Vec<_> = monitoring.sessions.extract_if(.., |(_, known)| is_it(known)).collect();
        drop(monitoring);
        drop(gone);
    }

    /// Subscriptions of a session, those to monitoring channels included.
    #[must_use]
    pub fn subscriptions(&self, session: &Session) -> usize {
        session.subscriptions() + session.feed().map_or(0, |feed| feed.interests())
    }

    /// Brings events to listeners, tells totals when they are due, and ends sessions that monitor under
    /// a key that was taken back. Call it every
    /// [`PULSE`](crate::events::PULSE) while somebody listens.
    pub fn pulse(&self, now: Instant) {
        self.tell_stats(now);
        let pulse = self.events.pulse(now);
        let mut monitoring = self.monitoring.lock();
        monitoring.pulses += 1;
        let polls_too = monitoring.pulses.is_multiple_of(PULSES_PER_POLL);
        let due = |(id, _): &&(ListenerId, Arc<Session>)| pulse.listeners.contains(id);
        let due: Vec<_> =
            monitoring.sessions.iter().filter(due).map(|(_, it)| Arc::clone(it)).collect();
        let revoked: Vec<_> =
            monitoring.sessions.iter().filter(|(_, it)| is_revoked(it)).cloned().collect();
        drop(monitoring);
        // With a new handshake its client shows the key again, and hears what became of it.
        for (_, session) in revoked {
            self.kick(&session, true);
        }
        due.iter().for_each(|session| session.events_due(polls_too));
        pulse.fire();
    }

    /// The feed of `session`, which monitors from now on; `None` if it has ended.
    fn feed(
        &self,
        session: &Arc<Session>,
        rights: &Arc<Rights>,
    ) -> Result<Option<Arc<Feed>>, Refusal> {
        if let Some(feed) = session.feed() {
            return Ok(Some(feed));
        }
        let limit = |_| Refusal::SubscribeDenied { reason: "monitor_limit" };
        // Not under the lock of the mailbox: who tells an event asks sessions for their subscriptions
        // under the lock of the events, and who subscribes asks for the mailbox.
        let id = self.events.listen(Arc::clone(rights)).map_err(limit)?;
        let payload = rights.payload && self.settings.monitor_payloads;
        let prefix = Arc::clone(&self.settings.monitor_prefix);
        let (events, meter) = (Arc::clone(&self.events), Arc::clone(&self.meter));
        let made = Feed::new(Arc::downgrade(session), events, id, prefix, payload, meter);
        let made = Arc::new(made);
        let feed = session.monitor(Arc::clone(&made));
        if feed.as_ref().is_some_and(|feed| Arc::ptr_eq(feed, &made)) {
            self.monitoring.lock().sessions.push((id, Arc::clone(session)));
            // Who ends a session looks for it here afterwards: it is found, or its feed is gone already.
            if session.feed().is_none() {
                self.forget_monitor(session);
            }
        } else {
            // Another request was faster, or the session has ended.
            made.forget();
        }
        Ok(feed)
    }

    /// Reads what a monitor wants.
    fn filter(&self, request: &MonitorRequest<'_>) -> Result<Filter, Refusal> {
        const BAD: Refusal = Refusal::MonitorFilterInvalid;
        let mut filter = Filter::default();
        if let Some(words) = &request.types {
            let kinds = words.iter().map(|word| EventType::parse(word).ok_or(BAD));
            filter.types = kinds.collect::<Result<Types, _>>()?;
        }
        if let Some(channel) = &request.channel {
            let pattern = ChannelName::parse(channel, self.settings.name);
            filter.channel = Some(pattern.map_err(|_| BAD)?);
        }
        if let Some(sid) = &request.sid {
            filter.sid = Some(Sid::parse(sid).ok_or(BAD)?);
        }
        filter.sample = request.sample.unwrap_or(filter.sample);
        filter.polls = request.polls.unwrap_or(filter.polls);
        Ok(filter)
    }

    fn tell_stats(&self, now: Instant) {
        let mut last = self.monitoring.lock();
        let elapsed = last.told.map(|told| now.saturating_duration_since(told));
        let every = self.settings.bounds.stats_interval.now();
        if elapsed.is_some_and(|elapsed| elapsed < every) {
            return;
        }
        let (published, delivered) =
            (self.counters.published.value(), self.counters.delivered.value());
        let before = (last.published, last.delivered);
        (last.told, last.published, last.delivered) = (Some(now), published, delivered);
        drop(last);
        // After a time without listeners the first rate would be one over all of it.
        let Some(elapsed) = elapsed.filter(|elapsed| *elapsed < every * 2) else {
            return;
        };
        self.events.emit(&Glance::of(EventType::Stats), || {
            let stats = Stats {
                in_per_s: rate(published - before.0, elapsed),
                out_per_s: rate(delivered - before.1, elapsed),
                ..self.stats()
            };
            (Subject::default(), What::Stats(Box::new(stats)))
        });
    }
}

/// Whether the key under which a session monitors has been taken back.
fn is_revoked(session: &Session) -> bool {
    let rights = session.peer().and_then(|peer| peer.rights.as_ref());
    rights.is_some_and(|rights| rights.revoked.is_set())
}

fn rate(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(f64::EPSILON)
}
