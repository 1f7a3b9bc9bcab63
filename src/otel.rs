//! Traces for OpenTelemetry: a `publish` span from the acceptance of a message until it is in every
//! queue, and `deliver` spans below it until each is written.
//!
//! Only a build with the feature `otel` has this. Without it `absent` stands in: types that have no
//! value, so what asks for a [`Tracer`] compiles to nothing. The way of a span: the server begins a
//! [`Publishing`] (`sampler` says of which messages), the broker tells of deliveries by number (`trails`
//! knows which), finished spans wait in `queue` until `export` has sent them, encoded by `encode`, to the
//! `collector`. Every step is bounded, none waits for the next one, and every loss is counted.
//!
//! OTLP is written as JSON, its stable encoding beside protobuf, by serde and hyper, which are here anyway:
//! the SDK of OpenTelemetry would bring some forty packages, and drops spans without a count.
//! Source: W3C Trace Context; OTLP 1.x; OpenTelemetry's conventions on messaging; docs/tracing.md.

mod parent;

#[cfg(not(feature = "otel"))]
mod absent;
#[cfg(feature = "otel")]
mod collector;
#[cfg(feature = "otel")]
mod encode;
#[cfg(feature = "otel")]
mod export;
#[cfg(feature = "otel")]
mod headers;
#[cfg(feature = "otel")]
mod queue;
#[cfg(feature = "otel")]
mod sampler;
#[cfg(feature = "otel")]
mod span;
#[cfg(feature = "otel")]
mod tracer;
#[cfg(feature = "otel")]
mod trails;

use std::{io, path::PathBuf, time::Duration};

#[cfg(not(feature = "otel"))]
pub use self::absent::{Publishing, Tracer};
pub use self::parent::Parent;
#[cfg(feature = "otel")]
pub use self::tracer::{Publishing, Tracer};
use crate::{bayeux::ChannelName, config, events::Via};

/// Why traces cannot be sent. The operator is at fault, unless the system itself fails.
#[derive(Debug, thiserror::Error)]
pub enum BadOtel {
    /// Not in this build.
    #[error(
        "[otel] endpoint is set, but this binary was built without OpenTelemetry; build with --features \
         otel, or remove the section"
    )]
    Absent,
    /// Not a URL that can be posted to.
    #[error("otel.endpoint is \"{0}\"; expected a URL like \"http://127.0.0.1:4318\"")]
    Endpoint(String),
    /// The file of headers cannot be read.
    #[error("the file {} of otel.headers_file cannot be read: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A line of it is no header. The line itself may be a secret.
    #[error(
        "line {line} of {}, the file of otel.headers_file, is no header line like \"Authorization: \
         Bearer TOKEN\", or one that the broker sets itself",
        path.display()
    )]
    Header {
        /// Which file.
        path: PathBuf,
        /// Which line of it, from 1.
        line: usize,
    },
    /// The system has no random bytes.
    #[error("the system's random source does not work: {0}")]
    Random(String),
}

/// A message that is accepted and may be traced.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// Where it was published.
    pub channel: &'a ChannelName,
    /// Bytes of its data.
    pub body_bytes: usize,
    /// How it came.
    pub via: Via,
    /// The span of its publisher.
    pub parent: Option<&'a Parent>,
    /// When it was accepted: microseconds of the broker's time.
    pub accepted: u64,
    /// The same moment since 1970.
    pub time: Duration,
}

/// Checks the section without starting anything.
///
/// # Errors
/// See [`BadOtel`].
pub fn check(settings: &config::Otel) -> Result<(), BadOtel> {
    Tracer::new(settings).map(drop)
}
