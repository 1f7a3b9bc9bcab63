//! Spans that wait for the collector.
//!
//! Nobody is woken by one, and nobody waits for room: the exporter looks by itself, and a full queue drops
//! what is new. One short lock for each span, the last one that anybody takes.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

use super::span::Span;
use crate::metrics::{Counts, SpanLoss};

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Queue {
    spans: Mutex<VecDeque<Span>>,
    spans_max: usize,
    exported: AtomicU64,
    lost: Counts<SpanLoss>,
}

impl Queue {
    /// A queue for up to `spans_max`.
    pub(super) fn new(spans_max: usize) -> Self {
        Self {
            spans: Mutex::default(),
            spans_max,
            exported: AtomicU64::new(0),
            lost: Counts::default(),
        }
    }

    /// Puts a span behind the others, or counts it as lost.
    pub(super) fn push(&self, span: Span) {
        let mut spans = self.spans.lock();
        if spans.len() >= self.spans_max {
            drop(spans);
            self.lose(SpanLoss::QueueFull, 1);
        } else {
            spans.push_back(span);
        }
    }

    /// Takes up to `count` spans, the oldest first, on their way to the collector.
    pub(super) fn batch(&self, count: usize) -> Batch<'_> {
        Batch { queue: self, spans: self.take(count) }
    }

    /// Takes up to `count` spans, the oldest first.
    pub(super) fn take(&self, count: usize) -> Vec<Span> {
        let mut spans = self.spans.lock();
        let count = count.min(spans.len());
        let taken = spans.drain(..count).collect();
        if spans.is_empty() {
            // Idle, it keeps no memory for the burst that it once held.
            *spans = VecDeque::new();
        }
        taken
    }

    /// Puts spans back that were taken; the newest make room if there is none.
    pub(super) fn put_back(&self, taken: Vec<Span>) {
        let mut spans = self.spans.lock();
        taken.into_iter().rev().for_each(|span| spans.push_front(span));
        let dropped = spans.len().saturating_sub(self.spans_max);
        spans.truncate(self.spans_max);
        drop(spans);
        self.lose(SpanLoss::QueueFull, dropped);
    }

    /// Spans that wait.
    pub(super) fn len(&self) -> usize {
        self.spans.lock().len()
    }

    /// Counts spans that the collector has.
    pub(super) fn count_exported(&self, count: usize) {
        self.exported.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Counts spans that it does not get.
    pub(super) fn lose(&self, why: SpanLoss, count: usize) {
        self.lost.add(why, count);
    }

    /// Spans that the collector has.
    pub(super) fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Spans that it did not get, by reason.
    pub(super) const fn lost(&self) -> &Counts<SpanLoss> {
        &self.lost
    }
}

/// Spans that were taken. Dropped before anything is known of them, as at the end of a stop, they are lost,
/// and counted.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    queue: &'a Queue,
    spans: Vec<Span>,
}

impl Batch<'_> {
    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The collector did not want them now.
    pub(super) fn put_back(mut self) {
        self.queue.put_back(std::mem::take(&mut self.spans));
    }

    /// The collector has them, but for those that it refused.
    pub(super) fn settle(mut self, refused: usize) {
        let count = std::mem::take(&mut self.spans).len();
        let refused = refused.min(count);
        self.queue.count_exported(count - refused);
        self.queue.lose(SpanLoss::Refused, refused);
    }

    /// The collector does not want them at all.
    pub(super) fn refuse(self) {
        let count = self.spans.len();
        self.settle(count);
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.queue.lose(SpanLoss::Unanswered, self.spans.len());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{events::Via, otel::span::Kind};

    /// A span that is known by its number.
    pub(in crate::otel) fn span(id: u64) -> Span {
        let kind =
            Kind::Publish { via: Via::Bayeux, body_bytes: 1, sessions: 0, queued: 0, untraced: 0 };
        let channel = "/a".into();
        Span { trace_id: 1, id, parent: None, state: None, start: 1, end: 2, channel, kind }
    }

    fn ids(spans: &[Span]) -> Vec<u64> {
        spans.iter().map(|span| span.id).collect()
    }

    #[test]
    fn what_comes_above_the_bound_is_dropped_and_counted() {
        let queue = Queue::new(3);
        (1..=3).for_each(|id| queue.push(span(id)));
        assert_eq!((queue.len(), queue.lost().value()), (3, 0));
        queue.push(span(4));
        assert_eq!((queue.len(), queue.lost().of(SpanLoss::QueueFull)), (3, 1));
        assert_eq!(ids(&queue.take(2)), [1, 2]);
        queue.push(span(5));
        assert_eq!(ids(&queue.take(9)), [3, 5]);
        assert!(queue.take(9).is_empty());
    }

    #[test]
    fn of_every_batch_it_is_counted_what_became_of_it() {
        let queue = Queue::new(9);
        let lost = |why| queue.lost().of(why);
        (1..=6).for_each(|id| queue.push(span(id)));
        queue.batch(2).settle(1);
        assert_eq!((queue.exported(), lost(SpanLoss::Refused)), (1, 1));
        queue.batch(1).refuse();
        assert_eq!((queue.exported(), lost(SpanLoss::Refused)), (1, 2));
        queue.batch(1).put_back();
        assert_eq!((queue.len(), lost(SpanLoss::Unanswered)), (3, 0));
        drop(queue.batch(2));
        assert_eq!((queue.len(), lost(SpanLoss::Unanswered)), (1, 2));
    }

    #[test]
    fn what_comes_back_is_first_again_and_the_newest_make_room() {
        let queue = Queue::new(3);
        (1..=3).for_each(|id| queue.push(span(id)));
        let taken = queue.take(2);
        queue.push(span(4));
        queue.put_back(taken);
        assert_eq!(queue.lost().of(SpanLoss::QueueFull), 1);
        assert_eq!(ids(&queue.take(9)), [1, 2, 3]);
    }
}
