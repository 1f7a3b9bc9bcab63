//! Numbers about the running broker, for Prometheus and whatever reads its format.
//!
//! A leaf: it knows what can be counted and how the page is written, not who counts. Counting is one
//! relaxed atomic, or two for a [`Histogram`], in a cell that an enum finds: no name is looked up and
//! nothing is locked. Every series exists from the start, and a label has no value that is not in its
//! enum, so clients cannot make series. What is counted only here is in [`Metrics`]; the broker counts
//! with the same cells what is its own, and a scrape reads both.
//! Source: operations.md 7; docs/metrics.md for operators.

mod cells;
mod label;
mod page;
mod panics;
mod spread;

pub use self::{
    cells::{Counts, Histogram, Histograms},
    label::{
        BadRequest, CallResult, Denied, HandshakeResult, HttpPath, Labels, LimitHit, Loss, Reply,
        Route, SocketClose, Source, SpanLoss, StatusClass, UnknownOn,
    },
    page::{Page, UNITS_PER_SECOND},
    panics::count_panics,
    spread::Spread,
};
use crate::events::Via;

/// What the server counts since its start.
#[derive(Debug)]
pub struct Metrics {
    /// Handshakes, by what came of them.
    pub handshakes: Counts<HandshakeResult>,
    /// Sessions opened, by the transport of the handshake.
    pub sessions_created: Counts<Route>,
    /// Messages of clients whose session is not known, by what they wanted.
    pub unknown_session: Counts<UnknownOn>,
    /// Connects answered, by reason.
    pub connect_replies: Counts<Reply>,
    /// WebSocket connections that are open.
    pub websocket_connections: Counts<()>,
    /// WebSocket connections that have ended, by close code.
    pub websocket_closes: Counts<SocketClose>,
    /// Sessions whose clients changed their transport by themselves.
    pub transport_switches: Counts<()>,
    /// Messages taken from publishers.
    pub received: Counts<Via>,
    /// Bytes of bodies and frames that clients sent.
    pub bytes_received: Counts<Source>,
    /// Requests for something that its sender may not do.
    pub denied: Counts<Denied>,
    /// Limits that were hit.
    pub limit_hits: Counts<LimitHit>,
    /// Requests that could not be used.
    pub bad_requests: Counts<BadRequest>,
    /// HTTP requests answered.
    pub http_requests: Counts<(HttpPath, StatusClass)>,
    /// Bytes of the data of published messages.
    pub message_size: Histogram,
    /// From a message's arrival until it is in every queue.
    pub publish_duration: Histograms<Via>,
    /// From a connect's arrival to its reply.
    pub connect_hold: Histogram,
    /// How late the runtime runs what is due.
    pub runtime_lag: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            handshakes: Counts::default(),
            sessions_created: Counts::default(),
            unknown_session: Counts::default(),
            connect_replies: Counts::default(),
            websocket_connections: Counts::default(),
            websocket_closes: Counts::default(),
            transport_switches: Counts::default(),
            received: Counts::default(),
            bytes_received: Counts::default(),
            denied: Counts::default(),
            limit_hits: Counts::default(),
            bad_requests: Counts::default(),
            http_requests: Counts::default(),
            message_size: Histogram::new(SIZES),
            publish_duration: Histograms::new(LATENCIES),
            connect_hold: Histogram::new(HOLDS),
            runtime_lag: Histogram::new(LATENCIES),
        }
    }
}

/// Bounds of histograms of latency, in microseconds.
pub const LATENCIES: &[u64] = &[
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];
/// Bounds of histograms of sessions reached.
pub const FAN_OUTS: &[u64] = &[0, 1, 10, 100, 1_000, 10_000, 100_000];
/// Bounds of histograms of messages written at once.
pub const BATCHES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 256, 1_024];
/// Bounds of histograms of message sizes, in bytes.
const SIZES: &[u64] = &[64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];
/// Bounds of histograms of holds, in microseconds: the usual settings of `session.timeout` among them.
const HOLDS: &[u64] = &[
    1_000,
    10_000,
    100_000,
    1_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    30_000_000,
    45_000_000,
    60_000_000,
    120_000_000,
];
