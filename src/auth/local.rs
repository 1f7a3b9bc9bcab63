//! The key of the machine's own user: made by a broker that was given none.
//!
//! It lies in a file of this user's that nobody else can read, so that programs of the same user find it
//! and a restart does not change it. Anonymous Bayeux clients of a loopback listener may publish as well, but
//! slowly and one by one; and where a proxy stands before that listener, everybody is on loopback.
//! Therefore the API wants a key even there. Source: operations.md 1, 6.

use std::{
    env, fs,
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::secret::Secret;

/// A key and where it is kept.
#[derive(Debug)]
pub struct LocalKey {
    /// The key itself.
    pub secret: Secret,
    /// Its file.
    pub path: PathBuf,
}

/// Why there is no such key. The operator is at fault.
#[derive(Debug, thiserror::Error)]
pub enum LocalKeyError {
    /// The environment names no folder for it.
    #[error("no folder for a key: neither XDG_RUNTIME_DIR, XDG_STATE_HOME nor HOME is set")]
    NoFolder,
    /// The file or its folder cannot be used.
    #[error("cannot use {path}: {error}", path = path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Others could read or replace the key.
    #[error("{path} can be used by others than its owner: chmod 600 it, or remove it", path = .0.display())]
    Exposed(PathBuf),
    /// Somebody else put the key there, and so knows it.
    #[error("{path} belongs to another user: remove it, or name another file", path = .0.display())]
    Foreign(PathBuf),
    /// The file holds something else.
    #[error("{path} holds no key: remove it", path = .0.display())]
    NoKey(PathBuf),
}

impl LocalKey {
    /// Where the key called `name` lies, when nothing else was configured.
    ///
    /// # Errors
    /// [`LocalKeyError::NoFolder`].
    pub fn default_path(name: &str) -> Result<PathBuf, LocalKeyError> {
        let set = |variable| env::var_os(variable).filter(|value| !value.is_empty());
        let folder = set("XDG_RUNTIME_DIR")
            .or_else(|| set("XDG_STATE_HOME"))
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(set("HOME")?).join(".local/state")))
            .ok_or(LocalKeyError::NoFolder)?;
        Ok(folder.join("bayeuxd").join(format!("{name}.key")))
    }

    /// Reads the key in `path`, to show it to a broker: root may show that of a broker's user.
    ///
    /// # Errors
    /// It is missing, or others than its owner may read it.
    pub fn read(path: &Path) -> Result<Self, LocalKeyError> {
        Self::read_of(path, None)
    }

    /// Reads the key in `path`, which has to be that of the user `owner`, if there is one.
    fn read_of(path: &Path, owner: Option<u32>) -> Result<Self, LocalKeyError> {
        let failed = |error| LocalKeyError::File { path: path.to_owned(), error };
        let mut file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.mode() & 0o077 != 0 {
            return Err(LocalKeyError::Exposed(path.to_owned()));
        }
        if owner.is_some_and(|owner| metadata.uid() != owner) {
            return Err(LocalKeyError::Foreign(path.to_owned()));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let secret = Secret::parse(&text).map_err(|_| LocalKeyError::NoKey(path.to_owned()))?;
        Ok(Self { secret, path: path.to_owned() })
    }

    /// Reads the key in `path`, or makes one of `random` bytes and keeps it there.
    ///
    /// Brokers of one user that start at once end up with one key: the file is created whole, under
    /// its name only if there is none yet.
    ///
    /// # Errors
    /// The folder cannot be written, or what is there cannot be used or is somebody else's.
    pub fn read_or_make(path: &Path, random: [u8; 32]) -> Result<Self, LocalKeyError> {
        match Self::read_of(path, own_user()) {
            Err(LocalKeyError::File { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        let failed = |error| LocalKeyError::File { path: path.to_owned(), error };
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let secret = Secret::from_bytes(random);
        // Named after the key: in containers every process has the same id, and after a crash the draft
        // of the last one would be in the way for ever.
        let draft = path.with_extension(format!("{:.8}.new", secret.digest().to_string()));
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(&draft).map_err(failed)?;
        let linked = file
            .write_all(format!("{}\n", secret.expose()).as_bytes())
            .and_then(|()| fs::hard_link(&draft, path));
        // The draft has served, whatever came of it.
        let _ = fs::remove_file(&draft);
        match linked {
            Ok(()) => Ok(Self { secret, path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Self::read_of(path, own_user())
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// The user that this process runs as, where the system tells it in its file system (Linux, proc(5): the
/// folder of a process belongs to its effective user). Elsewhere the mode has to do: a file for its owner
/// only, which we can read, is ours unless we are root.
fn own_user() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|folder| folder.uid())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_only_and_found_again() {
        let folder = env::temp_dir().join(format!("bayeuxd-local-{}", std::process::id()));
        let path = folder.join("deep/publish.key");
        let made = LocalKey::read_or_make(&path, [1; 32]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(folder.join("deep")).unwrap().mode() & 0o777, 0o700);
        let again = LocalKey::read_or_make(&path, [2; 32]).unwrap();
        assert_eq!(again.secret, made.secret);
        assert_eq!(fs::read_dir(folder.join("deep")).unwrap().count(), 1, "no draft is left");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(LocalKey::read(&path), Err(LocalKeyError::Exposed(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "").unwrap();
        assert!(matches!(LocalKey::read(&path), Err(LocalKeyError::NoKey(_))));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_key_that_somebody_else_put_there_is_not_taken_for_ones_own() {
        let folder = env::temp_dir().join(format!("bayeuxd-foreign-{}", std::process::id()));
        let path = folder.join("admin.key");
        let made = LocalKey::read_or_make(&path, [1; 32]).unwrap();
        let owner = fs::metadata(&path).unwrap().uid();
        if let Some(user) = own_user() {
            assert_eq!(user, owner, "what a process makes is its user's");
        }
        assert_eq!(LocalKey::read_of(&path, Some(owner)).unwrap().secret, made.secret);
        let foreign = LocalKey::read_of(&path, Some(owner + 1));
        assert!(matches!(foreign, Err(LocalKeyError::Foreign(_))), "{foreign:?}");
        assert_eq!(
            LocalKey::read(&path).unwrap().secret,
            made.secret,
            "to show it is another matter"
        );
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_draft_that_a_crash_left_behind_is_not_in_the_way() {
        let folder = env::temp_dir().join(format!("bayeuxd-draft-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("publish.key");
        fs::write(path.with_extension(format!("{}.new", std::process::id())), "").unwrap();
        LocalKey::read_or_make(&path, [1; 32]).unwrap();
        fs::remove_dir_all(folder).unwrap();
    }
}
