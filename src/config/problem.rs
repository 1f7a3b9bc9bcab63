//! What can be wrong with a configuration. All of it is the operator's to mend, so each message
//! names the place, the key and what would be right.

use super::Origin;

/// One mistake; its text is one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file is no TOML.
    #[error("{at}: {message}")]
    Syntax {
        /// The first line that cannot be read.
        at: Origin,
        /// The parser's explanation.
        message: String,
    },
    /// No such key.
    #[error("{at}: unknown key {key}{}", did_you_mean(.nearest.as_deref()))]
    UnknownKey {
        /// Where it stands.
        at: Origin,
        /// Its dotted name.
        key: String,
        /// A key with a similar name.
        nearest: Option<String>,
    },
    /// A value of the wrong type or out of bounds.
    #[error("{at}: {key} = {value}: expected {allowed}")]
    BadValue {
        /// Where it stands.
        at: Origin,
        /// The key's dotted name.
        key: String,
        /// The value as it was written.
        value: String,
        /// The allowed values.
        allowed: String,
    },
    /// A value that does not go together with another one.
    #[error("{at}: {key} = {value}: {reason}")]
    Conflict {
        /// Where it stands.
        at: Origin,
        /// The key's dotted name.
        key: String,
        /// The value, as TOML.
        value: String,
        /// Why, and what to do.
        reason: String,
    },
    /// An entry of a list of tables without the key that every entry has to have.
    #[error("{at}: {key} is missing; it says {meaning}")]
    MissingKey {
        /// Where the entry stands.
        at: Origin,
        /// The key's dotted name.
        key: String,
        /// What it is for.
        meaning: &'static str,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|key| format!("; did you mean {key}?")).unwrap_or_default()
}
