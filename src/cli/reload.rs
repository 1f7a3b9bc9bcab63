//! SIGHUP: reads the configuration again and puts into force what can be, without a disconnect.
//!
//! A configuration with mistakes changes nothing. API keys change at once, also when only a file with a
//! secret has changed; every other key that differs is named, because it needs a restart.

use bayeuxd::{
    config::{Config, Loaded},
    server::Reloader,
};
use tracing::{error, info, warn};

use super::{Failure, publish_key::PublishKey};

/// Puts `again` into force in a server that was started with `started` and perhaps a key of its own.
///
/// # Errors
///
/// Keys that cannot be used: nothing has changed then.
pub(super) fn reload(
    started: &Config,
    local: Option<&PublishKey>,
    again: Loaded,
    reloader: &Reloader,
) -> Result<(), Failure> {
    let mut keys = again.config.auth.keys.clone();
    // Listeners and `[api]` stay as they were started, so they decide whether a key is made.
    let config = Config { auth: again.config.auth.clone(), ..started.clone() };
    if let Some(local) = PublishKey::of(&config, local)? {
        keys.push(local.entry());
    }
    let bad = |error: bayeuxd::auth::BadKey| Failure::Configuration(vec![error.to_string()]);
    reloader.replace_keys(&keys).map_err(bad)?;
    info!(event = "node", keys = keys.len(), "reloaded: auth.keys");
    let pairs = started.assignments().into_iter().zip(again.config.assignments());
    for (before, _) in pairs.filter(|(before, after)| before.value != after.value) {
        if before.key != KEYS {
            warn!(event = "node", key = before.key, "changed, and needs a restart");
        }
    }
    Ok(())
}

/// Says in the log why nothing was reloaded.
pub(super) fn report(failure: &Failure) {
    let lines = match failure {
        Failure::Configuration(lines) => lines.as_slice(),
        Failure::Failed(line) | Failure::Usage(line) | Failure::Unreachable(line) => {
            std::slice::from_ref(line)
        }
    };
    for line in lines {
        error!(event = "node", "not reloaded: {line}");
    }
}

/// The one key that is put into force at once.
const KEYS: &str = "auth.keys";
