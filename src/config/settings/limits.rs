//! The keys of `[limits]`.

use super::Setting;
use crate::config::{
    Config, Reload,
    form::{Count, Flag, Optional, OrUnlimited, Size, Span},
};

/// Builds the list of the bounds on messages, channels and sessions.
pub(super) fn of_messages() -> Vec<Setting<Config>> {
    vec![
        Setting::live(
            Reload::Connections,
            "limits.message_size",
            |c| &mut c.limits.message_size,
            Size(1 << 10, 256 << 20),
            "Largest HTTP body, WebSocket message and frame, before and after decompression. Above, \
             HTTP answers 413. Over WebSocket a publish up to 16 times as large is refused with \
             `413:LIMIT:message_too_large`; all else above closes with 1009.",
        ),
        Setting::live(
            Reload::Now,
            "limits.batch",
            |c| &mut c.limits.batch,
            Count(1, 100_000),
            "Most messages in one body or frame.",
        ),
        Setting::live(
            Reload::Now,
            "limits.json_depth",
            |c| &mut c.limits.json_depth,
            Count(4, 120),
            "Deepest nesting of JSON.",
        ),
        Setting::live(
            Reload::Now,
            "limits.envelope_keys",
            |c| &mut c.limits.envelope_keys,
            Count(8, 1000),
            "Most top-level fields of a message.",
        ),
        Setting::live(
            Reload::Now,
            "limits.id_length",
            |c| &mut c.limits.id_length,
            Count(48, 1024),
            "Longest `id` and `clientId`, in bytes.",
        ),
        Setting::new(
            "limits.channel_length",
            |c| &mut c.limits.channel_length,
            Count(32, 4096),
            "Longest channel name, in bytes.",
        ),
        Setting::new(
            "limits.channel_segments",
            |c| &mut c.limits.channel_segments,
            Count(2, 256),
            "Most segments of a channel name.",
        ),
        Setting::live(
            Reload::Now,
            "limits.channels",
            |c| &mut c.limits.channels,
            OrUnlimited(Count(1, 1_000_000_000)),
            "Most live channels. An idle one vanishes after 3 sweeps, about 3 s.",
        ),
        Setting::live(
            Reload::Now,
            "limits.subscriptions",
            |c| &mut c.limits.subscriptions,
            OrUnlimited(Count(1, 1_000_000)),
            "Most subscriptions of a session, and most channels in one subscribe message.",
        ),
        Setting::live(
            Reload::Now,
            "limits.root_wildcard",
            |c| &mut c.limits.root_wildcard,
            Flag,
            "Whether sessions may subscribe to `/**`; it never covers `/meta/` and `/service/`.",
        ),
        Setting::live(
            Reload::Now,
            "limits.sessions",
            |c| &mut c.limits.sessions,
            OrUnlimited(Count(1, 100_000_000)),
            "Most sessions. Above, handshakes are answered with 503 and `Retry-After`.",
        ),
        Setting::live(
            Reload::Now,
            "limits.queued_bytes",
            |c| &mut c.limits.queued_bytes,
            Optional { word: Some("auto"), form: OrUnlimited(Size(1 << 20, 1 << 50)) },
            "Most bytes in all queues together, a shared message counted once. At 70 % handshakes \
             are refused, at 85 % the sessions end whose queues free the most (of a shared message its \
             share), at 100 % publishes are refused. `auto`: half of the memory limit of the process.",
        ),
    ]
}

/// Builds the list of the bounds on connections and requests.
pub(super) fn of_connections() -> Vec<Setting<Config>> {
    vec![
        Setting::live(
            Reload::Now,
            "limits.connections",
            |c| &mut c.limits.connections,
            Optional { word: Some("auto"), form: OrUnlimited(Count(1, 100_000_000)) },
            "Most connections of the Bayeux listeners; above, 503 with `Retry-After`. `auto`: the \
             descriptor limit of the process minus 256.",
        ),
        Setting::live(
            Reload::Connections,
            "limits.header_count",
            |c| &mut c.limits.header_count,
            Count(16, 1000),
            "Most header lines of a request.",
        ),
        Setting::live(
            Reload::Connections,
            "limits.header_bytes",
            |c| &mut c.limits.header_bytes,
            Size(8 << 10, 1 << 20),
            "Largest request head.",
        ),
        Setting::live(
            Reload::Connections,
            "limits.uri_bytes",
            |c| &mut c.limits.uri_bytes,
            Size(256, 64 << 10),
            "Longest request target. Callback-polling sends its messages in it.",
        ),
        Setting::live(
            Reload::Connections,
            "limits.header_timeout",
            |c| &mut c.limits.header_timeout,
            Span(100, 600_000),
            "Time for a request head, from its first byte.",
        ),
        Setting::live(
            Reload::Now,
            "limits.body_timeout",
            |c| &mut c.limits.body_timeout,
            Span(100, 3_600_000),
            "Time for a request body.",
        ),
        Setting::live(
            Reload::Connections,
            "limits.keep_alive",
            |c| &mut c.limits.keep_alive,
            Span(100, 86_400_000),
            "Idle time of an HTTP connection between requests.",
        ),
        Setting::live(
            Reload::Connections,
            "limits.write_timeout",
            |c| &mut c.limits.write_timeout,
            Span(100, 600_000),
            "Time without progress in writing after which a connection is closed.",
        ),
    ]
}
