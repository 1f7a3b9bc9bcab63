//! `[otel]`: traces for an OpenTelemetry collector.

use std::{path::PathBuf, time::Duration};

/// `[otel]`: where traces go, and how many.
#[derive(Debug, Clone, PartialEq)]
pub struct Otel {
    /// Base URL of the collector's OTLP over HTTP: `http://host[:port][/path]`. Empty: no traces.
    pub endpoint: String,
    /// File with header lines of each request, `Name: value`.
    pub headers_file: Option<PathBuf>,
    /// The `service.name` of all spans.
    pub service_name: String,
    /// Share of the messages that are traced though no caller wants it, from 0 to 1.
    pub sample_ratio: f64,
    /// Most traces a second that callers begin, and most that the broker begins itself.
    pub traces_per_second: u32,
    /// Most `deliver` spans of one message.
    pub deliver_spans: u32,
    /// Messages whose deliveries are followed at a time.
    pub live_traces: u16,
    /// Spans that wait for the collector.
    pub queue_spans: usize,
    /// Time between two looks at what waits.
    pub interval: Duration,
    /// Time for a request to the collector, and for the last ones of a stop together.
    pub timeout: Duration,
}

impl Otel {
    /// Whether anything is traced.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.endpoint.is_empty()
    }

    /// Whether this build can trace.
    pub const BUILT_IN: bool = cfg!(feature = "otel");
}

impl Default for Otel {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            headers_file: None,
            service_name: "bayeuxd".into(),
            sample_ratio: 0.01,
            traces_per_second: 100,
            deliver_spans: 10,
            live_traces: 4096,
            queue_spans: 4096,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
        }
    }
}
