//! The keys of `[otel]`.

use super::{Setting, syntax};
use crate::config::{
    Config,
    form::{Count, FilePath, Optional, Ratio, Span, Text},
};

/// Builds the list of the keys of `[otel]`.
pub(super) fn settings() -> Vec<Setting<Config>> {
    vec![
        Setting::new(
            "otel.endpoint",
            |c| &mut c.otel.endpoint,
            Text {
                allowed: "a URL like \"http://127.0.0.1:4318\" (https:// is not supported: run a \
                          collector beside the broker that speaks TLS to the next one), or \"\" for \
                          none",
                valid: |text| text.is_empty() || (syntax::is_http_url(text) && !text.contains('?')),
            },
            "Base URL of an OpenTelemetry collector that takes OTLP over HTTP; `/v1/traces` is put \
             behind it. Empty: no traces. Anything else needs a binary that was built with `--features \
             otel`.",
        ),
        Setting::new(
            "otel.headers_file",
            |c| &mut c.otel.headers_file,
            Optional { word: Some(""), form: FilePath },
            "File with header lines for each request, such as `Authorization: Bearer TOKEN`, one a \
             line; read at the start, and never shown.",
        ),
        Setting::new(
            "otel.service_name",
            |c| &mut c.otel.service_name,
            Text {
                allowed: "a name of 1 to 255 characters",
                valid: |text| {
                    (1..=255).contains(&text.chars().count()) && !text.contains(char::is_control)
                },
            },
            "The `service.name` under which traces are found.",
        ),
        Setting::new(
            "otel.sample_ratio",
            |c| &mut c.otel.sample_ratio,
            Ratio,
            "Share of the messages that are traced when their publisher sent no `traceparent`: all \
             that come over Bayeux, and those over HTTP without one. With one its publisher decides.",
        ),
        Setting::new(
            "otel.traces_per_second",
            |c| &mut c.otel.traces_per_second,
            Count(1, 1_000_000),
            "Most messages traced a second because their publishers want it, and as many because of \
             `otel.sample_ratio`; also the burst. The others go their way untraced and are counted.",
        ),
        Setting::new(
            "otel.deliver_spans",
            |c| &mut c.otel.deliver_spans,
            Count(0, 10_000),
            "Most `deliver` spans of one message, those of the first deliveries; the `publish` span \
             says how many sessions it reached besides.",
        ),
        Setting::new(
            "otel.live_traces",
            |c| &mut c.otel.live_traces,
            Count(1, 32_767),
            "Messages whose deliveries are followed at a time, about 200 bytes each. A newer one takes \
             the place of the oldest, whose later deliveries are counted as `forgotten`.",
        ),
        Setting::new(
            "otel.queue_spans",
            |c| &mut c.otel.queue_spans,
            Count(16, 1_000_000),
            "Most spans that wait for the collector, about 200 bytes each. Above, new ones are dropped \
             and counted.",
        ),
        Setting::new(
            "otel.interval",
            |c| &mut c.otel.interval,
            Span(10, 60_000),
            "Time between two sendings. A collector that cannot be reached is asked less and less \
             often, every 30 s at last.",
        ),
        Setting::new(
            "otel.timeout",
            |c| &mut c.otel.timeout,
            Span(100, 60_000),
            "Time for one request to the collector; at the end of the process, for all of them \
             together.",
        ),
    ]
}
