//! What of a changed configuration a running broker takes, and what it does not.
//!
//! The list of settings says it of each key ([`Reload`]); so the documentation, the answer to whoever
//! reloads and what is in force afterwards cannot differ.

use std::fmt;

use toml::Value;

use super::{
    Config, Loaded, Problem, check,
    reference::Shown,
    settings::{KEYS, reload_of_list, settings},
};

/// When a changed value is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// When the broker has been started anew.
    Restart,
    /// With the reload: from the next time on that anybody asks for it.
    Now,
    /// For connections that are opened after the reload.
    Connections,
    /// For sessions that begin after the reload.
    Sessions,
    /// For those who begin to follow events after the reload.
    Monitors,
}

/// A key whose value differs. Values are as they would be written in the file, without secrets; `None`: said
/// by leaving the key out.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Dotted, as in `session.queue.max_bytes`.
    pub key: &'static str,
    /// The value in force until now.
    pub before: Option<Value>,
    /// The other one.
    pub after: Option<Value>,
    /// When it is in force.
    pub reload: Reload,
}

impl Reload {
    /// One word, for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Now => "now",
            Self::Connections => "connections",
            Self::Sessions => "sessions",
            Self::Monitors => "monitors",
        }
    }

    /// Whether a running broker takes the value.
    #[must_use]
    pub fn is_live(self) -> bool {
        self != Self::Restart
    }
}

/// As the documentation says it.
impl fmt::Display for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restart => "no, needs a restart",
            Self::Now => "at once",
            Self::Connections => "for new connections",
            Self::Sessions => "for new sessions",
            Self::Monitors => "for new monitors",
        })
    }
}

impl Config {
    /// Lists the keys in which `next` differs, in the order of the documentation.
    #[must_use]
    pub fn changes(&self, next: &Self) -> Vec<Change> {
        let settings = settings();
        let mut changes = Vec::new();
        let (before, after) = (self.entries(), next.entries());
        for (Shown { key, value, reload, .. }, after) in before.into_iter().zip(after) {
            // Compared with their secrets, which `value` does not have.
            let differs = match settings.iter().find(|setting| setting.key == key) {
                Some(setting) => setting.show(self) != setting.show(next),
                None => self.list(key) != next.list(key),
            };
            if differs {
                changes.push(Change { key, before: value, after: after.value, reload });
            }
        }
        changes
    }

    /// This configuration with what a running broker takes of `next`.
    #[must_use]
    pub fn reloaded(&self, next: &Self) -> Self {
        let mut merged = self.clone();
        for setting in settings().iter().filter(|setting| setting.reload.is_live()) {
            setting.copy(next, &mut merged);
        }
        merged.auth.keys.clone_from(&next.auth.keys);
        merged
    }
}

impl Change {
    /// The value until now, on one line that is not too long.
    #[must_use]
    pub fn shown_before(&self) -> String {
        shown(self.before.as_ref())
    }

    /// The other one, likewise.
    #[must_use]
    pub fn shown_after(&self) -> String {
        shown(self.after.as_ref())
    }

    /// Of keys that are written as before, but whose secrets have changed.
    #[must_use]
    pub fn of_keys(config: &Config) -> Self {
        let shown = config.entries().into_iter().find(|entry| entry.key == KEYS);
        let value = shown.and_then(|entry| entry.value);
        Self { key: KEYS, before: value.clone(), after: value, reload: reload_of_list(KEYS) }
    }
}

impl Loaded {
    /// What is in force after a reload: this configuration with what a running broker takes of `next`. Its
    /// warnings are about this whole.
    ///
    /// # Errors
    /// Values that do not go together until the broker is started anew, though both configurations are
    /// sound.
    pub fn reloaded(&self, next: &Self) -> Result<Self, Vec<Problem>> {
        let live: Vec<&str> =
            next.config.entries().iter().filter(|e| e.reload.is_live()).map(|e| e.key).collect();
        let is_live = |key: &str| {
            let list = key.split_once('[').map_or(key, |(list, _)| list);
            live.contains(&list)
        };
        let mut origins = self.origins.clone();
        origins.retain(|key, _| !is_live(key));
        let taken = next.origins.iter().filter(|(key, _)| is_live(key));
        origins.extend(taken.map(|(key, origin)| (key.clone(), origin.clone())));
        let config = self.config.reloaded(&next.config);
        // What stands nowhere in the configuration: variables that are not read.
        let of_variables = next.warnings.iter().filter(|warning| warning.key.is_none());
        let mut loaded = Self { config, origins, warnings: of_variables.cloned().collect() };
        let problems = check::conflicts(&loaded);
        if !problems.is_empty() {
            return Err(problems);
        }
        let found = check::warnings(&loaded);
        loaded.warnings.extend(found);
        Ok(loaded)
    }
}

fn shown(value: Option<&Value>) -> String {
    let text = value.map(Value::to_string).unwrap_or_default();
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text,
    }
}

/// A list of tables may be long, and a log line should not be.
const VALUE_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests;
