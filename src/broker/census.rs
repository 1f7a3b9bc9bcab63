//! What operators see of channels.
//!
//! Source: operations.md 6.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{Broker, topic::Topic};
use crate::bayeux::ChannelName;

/// One channel or pattern at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelOverview {
    /// Its name.
    pub name: ChannelName,
    /// Sessions that subscribed to this very name.
    pub subscribers: usize,
    /// Messages published since it came into being.
    pub published: u64,
    /// Since the last one, to half a second.
    pub last_publish: Option<Duration>,
    /// Whether it stays when nobody uses it.
    pub persistent: bool,
}

impl Broker {
    /// Looks at all channels and patterns, one after the other, in no order.
    ///
    /// They are noted first, 24 bytes each: going through a part of the table holds up whoever makes or sweeps
    /// away a channel there, and even those who publish behind them, so nothing else is done meanwhile.
    pub fn each_channel(&self, mut visit: impl FnMut(&ChannelName, &dyn Fn() -> ChannelOverview)) {
        let mut all = Vec::with_capacity(self.channels());
        all.extend(self.topics.iter().map(|at| (at.key().clone(), Arc::clone(at.value()))));
        for (name, topic) in &all {
            visit(name, &|| self.look_at(name, topic));
        }
    }

    /// Looks at one channel or pattern.
    #[must_use]
    pub fn channel(&self, name: &ChannelName) -> Option<ChannelOverview> {
        let topic = self.topics.get(name.as_str()).map(|entry| Arc::clone(entry.value()))?;
        Some(self.look_at(name, &topic))
    }

    /// The patterns with subscribers that match a channel, each with their number, and how many sessions
    /// would get a message. Costs a step for each subscriber.
    #[must_use]
    pub fn receivers(&self, channel: &ChannelName) -> (Vec<(Arc<str>, usize)>, usize) {
        let (mut patterns, mut met) = (Vec::new(), HashSet::new());
        channel.for_each_pattern(|name| {
            let topic = self.topics.get(name).map(|entry| Arc::clone(entry.value()));
            let subscribers = topic.map(|topic| topic.snapshot()).unwrap_or_default();
            if name != channel.as_str() && !subscribers.is_empty() {
                patterns.push((name.into(), subscribers.len()));
            }
            met.extend(subscribers.iter().map(|session| session.id()));
        });
        (patterns, met.len())
    }

    fn look_at(&self, name: &ChannelName, topic: &Topic) -> ChannelOverview {
        let (published, last) = topic.published();
        let since = |then: u64| Duration::from_millis(self.clock.latest().saturating_sub(then));
        ChannelOverview {
            name: name.clone(),
            subscribers: topic.subscribers(),
            published,
            last_publish: last.map(since),
            persistent: topic.is_persistent(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::tests::{broker, id, name, publish, start};

    #[test]
    fn a_channel_tells_its_own_subscribers_and_all_that_would_get_a_message() {
        let broker = broker(|_| {});
        let sessions = [1, 2].map(|number| broker.handshake(id(number), None, start()).unwrap());
        for (session, pattern) in [(0, "/a/b"), (0, "/a/**"), (1, "/a/*")] {
            broker.subscribe(&sessions[session], &name(pattern)).unwrap();
        }
        publish(&broker, "/a/b", "1");
        let channel = broker.channel(&name("/a/b")).unwrap();
        assert_eq!((channel.subscribers, channel.published), (1, 1));
        assert_eq!(channel.last_publish, Some(Duration::ZERO));
        let (patterns, receivers) = broker.receivers(&name("/a/b"));
        assert_eq!(patterns, [("/a/**".into(), 1), ("/a/*".into(), 1)]);
        assert_eq!(receivers, 2);
        let mut names = Vec::new();
        broker.each_channel(|name, look| {
            names.push((name.as_str().to_owned(), look().last_publish.is_some()));
        });
        names.sort();
        assert_eq!(names, [("/a/*".into(), false), ("/a/**".into(), false), ("/a/b".into(), true)]);
        assert_eq!(broker.channel(&name("/b")), None);
    }
}
