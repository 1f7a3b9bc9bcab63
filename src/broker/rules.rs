//! Rules for channels by pattern, from `[[channels]]`.
//!
//! For each key the most specific entry that has it decides: `/a/b` before `/a/*` before `/a/**`
//! before `/**`. So an entry may change one thing and leave the rest to a more general one.

use std::{collections::HashMap, time::Duration};

use crate::{
    bayeux::{ChannelName, Kind, NameLimits},
    config::{ChannelRule, Config, QueuePolicy},
};

/// How messages of a channel are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) queue_policy: QueuePolicy,
    pub(super) broadcast_to_publisher: bool,
    /// How long messages may wait for others; zero: not at all (protocol.md 122).
    pub(super) lazy: Duration,
    /// Whether the channel stays when nobody uses it (protocol.md 121).
    pub(super) persistent: bool,
}

/// All rules.
#[derive(Debug)]
pub(super) struct Rules {
    by_name: HashMap<ChannelName, ChannelRule>,
    otherwise: Rule,
    lazy_max: Duration,
}

impl Rules {
    /// Takes the rules of a validated configuration. Of equal patterns the first counts.
    pub(super) fn new(config: &Config) -> Self {
        let otherwise = Rule {
            queue_policy: QueuePolicy::Disconnect,
            broadcast_to_publisher: config.session.broadcast_to_publisher,
            lazy: Duration::ZERO,
            persistent: false,
        };
        let limits = NameLimits {
            bytes: config.limits.channel_length,
            segments: config.limits.channel_segments,
        };
        let mut by_name = HashMap::new();
        for entry in &config.channels {
            if let Ok(name) = ChannelName::parse(&entry.pattern, limits) {
                by_name.entry(name).or_insert_with(|| entry.clone());
            }
        }
        Self { by_name, otherwise, lazy_max: config.session.max_lazy_timeout }
    }

    /// The rule for a concrete channel.
    pub(super) fn of(&self, channel: &ChannelName) -> Rule {
        let mut rule = self.otherwise;
        if self.by_name.is_empty() {
            return rule;
        }
        // Most general first, so the most specific has the last word.
        channel.for_each_pattern(|name| {
            let Some(entry) = self.by_name.get(name) else { return };
            rule = Rule {
                queue_policy: entry.queue_policy.unwrap_or(rule.queue_policy),
                broadcast_to_publisher: entry
                    .broadcast_to_publisher
                    .unwrap_or(rule.broadcast_to_publisher),
                lazy: entry.lazy.map_or(rule.lazy, |lazy| lazy.min(self.lazy_max)),
                persistent: entry.persistent.unwrap_or(rule.persistent),
            };
        });
        rule
    }

    /// Whether the rules make any message lazy.
    pub(super) fn has_lazy(&self) -> bool {
        self.by_name.values().any(|entry| entry.lazy.is_some_and(|lazy| !lazy.is_zero()))
    }

    /// The channels that exist from the start: persistent ones that are named in full.
    pub(super) fn persistent_channels(&self) -> impl Iterator<Item = &ChannelName> {
        let named = |name: &&ChannelName| name.kind() == Kind::Broadcast && !name.is_pattern();
        self.by_name.keys().filter(named).filter(|name| self.of(name).persistent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::tests::name;

    fn rules(channels: Vec<ChannelRule>) -> Rules {
        Rules::new(&Config { channels, ..Config::default() })
    }

    fn rule(pattern: &str) -> ChannelRule {
        ChannelRule { pattern: pattern.into(), ..ChannelRule::default() }
    }

    fn policy(pattern: &str, policy: QueuePolicy) -> ChannelRule {
        ChannelRule { queue_policy: Some(policy), ..rule(pattern) }
    }

    #[test]
    fn the_most_specific_entry_wins_wherever_it_stands() {
        use QueuePolicy::{Disconnect, DropOldest, Latest};
        let rules = rules(vec![
            policy("/**", DropOldest),
            policy("/a/**", Latest),
            policy("/a/*", Disconnect),
            policy("/a/b", DropOldest),
            policy("/a/b", Latest),
        ]);
        let policy = |channel| rules.of(&name(channel)).queue_policy;
        assert_eq!(policy("/z"), DropOldest);
        assert_eq!(policy("/a"), DropOldest, "/a/** does not cover /a");
        assert_eq!(policy("/a/b/c"), Latest);
        assert_eq!(policy("/a/c"), Disconnect);
        assert_eq!(policy("/a/b"), DropOldest, "of equal entries the first");
    }

    #[test]
    fn each_key_is_decided_by_itself() {
        let second = Duration::from_secs(1);
        let rules = rules(vec![
            ChannelRule { lazy: Some(second), persistent: Some(true), ..rule("/a/**") },
            policy("/a/b", QueuePolicy::Latest),
            ChannelRule { lazy: Some(Duration::ZERO), ..rule("/a/now") },
        ]);
        let usual = Rule {
            queue_policy: QueuePolicy::Disconnect,
            broadcast_to_publisher: true,
            lazy: second,
            persistent: true,
        };
        assert_eq!(rules.of(&name("/a/c")), usual);
        assert_eq!(rules.of(&name("/a/b")), Rule { queue_policy: QueuePolicy::Latest, ..usual });
        assert_eq!(rules.of(&name("/a/now")), Rule { lazy: Duration::ZERO, ..usual });
        let plain = Rule { lazy: Duration::ZERO, persistent: false, ..usual };
        assert_eq!(rules.of(&name("/b")), plain);
    }

    #[test]
    fn p122_no_message_is_lazier_than_allowed() {
        let rules = rules(vec![ChannelRule { lazy: Some(Duration::from_secs(60)), ..rule("/a") }]);
        assert!(rules.has_lazy());
        assert_eq!(rules.of(&name("/a")).lazy, Duration::from_secs(5));
    }

    #[test]
    fn persistent_channels_named_in_full_exist_from_the_start() {
        let rules = rules(vec![
            ChannelRule { persistent: Some(true), ..rule("/a/**") },
            rule("/a/b"),
            ChannelRule { persistent: Some(true), ..rule("/service/x") },
            ChannelRule { persistent: Some(false), ..rule("/a/c") },
        ]);
        let names: Vec<&str> = rules.persistent_channels().map(ChannelName::as_str).collect();
        assert_eq!(names, ["/a/b"]);
    }
}
