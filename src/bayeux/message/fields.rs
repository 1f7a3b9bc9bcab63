//! The fields of the protocol, each read from its raw value.
//!
//! No reader here fails: a value of the wrong type becomes what the field calls invalid.
//! Source: protocol.md 3, 8, 12, 13, 18, 32, 33, 72.

use std::{borrow::Cow, fmt, time::Duration};

use serde::de::{Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{ClientId, Message, MessageId, MessageLimits, Names, RequestAdvice, Subscription};
use crate::bayeux::json;

/// The top-level fields that Bayeux and its extensions define. None of them is relayed as an
/// unknown field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Channel,
    Id,
    ClientId,
    Data,
    Ext,
    Advice,
    Subscription,
    SupportedConnectionTypes,
    ConnectionType,
    /// Ignored, as are all that follow.
    Version,
    MinimumVersion,
    Successful,
    Error,
    AuthSuccessful,
    XMessages,
}

impl Field {
    /// The field of that name, unescaped.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "channel" => Self::Channel,
            "id" => Self::Id,
            "clientId" => Self::ClientId,
            "data" => Self::Data,
            "ext" => Self::Ext,
            "advice" => Self::Advice,
            "subscription" => Self::Subscription,
            "supportedConnectionTypes" => Self::SupportedConnectionTypes,
            "connectionType" => Self::ConnectionType,
            "version" => Self::Version,
            "minimumVersion" => Self::MinimumVersion,
            "successful" => Self::Successful,
            "error" => Self::Error,
            "authSuccessful" => Self::AuthSuccessful,
            "x-messages" => Self::XMessages,
            _ => return None,
        })
    }
}

impl<'a> Message<'a> {
    /// Takes over the value of a field of the protocol.
    pub(super) fn take(&mut self, field: Field, value: &'a RawValue, limits: &MessageLimits) {
        match field {
            Field::Channel => self.channel = json::text(value),
            Field::Id => self.id = message_id(value, limits.id_length),
            Field::ClientId => self.client_id = client_id(value, limits.id_length),
            Field::Data => self.data = Some(value),
            Field::Ext => self.ext = Some(value),
            Field::Advice => self.advice = advice(value),
            Field::Subscription => {
                let names = names(value, limits.subscriptions);
                self.subscription = Subscription { value: names, raw: Some(value) };
            }
            Field::SupportedConnectionTypes => {
                self.connection_types = match texts(value, CONNECTION_TYPES_MAX) {
                    Texts::All(types) => Some(types),
                    Texts::TooMany | Texts::Odd => None,
                }
            }
            Field::ConnectionType => self.connection_type = json::text(value),
            Field::Version
            | Field::MinimumVersion
            | Field::Successful
            | Field::Error
            | Field::AuthSuccessful
            | Field::XMessages => {}
        }
    }
}

fn message_id(value: &RawValue, bytes_max: usize) -> MessageId<'_> {
    let id = match value.get().as_bytes().first() {
        Some(b'n') => return MessageId::Absent,
        Some(b'-' | b'0'..=b'9') => Some(Cow::Borrowed(value.get())),
        _ => json::text(value),
    };
    match id {
        Some(id)
            if (1..=bytes_max).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            MessageId::Text(id)
        }
        id => MessageId::Invalid(id),
    }
}

fn client_id(value: &RawValue, bytes_max: usize) -> ClientId<'_> {
    if is_null(value) {
        return ClientId::Absent;
    }
    match json::text(value) {
        Some(id) if id.len() <= bytes_max => ClientId::Text(id),
        _ => ClientId::Invalid,
    }
}

fn names(value: &RawValue, count_max: usize) -> Names<'_> {
    if is_null(value) {
        return Names::Absent;
    }
    if let Some(name) = json::text(value) {
        return Names::One(name);
    }
    match texts(value, count_max) {
        Texts::All(names) => Names::Many(names),
        Texts::TooMany => Names::TooMany,
        Texts::Odd => Names::Invalid,
    }
}

fn advice(value: &RawValue) -> Option<RequestAdvice> {
    if is_null(value) {
        return None;
    }
    let read = serde_json::Deserializer::from_str(value.get()).deserialize_any(AdviceVisitor);
    Some(read.unwrap_or_default())
}

fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// A number of milliseconds ≥ 0, with or without a fraction.
fn milliseconds(value: &RawValue) -> Option<Duration> {
    let number = value.get();
    if let Ok(whole) = number.parse() {
        return Some(Duration::from_millis(whole));
    }
    // No JSON but a number parses here: texts begin with a quote.
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? / 1000.0).ok()
}

/// Reads the two fields of a request's advice and passes over the others.
struct AdviceVisitor;

impl<'de> Visitor<'de> for AdviceVisitor {
    type Value = RequestAdvice;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("advice")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RequestAdvice, A::Error> {
        let mut advice = RequestAdvice::default();
        while let Some((name, value)) = entries.next_entry::<&RawValue, &RawValue>()? {
            match json::text(name).as_deref() {
                Some("timeout") => advice.timeout = milliseconds(value),
                Some("interval") => advice.interval = milliseconds(value),
                _ => {}
            }
        }
        Ok(advice)
    }
}

/// What an array of texts turned out to be.
enum Texts<'a> {
    All(Vec<Cow<'a, str>>),
    TooMany,
    Odd,
}

fn texts(value: &RawValue, count_max: usize) -> Texts<'_> {
    let mut texts = Vec::new();
    let visitor = TextsVisitor { texts: &mut texts, count_max };
    match serde_json::Deserializer::from_str(value.get()).deserialize_any(visitor) {
        Ok(()) => Texts::All(texts),
        Err(_) if texts.len() > count_max => Texts::TooMany,
        Err(_) => Texts::Odd,
    }
}

/// Collects texts, and stops at one too many or at something else.
struct TextsVisitor<'v, 'a> {
    texts: &'v mut Vec<Cow<'a, str>>,
    count_max: usize,
}

impl<'de> Visitor<'de> for TextsVisitor<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&RawValue>()? {
            let text = json::text(element).ok_or_else(|| A::Error::custom("not a string"))?;
            self.texts.push(text);
            if self.texts.len() > self.count_max {
                return Err(A::Error::custom("too many strings"));
            }
        }
        Ok(())
    }
}

/// Bounds `supportedConnectionTypes`: the clients seen offer at most 8.
const CONNECTION_TYPES_MAX: usize = 32;
