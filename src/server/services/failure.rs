//! Why a call failed: for the caller, for the log, for a decision to try again.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::ServiceError;

/// See the module documentation. The service or its operator is at fault, except for
/// [`Failure::Said`], which may be the caller's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::server) enum Failure {
    /// The service said so itself.
    #[error("{0}")]
    Said(ServiceError),
    /// As many calls are in flight as may be.
    #[error("too many calls are in flight")]
    Overloaded,
    /// No answer in time.
    #[error("the service did not answer in time")]
    Timeout,
    /// No connection to the back-end.
    #[error("the service cannot be reached")]
    Unreachable,
    /// The connection ended without a whole answer, or what came is no HTTP.
    #[error("the service broke the connection")]
    Broken,
    /// Another status than 2xx.
    #[error("the service answered with the status {0}")]
    Status(u16),
    /// A 2xx answer whose body is no JSON.
    #[error("the service's answer is no JSON")]
    NotJson,
    /// An answer above the bound.
    #[error("the service's answer is too large")]
    TooLarge,
    /// An answer that is nested deeper than any message may be.
    #[error("the service's answer is nested too deep")]
    TooDeep,
    /// The handler panicked.
    #[error("the service failed")]
    Panicked,
}

impl Failure {
    /// The `error` field, in the form of all errors (protocol.md, section 12).
    pub(in crate::server) const fn error(&self) -> &'static str {
        match self {
            Self::Said(_) | Self::Panicked => "500::service_failed",
            Self::Overloaded => "503::overloaded",
            Self::Timeout => "504::service_timeout",
            Self::Unreachable
            | Self::Broken
            | Self::Status(_)
            | Self::NotJson
            | Self::TooLarge
            | Self::TooDeep => "502::service_unavailable",
        }
    }

    /// The `data` field: `{"class":…,"message":…}` (protocol.md 115).
    pub(super) fn data(&self) -> Box<RawValue> {
        #[derive(Serialize)]
        struct Data<'a> {
            class: &'a str,
            message: Cow<'a, str>,
        }
        let data = match self {
            Self::Said(error) => {
                Data { class: error.class(), message: Cow::Borrowed(error.message()) }
            }
            other => Data { class: other.class(), message: Cow::Owned(other.to_string()) },
        };
        // Two texts: nothing that could fail to be written.
        to_raw_value(&data).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }

    /// Names that every Java machine knows, because CometD's Java client loads the class that it finds in an
    /// object's `class`. Where there is none it drops the whole response of a long-poll, so the call never ends;
    /// with acknowledgements the response comes again for ever. `java/Services.java` shows it.
    const fn class(&self) -> &'static str {
        match self {
            Self::Said(_) | Self::Panicked => "java.lang.RuntimeException",
            Self::Overloaded => "java.util.concurrent.RejectedExecutionException",
            Self::Timeout => "java.util.concurrent.TimeoutException",
            Self::Unreachable
            | Self::Broken
            | Self::Status(_)
            | Self::NotJson
            | Self::TooLarge
            | Self::TooDeep => "java.io.IOException",
        }
    }

    /// Whether the same call may go well a moment later.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Broken | Self::Status(502..=504))
    }
}
