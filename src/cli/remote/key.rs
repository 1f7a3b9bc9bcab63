//! The key that a command shows.

use std::{
    env,
    path::{Path, PathBuf},
};

use bayeuxd::auth::{LocalKey, LocalKeyError, Secret};

use super::Failure;

/// A key, and who chose it.
#[derive(Debug)]
pub(in crate::cli) struct Key {
    pub(super) secret: Secret,
    /// Somebody named it for this command; else a broker made it for its user.
    pub(super) given: bool,
}

/// What was found, and where nothing was.
#[derive(Debug)]
pub(in crate::cli) struct Sought {
    pub(super) key: Option<Key>,
    /// The places without a key, for who has none; empty if there is one.
    pub(super) looked: String,
}

impl From<Key> for Sought {
    fn from(key: Key) -> Self {
        Self { key: Some(key), looked: String::new() }
    }
}

/// Where the service of the package keeps its keys, for root.
const SERVICE_FOLDER: &str = "/run/bayeuxd";

/// Finds the key: in `file`, in the environment, or where a broker of this user keeps the one called
/// `name`, if the broker is `here`: such a key is never sent to another machine. Without one the broker
/// says whether it needs one.
///
/// # Errors
///
/// A key that was named and cannot be used.
pub(super) fn find(name: &str, file: Option<&Path>, here: bool) -> Result<Sought, Failure> {
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("--key-file {}: {error}", path.display())))?;
        let secret = Secret::parse(&text)
            .map_err(|error| Failure::Usage(format!("--key-file {}: {error}", path.display())))?;
        return Ok(Key { secret, given: true }.into());
    }
    // Empty is what a script leaves of a variable that it did not set.
    if let Some(text) = env::var("BAYEUXD_KEY").ok().filter(|text| !text.is_empty()) {
        let secret = Secret::parse(&text)
            .map_err(|error| Failure::Usage(format!("BAYEUXD_KEY: {error}")))?;
        return Ok(Key { secret, given: true }.into());
    }
    if !here {
        return Ok(Sought { key: None, looked: ELSEWHERE.to_owned() });
    }
    let service = PathBuf::from(SERVICE_FOLDER).join(format!("{name}.key"));
    let mut looked = Vec::new();
    for path in [LocalKey::default_path(name), Ok(service)] {
        match path.and_then(|path| LocalKey::read(&path)) {
            Ok(key) => return Ok(Key { secret: key.secret, given: false }.into()),
            // Not there, or not for us: the broker's answer tells whether that matters.
            Err(LocalKeyError::File { path, error }) => {
                looked.push(format!("{} ({error})", path.display()));
            }
            Err(LocalKeyError::NoFolder) => {}
            Err(error) => return Err(Failure::Failed(error.to_string())),
        }
    }
    Ok(Sought { key: None, looked: format!("no key in {}", looked.join(" and ")) })
}

const ELSEWHERE: &str = "keys kept on this machine are for its own broker";
