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

/// Where the service of the package keeps its keys, for root.
const SERVICE_FOLDER: &str = "/run/bayeuxd";

/// Finds the key: in `file`, in the environment, or where a broker of this user keeps the one called
/// `name`, if the broker is `here`: such a key is never sent to another machine. `None`: nowhere, and
/// the broker says whether it needs one.
///
/// # Errors
///
/// A key that was named and cannot be used.
pub(super) fn find(name: &str, file: Option<&Path>, here: bool) -> Result<Option<Key>, Failure> {
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("--key-file {}: {error}", path.display())))?;
        let secret = Secret::parse(&text)
            .map_err(|error| Failure::Usage(format!("--key-file {}: {error}", path.display())))?;
        return Ok(Some(Key { secret, given: true }));
    }
    // Empty is what a script leaves of a variable that it did not set.
    if let Some(text) = env::var("BAYEUXD_KEY").ok().filter(|text| !text.is_empty()) {
        let secret = Secret::parse(&text)
            .map_err(|error| Failure::Usage(format!("BAYEUXD_KEY: {error}")))?;
        return Ok(Some(Key { secret, given: true }));
    }
    if !here {
        return Ok(None);
    }
    let own = LocalKey::default_path(name).ok();
    let service = PathBuf::from(SERVICE_FOLDER).join(format!("{name}.key"));
    for path in own.into_iter().chain([service]) {
        match LocalKey::read(&path) {
            Ok(key) => return Ok(Some(Key { secret: key.secret, given: false })),
            // Not there, or not for us: the broker's answer tells what is missing.
            Err(LocalKeyError::File { .. } | LocalKeyError::NoFolder) => {}
            Err(error) => return Err(Failure::Failed(error.to_string())),
        }
    }
    Ok(None)
}
