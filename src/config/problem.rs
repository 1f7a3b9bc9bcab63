//! What can be wrong with a configuration. All of it is the operator's to mend, so each message
//! names the place, the key and what would be right.

use std::fmt;

use super::{Origin, mask::harmless};

/// One mistake; its text is one line, and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {fault}")]
pub struct Problem {
    /// Where it stands.
    pub at: Origin,
    /// What it is.
    pub fault: Fault,
}

/// What is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The file is no TOML, in the parser's words.
    #[error("{0}")]
    Syntax(String),
    /// No such key.
    #[error("unknown key {key}{}", advice(.nearest.as_deref(), *.hint))]
    UnknownKey {
        /// Its dotted name.
        key: String,
        /// A key with a similar name.
        nearest: Option<String>,
        /// Where to find what it stands for elsewhere.
        hint: Option<&'static str>,
    },
    /// A value of the wrong type or out of bounds.
    #[error("{key} = {}: expected {allowed}", harmless(.key, .value))]
    BadValue {
        /// The key's dotted name.
        key: String,
        /// The value as it was written.
        value: String,
        /// The allowed values.
        allowed: String,
    },
    /// A value that does not go together with another one.
    #[error("{key} = {}: {reason}", harmless(.key, .value))]
    Conflict {
        /// The key's dotted name.
        key: String,
        /// The value, as TOML.
        value: String,
        /// Why, and what to do.
        reason: String,
    },
    /// An entry of a list of tables without the key that every entry has to have.
    #[error("{key} is missing; it says {meaning}")]
    MissingKey {
        /// The key's dotted name.
        key: String,
        /// What it is for.
        meaning: &'static str,
    },
    /// An entry of a list of tables that cannot be used as a whole.
    #[error("{reason}")]
    Entry {
        /// The list and the place in it, as in `auth.keys[0]`.
        key: String,
        /// Why, naming the entry, and what to do.
        reason: String,
    },
}

/// What works but is probably not meant. Its text is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where the value stands.
    pub at: Origin,
    /// The key's dotted name; `None`: what is warned of is no key.
    pub key: Option<String>,
    /// What is odd, naming the key, and what comes of it.
    pub text: String,
}

impl Fault {
    /// The dotted name of the key that it is about.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Unreadable(_) | Self::Syntax(_) => None,
            Self::UnknownKey { key, .. }
            | Self::BadValue { key, .. }
            | Self::Conflict { key, .. }
            | Self::MissingKey { key, .. }
            | Self::Entry { key, .. } => Some(key),
        }
    }
}

impl fmt::Display for Warning {
    /// A default stands nowhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at != Origin::Default {
            write!(f, "{}: ", self.at)?;
        }
        f.write_str(&self.text)
    }
}

fn advice(nearest: Option<&str>, hint: Option<&str>) -> String {
    match (hint, nearest) {
        (Some(hint), _) => format!("; {hint}"),
        (None, Some(key)) => format!("; did you mean {key}?"),
        (None, None) => String::new(),
    }
}
