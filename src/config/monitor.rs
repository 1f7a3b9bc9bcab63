//! `[monitor]`: what monitors and operators see of the broker while it runs.

use std::time::Duration;

use super::LogIp;

/// `[monitor]`; see docs/monitoring.md.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// Whether anybody may monitor by channels.
    pub enabled: bool,
    /// Every session may monitor. No key of the file: `--dev` on loopback.
    pub everybody: bool,
    /// The second name of the feed, for clients that drop everything below `/meta`; empty: none.
    pub prefix: String,
    /// Whether monitors with the right to it see what is published.
    pub payloads: bool,
    /// How much of a client's address they see.
    pub ip: LogIp,
    /// Events per second for one monitor; above, those of one type become one every 100 ms.
    pub events_per_second: u32,
    /// Events at once after a pause.
    pub burst: u32,
    /// `error` events per second of each kind; others are counted in the next one.
    pub errors_per_second: u32,
    /// Events that wait for one monitor; above, the oldest go and a `lost` event says so.
    pub ring_events: usize,
    /// About the bytes of them; likewise of `recent_events`.
    pub ring_bytes: usize,
    /// Sessions that monitor; as many operators may follow the events besides.
    pub max_subscribers: usize,
    /// Time between two `stats` events.
    pub stats_interval: Duration,
    /// Newest events of the node that are kept to be asked for; 0: none.
    pub recent_events: usize,
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            enabled: true,
            everybody: false,
            prefix: "/monitor".into(),
            payloads: false,
            ip: LogIp::Truncate,
            events_per_second: 500,
            burst: 2_000,
            errors_per_second: 10,
            ring_events: 5_000,
            ring_bytes: 4 << 20,
            max_subscribers: 32,
            stats_interval: Duration::from_secs(5),
            recent_events: 10_000,
        }
    }
}
