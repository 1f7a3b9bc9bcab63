//! Names of channels and patterns, checked once at the door.
//!
//! Below [`ChannelName::parse`] a bad name cannot exist. Whether a client may use a name is not
//! decided here. The characters are those of CometD, wider than the grammar of Bayeux 1.0, because
//! its clients apply the same test before they send.
//! Source: protocol.md 71 to 74, 118, 119.

use std::{borrow::Borrow, fmt, sync::Arc};

/// The name of a channel, or a pattern over names: `/chat/demo`, `/chat/*`, `/chat/**`.
///
/// Starts with `/`, has no empty segment and no trailing `/`, and holds only ASCII characters that
/// need no escape in JSON. Equality and hash are those of its text, so a map keyed by names can be
/// asked with a `&str`. Cloning counts a reference.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ChannelName(Arc<str>);

/// The bounds on a channel name (protocol.md 118).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameLimits {
    /// The most bytes of a name.
    pub bytes: usize,
    /// The most segments of a name, wildcards included.
    pub segments: usize,
}

/// What a channel is for, told by its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Below `/meta/`: requests to the broker itself.
    Meta,
    /// Below `/service/`: requests to the server, never routed to subscribers.
    Service,
    /// All others, also `/meta` and `/service` alone: routed to subscribers.
    Broadcast,
}

/// Why a text is no channel name. The client that sent it is at fault, or the operator who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The name is empty or begins with something else than `/`.
    #[error("a channel name starts with /")]
    NotAbsolute,
    /// Two `/` follow each other, or there is nothing but `/`.
    #[error("a channel name has no empty segments")]
    EmptySegment,
    /// A character outside the set of protocol.md 118.
    #[error("a channel name consists of A-Z a-z 0-9, space and !#$()*+-./@_{{~}}")]
    Character,
    /// A `*` beside other characters, or a wildcard that is not the last segment.
    #[error("* and ** are whole segments, and only the last one may be a wildcard")]
    Wildcard,
    /// More bytes than [`NameLimits::bytes`], which is told.
    #[error("the channel name is longer than {0} bytes (limits.channel_length)")]
    TooLong(usize),
    /// More segments than [`NameLimits::segments`], which is told.
    #[error("the channel name has more than {0} segments (limits.channel_segments)")]
    TooManySegments(usize),
}

// === impl InvalidName ===

impl InvalidName {
    /// The argument of a Bayeux error about the name. Empty where CometD answers too, with none
    /// (protocol.md 72, 118): a program may compare that text.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotAbsolute | Self::Character => "",
            Self::EmptySegment => "empty_segment",
            Self::Wildcard => "misplaced_wildcard",
            Self::TooLong(_) => "name_too_long",
            Self::TooManySegments(_) => "too_many_segments",
        }
    }
}

// === impl ChannelName ===

impl ChannelName {
    /// Checks `text`, unescaped, as the name of a channel or pattern. One trailing `/` is dropped,
    /// so `/a/b/` names the channel `/a/b` (protocol.md 73).
    ///
    /// # Errors
    /// The first rule that the text breaks; see [`InvalidName`].
    pub fn parse(text: &str, limits: NameLimits) -> Result<Self, InvalidName> {
        let name = text.strip_suffix('/').unwrap_or(text);
        if name.len() > limits.bytes {
            return Err(InvalidName::TooLong(limits.bytes));
        }
        let Some(segments) = name.strip_prefix('/') else {
            // "/" lost its only character as a trailing one.
            return Err(if text == "/" {
                InvalidName::EmptySegment
            } else {
                InvalidName::NotAbsolute
            });
        };
        let mut segments = segments.split('/').peekable();
        let mut count = 0;
        while let Some(segment) = segments.next() {
            count += 1;
            if count > limits.segments {
                return Err(InvalidName::TooManySegments(limits.segments));
            }
            check_segment(segment, segments.peek().is_none())?;
        }
        Ok(Self(name.into()))
    }

    /// The pattern that covers every name: `/**`.
    pub fn root() -> Self {
        Self("/**".into())
    }

    /// The text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells meta, service and broadcast channels apart.
    pub fn kind(&self) -> Kind {
        if self.0.starts_with("/meta/") {
            Kind::Meta
        } else if self.0.starts_with("/service/") {
            Kind::Service
        } else {
            Kind::Broadcast
        }
    }

    /// Whether the last segment is `*` or `**`.
    pub fn is_pattern(&self) -> bool {
        // A `*` stands nowhere else: see `check_segment`.
        self.0.ends_with('*')
    }

    /// Visits the names whose subscribers get a message published on this channel, most general
    /// first: `/**`, `/a/**`, `/a/b/**`, `/a/b/*`, `/a/b/c` (protocol.md 119).
    ///
    /// The name itself must not be a pattern: nothing is published on one (protocol.md 113). Costs
    /// one allocation of the name's size, for all visited names together.
    pub fn for_each_pattern(&self, mut visit: impl FnMut(&str)) {
        debug_assert!(!self.is_pattern(), "a pattern has no patterns: {self}");
        let mut pattern = String::with_capacity(self.0.len() + "**".len());
        // Pieces end with the `/` after which a wildcard may stand; the last one has none.
        for piece in self.0.split_inclusive('/').filter(|piece| piece.ends_with('/')) {
            pattern.push_str(piece);
            let concrete = pattern.len();
            pattern.push_str("**");
            visit(&pattern);
            pattern.truncate(concrete);
        }
        pattern.push('*');
        visit(&pattern);
        visit(&self.0);
    }

    /// Whether a subscription to this name gets what is published on `channel`: the names are
    /// equal, or this is a pattern over it. `/t/**` does not match `/t` (protocol.md 119).
    ///
    /// Compares names only: that `/**` brings no meta and service messages (protocol.md 71) is the
    /// caller's rule.
    pub fn matches(&self, channel: &Self) -> bool {
        self.covers(&channel.0)
    }

    /// As [`Self::matches`], of a text that may be a pattern itself or no name at all: whether this
    /// covers all that it could bring.
    pub fn covers(&self, name: &str) -> bool {
        if let Some(prefix) = self.0.strip_suffix("**") {
            name.starts_with(prefix)
        } else if let Some(prefix) = self.0.strip_suffix('*') {
            name.strip_prefix(prefix).is_some_and(|rest| !rest.contains('/') && rest != "**")
        } else {
            *self.0 == *name
        }
    }

    /// The text of the name, shared.
    pub fn to_shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks what stands between two `/`. CometD's check lets inner wildcards and empty segments pass
/// and then fails with HTTP 500 (protocol.md 72).
fn check_segment(segment: &str, is_last: bool) -> Result<(), InvalidName> {
    if segment.is_empty() {
        return Err(InvalidName::EmptySegment);
    }
    let mut has_star = false;
    for byte in segment.bytes() {
        match byte {
            b'*' => has_star = true,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => {}
            b' ' | b'!' | b'#' | b'$' | b'(' | b')' | b'+' | b'-' | b'.' | b'@' | b'_' | b'{'
            | b'~' | b'}' => {}
            _ => return Err(InvalidName::Character),
        }
    }
    if has_star && !(is_last && matches!(segment, "*" | "**")) {
        return Err(InvalidName::Wildcard);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
