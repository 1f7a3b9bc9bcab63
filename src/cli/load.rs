//! Reads the configuration from where it stands: file, environment, flags.

use std::{
    env, fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use bayeuxd::{
    auth::Keyring,
    bayeux::{ChannelName, Kind},
    config::{Config, Fault, Loaded, Loader, Origin, Problem, Warning},
    otel::{self, BadOtel},
    server::check_services,
};

use super::{Failure, key::name_limits};

/// A value given by a flag.
pub(super) struct Flag {
    /// With its dashes, for messages.
    pub(super) name: &'static str,
    /// The key it sets.
    pub(super) key: String,
    /// TOML or bare text.
    pub(super) value: String,
}

/// Loads the configuration, to serve with it. Without `file`, [`FILE`] in the working directory if there
/// is one.
///
/// # Errors
///
/// See [`examine`].
pub(super) fn load(file: Option<&Path>, flags: &[Flag]) -> Result<Loaded, Failure> {
    examine(file, flags).map_err(|problems| refused(&problems))
}

/// What the operator reads of mistakes.
pub(super) fn refused(problems: &[Problem]) -> Failure {
    Failure::Configuration(problems.iter().map(Problem::to_string).collect())
}

/// Loads the configuration.
///
/// # Errors
///
/// Its mistakes.
pub(super) fn examine(file: Option<&Path>, flags: &[Flag]) -> Result<Loaded, Vec<Problem>> {
    let mut loader = Loader::new();
    if let Some((path, text)) = read(file).map_err(|problem| vec![problem])? {
        loader.file(&path, &text);
    }
    // Names and values that are no UTF-8 cannot be ours.
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    loader.environment(env::vars_os().filter_map(text));
    for flag in flags {
        loader.flag(flag.name, &flag.key, &flag.value);
    }
    let mut loaded = loader.finish()?;
    // Only the broker's own parsers know these, and the configuration imports nothing of them.
    let mut problems = useless_rules(&loaded);
    problems.extend(bad_key(&loaded));
    problems.extend(bad_service(&loaded));
    problems.extend(bad_otel(&loaded));
    if !problems.is_empty() {
        return Err(problems);
    }
    let open = open_secrets(&loaded);
    loaded.warnings.extend(open);
    Ok(loaded)
}

/// Finds files with secrets that every user of this machine may read.
pub(super) fn open_secrets(loaded: &Loaded) -> Vec<Warning> {
    let config = &loaded.config;
    let keys = config.auth.keys.iter().enumerate().map(|(index, key)| {
        (format!("auth.keys[{index}].secret_file"), key.secret_file.as_deref())
    });
    let others = [
        ("session.browser_cookie.secret_file", &config.session.browser_cookie.secret_file),
        ("otel.headers_file", &config.otel.headers_file),
    ];
    let others = others.into_iter().map(|(key, path)| (key.to_owned(), path.as_deref()));
    let mut found = Vec::new();
    for (key, path) in keys.chain(others) {
        let Some(path) = path.filter(|path| is_open(path)) else { continue };
        let path = path.display();
        let text = format!("{key}: every user of this machine may read {path}; chmod o= {path}");
        found.push(loaded.doubt(key, text));
    }
    found
}

fn is_open(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.permissions().mode() & READ_BY_OTHERS != 0)
}

/// The file that is read: the one that was asked for, or [`FILE`] if there is one.
pub(super) fn found(file: Option<&Path>) -> Option<&Path> {
    file.or_else(|| Some(Path::new(FILE)).filter(|path| path.exists()))
}

fn read(file: Option<&Path>) -> Result<Option<(PathBuf, String)>, Problem> {
    let path = file.unwrap_or_else(|| Path::new(FILE));
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.to_path_buf(), text))),
        Err(error) if file.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let advice = match error.kind() {
                io::ErrorKind::NotFound => {
                    "there is no such file; `bayeuxd config init` prints one to start with".into()
                }
                io::ErrorKind::InvalidData => "the file is no UTF-8 text".into(),
                _ => error.to_string(),
            };
            let at = Origin::Whole(path.to_path_buf());
            Err(Problem { at, fault: Fault::Unreadable(advice) })
        }
    }
}

/// Finds rules that cannot match any delivered message.
fn useless_rules(loaded: &Loaded) -> Vec<Problem> {
    let limits = name_limits(&loaded.config);
    let reason = |pattern: &str| match ChannelName::parse(pattern, limits) {
        Err(error) => Some(error.to_string()),
        Ok(name) if name.kind() != Kind::Broadcast => {
            Some("messages of /meta and /service channels are not broadcast".to_owned())
        }
        Ok(_) => None,
    };
    let rules = loaded.config.channels.iter().enumerate();
    rules
        .filter_map(|(index, rule)| {
            let key = format!("channels[{index}].match");
            Some(loaded.conflict(&key, rule.pattern.as_str(), reason(&rule.pattern)?))
        })
        .collect()
}

/// Finds the first API key that cannot be used.
fn bad_key(loaded: &Loaded) -> Option<Problem> {
    let (keys, names) = (&loaded.config.auth.keys, name_limits(&loaded.config));
    let (index, error) = first_bad(keys, |keys| Keyring::new(keys, names).map(drop))?;
    Some(loaded.bad_entry("auth.keys", index, "id", error.to_string()))
}

/// Finds the first back-end that cannot be used.
fn bad_service(loaded: &Loaded) -> Option<Problem> {
    let (config, names) = (&loaded.config, name_limits(&loaded.config));
    let (index, error) = first_bad(&config.services, |services| {
        check_services(&Config { services: services.to_vec(), ..config.clone() }, names)
    })?;
    Some(loaded.bad_entry("services", index, "channel", error.to_string()))
}

/// Finds what of `[otel]` cannot be used.
fn bad_otel(loaded: &Loaded) -> Option<Problem> {
    let settings = &loaded.config.otel;
    let error = otel::check(settings).err()?;
    let (key, value) = match &error {
        BadOtel::File { path, .. } | BadOtel::Header { path, .. } => {
            ("otel.headers_file", path.to_string_lossy())
        }
        _ => ("otel.endpoint", settings.endpoint.as_str().into()),
    };
    Some(loaded.conflict(key, value.as_ref(), error.to_string()))
}

/// The entry at which a list stops being one that `check` accepts, and why.
fn first_bad<T, E>(list: &[T], check: impl Fn(&[T]) -> Result<(), E>) -> Option<(usize, E)> {
    check(list).err()?;
    (0..list.len()).find_map(|last| Some((last, check(list.get(..=last)?).err()?)))
}

/// The bit of a file's mode.
const READ_BY_OTHERS: u32 = 0o004;
/// Where the configuration is looked for.
const FILE: &str = "bayeuxd.toml";
