//! The publish key of a broker that listens on loopback only and was given none.
//!
//! It is kept in a file of this user, so that it outlives a restart, and shown only to a terminal:
//! elsewhere the file is named, for standard output may be a log.

use std::{
    io::{IsTerminal as _, stdout},
    path::PathBuf,
};

use bayeuxd::{
    auth::{Keyring, LocalKey, LocalKeyError, Role, Secret},
    config::{ApiKey, Config},
};
use tracing::warn;

use super::{
    Failure,
    key::{name_limits, random_bytes},
};

/// A key that was made or found.
#[derive(Debug)]
pub(super) struct PublishKey {
    secret: Secret,
    /// `None`: it could not be kept and ends with the process.
    pub(super) path: Option<PathBuf>,
}

impl PublishKey {
    /// Makes sure that somebody may publish: `None` if keys are configured, the listener is public or
    /// there is no API. `before` is the key in force, which stays if its file is of no use any more:
    /// nobody would know another one.
    ///
    /// # Errors
    ///
    /// Unusable keys, or a system without random bytes.
    pub(super) fn of(config: &Config, before: Option<&Self>) -> Result<Option<Self>, Failure> {
        let keyring = Keyring::new(&config.auth.keys, name_limits(config))
            .map_err(|error| Failure::Configuration(vec![error.to_string()]))?;
        if !config.api.enabled || !config.server.loopback_only() || keyring.has_publisher() {
            return Ok(None);
        }
        let random = random_bytes()?;
        let path =
            config.api.key_file.clone().map_or_else(|| LocalKey::default_path("publish"), Ok);
        Ok(Some(match path.and_then(|path| LocalKey::read_or_make(&path, random)) {
            Ok(LocalKey { secret, path }) => Self { secret, path: Some(path) },
            Err(error) => {
                // Without a home there is nothing to mend: a container may want it so.
                if !matches!(error, LocalKeyError::NoFolder) {
                    warn!(%error, key = "api.key_file", "the publish key ends with this process");
                }
                let secret =
                    before.map_or_else(|| Secret::from_bytes(random), |known| known.secret.clone());
                Self { secret, path: None }
            }
        }))
    }

    /// The key as an entry of the configuration.
    pub(super) fn entry(&self) -> ApiKey {
        ApiKey {
            id: ID.into(),
            secret_sha256: Some(self.secret.digest().to_string()),
            role: Role::Publish,
            channels: vec!["/**".into()],
            ..ApiKey::default()
        }
    }

    /// The value of the `X-API-Key` header for a shell command in double quotes; `None` if this is no
    /// place to show it.
    pub(super) fn for_shell(&self) -> Option<String> {
        if stdout().is_terminal() {
            return Some(self.secret.expose().to_owned());
        }
        self.path.as_ref().map(|path| format!("$(cat '{}')", path.display()))
    }
}

/// Its name in logs and answers.
const ID: &str = "local-user";
