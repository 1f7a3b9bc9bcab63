//! The `error` field of a negative reply.
//!
//! Three digits, `:`, arguments, `:`, text with underscores. No cometd.js reads it, but aiocometd
//! takes the digits and Faye splits at the colons, so it stays machine-readable.
//! Source: protocol.md section 12.

/// Why the broker did not do what a message asked for. The client is at fault, except for
/// [`Refusal::Overloaded`]. [`Display`](std::fmt::Display) writes the text that goes on the wire.
///
/// A `reason` is one word with underscores, such as `denied_by_security_policy`. It is `'static`, so
/// nothing that a client sent comes back in an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No `channel` in the message, or an unsubscribe from a channel that does not exist.
    #[error("400::channel_missing")]
    ChannelMissing,
    /// A publish without `data` (protocol.md 112; CometD broadcasts an empty message).
    #[error("400::data_missing")]
    DataMissing,
    /// The session is unknown, has expired or was disconnected, or belongs to another browser.
    #[error("402::session_unknown")]
    SessionUnknown,
    /// This client may not open a session.
    #[error("403::handshake_denied")]
    HandshakeDenied,
    /// The client and the broker have no transport in common (protocol.md 18).
    #[error("403::handshake_failed")]
    HandshakeFailed,
    /// A subscribe to a channel that does not exist and may not be made.
    #[error("403:{reason}:create_denied")]
    CreateDenied {
        /// Which rule said no.
        reason: &'static str,
    },
    /// A publish to a channel that does not exist and may not be made.
    #[error("403:{reason}:channel_create_denied")]
    ChannelCreateDenied {
        /// Which rule said no.
        reason: &'static str,
    },
    /// A subscribe that is not allowed, or beyond a limit.
    #[error("403:{reason}:subscribe_denied")]
    SubscribeDenied {
        /// Which rule or limit said no.
        reason: &'static str,
    },
    /// A subscribe of a monitor to a channel on which its client would take every event for a reply.
    #[error("403:/meta/{verb}:use_/meta/monitor/{verb}")]
    UseMonitor {
        /// The last segment of the channel.
        verb: &'static str,
    },
    /// An `ext.monitor` that is not understood.
    #[error("400::monitor_filter_invalid")]
    MonitorFilterInvalid,
    /// A publish that is not allowed.
    #[error("403:{reason}:publish_denied")]
    PublishDenied {
        /// Which rule said no.
        reason: &'static str,
    },
    /// A subscribe or unsubscribe without `subscription`.
    #[error("403::subscription_missing")]
    SubscriptionMissing,
    /// A `subscription` that is neither a channel name nor an array of them (protocol.md 67, 72).
    #[error("403:{reason}:subscription_invalid")]
    SubscriptionInvalid {
        /// Which rule of names it breaks, see [`InvalidName::reason`].
        ///
        /// [`InvalidName::reason`]: super::InvalidName::reason
        reason: &'static str,
    },
    /// A `channel` that is no channel name (protocol.md 118).
    #[error("405:{reason}:channel_invalid")]
    ChannelInvalid {
        /// Which rule of names it breaks, see [`InvalidName::reason`].
        ///
        /// [`InvalidName::reason`]: super::InvalidName::reason
        reason: &'static str,
    },
    /// An `id` that is not alphanumeric, or too long (protocol.md 12).
    #[error("405::message_id_invalid")]
    MessageIdInvalid,
    /// A message over WebSocket beyond `limits.message_size`, of which nothing was read but its name.
    #[error("413:{bytes}:message_too_large")]
    MessageTooLarge {
        /// The limit.
        bytes: usize,
    },
    /// More messages than one client or key may send.
    #[error("429:{reason}:rate_limited")]
    RateLimited {
        /// Which rate.
        reason: &'static str,
    },
    /// The queues of all sessions together are full (protocol.md 64). Not the client's fault.
    #[error("503::overloaded")]
    Overloaded,
}
