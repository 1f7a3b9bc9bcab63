//! The keys of `[monitor]`.

use super::{Setting, syntax};
use crate::config::{
    Config, LogIp, Reload,
    form::{Choice, Count, Flag, Size, Span, Text},
};

/// Builds the list of the keys of `[monitor]`.
pub(super) fn settings() -> Vec<Setting<Config>> {
    vec![
        Setting::new(
            "monitor.enabled",
            |c| &mut c.monitor.enabled,
            Flag,
            "Whether sessions with the right to it may monitor by subscribing to `/meta/monitor/**` \
             or the names below `monitor.prefix`.",
        ),
        Setting::new(
            "monitor.prefix",
            |c| &mut c.monitor.prefix,
            Text {
                allowed: "a channel like \"/monitor\", or \"\" for none",
                valid: syntax::is_monitor_prefix,
            },
            "Second name of the monitoring channels, for clients that drop everything below `/meta` \
             (aiocometd, the CometD Java client over WebSocket). Nobody publishes to it or below it. \
             Empty where an application owns the name. The names below it have to fit into \
             `limits.channel_length` and `limits.channel_segments`.",
        ),
        Setting::new(
            "monitor.payloads",
            |c| &mut c.monitor.payloads,
            Flag,
            "Whether monitors whose key has `payload = true` see what is published.",
        ),
        Setting::live(
            Reload::Now,
            "monitor.ip",
            |c| &mut c.monitor.ip,
            Choice(&[("full", LogIp::Full), ("truncate", LogIp::Truncate), ("none", LogIp::None)]),
            "How much of a client's address monitors and operators see. `truncate`: the /24 or /48 \
             network.",
        ),
        Setting::live(
            Reload::Monitors,
            "monitor.events_per_second",
            |c| &mut c.monitor.events_per_second,
            Count(1, 1_000_000),
            "Events per second for one monitor. Above, the events of one type become one every \
             100 ms, which says how many (`merged`).",
        ),
        Setting::live(
            Reload::Monitors,
            "monitor.burst",
            |c| &mut c.monitor.burst,
            Count(1, 1_000_000),
            "Events that one monitor may get at once after a pause.",
        ),
        Setting::live(
            Reload::Now,
            "monitor.errors_per_second",
            |c| &mut c.monitor.errors_per_second,
            Count(1, 1_000_000),
            "`error` events per second of each kind of bad request; the next one says how many others \
             there were.",
        ),
        Setting::live(
            Reload::Monitors,
            "monitor.ring_events",
            |c| &mut c.monitor.ring_events,
            Count(16, 1_000_000),
            "Most events that wait for one monitor. Above, the oldest are dropped and a `lost` event \
             says which; the session of the monitor lives on.",
        ),
        Setting::live(
            Reload::Monitors,
            "monitor.ring_bytes",
            |c| &mut c.monitor.ring_bytes,
            Size(64 << 10, 1 << 30),
            "Most bytes of them, roughly.",
        ),
        Setting::live(
            Reload::Now,
            "monitor.max_subscribers",
            |c| &mut c.monitor.max_subscribers,
            Count(1, 1_000),
            "Most sessions that monitor; as many operators may follow the events besides.",
        ),
        Setting::live(
            Reload::Now,
            "monitor.stats_interval",
            |c| &mut c.monitor.stats_interval,
            Span(100, 3_600_000),
            "Time between two `stats` events.",
        ),
        Setting::live(
            Reload::Now,
            "monitor.recent_events",
            |c| &mut c.monitor.recent_events,
            Count(0, 1_000_000),
            "Newest events of the node that are kept to answer what happened to a session, with about \
             `monitor.ring_bytes` at most. Publishes are not among them. A tenth as many are kept \
             besides of those without a session, and of refused publishes.",
        ),
    ]
}
