//! The messages whose deliveries are followed.
//!
//! A ring: the newest message takes the place of the oldest, so memory is bounded and nothing has to be
//! given back when the last copy of a message is gone. A message knows its place by a number in its mark;
//! since a number comes again, the time of the message has to fit too.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

use super::{
    queue::Queue,
    span::{Ids, Kind, Span},
};
use crate::{
    bayeux::Trail,
    broker::{Arrival, End, Follower},
    metrics::SpanLoss,
};

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Trails {
    ring: Box<[Mutex<Option<Live>>]>,
    next: AtomicU64,
    spans_max: u32,
    queue: Arc<Queue>,
}

/// A message that is followed.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) ids: Ids,
    pub(super) state: Option<Arc<str>>,
    /// Microseconds of the broker's time.
    pub(super) accepted: u64,
    /// The same moment in nanoseconds since 1970.
    pub(super) start: u64,
    pub(super) channel: Arc<str>,
    /// Deliveries that have a span.
    pub(super) delivered: u32,
}

impl Trails {
    /// A ring for `live_max` messages with up to `spans_max` spans each, which go to `queue`.
    pub(super) fn new(live_max: u16, spans_max: u32, queue: Arc<Queue>) -> Self {
        let places = usize::from(live_max.clamp(1, Trail::MAX));
        Self {
            ring: (0..places).map(|_| Mutex::default()).collect(),
            next: AtomicU64::new(0),
            spans_max,
            queue,
        }
    }

    /// Follows a message; `None` cannot happen, since every place has a number.
    pub(super) fn enter(&self, live: Live) -> Option<Trail> {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.ring.len() as u64;
        let trail = Trail::new(u16::try_from(place).ok()? + 1)?;
        *self.place(trail)?.lock() = Some(live);
        Some(trail)
    }

    fn place(&self, trail: Trail) -> Option<&Mutex<Option<Live>>> {
        self.ring.get(usize::from(trail.get()) - 1)
    }

    /// The span of a delivery. `Ok(None)`: the message has as many as it may have.
    ///
    /// # Errors
    /// The message is not known any more.
    fn span(&self, arrival: &Arrival) -> Result<Option<Span>, SpanLoss> {
        if self.spans_max == 0 {
            return Ok(None);
        }
        let mut place = self.place(arrival.trail).ok_or(SpanLoss::Forgotten)?.lock();
        let live = place.as_mut().filter(|live| arrival.mark.is_of(live.accepted));
        let live = live.ok_or(SpanLoss::Forgotten)?;
        if live.delivered >= self.spans_max {
            return Ok(None);
        }
        live.delivered += 1;
        let (acknowledged, waited) = match arrival.end {
            End::Written { waited } => (false, waited),
            End::Acknowledged => (true, false),
        };
        let Arrival { route, sid, .. } = *arrival;
        Ok(Some(Span {
            trace_id: live.ids.trace_id,
            id: live.ids.deliver(live.delivered),
            parent: Some(live.ids.span_id),
            state: live.state.clone(),
            start: live.start,
            end: live.start.saturating_add(arrival.age.saturating_mul(1_000)),
            channel: Arc::clone(&live.channel),
            kind: Kind::Deliver { route, sid, acknowledged, waited },
        }))
    }
}

impl Follower for Trails {
    fn delivered(&self, arrival: &Arrival) {
        match self.span(arrival) {
            Ok(Some(span)) => self.queue.push(span),
            Ok(None) => {}
            Err(loss) => self.queue.lose(loss, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bayeux::Mark;

    fn live(accepted: u64) -> Live {
        let ids = Ids::new(None, [1; 32]);
        Live { ids, state: None, accepted, start: 1_000_000, channel: "/a".into(), delivered: 0 }
    }

    fn arrival(trail: Trail, accepted: u64, age: u64) -> Arrival {
        let mark = Mark::new(accepted, false, Some(trail)).unwrap();
        Arrival { trail, mark, age, route: 0, sid: None, end: End::Written { waited: false } }
    }

    #[test]
    fn deliveries_become_spans_up_to_the_bound() {
        let queue = Arc::new(Queue::new(100));
        let trails = Trails::new(4, 2, Arc::clone(&queue));
        let trail = trails.enter(live(50)).unwrap();
        (1..=5).for_each(|age| trails.delivered(&arrival(trail, 50, age)));
        let spans = queue.take(9);
        assert_eq!((spans.len(), queue.lost().value()), (2, 0));
        let ids = Ids::new(None, [1; 32]);
        assert!(spans.iter().all(|span| span.trace_id == ids.trace_id && span.start == 1_000_000));
        assert_eq!(spans[0].parent, Some(ids.span_id));
        assert_ne!(spans[0].id, spans[1].id);
        assert_eq!((spans[0].end, spans[1].end), (1_001_000, 1_002_000));
    }

    #[test]
    fn a_message_whose_place_was_taken_is_counted_and_never_mistaken() {
        let queue = Arc::new(Queue::new(100));
        let trails = Trails::new(2, 9, Arc::clone(&queue));
        let first = trails.enter(live(50)).unwrap();
        trails.enter(live(51)).unwrap();
        trails.delivered(&arrival(first, 50, 1));
        assert_eq!((queue.len(), queue.lost().value()), (1, 0), "both have a place");
        let third = trails.enter(live(52)).unwrap();
        assert_eq!(third, first, "the number comes again");
        trails.delivered(&arrival(first, 50, 1));
        assert_eq!((queue.len(), queue.lost().of(SpanLoss::Forgotten)), (1, 1));
        trails.delivered(&arrival(third, 52, 1));
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn the_largest_ring_has_a_number_for_every_place() {
        let trails = Trails::new(Trail::MAX, 0, Arc::new(Queue::new(1)));
        let mut numbers: Vec<u16> =
            (0..u64::from(Trail::MAX)).map(|at| trails.enter(live(at)).unwrap().get()).collect();
        numbers.dedup();
        assert_eq!(numbers, (1..=Trail::MAX).collect::<Vec<_>>());
    }
}
