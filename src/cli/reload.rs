//! SIGHUP: reads the configuration again and puts into force what can be, without a disconnect.
//!
//! A configuration with mistakes changes nothing. API keys change at once, also when only a file with a
//! secret has changed; every other key that differs is named, because it needs a restart.

use bayeuxd::{
    config::{Config, Loaded},
    server::{Reloaded, Reloader},
};
use tracing::{error, info, warn};

use super::{Failure, local_keys::LocalKeys};

/// Puts `again` into force in a server that was started with `started` and perhaps keys of its own.
///
/// # Errors
///
/// Keys that cannot be used: nothing has changed then.
pub(super) fn reload(
    started: &Config,
    local: &LocalKeys,
    again: Loaded,
    reloader: &Reloader,
) -> Result<Reloaded, Failure> {
    let mut keys = again.config.auth.keys.clone();
    // Listeners, `[api]` and `[admin]` stay as they were started, so they decide whether keys are made.
    let config = Config { auth: again.config.auth.clone(), ..started.clone() };
    keys.extend(LocalKeys::of(&config, Some(local))?.entries());
    let bad = |error: bayeuxd::auth::BadKey| Failure::Configuration(vec![error.to_string()]);
    reloader.replace_keys(&keys).map_err(bad)?;
    info!(event = "node", keys = keys.len(), "reloaded: auth.keys");
    let pairs = started.assignments().into_iter().zip(again.config.assignments());
    let changed = pairs.filter(|(before, after)| before.value != after.value);
    let restart: Vec<String> = changed
        .filter(|(before, _)| before.key != KEYS)
        .map(|(before, _)| before.key.to_owned())
        .collect();
    for key in &restart {
        warn!(event = "node", key, "changed, and needs a restart");
    }
    Ok(Reloaded { reloaded: vec![KEYS.to_owned()], restart })
}

/// Says in the log why nothing was reloaded, and returns the lines.
pub(super) fn report(failure: &Failure) -> Vec<String> {
    let lines = match failure {
        Failure::Configuration(lines) => lines.as_slice(),
        Failure::Failed(line)
        | Failure::Usage(line)
        | Failure::Unreachable(line)
        | Failure::Denied(line)
        | Failure::CutShort(line) => std::slice::from_ref(line),
    };
    for line in lines {
        error!(event = "node", "not reloaded: {line}");
    }
    lines.to_vec()
}

/// The one key that is put into force at once.
const KEYS: &str = "auth.keys";
