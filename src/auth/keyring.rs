//! All configured keys, and finding the one that somebody presents.

use std::{fs, io, path::PathBuf};

use super::{
    principal::Principal,
    secret::{Digest, Secret, WeakSecret},
};
use crate::{
    bayeux::{ChannelName, InvalidName, Kind, NameLimits},
    config::{ApiKey, Role},
    events::{EventType, Types},
};

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: Vec<(Digest, Principal)>,
}

/// Why an `[[auth.keys]]` entry cannot be used. The operator is at fault.
#[derive(Debug, thiserror::Error)]
pub enum BadKey {
    /// Two keys of one name: logs could not tell them apart.
    #[error("auth.keys: two keys are called '{0}'")]
    Twice(String),
    /// Two keys with one secret: whoever shows it could be either.
    #[error(
        "auth.keys: '{first}' and '{second}' have the same secret; `bayeuxd key gen` makes another"
    )]
    SameSecret {
        /// One of the keys.
        first: String,
        /// The other one.
        second: String,
    },
    /// Neither secret, or both.
    #[error(
        "auth.keys '{0}': give either secret_file or secret_sha256; `bayeuxd key gen` makes both"
    )]
    Secret(String),
    /// The file cannot be read.
    #[error("auth.keys '{id}': cannot read {path}: {error}", path = path.display())]
    File {
        /// The key.
        id: String,
        /// Its file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file holds no usable secret.
    #[error("auth.keys '{id}': {path}: {error}", path = path.display())]
    Weak {
        /// The key.
        id: String,
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        error: WeakSecret,
    },
    /// A publish key that may publish nowhere.
    #[error("auth.keys '{0}': say in channels where it may publish, like [\"/orders/**\"]")]
    NoChannels(String),
    /// An entry of `channels` is no channel or pattern.
    #[error("auth.keys '{id}': channel \"{channel}\": {error}")]
    Channel {
        /// The key.
        id: String,
        /// The entry.
        channel: String,
        /// What is wrong.
        error: InvalidName,
    },
    /// An entry of `channels` is a channel that nobody publishes to.
    #[error(
        "auth.keys '{id}': \"{channel}\" is no broadcast channel, which is what keys are about"
    )]
    Kind {
        /// The key.
        id: String,
        /// The entry.
        channel: String,
    },
}

impl Keyring {
    /// Makes the keyring of `keys`; reads the files that hold secrets.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn new(keys: &[ApiKey], limits: NameLimits) -> Result<Self, BadKey> {
        let mut ring = Self::default();
        for key in keys {
            if ring.keys.iter().any(|(_, known)| **known.id() == *key.id) {
                return Err(BadKey::Twice(key.id.clone()));
            }
            let digest = digest(key)?;
            if let Some((_, known)) = ring.keys.iter().find(|(known, _)| known.matches(&digest)) {
                let (first, second) = (known.id().to_string(), key.id.clone());
                return Err(BadKey::SameSecret { first, second });
            }
            ring.keys.push((digest, principal(key, limits)?));
        }
        Ok(ring)
    }

    /// Takes the place of `before`: keys that stay as they are keep their holders, all others of `before`
    /// are taken back. A key whose secret or rights have changed is another one. Returns whether any key is
    /// new or taken back.
    pub fn succeed(&mut self, before: &Self) -> bool {
        let mut kept_count = 0;
        for (digest, holder) in &before.keys {
            let same = self.keys.iter_mut().find(|(known, _)| known.matches(digest));
            match same {
                Some((_, kept)) if kept.equals(holder) => {
                    *kept = holder.clone();
                    kept_count += 1;
                }
                _ => holder.revoke(),
            }
        }
        kept_count < before.keys.len() || kept_count < self.keys.len()
    }

    /// The holder of the key that somebody presents, if it is one of these.
    ///
    /// Looks at every key in full, so that the time does not tell which ones are near.
    #[must_use]
    pub fn find(&self, presented: &[u8]) -> Option<&Principal> {
        let digest = Digest::of(presented);
        let mut found = None;
        for (known, principal) in &self.keys {
            if known.matches(&digest) {
                found = Some(principal);
            }
        }
        found
    }

    /// Whether some key may administer.
    #[must_use]
    pub fn has_administrator(&self) -> bool {
        self.keys.iter().any(|(_, principal)| principal.may_administer())
    }

    /// Whether some key may publish.
    #[must_use]
    pub fn has_publisher(&self) -> bool {
        self.keys.iter().any(|(_, principal)| principal.publishes())
    }
}

fn digest(key: &ApiKey) -> Result<Digest, BadKey> {
    let id = || key.id.clone();
    match (&key.secret_file, &key.secret_sha256) {
        (Some(path), None) => {
            let path = || path.clone();
            let text = fs::read_to_string(path()).map_err(|error| BadKey::File {
                id: id(),
                path: path(),
                error,
            })?;
            let secret = Secret::parse(&text).map_err(|error| BadKey::Weak {
                id: id(),
                path: path(),
                error,
            })?;
            Ok(secret.digest())
        }
        (None, Some(hex)) => Digest::parse(hex).ok_or_else(|| BadKey::Secret(id())),
        _ => Err(BadKey::Secret(id())),
    }
}

fn principal(key: &ApiKey, limits: NameLimits) -> Result<Principal, BadKey> {
    let id = || key.id.clone();
    let mut channels = Vec::new();
    for channel in &key.channels {
        let name = ChannelName::parse(channel, limits).map_err(|error| BadKey::Channel {
            id: id(),
            channel: channel.clone(),
            error,
        })?;
        if name.kind() != Kind::Broadcast {
            return Err(BadKey::Kind { id: id(), channel: channel.clone() });
        }
        channels.push(name);
    }
    if key.role == Role::Publish && channels.is_empty() {
        return Err(BadKey::NoChannels(id()));
    }
    // The words were checked when the configuration was read.
    let types: Types = key.types.iter().filter_map(|word| EventType::parse(word)).collect();
    let types = (!key.types.is_empty()).then_some(types);
    Ok(Principal::seeing(&key.id, key.role, channels, types, key.payload))
}

#[cfg(test)]
mod tests;
