//! Why a message or a request was refused, for programs and for people.
//!
//! `code` is what programs compare, `bayeux` the text that a Bayeux client would get, `message` says
//! what to do. Source: operations.md 5.

use std::{borrow::Cow, sync::Arc, time::Duration};

use hyper::StatusCode;
use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::request::BadPath;
use crate::bayeux::{InvalidName, Refusal};

/// See the module documentation. The client is at fault, except for the last two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// The body, or a line, is no JSON of the expected shape.
    BadJson(String),
    /// A message without `data`.
    DataMissing,
    /// No channel, or a name that is none.
    ChannelInvalid(Option<InvalidName>),
    /// A path that names no channel.
    BadPath(BadPath),
    /// A pattern, where one channel is needed.
    ChannelPattern,
    /// A channel that is not for messages to subscribers.
    ChannelReserved,
    /// A field of the API that cannot be used.
    FieldInvalid(Cow<'static, str>),
    /// No key, or a wrong one.
    Unauthorized { presented: bool },
    /// The key does not reach so far.
    ChannelDenied { key: Arc<str> },
    /// The key is for something else.
    RoleDenied { key: Arc<str> },
    /// A page that may not use this broker.
    OriginDenied(String),
    /// No such endpoint.
    NotFound,
    /// An endpoint of another method.
    MethodNotAllowed { allowed: &'static str },
    /// The body took too long.
    Timeout,
    /// The same idempotency key with another message.
    IdempotencyConflict,
    /// A body that is compressed.
    EncodingUnsupported,
    /// A body, message or line over its limit.
    TooLarge { limit: usize, key: &'static str },
    /// Too many messages under this key; after this time there is room again.
    RateLimited(Duration),
    /// The broker has no room for more.
    Overloaded,
    /// The broker stops.
    Draining,
}

impl Problem {
    /// Every code with its HTTP status.
    #[cfg(test)]
    pub(super) const CODES: &[(&str, u16)] = &[
        ("bad_json", 400),
        ("data_missing", 400),
        ("channel_invalid", 400),
        ("channel_reserved", 400),
        ("field_invalid", 400),
        ("unauthorized", 401),
        ("channel_denied", 403),
        ("origin_denied", 403),
        ("not_found", 404),
        ("method_not_allowed", 405),
        ("timeout", 408),
        ("idempotency_conflict", 409),
        ("too_large", 413),
        ("encoding_unsupported", 415),
        ("rate_limited", 429),
        ("overloaded", 503),
        ("draining", 503),
    ];

    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::BadJson(_) => "bad_json",
            Self::DataMissing => "data_missing",
            Self::ChannelInvalid(_) | Self::BadPath(_) | Self::ChannelPattern => "channel_invalid",
            Self::ChannelReserved => "channel_reserved",
            Self::FieldInvalid(_) => "field_invalid",
            Self::Unauthorized { .. } => "unauthorized",
            Self::ChannelDenied { .. } | Self::RoleDenied { .. } => "channel_denied",
            Self::OriginDenied(_) => "origin_denied",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::Timeout => "timeout",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::TooLarge { .. } => "too_large",
            Self::EncodingUnsupported => "encoding_unsupported",
            Self::RateLimited(_) => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
        }
    }

    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::BadJson(_)
            | Self::DataMissing
            | Self::ChannelInvalid(_)
            | Self::BadPath(_)
            | Self::ChannelPattern
            | Self::ChannelReserved
            | Self::FieldInvalid(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::ChannelDenied { .. } | Self::RoleDenied { .. } | Self::OriginDenied(_) => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::IdempotencyConflict => StatusCode::CONFLICT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::EncodingUnsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Overloaded | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The configuration key of the limit that was hit and its value, if that is why. `per_second` is what
    /// a key may publish.
    pub(super) fn limit(&self, per_second: u32) -> Option<(&'static str, u64)> {
        match self {
            Self::TooLarge { limit, key } => Some((key, *limit as u64)),
            Self::RateLimited(_) => Some(("api.messages_per_second", per_second.into())),
            _ => None,
        }
    }

    /// How long to wait before trying again; zero where that alone does not help.
    pub(super) const fn retry_after(&self) -> Duration {
        match self {
            Self::RateLimited(pause) => *pause,
            Self::Overloaded | Self::Draining => Duration::from_secs(2),
            _ => Duration::ZERO,
        }
    }

    /// The text in the manner of Bayeux: status, reason, what was refused.
    fn bayeux(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::DataMissing => return Refusal::DataMissing.to_string().into(),
            Self::ChannelInvalid(error) => {
                let reason = error.map_or("", InvalidName::reason);
                return Refusal::ChannelInvalid { reason }.to_string().into();
            }
            Self::BadPath(_) => {
                return Refusal::ChannelInvalid { reason: "" }.to_string().into();
            }
            Self::Overloaded => return Refusal::Overloaded.to_string().into(),
            Self::ChannelPattern => "403:wildcard_channel:publish_denied",
            Self::ChannelReserved => "403:denied_by_security_policy:channel_create_denied",
            Self::ChannelDenied { .. } | Self::RoleDenied { .. } => {
                "403:not_in_key_channels:publish_denied"
            }
            Self::OriginDenied(_) => "403:origin:publish_denied",
            Self::RateLimited(_) => "429:publish_rate:rate_limited",
            Self::BadJson(_) => "400::bad_json",
            Self::FieldInvalid(_) => "400::field_invalid",
            Self::Unauthorized { .. } => "401::unauthorized",
            Self::NotFound => "404::not_found",
            Self::MethodNotAllowed { .. } => "405::method_not_allowed",
            Self::Timeout => "408::timeout",
            Self::IdempotencyConflict => "409::idempotency_conflict",
            Self::TooLarge { .. } => "413::too_large",
            Self::EncodingUnsupported => "415::encoding_unsupported",
            Self::Draining => "503::draining",
        })
    }

    /// One sentence about what is wrong and what would be right.
    pub(super) fn message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::BadJson(text) | Self::OriginDenied(text) => return text.clone().into(),
            Self::FieldInvalid(text) => return text.clone(),
            Self::ChannelInvalid(Some(error)) => return error.to_string().into(),
            Self::BadPath(error) => return error.to_string().into(),
            Self::ChannelInvalid(None) => {
                "a message needs a channel, like \"channel\":\"/orders/7\""
            }
            Self::ChannelPattern => "a message goes to one channel, not to a pattern",
            Self::ChannelReserved => "/meta, /service and monitoring channels are not for messages",
            Self::DataMissing => "a message needs data, which may be any JSON value",
            Self::Unauthorized { presented: false } => {
                "this needs an API key: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
            }
            Self::Unauthorized { presented: true } => "there is no such API key",
            Self::ChannelDenied { key } => {
                return format!("the key '{key}' may not publish to this channel").into();
            }
            Self::RoleDenied { key } => {
                let problem = "is not for publishing: a key of the role publish is, or admin";
                return format!("the key '{key}' {problem}").into();
            }
            Self::EncodingUnsupported => NO_ENCODING,
            Self::NotFound => {
                "here are /api/v1/publish, /publish/CHANNEL, /batch, /broadcast, /stream; see \
                 /openapi.json"
            }
            Self::MethodNotAllowed { allowed } => {
                return format!("this endpoint takes {allowed}").into();
            }
            Self::Timeout => "the body did not arrive in time (limits.body_timeout)",
            Self::IdempotencyConflict => {
                "this idempotency key was used for another message; use a new one for each message"
            }
            Self::TooLarge { limit, key } => {
                return format!("larger than {limit} bytes ({key})").into();
            }
            Self::RateLimited(_) => "too many messages under this key (api.messages_per_second)",
            Self::Overloaded => "the queues are full; try again later",
            Self::Draining => "this broker stops; another one, or itself in a while, will do",
        })
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::DataMissing => Self::DataMissing,
            Refusal::ChannelInvalid { .. } => Self::ChannelInvalid(None),
            Refusal::PublishDenied { .. } => Self::ChannelPattern,
            // What is left of the core's refusals is the limit of channels: no room.
            _ => Self::Overloaded,
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("error", 4)?;
        object.serialize_field("code", self.code())?;
        object.serialize_field("bayeux", &self.bayeux())?;
        object.serialize_field("message", &self.message())?;
        // Never too early, and not zero when it helps to wait.
        let retry_after_ms = self.retry_after().as_micros().div_ceil(1000) as u64;
        object.serialize_field("retry_after_ms", &retry_after_ms)?;
        object.end()
    }
}

/// What a body with a `Content-Encoding` is answered.
pub(in crate::server) const NO_ENCODING: &str =
    "Content-Encoding is not supported: send the body plain";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::BadRequest;

    /// What is no matter of rights, limits or time is counted by its code.
    #[test]
    fn the_metrics_know_every_fault() {
        let elsewhere = [
            "unauthorized",
            "channel_denied",
            "origin_denied",
            "too_large",
            "rate_limited",
            "overloaded",
            "draining",
        ];
        let codes = Problem::CODES.iter().map(|(code, _)| *code);
        let faults: Vec<&str> = codes.filter(|code| !elsewhere.contains(code)).collect();
        let counted = BadRequest::ALL.iter().filter_map(|it| it.as_str().strip_prefix("api_"));
        assert_eq!(counted.collect::<Vec<_>>(), faults);
    }

    #[test]
    fn an_error_has_code_text_sentence_and_pause() {
        let problem = Problem::ChannelDenied { key: "orders".into() };
        assert_eq!(
            serde_json::to_string(&problem).unwrap(),
            r#"{"code":"channel_denied","bayeux":"403:not_in_key_channels:publish_denied","message":"the key 'orders' may not publish to this channel","retry_after_ms":0}"#
        );
        let problem = Problem::RateLimited(Duration::from_millis(250));
        assert!(serde_json::to_string(&problem).unwrap().contains("\"retry_after_ms\":250"));
        let problem = Problem::RateLimited(Duration::from_micros(200));
        assert!(serde_json::to_string(&problem).unwrap().contains("\"retry_after_ms\":1"));
    }

    #[test]
    fn codes_and_statuses_are_those_of_the_list() {
        let all = [
            Problem::BadJson(String::new()),
            Problem::DataMissing,
            Problem::ChannelInvalid(None),
            Problem::ChannelReserved,
            Problem::FieldInvalid("".into()),
            Problem::Unauthorized { presented: false },
            Problem::ChannelDenied { key: "".into() },
            Problem::OriginDenied(String::new()),
            Problem::NotFound,
            Problem::MethodNotAllowed { allowed: "" },
            Problem::Timeout,
            Problem::IdempotencyConflict,
            Problem::TooLarge { limit: 0, key: "" },
            Problem::EncodingUnsupported,
            Problem::RateLimited(Duration::ZERO),
            Problem::Overloaded,
            Problem::Draining,
        ];
        let codes: Vec<_> = all.iter().map(|p| (p.code(), p.status().as_u16())).collect();
        assert_eq!(codes, Problem::CODES);
    }

    #[test]
    fn the_page_for_users_lists_every_code_with_its_status() {
        let page = include_str!("../../../docs/publishing.md");
        for (code, status) in Problem::CODES {
            let quoted = format!("`{code}`");
            let row = page.lines().find(|line| line.starts_with('|') && line.contains(&quoted));
            assert!(row.is_some_and(|row| row.contains(&status.to_string())), "{code} {row:?}");
        }
    }
}
