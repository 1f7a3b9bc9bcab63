//! What of an `[[auth.keys]]` entry does not go together, for the file and for `bayeuxd key gen`.

use super::{ApiKey, Role, settings::is_key_id};

/// The key of this machine's user to publish with, which the broker makes when it has none.
pub const LOCAL_PUBLISH_KEY: &str = "local-user";
/// The key of this machine's operator, which the broker makes when it has none.
pub const LOCAL_ADMIN_KEY: &str = "local-admin";

impl ApiKey {
    /// The first field that cannot be used or would be without effect, and why.
    #[must_use]
    pub fn misfit(&self) -> Option<(&'static str, &'static str)> {
        let publishes = self.role == Role::Publish;
        if !is_key_id(&self.id) {
            return Some(("id", "a name has 1 to 64 letters, digits, \"_\" and \"-\""));
        }
        if [LOCAL_PUBLISH_KEY, LOCAL_ADMIN_KEY].contains(&self.id.as_str()) {
            return Some((
                "id",
                "the keys that the broker makes itself have this name; take another",
            ));
        }
        if publishes && !self.types.is_empty() {
            return Some(("types", "a key of the role \"publish\" gets no events; remove it"));
        }
        if publishes && self.payload {
            return Some(("payload", "a key of the role \"publish\" gets no events; remove it"));
        }
        if self.role == Role::Admin && !self.channels.is_empty() {
            let reason = "a key of the role \"admin\" publishes everywhere; remove them, or take the \
                          role \"publish\"";
            return Some(("channels", reason));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_would_have_no_effect_are_named() {
        let key = |change: fn(&mut ApiKey)| {
            let mut key =
                ApiKey { id: "a".into(), channels: vec!["/a".into()], ..ApiKey::default() };
            change(&mut key);
            key.misfit().map(|(field, _)| field)
        };
        assert_eq!(key(|_| {}), None);
        assert_eq!(key(|key| key.id = "bad id!".into()), Some("id"));
        assert_eq!(key(|key| key.id = LOCAL_ADMIN_KEY.into()), Some("id"));
        assert_eq!(key(|key| key.id = LOCAL_PUBLISH_KEY.into()), Some("id"));
        assert_eq!(key(|key| key.types = vec!["connect".into()]), Some("types"));
        assert_eq!(key(|key| key.payload = true), Some("payload"));
        assert_eq!(key(|key| key.role = Role::Admin), Some("channels"));
        let monitor = key(|key| {
            (key.role, key.payload, key.types) = (Role::Monitor, true, vec!["connect".into()]);
        });
        assert_eq!(monitor, None);
    }
}
