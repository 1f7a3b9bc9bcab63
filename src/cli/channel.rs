//! Names of channels among the arguments: a slip of the hand is told before anybody is asked.

use bayeuxd::bayeux::{ChannelName, NameLimits};

/// Reads the name of a channel or pattern. How long it may be is for the broker to say.
///
/// # Errors
///
/// What the name lacks.
pub(super) fn channel(text: &str) -> Result<String, String> {
    let unlimited = NameLimits { bytes: usize::MAX, segments: usize::MAX };
    match ChannelName::parse(text, unlimited) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
