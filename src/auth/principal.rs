//! Who presented a key, and what that key allows.

use std::sync::Arc;

use crate::{bayeux::ChannelName, config::Role};

/// The holder of an API key; cheap to clone.
#[derive(Debug, Clone)]
pub struct Principal(Arc<Grant>);

#[derive(Debug)]
struct Grant {
    id: Arc<str>,
    role: Role,
    channels: Vec<ChannelName>,
}

impl Principal {
    /// Makes the holder of the key `id`; `channels` bound a key of the role publish.
    #[must_use]
    pub fn new(id: &str, role: Role, channels: Vec<ChannelName>) -> Self {
        Self(Arc::new(Grant { id: id.into(), role, channels }))
    }

    /// The name of the key, for logs and answers.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.0.id
    }

    /// Whether it may publish to some channel at all.
    #[must_use]
    pub fn publishes(&self) -> bool {
        matches!(self.0.role, Role::Publish | Role::Admin)
    }

    /// Whether it may publish to `channel`.
    #[must_use]
    pub fn may_publish(&self, channel: &ChannelName) -> bool {
        match self.0.role {
            Role::Publish => self.0.channels.iter().any(|pattern| pattern.matches(channel)),
            Role::Monitor => false,
            Role::Admin => true,
        }
    }

    /// Whether it may read what the broker does.
    #[must_use]
    pub fn may_monitor(&self) -> bool {
        matches!(self.0.role, Role::Monitor | Role::Admin)
    }

    /// Whether it may change what the broker does.
    #[must_use]
    pub fn may_administer(&self) -> bool {
        self.0.role == Role::Admin
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bayeux::NameLimits;

    fn name(text: &str) -> ChannelName {
        ChannelName::parse(text, NameLimits { bytes: 255, segments: 16 }).unwrap()
    }

    #[test]
    fn a_key_publishes_to_its_channels_only() {
        let key = Principal::new("orders", Role::Publish, vec![name("/orders/**"), name("/a")]);
        for (channel, allowed) in [
            ("/orders/1", true),
            ("/orders/1/x", true),
            ("/a", true),
            ("/orders", false),
            ("/b", false),
        ] {
            assert_eq!(key.may_publish(&name(channel)), allowed, "{channel}");
        }
        assert!(key.publishes() && !key.may_monitor() && !key.may_administer());
    }

    #[test]
    fn monitors_read_and_admins_do_everything() {
        let monitor = Principal::new("m", Role::Monitor, vec![name("/**")]);
        assert!(!monitor.may_publish(&name("/a")) && !monitor.publishes());
        assert!(monitor.may_monitor() && !monitor.may_administer());
        let admin = Principal::new("a", Role::Admin, Vec::new());
        assert!(admin.may_publish(&name("/a")) && admin.publishes());
        assert!(admin.may_monitor() && admin.may_administer());
    }
}
