//! The configuration read again, after SIGHUP or because an operator asks: puts into force what a running broker
//! can take, without a disconnect, and names what needs a restart.
//!
//! A configuration with mistakes changes nothing. Which keys a running broker takes says the list of settings
//! (docs/configuration.md). The server does it; the levels of the log belong to the process and change here.

use bayeuxd::{
    config::{Change, Loaded},
    server::{Reloaded, Reloader},
    telemetry::Levels,
};
use tracing::{info, warn};

use super::{
    Failure,
    load::{open_secrets, refused},
    local_keys::LocalKeys,
};

/// What a broker serves with, and what can change it.
pub(super) struct InForce {
    pub(super) loaded: Loaded,
    pub(super) local: LocalKeys,
    pub(super) levels: Levels,
    pub(super) reloader: Reloader,
}

impl InForce {
    /// Takes what a running broker can of `again`, and says in the log what that is.
    ///
    /// # Errors
    ///
    /// What cannot be used: nothing has changed then.
    pub(super) fn reload(&mut self, again: &Loaded) -> Result<Reloaded, Failure> {
        let mut merged = self.loaded.reloaded(again).map_err(|problems| {
            let Failure::Configuration(lines) = refused(&problems) else {
                return refused(&problems);
            };
            let told = |line| format!("{line}; what needs a restart is still as it was");
            Failure::Configuration(lines.into_iter().map(told).collect())
        })?;
        let open = open_secrets(&merged);
        merged.warnings.extend(open);
        let mut next = again.config.clone();
        // Listeners, `[api]` and `[admin]` stay as they were started, so they decide whether keys are made.
        let local = LocalKeys::of(&merged.config, Some(&self.local))?;
        next.auth.keys.extend(local.entries());
        let bad =
            |error: bayeuxd::server::ReloadError| Failure::Configuration(vec![error.to_string()]);
        let reloaded = self.reloader.reload(&next).map_err(bad)?;
        let level = &merged.config.log.level;
        self.levels.set(level).map_err(|error| Failure::Failed(error.to_string()))?;
        (self.loaded, self.local) = (merged, local);
        tell(&reloaded.changes);
        Ok(reloaded)
    }
}

/// Says in the log what has changed.
fn tell(changes: &[Change]) {
    if changes.is_empty() {
        info!(event = "node", "reloaded: nothing differs");
    }
    for change in changes {
        let Change { key, reload, .. } = change;
        let (before, after) = (change.shown_before(), change.shown_after());
        if reload.is_live() {
            info!(event = "node", key, before, after, in_force = %reload, "reloaded: {key}");
        } else {
            warn!(event = "node", key, before, after, "not reloaded: {key} needs a restart");
        }
    }
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
        warn!(event = "node", "not reloaded: {line}");
    }
    lines.to_vec()
}
