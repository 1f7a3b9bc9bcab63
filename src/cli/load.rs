//! Reads the configuration from where it stands: file, environment, flags.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use bayeuxd::{
    auth::Keyring,
    bayeux::{ChannelName, Kind},
    config::{Loaded, Loader, Problem},
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

/// Loads the configuration. Without `file`, [`FILE`] in the working directory if there is one.
pub(super) fn load(file: Option<&Path>, flags: &[Flag]) -> Result<Loaded, Failure> {
    let mut loader = Loader::new();
    if let Some((path, text)) = read(file)? {
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
    let refuse = |problems: Vec<Problem>| {
        Failure::Configuration(problems.iter().map(Problem::to_string).collect())
    };
    let loaded = loader.finish().map_err(refuse)?;
    let problems = useless_rules(&loaded);
    if !problems.is_empty() {
        return Err(refuse(problems));
    }
    Keyring::new(&loaded.config.auth.keys, name_limits(&loaded.config))
        .map_err(|error| Failure::Configuration(vec![error.to_string()]))?;
    check_services(&loaded.config, name_limits(&loaded.config))
        .map_err(|error| Failure::Configuration(vec![error.to_string()]))?;
    Ok(loaded)
}

fn read(file: Option<&Path>) -> Result<Option<(PathBuf, String)>, Failure> {
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
            Err(Failure::Configuration(vec![format!("cannot read {}: {advice}", path.display())]))
        }
    }
}

/// Finds rules that cannot match any delivered message. Only the broker's own parser knows, and the
/// configuration imports nothing of it; so this is done here.
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

/// Where the configuration is looked for.
const FILE: &str = "bayeuxd.toml";
