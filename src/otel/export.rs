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
            let lost = self.queue.lost();
            // Of what is forgotten nobody knows whether it would have been a span.
            self.teller.tell(lost.value() - lost.of(SpanLoss::Forgotten), stopping);
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
            let batch = self.queue.batch(BATCH_SPANS);
            let Ok(body) = self.encoder.encode(batch.spans()) else {
                batch.refuse();
                continue;
            };
            match self.collector.send(&mut open, body).await {
                Answer::Taken { refused, why } => {
                    batch.settle(refused);
                    self.teller.recovered((refused > 0).then_some(why));
                }
                Answer::Later { after, why } => {
                    batch.put_back();
                    self.teller.failing(why);
                    return Err(after);
                }
                Answer::Refused { why } => {
                    batch.refuse();
                    self.teller.failing(why);
                }
                Answer::Unanswered { why } => {
                    drop(batch);
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
            && self.collector.is_open(&mut last).await
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
    /// Why the collector took no spans in this round.
    failing: Option<String>,
    /// Why it refused some of those that it took.
    picky: Option<String>,
    /// The log says that it takes none.
    known: bool,
    told: Option<Instant>,
    /// Spans lost when that was said.
    lost: u64,
}

impl Teller {
    /// The collector did not take a batch.
    fn failing(&mut self, why: String) {
        self.failing = Some(why);
    }

    /// It took one; perhaps without some spans, and says why.
    fn recovered(&mut self, picky: Option<String>) {
        self.failing = None;
        if picky.is_some() {
            self.picky = picky;
        }
        if std::mem::take(&mut self.known) {
            info!(event = "node", "the collector takes spans");
        }
    }

    /// A round is over, perhaps the last one, and so many spans were lost since the start.
    fn tell(&mut self, lost: u64, last: bool) {
        let (failing, picky) = (self.failing.take(), self.picky.take());
        let (since, now) = (lost.saturating_sub(self.lost), Instant::now());
        let soon = self.told.is_some_and(|told| now.saturating_duration_since(told) < TELL_EVERY);
        if (soon && !last) || (since == 0 && failing.is_none()) {
            return;
        }
        (self.told, self.lost) = (Some(now), lost);
        let (key, metric) = ("otel.endpoint", "bayeuxd_otel_spans_dropped_total");
        if let Some(error) = failing {
            self.known = true;
            warn!(event = "node", error, spans_lost = since, key, "the collector takes no spans");
        } else {
            warn!(
                event = "node",
                error = picky,
                spans_lost = since,
                metric,
                "spans of traces were lost"
            );
        }
    }
}

/// Spans of one request; what SDKs send.
const BATCH_SPANS: usize = 512;
/// The longest pause after failures.
const PAUSE_MAX: Duration = Duration::from_secs(30);
const TELL_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_once_and_not_again_while_nothing_is_sent() {
        let mut teller = Teller::default();
        teller.failing("away".into());
        teller.tell(0, false);
        assert!(teller.known && teller.told.take().is_some());
        teller.tell(0, false);
        assert_eq!(teller.told, None, "this round asked nobody");
        teller.recovered(Some("too old".into()));
        teller.tell(1, false);
        assert!(!teller.known && teller.told.is_some(), "it takes others");
        teller.tell(3, false);
        assert_eq!(teller.lost, 1, "a minute is not over");
        teller.tell(3, true);
        assert_eq!(teller.lost, 3, "the last word waits for nothing");
    }
}
