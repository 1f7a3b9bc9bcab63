//! What of the configuration the core needs, in its own units.

use std::{sync::Arc, time::Duration};

use crate::{
    bayeux::NameLimits,
    config::{Activity, Config},
};

/// The longest pause that a client may announce in `advice.interval` (protocol.md 33): its session
/// lives that much longer, so it has to end somewhere.
pub const INTERVAL_MAX: Duration = Duration::from_secs(600);

/// Values of `[session]` and `[limits]`, checked when the configuration was loaded.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) max_interval: Duration,
    pub(super) handshake_grace: Duration,
    pub(super) deliver_only: bool,
    pub(super) queue_messages_max: usize,
    pub(super) queue_bytes_max: usize,
    pub(super) subscriptions_max: usize,
    pub(super) sessions_max: usize,
    pub(super) channels_max: usize,
    pub(super) queued_bytes_max: usize,
    pub(super) root_wildcard: bool,
    pub(super) per_browser_max: Option<u32>,
    pub(super) multiplexed_max: Option<u32>,
    pub(super) activity: Activity,
    pub(super) max_inactivity: Duration,
    pub(super) name: NameLimits,
    pub(super) stats_interval: Duration,
    pub(super) monitor_prefix: Arc<str>,
    pub(super) monitor_payloads: bool,
}

impl Settings {
    /// Takes what is needed of a validated configuration.
    pub(super) fn new(config: &Config) -> Self {
        let (session, limits) = (&config.session, &config.limits);
        Self {
            max_interval: session.max_interval,
            handshake_grace: session.handshake_grace,
            deliver_only: session.meta_connect_deliver_only,
            queue_messages_max: session.queue.max_messages,
            queue_bytes_max: session.queue.max_bytes,
            subscriptions_max: limits.subscriptions,
            sessions_max: limits.sessions,
            channels_max: limits.channels,
            queued_bytes_max: limits.queued_bytes.unwrap_or(usize::MAX),
            root_wildcard: limits.root_wildcard,
            per_browser_max: session.max_per_browser,
            multiplexed_max: session.http2_max_per_browser,
            activity: session.activity,
            max_inactivity: session.max_inactivity,
            stats_interval: config.monitor.stats_interval,
            monitor_prefix: config.monitor.prefix.as_str().into(),
            monitor_payloads: config.monitor.payloads,
            name: NameLimits { bytes: limits.channel_length, segments: limits.channel_segments },
        }
    }
}
