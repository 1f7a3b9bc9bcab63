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

    /// The `data` field: `{"class":…,"name":…,"message":…}`; the name is the service's own, and there only if
    /// it spoke itself (protocol.md 115).
    pub(super) fn data(&self) -> Box<RawValue> {
        #[derive(Serialize)]
        struct Data<'a> {
            class: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            name: Option<&'a str>,
            message: Cow<'a, str>,
        }
        let (name, message) = match self {
            Self::Said(error) => (Some(error.class()), Cow::Borrowed(error.message())),
            other => (None, Cow::Owned(other.to_string())),
        };
        // Texts: nothing that could fail to be written.
        to_raw_value(&Data { class: self.class(), name, message })
            .unwrap_or_else(|_| RawValue::NULL.to_owned())
    }

    /// Names that every Java machine knows, because CometD's Java client loads the class that it finds in an
    /// object's `class`. Where there is none it drops the whole response of a long-poll, so the call never ends;
    /// with acknowledgements the response comes again for ever. `java/Services.java` shows it.
    fn class(&self) -> &'static str {
        let known = |said: &str| CLASSES.iter().copied().find(|class| *class == said);
        match self {
            Self::Said(error) => known(error.class()).unwrap_or("java.lang.RuntimeException"),
            Self::Panicked => "java.lang.RuntimeException",
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

/// Exceptions of Java's base module that a service may name itself; CometD's servers send those that their
/// methods throw.
const CLASSES: [&str; 27] = [
    "java.io.EOFException",
    "java.io.FileNotFoundException",
    "java.io.IOException",
    "java.io.UncheckedIOException",
    "java.lang.ArithmeticException",
    "java.lang.ArrayIndexOutOfBoundsException",
    "java.lang.ClassCastException",
    "java.lang.CloneNotSupportedException",
    "java.lang.Error",
    "java.lang.Exception",
    "java.lang.IllegalArgumentException",
    "java.lang.IllegalStateException",
    "java.lang.IndexOutOfBoundsException",
    "java.lang.InterruptedException",
    "java.lang.NullPointerException",
    "java.lang.NumberFormatException",
    "java.lang.RuntimeException",
    "java.lang.SecurityException",
    "java.lang.UnsupportedOperationException",
    "java.nio.file.AccessDeniedException",
    "java.nio.file.NoSuchFileException",
    "java.util.ConcurrentModificationException",
    "java.util.MissingResourceException",
    "java.util.NoSuchElementException",
    "java.util.concurrent.CancellationException",
    "java.util.concurrent.RejectedExecutionException",
    "java.util.concurrent.TimeoutException",
];
