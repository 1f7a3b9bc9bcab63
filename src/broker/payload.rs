//! What of a message travels from its publisher to the subscribers.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// The parts of a message that its publisher controls and subscribers receive.
#[derive(Clone, Copy)]
pub struct Payload<'a> {
    /// The content; JSON text passes through unchanged.
    pub data: &'a RawValue,
    /// The `ext` field, delivered without `ext.authentication`.
    pub ext: Option<&'a RawValue>,
    /// Unknown top-level fields, delivered as they came (protocol.md 8).
    pub extra: &'a [(Cow<'a, str>, &'a RawValue)],
}

impl<'a> From<&'a RawValue> for Payload<'a> {
    fn from(data: &'a RawValue) -> Self {
        Self { data, ext: None, extra: &[] }
    }
}
