//! Rules for channels by pattern, from `[[channels]]`; the first match wins.

use crate::{
    bayeux::{ChannelName, NameLimits},
    config::{Config, QueuePolicy},
};

/// How messages of a channel are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) queue_policy: QueuePolicy,
    pub(super) broadcast_to_publisher: bool,
}

/// All rules, in the order of the file.
#[derive(Debug)]
pub(super) struct Rules {
    by_pattern: Vec<(ChannelName, Rule)>,
    otherwise: Rule,
}

impl Rules {
    /// Takes the rules of a validated configuration.
    pub(super) fn new(config: &Config) -> Self {
        let otherwise = Rule {
            queue_policy: QueuePolicy::Disconnect,
            broadcast_to_publisher: config.session.broadcast_to_publisher,
        };
        let name = NameLimits {
            bytes: config.limits.channel_length,
            segments: config.limits.channel_segments,
        };
        let by_pattern = config.channels.iter().filter_map(|entry| {
            let pattern = ChannelName::parse(&entry.pattern, name).ok()?;
            let rule = Rule {
                queue_policy: entry.queue_policy.unwrap_or(otherwise.queue_policy),
                broadcast_to_publisher: entry
                    .broadcast_to_publisher
                    .unwrap_or(otherwise.broadcast_to_publisher),
            };
            Some((pattern, rule))
        });
        Self { by_pattern: by_pattern.collect(), otherwise }
    }

    /// The rule for a concrete channel.
    pub(super) fn of(&self, channel: &ChannelName) -> Rule {
        self.by_pattern
            .iter()
            .find(|(pattern, _)| pattern.matches(channel))
            .map_or(self.otherwise, |(_, rule)| *rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ChannelRule;

    fn rule(pattern: &str, queue_policy: Option<QueuePolicy>) -> ChannelRule {
        ChannelRule { pattern: pattern.into(), queue_policy, broadcast_to_publisher: None }
    }

    #[test]
    fn the_first_matching_rule_wins() {
        let config = Config {
            channels: vec![
                rule("/a/b", Some(QueuePolicy::Latest)),
                rule("/a/**", Some(QueuePolicy::DropOldest)),
                rule("/**", None),
            ],
            ..Config::default()
        };
        let rules = Rules::new(&config);
        let policy = |name: &str| {
            let limits = NameLimits { bytes: 255, segments: 16 };
            rules.of(&ChannelName::parse(name, limits).unwrap()).queue_policy
        };
        assert_eq!(policy("/a/b"), QueuePolicy::Latest);
        assert_eq!(policy("/a/c/d"), QueuePolicy::DropOldest);
        assert_eq!(policy("/b"), QueuePolicy::Disconnect);
    }
}
