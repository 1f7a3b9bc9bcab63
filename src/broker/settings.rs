//! What of the configuration the core needs, in its own units.

use std::{sync::Arc, time::Duration};

use super::Broker;
use crate::{
    bayeux::NameLimits,
    config::{Activity, Config, Dial},
};

/// The longest pause that a client may announce in `advice.interval` (protocol.md 33): its session
/// lives that much longer, so it has to end somewhere.
pub const INTERVAL_MAX: Duration = Duration::from_secs(600);

/// Values of `[session]`, `[limits]` and `[monitor]`, checked when the configuration was loaded.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) max_interval: Duration,
    pub(super) handshake_grace: Duration,
    pub(super) deliver_only: bool,
    pub(super) activity: Activity,
    pub(super) max_inactivity: Duration,
    pub(super) name: NameLimits,
    pub(super) monitor_prefix: Arc<str>,
    pub(super) monitor_payloads: bool,
    pub(super) bounds: Bounds,
}

/// What a reload changes.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// Of the queue of a session that begins.
    pub(super) queue_messages_max: Dial<usize>,
    /// Likewise.
    pub(super) queue_bytes_max: Dial<usize>,
    pub(super) subscriptions_max: Dial<usize>,
    pub(super) sessions_max: Dial<usize>,
    pub(super) channels_max: Dial<usize>,
    pub(super) queued_bytes_max: Dial<usize>,
    pub(super) root_wildcard: Dial<bool>,
    pub(super) per_browser_max: Dial<Option<u32>>,
    pub(super) multiplexed_max: Dial<Option<u32>>,
    pub(super) stats_interval: Dial<Duration>,
}

impl Settings {
    /// Takes what is needed of a validated configuration.
    pub(super) fn new(config: &Config) -> Self {
        let (session, limits) = (&config.session, &config.limits);
        let bounds = Bounds::default();
        bounds.turn(config);
        Self {
            max_interval: session.max_interval,
            handshake_grace: session.handshake_grace,
            deliver_only: session.meta_connect_deliver_only,
            activity: session.activity,
            max_inactivity: session.max_inactivity,
            monitor_prefix: config.monitor.prefix.as_str().into(),
            monitor_payloads: config.monitor.payloads,
            name: NameLimits { bytes: limits.channel_length, segments: limits.channel_segments },
            bounds,
        }
    }
}

impl Bounds {
    /// Takes the values of a validated configuration.
    pub(super) fn turn(&self, config: &Config) {
        let (session, limits) = (&config.session, &config.limits);
        self.queue_messages_max.turn(session.queue.max_messages);
        self.queue_bytes_max.turn(session.queue.max_bytes);
        self.subscriptions_max.turn(limits.subscriptions);
        self.sessions_max.turn(limits.sessions);
        self.channels_max.turn(limits.channels);
        self.queued_bytes_max.turn(limits.queued_bytes.unwrap_or(usize::MAX));
        self.root_wildcard.turn(limits.root_wildcard);
        self.per_browser_max.turn(session.max_per_browser);
        self.multiplexed_max.turn(session.http2_max_per_browser);
        self.stats_interval.turn(config.monitor.stats_interval);
    }
}

// === impl Broker ===

impl Broker {
    /// Takes what a running broker can of a validated configuration: bounds and paces. Nothing that is
    /// beyond a lower bound ends for it.
    pub fn reload(&self, config: &Config) {
        self.settings.bounds.turn(config);
        self.events.reload(&config.monitor);
    }

    /// `limits.queued_bytes`.
    #[must_use]
    pub fn queued_bytes_max(&self) -> usize {
        self.settings.bounds.queued_bytes_max.now()
    }

    /// `limits.sessions`.
    #[must_use]
    pub fn sessions_max(&self) -> usize {
        self.settings.bounds.sessions_max.now()
    }

    /// What a reload can change, and some more.
    #[cfg(test)]
    pub(crate) fn held(&self) -> String {
        format!("{:?} {:?}", self.settings, self.events)
    }
}
