//! Brings waiting spans to the collector: batch after batch, one at a time, at intervals.
//!
//! A batch that the collector could not take returns to the front of the queue and is sent again, after a
//! pause that grows. One of which nobody knows whether it arrived is given up: traces with double spans
//! mislead. What went wrong is said in the log once a minute at most.

use std::{future::Future, pin::pin, time::Duration};

use tokio::{
    select,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use super::{
    collector::{Answer, Collector, Connection},
    encode::Encoder,
    queue::Queue,
};
use crate::metrics::SpanLoss;

/// See the module documentation.
pub(super) struct Exporter<'a> {
    queue: &'a Queue,
    collector: &'a Collector,
    encoder: &'a Encoder,
    interval: Duration,
    /// Spreads the pauses of several brokers.
    seed: u64,
    /// Rounds in a row that the collector took nothing.
    failures: u32,
    teller: Teller,
}

impl<'a> Exporter<'a> {
    /// Looks into `queue` at that interval.
    pub(super) fn new(
        queue: &'a Queue,
        collector: &'a Collector,
        encoder: &'a Encoder,
        interval: Duration,
        seed: u64,
    ) -> Self {
        let teller = Teller::default();
        Self { queue, collector, encoder, interval, seed, failures: 0, teller }
    }

    /// Sends until `stop`, and what waits then, if the collector takes it.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut pause = self.interval;
        loop {
            let stopping = select! {
                biased;
                () = stop.as_mut() => true,
                () = sleep(pause) => false,
            };
            pause = match self.round().await {
                Ok(()) => {
                    self.failures = 0;
                    self.interval
                }
                Err(after) => {
                    self.failures += 1;
                    after.unwrap_or_default().clamp(self.backoff(), PAUSE_MAX.max(self.interval))
                }
            };
            self.teller.tell(self.queue.lost().value());
            if stopping {
                return;
            }
        }
    }

    /// Sends all that waits.
    ///
    /// # Errors
    /// The collector takes nothing now; perhaps it says for how long.
    async fn round(&mut self) -> Result<(), Option<Duration>> {
        let mut connection = None;
        while self.queue.len() > 0 {
            let mut open = self.open(connection.take()).await?;
            let batch = self.queue.take(BATCH_SPANS);
            let count = batch.len();
            let Ok(body) = self.encoder.encode(&batch) else {
                self.queue.lose(SpanLoss::Refused, count);
                continue;
            };
            match self.collector.send(&mut open, body).await {
                Answer::Taken { refused, why } => {
                    let refused = refused.min(count);
                    self.queue.count_exported(count - refused);
                    self.queue.lose(SpanLoss::Refused, refused);
                    if refused > 0 {
                        self.teller.failing(why);
                    } else {
                        self.teller.recovered();
                    }
                }
                Answer::Later { after, why } => {
                    self.queue.put_back(batch);
                    self.teller.failing(why);
                    return Err(after);
                }
                Answer::Refused { why } => {
                    self.queue.lose(SpanLoss::Refused, count);
                    self.teller.failing(why);
                }
                Answer::Unanswered { why } => {
                    self.queue.lose(SpanLoss::Unanswered, count);
                    self.teller.failing(why);
                    // Whoever is too slow for one batch need not get the next one at once.
                    return Err(None);
                }
            }
            connection = Some(open);
        }
        Ok(())
    }

    async fn open(&mut self, last: Option<Connection>) -> Result<Connection, Option<Duration>> {
        if let Some(mut last) = last
            && last.is_open().await
        {
            return Ok(last);
        }
        self.collector.connect().await.map_err(|why| {
            self.teller.failing(why);
            None
        })
    }

    /// The pause after some failures: it doubles, and is not the same for all brokers.
    fn backoff(&self) -> Duration {
        let doubled = self.interval.saturating_mul(1 << self.failures.min(20));
        let most = doubled.min(PAUSE_MAX.max(self.interval));
        let less = (self.seed % 256) as f64 / 256.0;
        most.mul_f64(1.0 - 0.3 * less).max(self.interval)
    }
}

/// Says what went wrong.
#[derive(Debug, Default)]
struct Teller {
    /// Why the collector took no spans, since it last took some.
    failing: Option<String>,
    /// The log says so.
    known: bool,
    told: Option<Instant>,
    /// Spans lost when that was said.
    lost: u64,
}

impl Teller {
    /// The collector did not take a batch, or not all of it.
    fn failing(&mut self, why: String) {
        self.failing = Some(why);
    }

    /// It took one.
    fn recovered(&mut self) {
        self.failing = None;
        if std::mem::take(&mut self.known) {
            info!(event = "node", "the collector takes spans");
        }
    }

    /// A round is over, and so many spans were lost since the start.
    fn tell(&mut self, lost: u64) {
        let (since, now) = (lost.saturating_sub(self.lost), Instant::now());
        let soon = self.told.is_some_and(|told| now.saturating_duration_since(told) < TELL_EVERY);
        if soon || (since == 0 && self.failing.is_none()) {
            return;
        }
        (self.told, self.lost) = (Some(now), lost);
        let error = self.failing.as_deref();
        let (key, metric) = ("otel.endpoint", "bayeuxd_otel_spans_dropped_total");
        if error.is_some() {
            self.known = true;
            warn!(event = "node", error, spans_lost = since, key, "the collector takes no spans");
        } else {
            warn!(event = "node", spans_lost = since, metric, "spans of traces were lost");
        }
    }
}

/// Spans of one request; what SDKs send.
const BATCH_SPANS: usize = 512;
/// The longest pause after failures.
const PAUSE_MAX: Duration = Duration::from_secs(30);
const TELL_EVERY: Duration = Duration::from_secs(60);
