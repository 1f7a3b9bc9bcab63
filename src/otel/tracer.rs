//! The tracer of a broker, and the publish span of one message.

use std::{future::Future, sync::Arc, time::Duration};

use super::{
    BadOtel, Parent, Start,
    collector::Collector,
    encode::Encoder,
    export::Exporter,
    queue::Queue,
    sampler::Sampler,
    span::{Ids, Kind, Span},
    trails::{Live, Trails},
};
use crate::{
    bayeux::Trail,
    broker::{Follower, Reach},
    config::Otel,
    events::Via,
};

/// Traces messages and sends what comes of it.
#[derive(Debug)]
pub struct Tracer {
    sampler: Sampler,
    trails: Arc<Trails>,
    queue: Arc<Queue>,
    collector: Collector,
    encoder: Encoder,
    interval: Duration,
    deliver_spans: usize,
    /// Random.
    seed: u64,
}

/// A message on its way into the queues. Dropped before it has arrived, it was refused and leaves no span.
///
/// Boxed, because every request has the room for one, and few need it.
#[derive(Debug)]
pub struct Publishing(Box<Begun>);

#[derive(Debug)]
struct Begun {
    queue: Arc<Queue>,
    trail: Trail,
    ids: Ids,
    state: Option<Arc<str>>,
    /// Microseconds of the broker's time.
    accepted: u64,
    /// The same moment in nanoseconds since 1970.
    start: u64,
    channel: Arc<str>,
    via: Via,
    body_bytes: usize,
    deliver_spans: usize,
}

// === impl Tracer ===

impl Tracer {
    /// A tracer as the section wants it; `None` without an endpoint. Reads the file of headers.
    ///
    /// # Errors
    /// See [`BadOtel`].
    pub fn new(settings: &Otel) -> Result<Option<Self>, BadOtel> {
        if !settings.is_on() {
            return Ok(None);
        }
        let [a, b, c, d, e, f, g, h, instance @ ..] = random::<24>()?;
        let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let queue = Arc::new(Queue::new(settings.queue_spans));
        let queued = Arc::clone(&queue);
        let trails = Trails::new(settings.live_traces, settings.deliver_spans, queued);
        Ok(Some(Self {
            sampler: Sampler::new(settings.sample_ratio, settings.traces_per_second, seed),
            trails: Arc::new(trails),
            queue,
            collector: Collector::new(settings)?,
            encoder: Encoder::new(&settings.service_name, instance),
            interval: settings.interval,
            deliver_spans: settings.deliver_spans as usize,
            seed,
        }))
    }

    /// Whether a message at `now`, counted from any fixed moment, is traced.
    #[must_use]
    pub fn wants(&self, parent: Option<&Parent>, now: Duration) -> bool {
        self.sampler.wants(parent, now)
    }

    /// Begins the trace of a message, or its part of the trace of its caller. `None` if the system has no
    /// random bytes.
    #[must_use]
    pub fn begin(&self, start: &Start<'_>) -> Option<Publishing> {
        let ids = Ids::new(start.parent, random::<32>().ok()?);
        let channel = start.channel.to_shared();
        let state = start.parent.and_then(|parent| parent.state.clone());
        let nanos = u64::try_from(start.time.as_nanos()).unwrap_or(u64::MAX);
        let trail = self.trails.enter(Live {
            ids,
            state: state.clone(),
            accepted: start.accepted,
            start: nanos,
            channel: Arc::clone(&channel),
            delivered: 0,
        })?;
        Some(Publishing(Box::new(Begun {
            queue: Arc::clone(&self.queue),
            trail,
            ids,
            state,
            accepted: start.accepted,
            start: nanos,
            channel,
            via: start.via,
            body_bytes: start.body_bytes,
            deliver_spans: self.deliver_spans,
        })))
    }

    /// What the broker tells of deliveries.
    #[must_use]
    pub fn follower(&self) -> Arc<dyn Follower> {
        let trails: Arc<Trails> = Arc::clone(&self.trails);
        trails
    }

    /// Sends what waits, again and again; once more after `stop`, and ends.
    pub async fn export(&self, stop: impl Future<Output = ()>) {
        let Self { queue, collector, encoder, interval, seed, .. } = self;
        Exporter::new(queue, collector, encoder, *interval, *seed).run(stop).await;
    }

    /// Spans that wait for the collector.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Spans that the collector has.
    #[must_use]
    pub fn exported(&self) -> u64 {
        self.queue.exported()
    }

    /// Spans that it did not get, by the index of the reason ([`SpanLoss`](crate::metrics::SpanLoss)).
    #[must_use]
    pub fn lost(&self) -> Vec<u64> {
        self.queue.lost().values().collect()
    }

    /// Messages that were not traced because of the rate.
    #[must_use]
    pub fn limited(&self) -> u64 {
        self.sampler.limited()
    }
}

// === impl Publishing ===

impl Publishing {
    /// The number under which the broker tells of its deliveries.
    #[must_use]
    pub const fn trail(&self) -> Trail {
        self.0.trail
    }

    /// The message is in every queue, at `now` in microseconds of the broker's time.
    pub fn arrived(self, now: u64, reach: &Reach) {
        let begun = *self.0;
        let (age, sessions) = (now.saturating_sub(begun.accepted), reach.sessions());
        begun.queue.push(Span {
            trace_id: begun.ids.trace_id,
            id: begun.ids.span_id,
            parent: begun.ids.parent,
            state: begun.state,
            start: begun.start,
            end: begun.start.saturating_add(age.saturating_mul(1_000)),
            channel: begun.channel,
            kind: Kind::Publish {
                via: begun.via,
                body_bytes: begun.body_bytes,
                sessions,
                queued: reach.queued(),
                untraced: sessions.saturating_sub(begun.deliver_spans),
            },
        });
    }
}

fn random<const N: usize>() -> Result<[u8; N], BadOtel> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| BadOtel::Random(error.to_string()))?;
    Ok(bytes)
}
