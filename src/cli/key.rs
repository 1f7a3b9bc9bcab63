//! `bayeuxd key gen`: a new API key, as its secret and as the lines of the configuration.

use bayeuxd::{
    auth::{Keyring, Role, Secret},
    bayeux::NameLimits,
    config::{ApiKey, Config},
};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::{Failure, print};

/// Arguments of `key gen`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Name of the key in logs and answers.
    #[arg(long)]
    id: String,
    /// What the key is for.
    #[arg(long, value_enum)]
    role: RoleName,
    /// Channels and patterns that the key publishes to or monitors, separated by commas.
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', required_if_eq("role", "publish"))]
    channels: Vec<String>,
    /// Print one JSON object: the secret, its digest, and the lines of the configuration.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleName {
    Publish,
    Monitor,
    Admin,
}

/// Prints a new key.
///
/// # Errors
///
/// A name or channel that is none, channels of an admin, or a system without random bytes.
pub(super) fn generate(options: &Options) -> Result<(), Failure> {
    let secret = random_secret()?;
    let (role, name) = match options.role {
        RoleName::Publish => (Role::Publish, "publish"),
        RoleName::Monitor => (Role::Monitor, "monitor"),
        RoleName::Admin => (Role::Admin, "admin"),
    };
    let key = ApiKey {
        id: options.id.clone(),
        secret_sha256: Some(secret.digest().to_string()),
        channels: options.channels.clone(),
        role,
        ..ApiKey::default()
    };
    if let Some((field, reason)) = key.misfit() {
        return Err(Failure::Usage(format!("--{field}: {reason}")));
    }
    Keyring::new(std::slice::from_ref(&key), name_limits(&Config::default()))
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let digest = secret.digest();
    let channels = match role {
        Role::Publish | Role::Monitor if !key.channels.is_empty() => {
            format!("channels = {}\n", toml::Value::from(key.channels.clone()))
        }
        _ => String::new(),
    };
    let lines = format!(
        "[[auth.keys]]\nid = {}\nsecret_sha256 = \"{digest}\"\nrole = \"{name}\"\n{channels}",
        toml::Value::from(key.id.as_str()),
    );
    if options.json {
        let made = json!({
            "id": key.id,
            "role": name,
            "channels": key.channels,
            "secret": secret.expose(),
            "secret_sha256": digest.to_string(),
            "config": lines,
        });
        print(format_args!("{made}\n"));
    } else {
        print(format_args!("secret, shown this once: {}\n\n{lines}", secret.expose()));
    }
    Ok(())
}

/// Makes a secret of random bytes.
///
/// # Errors
///
/// The system has none.
pub(super) fn random_secret() -> Result<Secret, Failure> {
    random_bytes().map(Secret::from_bytes)
}

/// 256 random bits.
///
/// # Errors
///
/// The system has none.
pub(super) fn random_bytes() -> Result<[u8; 32], Failure> {
    let mut random = [0; 32];
    let failed = |error| Failure::Failed(format!("the system's random source fails: {error}"));
    getrandom::fill(&mut random).map_err(failed)?;
    Ok(random)
}

/// Bounds on the channels of keys.
pub(super) const fn name_limits(config: &Config) -> NameLimits {
    NameLimits { bytes: config.limits.channel_length, segments: config.limits.channel_segments }
}
