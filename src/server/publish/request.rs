//! From bodies to messages.
//!
//! Messages are read by the parser of Bayeux messages, with its bounds: depth, number of fields, no
//! field twice. Fields of the API (`exclude`, `idempotency_key`, `channels`) are taken out, those that
//! Bayeux defines but this API does not (`id`, `clientId`, `advice`, …) are dropped, all others reach
//! the subscribers.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{message::Entry, problem::Problem};
use crate::{
    bayeux::{BadBatch, Message, MessageLimits, begins_with_mark, deeper_than, parse_batch},
    broker::Sid,
};

/// Fields of the API beside those of a message.
pub(super) const OWN_FIELDS: usize = 3;

/// A message, or why it cannot be read.
pub(super) type Read<'a> = Result<Entry<'a>, Problem>;

/// Reads `{"channel":…,"data":…}`; `header` is the idempotency key of the request's headers.
///
/// # Errors
/// The body is not one object, or a field cannot be used.
pub(super) fn one<'a>(body: &'a [u8], header: Option<&'a str>, limits: &MessageLimits) -> Read<'a> {
    let mut entry = entry(object(body, limits)?)?;
    take_header(&mut entry, header)?;
    Ok(entry)
}

/// Reads a body that is the data itself; `path` is the channel with its segments percent-encoded.
///
/// # Errors
/// The body is no JSON.
pub(super) fn raw<'a>(
    path: &'a str,
    body: &'a [u8],
    header: Option<&'a str>,
    limits: &MessageLimits,
) -> Read<'a> {
    if body.trim_ascii().is_empty() {
        return Err(Problem::DataMissing);
    }
    let data = value(body, limits).map_err(|problem| quoted(body, problem))?;
    Ok(Entry {
        channel: Some(decode(path).map_err(Problem::BadPath)?),
        data: Some(data),
        idempotency_key: header.map(|header| key(header.into())).transpose()?,
        ..Entry::default()
    })
}

/// Adds to the complaint about data that is no JSON what most probably was meant.
fn quoted(body: &[u8], problem: Problem) -> Problem {
    match (problem, body.trim_ascii_start().first()) {
        (Problem::BadJson(text), Some(first)) if !b"{[\"".contains(first) && first.is_ascii() => {
            Problem::BadJson(format!("{text}; a text stands in quotes: \"hello\""))
        }
        (problem, _) => problem,
    }
}

/// Reads `{"messages":[…]}`.
///
/// # Errors
/// The envelope, or a message in it, is no object of the right shape. A field that cannot be used is
/// the error of its message.
pub(super) fn batch<'a>(body: &'a [u8], limits: &MessageLimits) -> Result<Vec<Read<'a>>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Envelope<'a> {
        #[serde(borrow)]
        messages: &'a RawValue,
    }
    let envelope = value(body, limits)?.get();
    if !envelope.starts_with('{') {
        return Err(Problem::BadJson(NO_BATCH.into()));
    }
    let envelope: Envelope<'a> =
        serde_json::from_str(envelope).map_err(|_| Problem::BadJson(NO_BATCH.into()))?;
    let list = envelope.messages.get();
    if !list.starts_with('[') {
        return Err(Problem::BadJson(NO_BATCH.into()));
    }
    let messages =
        parse_batch(list.as_bytes(), limits).map_err(|error| bad_batch(error, limits))?;
    Ok(messages.into_iter().map(entry).collect())
}

/// Reads `{"channels":[…],"data":…}`: the same message for each channel.
///
/// # Errors
/// The body is not one object, or a field cannot be used.
pub(super) fn broadcast<'a>(
    body: &'a [u8],
    header: Option<&'a str>,
    limits: &MessageLimits,
) -> Result<Vec<Read<'a>>, Problem> {
    let mut message = object(body, limits)?;
    let channels = take(&mut message, "channels").ok_or(NO_CHANNELS)?;
    let channels: Vec<String> = serde_json::from_str(channels.get()).map_err(|_| NO_CHANNELS)?;
    if channels.is_empty() || message.channel.is_some() {
        return Err(NO_CHANNELS);
    }
    if channels.len() > limits.batch {
        let problem = format!("more than {} channels (api.max_batch)", limits.batch);
        return Err(Problem::FieldInvalid(problem.into()));
    }
    let mut shared = entry(message)?;
    take_header(&mut shared, header)?;
    let one = |channel: String| Entry {
        channel: Some(channel.into()),
        extra: shared.extra.clone(),
        exclude: shared.exclude.clone(),
        idempotency_key: shared.idempotency_key.clone(),
        broadcast: true,
        ..shared
    };
    Ok(channels.into_iter().map(|channel| Ok(one(channel))).collect())
}

/// Reads a body that is one JSON object.
fn object<'a>(body: &'a [u8], limits: &MessageLimits) -> Result<Message<'a>, Problem> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        // Says first what is wrong with a body that is no JSON at all.
        value(body, limits)?;
        return Err(Problem::BadJson(
            "one message is a JSON object; several go to /api/v1/batch".into(),
        ));
    }
    let mut messages = parse_batch(body, limits).map_err(|error| bad_batch(error, limits))?;
    messages.pop().ok_or(Problem::DataMissing)
}

/// Reads a body that is any JSON value.
fn value<'a>(body: &'a [u8], limits: &MessageLimits) -> Result<&'a RawValue, Problem> {
    let bad = |error: BadBatch| bad_batch(error, limits);
    let text = str::from_utf8(body).map_err(|_| bad(BadBatch::Utf8))?;
    if deeper_than(body, limits.json_depth) {
        return Err(bad(BadBatch::Depth));
    }
    serde_json::from_str(text).map_err(|error| match begins_with_mark(body) {
        true => bad(BadBatch::ByteOrderMark),
        false => bad(BadBatch::Json { line: error.line(), column: error.column() }),
    })
}

fn entry(mut message: Message<'_>) -> Read<'_> {
    let exclude = take(&mut message, "exclude").map(sids).transpose()?.unwrap_or_default();
    let idempotency_key = match take(&mut message, "idempotency_key") {
        Some(raw) => {
            let text: String = serde_json::from_str(raw.get()).map_err(|_| BAD_KEY)?;
            Some(key(text.into())?)
        }
        None => None,
    };
    Ok(Entry {
        channel: message.channel,
        data: message.data,
        ext: message.ext,
        extra: message.extra,
        exclude,
        idempotency_key,
        broadcast: false,
    })
}

/// Takes the idempotency key of the request's headers.
///
/// # Errors
/// It is none, or the message names another one.
fn take_header<'a>(entry: &mut Entry<'a>, header: Option<&'a str>) -> Result<(), Problem> {
    let Some(header) = header else { return Ok(()) };
    let header = key(header.into())?;
    if *entry.idempotency_key.get_or_insert_with(|| header.clone()) != header {
        let problem = "the header Idempotency-Key and the field idempotency_key differ; send one";
        return Err(Problem::FieldInvalid(problem.into()));
    }
    Ok(())
}

/// Takes a field of the API out of what subscribers get.
fn take<'a>(message: &mut Message<'a>, name: &str) -> Option<&'a RawValue> {
    let index = message.extra.iter().position(|(known, _)| known == name)?;
    Some(message.extra.remove(index).1)
}

fn sids(raw: &RawValue) -> Result<Vec<Sid>, Problem> {
    let bad = Problem::FieldInvalid(BAD_EXCLUDE.into());
    let texts: Vec<String> = serde_json::from_str(raw.get()).map_err(|_| bad.clone())?;
    if texts.len() > EXCLUDED_MAX {
        return Err(bad);
    }
    texts.iter().map(|text| Sid::parse(text)).collect::<Option<_>>().ok_or(bad)
}

fn key(text: Cow<'_, str>) -> Result<Cow<'_, str>, Problem> {
    if (1..=KEY_CHARS_MAX).contains(&text.chars().count()) { Ok(text) } else { Err(BAD_KEY) }
}

/// Why a path cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::server) enum BadPath {
    /// What follows a percent sign are not two hex digits.
    #[error("the path has \"{0}\", which is no percent-encoding; \"%\" itself is \"%25\"")]
    Escape(String),
    /// A segment that would be two.
    #[error("the path has \"%2F\", and a segment of a channel has no slash")]
    Slash,
    /// The bytes are no text.
    #[error("the path is no UTF-8 text once it is percent-decoded")]
    Utf8,
}

/// Decodes `%xx` once, segment by segment.
///
/// # Errors
/// That gives no text, or a segment with a slash.
pub(in crate::server) fn decode(path: &str) -> Result<Cow<'_, str>, BadPath> {
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let escape: Vec<u8> = bytes.by_ref().take(2).collect();
        let digits = str::from_utf8(&escape).ok().filter(|digits| digits.len() == 2);
        // Alone, `from_str_radix` would take a sign.
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match value {
            Some(b'/') => return Err(BadPath::Slash),
            Some(value) => out.push(value),
            None => {
                let escape = String::from_utf8_lossy(&escape);
                return Err(BadPath::Escape(format!("%{escape}")));
            }
        }
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| BadPath::Utf8)
}

fn bad_batch(error: BadBatch, limits: &MessageLimits) -> Problem {
    Problem::BadJson(match error {
        BadBatch::TooMany => format!("more than {} messages (api.max_batch)", limits.batch),
        error => error.to_string(),
    })
}

const NO_BATCH: &str = "a batch is {\"messages\":[…]}, an object with nothing else";
const NO_CHANNELS: Problem = Problem::FieldInvalid(Cow::Borrowed(
    "channels is an array of channel names, not empty, and stands in place of channel",
));
const BAD_KEY: Problem =
    Problem::FieldInvalid(Cow::Borrowed("an idempotency key is a text of 1 to 128 characters"));
const BAD_EXCLUDE: &str = "exclude is an array of at most 32 session names (sid)";
const KEY_CHARS_MAX: usize = 128;
const EXCLUDED_MAX: usize = 32;

#[cfg(test)]
mod tests;
