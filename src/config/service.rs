//! `[[services]]`: back-ends of service channels, and what they are without further keys.

use std::{path::PathBuf, time::Duration};

/// `[[services]]`: a back-end that answers the service channels under one pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// A service channel, or a pattern that ends in `/*` or `/**`.
    pub channel: String,
    /// Where messages are posted to: `http://host[:port][/path]`.
    pub url: String,
    /// The form of what goes back to the caller.
    pub reply: ServiceReply,
    /// Time for a call, all attempts together.
    pub timeout: Duration,
    /// Most calls in flight at a time.
    pub max_in_flight: usize,
    /// Bytes of a reply.
    pub max_reply: usize,
    /// How often a call is repeated that the back-end could not take.
    pub retries: u32,
    /// Header lines of each request, `Name: value`.
    pub headers: Vec<String>,
    /// File with the secret that is sent as `Authorization: Bearer`.
    pub secret_file: Option<PathBuf>,
}

/// The form of what a service sends back (protocol.md 114, 115).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServiceReply {
    /// With the `id` of the message and `successful`: the answer to a remote call.
    #[default]
    Call,
    /// As any message of a channel, without an `id`.
    Message,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            channel: String::new(),
            url: String::new(),
            reply: ServiceReply::Call,
            timeout: Duration::from_secs(5),
            max_in_flight: 64,
            max_reply: 64 << 10,
            retries: 0,
            headers: Vec::new(),
            secret_file: None,
        }
    }
}
