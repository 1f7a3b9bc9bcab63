//! Who presented a key, and what that key allows.

use std::sync::Arc;

use crate::{
    bayeux::ChannelName,
    config::Role,
    events::{EventType, Revoked, Rights, Types},
};

/// The holder of an API key; cheap to clone.
#[derive(Debug, Clone)]
pub struct Principal(Arc<Grant>);

#[derive(Debug)]
struct Grant {
    id: Arc<str>,
    role: Role,
    channels: Vec<ChannelName>,
    monitor: Option<Arc<Rights>>,
    revoked: Revoked,
}

impl Principal {
    /// Makes the holder of the key `id`; `channels` bound what it publishes to or sees.
    #[must_use]
    pub fn new(id: &str, role: Role, channels: Vec<ChannelName>) -> Self {
        Self::seeing(id, role, channels, None, false)
    }

    /// As [`Self::new`]; `types` are the events that a monitor gets, if not the usual ones, and
    /// `payload` whether it may see what is published.
    #[must_use]
    pub fn seeing(
        id: &str,
        role: Role,
        channels: Vec<ChannelName>,
        types: Option<Types>,
        payload: bool,
    ) -> Self {
        let usual = match role {
            Role::Publish => None,
            Role::Monitor => Some(Types::ALL.without(EventType::Publish)),
            Role::Admin => Some(Types::ALL),
        };
        let scope = if role == Role::Monitor { channels.as_slice() } else { &[] };
        let revoked = Revoked::default();
        let monitor = usual.map(|usual| {
            let types = types.unwrap_or(usual);
            Arc::new(Rights { types, scope: scope.into(), payload, revoked: revoked.clone() })
        });
        Self(Arc::new(Grant { id: id.into(), role, channels, monitor, revoked }))
    }

    /// Takes the key back: whoever came with it, and is served for long, is told so and served no more.
    pub(super) fn revoke(&self) {
        self.0.revoked.set();
    }

    /// Whether the key has been taken back since it was shown.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.0.revoked.is_set()
    }

    /// Whether two keys allow the same, under one name.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let (one, other) = (&self.0, &other.0);
        let sights = |grant: &Grant| grant.monitor.as_ref().map(|it| (it.types, it.payload));
        one.id == other.id
            && one.role == other.role
            && one.channels == other.channels
            && sights(one) == sights(other)
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
        self.0.monitor.is_some()
    }

    /// What it may see of what the broker does; `None`: nothing.
    #[must_use]
    pub fn monitor_rights(&self) -> Option<&Arc<Rights>> {
        self.0.monitor.as_ref()
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
