//! `GET stats` and `GET config`: the node as a whole.

use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::{
    answer,
    state::{Counts, Pace, Seen},
};
use crate::{
    bayeux::Rfc3339,
    broker::Cause,
    config::{Remark, ShownValue},
    metrics::Spread,
    server::{app::App, body::Body, clock},
};

/// Answers `GET stats`.
pub(super) fn stats(app: &App) -> Response<Body> {
    let (counters, now) = (app.broker.counters(), clock::now());
    let delivered = &counters.delivered;
    let counts = Counts { published: counters.published.value(), delivered: delivered.value() };
    let seen = Seen { counts, latencies: Spread::of(delivered.latencies()) };
    let pace = app.admin.pace(seen, now);
    let stats = app.broker.stats();
    answer::json(
        StatusCode::OK,
        &Node {
            version: env!("CARGO_PKG_VERSION"),
            now: Rfc3339(clock::time_of_day()).to_string(),
            uptime_s: now.saturating_duration_since(app.admin.started).as_secs(),
            draining: app.drain.is_announced(),
            sessions: stats.sessions,
            connects_held: stats.connects_held,
            channels: stats.channels,
            subscriptions: stats.subscriptions,
            queue_bytes: stats.queue_bytes,
            queue_bytes_limit: app.broker.queued_bytes_max(),
            sessions_limit: app.broker.sessions_max(),
            pace: pace.into(),
            totals: Totals::new(app),
        },
    )
}

#[derive(Serialize)]
struct Node {
    version: &'static str,
    now: String,
    uptime_s: u64,
    draining: bool,
    sessions: usize,
    connects_held: usize,
    channels: usize,
    subscriptions: usize,
    queue_bytes: usize,
    queue_bytes_limit: usize,
    sessions_limit: usize,
    #[serde(flatten)]
    pace: ShownPace,
    totals: Totals,
}

#[derive(Serialize)]
struct ShownPace {
    #[serde(skip_serializing_if = "Option::is_none")]
    in_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_p99_ms: Option<f64>,
}

impl From<Option<Pace>> for ShownPace {
    fn from(pace: Option<Pace>) -> Self {
        let latency = pace.and_then(|pace| pace.latency);
        Self {
            in_per_s: pace.map(|pace| pace.rates.published),
            out_per_s: pace.map(|pace| pace.rates.delivered),
            delivery_p50_ms: latency.map(|(p50, _)| p50),
            delivery_p99_ms: latency.map(|(_, p99)| p99),
        }
    }
}

/// What was counted since the start.
#[derive(Serialize)]
struct Totals {
    sessions_created: u64,
    sessions_ended: u64,
    sessions_slow: u64,
    sessions_shed: u64,
    handshakes_refused: u64,
    published: u64,
    publishes_refused: u64,
    queued: u64,
    delivered: u64,
    dropped_oldest: u64,
    dropped_latest: u64,
    discarded: u64,
    lost: u64,
    events_lost: u64,
    idempotency_evicted: u64,
}

impl Totals {
    fn new(app: &App) -> Self {
        let counters = app.broker.counters();
        Self {
            sessions_created: counters.sessions_created.value(),
            sessions_ended: counters.sessions_ended.value(),
            sessions_slow: counters.sessions_ended.of(Cause::Slow),
            sessions_shed: counters.sessions_ended.of(Cause::Limit),
            handshakes_refused: counters.handshakes_refused.value(),
            published: counters.published.value(),
            publishes_refused: counters.publishes_refused.value(),
            queued: counters.queued.value(),
            delivered: counters.delivered.value(),
            dropped_oldest: counters.dropped_oldest.value(),
            dropped_latest: counters.dropped_latest.value(),
            discarded: counters.discarded.value(),
            lost: counters.discarded.of(Cause::Slow) + counters.discarded.of(Cause::Limit),
            events_lost: app.broker.events().lost(),
            idempotency_evicted: app.api.results_forgotten(),
        }
    }
}

/// Answers `GET config`.
pub(super) fn config(app: &App) -> Response<Body> {
    let (auto, entries) = (app.live.auto(), app.live.config().entries());
    let items = entries.into_iter().map(|entry| Shown::new(app, &auto, entry)).collect();
    let warnings = &app.admin.warnings.read();
    answer::json(StatusCode::OK, &Settings { items, warnings })
}

/// All keys, and what is doubtful about them.
#[derive(Serialize)]
struct Settings<'a> {
    items: Vec<Shown>,
    warnings: &'a [Remark],
}

/// A key of the configuration.
#[derive(Serialize)]
struct Shown {
    key: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    default: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    auto: bool,
    reload: &'static str,
    doc: &'static str,
}

impl Shown {
    fn new(app: &App, auto: &[&str], entry: ShownValue) -> Self {
        let ShownValue { key, value, is_default, doc, reload } = entry;
        let auto = auto.contains(&key);
        Self {
            key,
            value: value.and_then(|value| serde_json::to_value(value).ok()),
            default: is_default || auto,
            origin: app.admin.origins.read().get(key).cloned(),
            auto,
            reload: reload.word(),
            doc,
        }
    }
}
