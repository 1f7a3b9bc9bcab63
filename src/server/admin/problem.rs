//! Why a request is refused: status, code, sentence.
//!
//! Source: docs/admin-api.md, whose list is compared with this one.

use std::borrow::Cow;

use hyper::{
    Response, StatusCode,
    header::{ALLOW, CONNECTION, HeaderValue, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE},
};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::answer;
use crate::{bayeux::Refusal, server::body::Body};

/// See the module documentation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Problem {
    /// A query parameter, or a field of the body, that cannot be used.
    BadParameter(Cow<'static, str>),
    /// A body that is no JSON object.
    BadJson(String),
    /// No key, or one that is none of ours.
    Unauthorized {
        presented: bool,
    },
    /// A page of another origin.
    OriginDenied,
    /// A key for something else.
    RoleDenied {
        key: String,
    },
    /// Nobody may see what is published.
    PayloadsDenied,
    NotFound,
    SessionUnknown,
    ChannelUnknown,
    MethodNotAllowed {
        allowed: &'static str,
    },
    /// The body did not come in time.
    Timeout,
    /// Only a WebSocket can be opened here.
    UpgradeRequired,
    /// The broker's own rules refuse it.
    Refused(Refusal),
    /// The configuration cannot be put into force.
    ReloadRefused(Vec<String>),
    /// The body is too long.
    TooLarge {
        limit: usize,
    },
    /// As many follow the events already as may.
    TooManyFeeds,
    /// The broker stops.
    Draining,
}

impl Problem {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::BadParameter(_) | Self::BadJson(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::OriginDenied | Self::RoleDenied { .. } | Self::PayloadsDenied => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound | Self::SessionUnknown | Self::ChannelUnknown => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Refused(_) | Self::ReloadRefused(_) => StatusCode::CONFLICT,
            Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooManyFeeds | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::BadParameter(_) => "bad_parameter",
            Self::BadJson(_) => "bad_json",
            Self::Unauthorized { .. } => "unauthorized",
            Self::OriginDenied => "origin_denied",
            Self::RoleDenied { .. } => "role_denied",
            Self::PayloadsDenied => "payloads_denied",
            Self::NotFound => "not_found",
            Self::SessionUnknown => "session_unknown",
            Self::ChannelUnknown => "channel_unknown",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::Timeout => "timeout",
            Self::Refused(_) => "refused",
            Self::ReloadRefused(_) => "reload_refused",
            Self::TooLarge { .. } => "too_large",
            Self::UpgradeRequired => "upgrade_required",
            Self::TooManyFeeds => "too_many_feeds",
            Self::Draining => "draining",
        }
    }

    fn message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::BadParameter(text) => return text.clone(),
            Self::BadJson(text) => return text.clone().into(),
            Self::Unauthorized { presented: false } => {
                "a key of the role admin is needed: Authorization: Bearer KEY, or X-API-Key: KEY"
            }
            Self::Unauthorized { presented: true } => "this key is not, or no longer, known here",
            Self::OriginDenied => "pages of other origins may not use the admin API",
            Self::RoleDenied { key } => {
                return format!("the key '{key}' is not of the role admin").into();
            }
            Self::PayloadsDenied => "what is published is shown only with monitor.payloads = true",
            Self::NotFound => "nothing here; GET /admin/v1/openapi.json describes what there is",
            Self::SessionUnknown => {
                "there is no session of this name; GET /admin/v1/events?sid=…&recent=50&follow=false \
                 tells what became of it"
            }
            Self::ChannelUnknown => "nobody uses this channel, or a pattern that matches it",
            Self::MethodNotAllowed { allowed } => {
                return format!("only {allowed} works here").into();
            }
            Self::Timeout => "the body did not arrive in time (limits.body_timeout)",
            Self::UpgradeRequired => "only a WebSocket can be opened here",
            Self::Refused(_) => "the broker refuses this; see `bayeux`",
            Self::ReloadRefused(_) => "nothing was reloaded; see `problems`",
            Self::TooLarge { limit } => return format!("larger than {limit} bytes").into(),
            Self::TooManyFeeds => "as many follow the events as may (monitor.max_subscribers)",
            Self::Draining => "this broker stops",
        })
    }

    /// The response that says so.
    pub(super) fn respond(&self) -> Response<Body> {
        #[derive(Serialize)]
        struct Shown<'a> {
            ok: bool,
            error: &'a Problem,
        }
        let mut response = answer::json(self.status(), &Shown { ok: false, error: self });
        let headers = response.headers_mut();
        match self {
            Self::Unauthorized { .. } => {
                let scheme = HeaderValue::from_static("Bearer realm=\"bayeuxd\"");
                headers.insert(WWW_AUTHENTICATE, scheme);
            }
            Self::MethodNotAllowed { allowed } => {
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            Self::UpgradeRequired => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            }
            Self::TooManyFeeds | Self::Draining => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("error", 3)?;
        object.serialize_field("code", self.code())?;
        object.serialize_field("message", &self.message())?;
        match self {
            Self::Refused(refusal) => object.serialize_field("bayeux", &refusal.to_string())?,
            Self::ReloadRefused(problems) => object.serialize_field("problems", problems)?,
            _ => {}
        }
        object.end()
    }
}

/// A parameter that cannot be used, and what it should be.
pub(super) fn bad(text: &'static str) -> Problem {
    Problem::BadParameter(Cow::Borrowed(text))
}

#[cfg(test)]
pub(super) mod tests;
