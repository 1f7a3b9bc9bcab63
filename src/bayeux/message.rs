//! Messages of clients, borrowed from the bytes they came in.
//!
//! A field of the wrong type is kept as *invalid* for its own reply instead of failing the request;
//! what the values mean is the broker's business. Raw values are never copied, and nothing is
//! turned into a tree: a tree of `[[0],[0],…]` takes 38 times the size of its text.
//! Source: protocol.md 2, 3, 8, 12 to 14, 18, 32, 33, 72.

use std::{borrow::Cow, time::Duration};

use serde_json::value::RawValue;

use crate::{bayeux::NameLimits, config};

mod batch;
mod fields;

pub use batch::{At, BadBatch, begins_with_mark, parse_batch};

/// The bounds on what [`parse_batch`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// The most messages of a batch.
    pub batch: usize,
    /// The deepest nesting; the array of the batch and its objects are the first two levels.
    pub json_depth: usize,
    /// The most top-level fields of a message.
    pub envelope_keys: usize,
    /// The most bytes of an `id` and of a `clientId`.
    pub id_length: usize,
    /// The most names in a `subscription`.
    pub subscriptions: usize,
    /// For the names of channels and patterns. Not applied by [`parse_batch`]: a bad name is
    /// answered.
    pub name: NameLimits,
}

/// One message of a client.
#[derive(Debug, Clone, Default)]
pub struct Message<'a> {
    /// `None`: absent, null, or not a text. Not yet checked to be a channel name.
    pub channel: Option<Cow<'a, str>>,
    /// What the reply repeats.
    pub id: MessageId<'a>,
    /// The session that the client says it has.
    pub client_id: ClientId<'a>,
    /// What is published; JSON null is data too.
    pub data: Option<&'a RawValue>,
    /// Fields of extensions.
    pub ext: Option<&'a RawValue>,
    /// What a connect wants changed, this once. `Some` also if its content is of no use.
    pub advice: Option<RequestAdvice>,
    /// What to subscribe to or unsubscribe from.
    pub subscription: Subscription<'a>,
    /// `supportedConnectionTypes`. `None` if absent, not an array of texts, or longer than any
    /// client's.
    pub connection_types: Option<Vec<Cow<'a, str>>>,
    /// `connectionType` of a connect. `None` if absent or not a text.
    pub connection_type: Option<Cow<'a, str>>,
    /// Fields unknown to the protocol, which subscribers get: unescaped names, no two alike, and
    /// raw values.
    ///
    /// The other fields of the protocol (`advice`, `successful`, `error`, `x-messages`, …) are not
    /// among them. Forwarded, they would let a publisher steer other clients; CometD does forward
    /// them.
    pub extra: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// The `id` of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum MessageId<'a> {
    /// Absent or null: the reply has none.
    #[default]
    Absent,
    /// Letters and digits; of a JSON number, its digits as sent.
    Text(Cow<'a, str>),
    /// Too long, or with other characters, which the reply repeats all the same (protocol.md 12).
    /// `None`: not a text.
    Invalid(Option<Cow<'a, str>>),
}

/// The `clientId` of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ClientId<'a> {
    /// Absent or null.
    #[default]
    Absent,
    /// A text that may be the id of a session.
    Text(Cow<'a, str>),
    /// Not a text, or too long: no session has it.
    Invalid,
}

/// The `advice` of a connect request. Durations are as large as the client says: bound them before
/// adding them to an instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestAdvice {
    /// How long the connect may be held. `None`: absent, or no number ≥ 0.
    pub timeout: Option<Duration>,
    /// How long the client will wait before its next connect. `None`: absent, or no number ≥ 0.
    pub interval: Option<Duration>,
}

/// The `subscription` of a message.
#[derive(Debug, Clone, Default)]
pub struct Subscription<'a> {
    /// The names in it.
    pub value: Names<'a>,
    /// As sent, for the reply.
    pub raw: Option<&'a RawValue>,
}

/// One or several names of channels or patterns, not yet checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Names<'a> {
    /// The field is absent or null.
    #[default]
    Absent,
    /// A text.
    One(Cow<'a, str>),
    /// An array of texts, perhaps empty.
    Many(Vec<Cow<'a, str>>),
    /// An array of more than [`MessageLimits::subscriptions`] elements.
    TooMany,
    /// Anything else.
    Invalid,
}

// === impl MessageId ===

impl MessageId<'_> {
    /// What the reply carries as `id`, valid or not.
    pub fn echo(&self) -> Option<&str> {
        match self {
            Self::Absent => None,
            Self::Text(id) => Some(id),
            Self::Invalid(id) => id.as_deref(),
        }
    }

    /// Whether it is absent, or consists of letters and digits and is not too long.
    pub fn is_valid(&self) -> bool {
        !matches!(self, Self::Invalid(_))
    }
}

// === impl ClientId ===

impl ClientId<'_> {
    /// The text, if it is one that a session may have.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(id) => Some(id),
            Self::Absent | Self::Invalid => None,
        }
    }
}

// === impl MessageLimits ===

impl From<&config::Limits> for MessageLimits {
    fn from(limits: &config::Limits) -> Self {
        Self {
            batch: limits.batch,
            json_depth: limits.json_depth,
            envelope_keys: limits.envelope_keys,
            id_length: limits.id_length,
            subscriptions: limits.subscriptions,
            name: NameLimits { bytes: limits.channel_length, segments: limits.channel_segments },
        }
    }
}

#[cfg(test)]
mod tests;
