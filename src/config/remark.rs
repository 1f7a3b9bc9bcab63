//! Mistakes and warnings as programs read them: `config check --json` and the admin API.

use serde::Serialize;

use super::{Origin, Problem, Warning};

/// A sentence about a place of the configuration, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The place, as [`Origin`] writes it; `None`: it is about a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    /// The file, if the place is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// What there is to say, naming the key.
    text: String,
}

impl Remark {
    fn new(at: &Origin, key: Option<&str>, text: String) -> Self {
        let (file, line) = match at {
            Origin::File { path, line } => (Some(path), Some(*line)),
            Origin::Whole(path) => (Some(path), None),
            Origin::Default | Origin::Environment(_) | Origin::Flag(_) => (None, None),
        };
        Self {
            origin: (*at != Origin::Default).then(|| at.to_string()),
            file: file.map(|path| path.display().to_string()),
            line,
            key: key.map(str::to_owned),
            text,
        }
    }
}

impl From<&Problem> for Remark {
    fn from(Problem { at, fault }: &Problem) -> Self {
        Self::new(at, fault.key(), fault.to_string())
    }
}

impl From<&Warning> for Remark {
    fn from(Warning { at, key, text }: &Warning) -> Self {
        Self::new(at, key.as_deref(), text.clone())
    }
}
