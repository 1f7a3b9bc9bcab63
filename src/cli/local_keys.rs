//! The keys of a broker that was given none: to publish, if it listens on loopback only, and to
//! administer.
//!
//! They are kept in files of this user, so that they outlive a restart and the command line finds them,
//! and shown only to a terminal: elsewhere the file is named, for standard output may be a log.

use std::{
    io::{IsTerminal as _, stdout},
    path::PathBuf,
};

use bayeuxd::{
    auth::{Keyring, LocalKey, LocalKeyError, Role, Secret},
    config::{ApiKey, Config, LOCAL_ADMIN_KEY, LOCAL_PUBLISH_KEY},
};
use tracing::warn;

use super::{
    Failure,
    key::{name_limits, random_bytes},
};

/// The keys that were made or found.
#[derive(Debug, Default)]
pub(super) struct LocalKeys {
    /// `None`: somebody may publish already, or nobody shall.
    pub(super) publish: Option<MadeKey>,
    /// `None`: there is an admin key already, or no admin listener.
    pub(super) admin: Option<MadeKey>,
}

/// A key that was made or found.
#[derive(Debug)]
pub(super) struct MadeKey {
    kind: &'static Kind,
    secret: Secret,
    /// `None`: it could not be kept and ends with the process.
    pub(super) path: Option<PathBuf>,
}

/// What a key is for.
#[derive(Debug)]
struct Kind {
    /// Its name in logs and answers.
    id: &'static str,
    /// The name of its file, without the end.
    file: &'static str,
    /// The configuration key that says where the file is.
    setting: &'static str,
    role: Role,
    channels: &'static [&'static str],
}

impl LocalKeys {
    /// Makes sure that somebody may publish and administer. `before` are the keys in force, which stay
    /// if their files are of no use any more: nobody would know others.
    ///
    /// # Errors
    ///
    /// Unusable keys, or a system without random bytes.
    pub(super) fn of(config: &Config, before: Option<&Self>) -> Result<Self, Failure> {
        let keyring = Keyring::new(&config.auth.keys, name_limits(config))
            .map_err(|error| Failure::Configuration(vec![error.to_string()]))?;
        let mut made = Self::default();
        if config.api.enabled && config.server.loopback_only() && !keyring.has_publisher() {
            let before = before.and_then(|before| before.publish.as_ref());
            made.publish = Some(MadeKey::of(&PUBLISH, config.api.key_file.clone(), before)?);
        }
        if config.admin.listen.is_some() && !keyring.has_administrator() {
            let before = before.and_then(|before| before.admin.as_ref());
            made.admin = Some(MadeKey::of(&ADMIN, config.admin.key_file.clone(), before)?);
        }
        Ok(made)
    }

    /// The keys as entries of the configuration.
    pub(super) fn entries(&self) -> impl Iterator<Item = ApiKey> {
        [&self.publish, &self.admin].into_iter().flatten().map(MadeKey::entry)
    }
}

impl MadeKey {
    fn of(
        kind: &'static Kind,
        path: Option<PathBuf>,
        before: Option<&Self>,
    ) -> Result<Self, Failure> {
        let random = random_bytes()?;
        let path = path.map_or_else(|| LocalKey::default_path(kind.file), Ok);
        Ok(match path.and_then(|path| LocalKey::read_or_make(&path, random)) {
            Ok(LocalKey { secret, path }) => Self { kind, secret, path: Some(path) },
            Err(error) => {
                // Without a home there is nothing to mend: a container may want it so.
                if !matches!(error, LocalKeyError::NoFolder) {
                    let (key, id) = (kind.setting, kind.id);
                    warn!(%error, key, id, "the generated key ends with this process");
                }
                let secret =
                    before.map_or_else(|| Secret::from_bytes(random), |known| known.secret.clone());
                Self { kind, secret, path: None }
            }
        })
    }

    /// The key as an entry of the configuration.
    fn entry(&self) -> ApiKey {
        ApiKey {
            id: self.kind.id.into(),
            secret_sha256: Some(self.secret.digest().to_string()),
            role: self.kind.role,
            channels: self.kind.channels.iter().map(|&channel| channel.into()).collect(),
            ..ApiKey::default()
        }
    }

    /// The secret, if standard output is a terminal.
    pub(super) fn for_terminal(&self) -> Option<&str> {
        stdout().is_terminal().then(|| self.secret.expose())
    }

    /// The value of the `X-API-Key` header for a shell command in double quotes; `None` if this is no
    /// place to show it.
    pub(super) fn for_shell(&self) -> Option<String> {
        let shown = self.for_terminal().map(str::to_owned);
        shown.or_else(|| self.path.as_ref().map(|path| format!("$(cat '{}')", path.display())))
    }
}

static PUBLISH: Kind = Kind {
    id: LOCAL_PUBLISH_KEY,
    file: "publish",
    setting: "api.key_file",
    role: Role::Publish,
    channels: &["/**"],
};
static ADMIN: Kind = Kind {
    id: LOCAL_ADMIN_KEY,
    file: "admin",
    setting: "admin.key_file",
    role: Role::Admin,
    channels: &[],
};
