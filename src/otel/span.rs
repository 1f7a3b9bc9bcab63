//! A finished span, as it waits for the collector.
//!
//! It can say nothing of what is secret: there is no field for payloads, clientIds, keys or addresses.

use std::sync::Arc;

use super::Parent;
use crate::events::{Sid, Via};

/// See the module documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) trace_id: u128,
    pub(super) id: u64,
    /// The span that it is part of.
    pub(super) parent: Option<u64>,
    /// What the caller's `tracestate` said.
    pub(super) state: Option<Arc<str>>,
    /// Nanoseconds since 1970.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) channel: Arc<str>,
    pub(super) kind: Kind,
}

/// What was done, with attributes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message went into the queues; its parent is the span of a caller.
    Publish {
        via: Via,
        body_bytes: usize,
        /// Sessions in whose queue it is.
        sessions: usize,
        /// Those of them without a connection at that moment.
        queued: usize,
        /// Those of them that get no span.
        untraced: usize,
    },
    /// A message came to a client; its parent is the span of the publish.
    Deliver {
        /// Index of a [`Route`](crate::metrics::Route).
        route: usize,
        sid: Option<Sid>,
        acknowledged: bool,
        waited: bool,
    },
}

/// The names of one trace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids {
    pub(super) trace_id: u128,
    /// Of the publish span.
    pub(super) span_id: u64,
    pub(super) parent: Option<u64>,
    /// Where the ids of deliver spans come from.
    seed: u64,
}

impl Ids {
    /// Names a trace, that of `parent` if there is one, by 32 random bytes.
    pub(super) fn new(parent: Option<&Parent>, random: [u8; 32]) -> Self {
        let part = |at: usize| {
            let bytes = random.iter().skip(at).take(8);
            bytes.fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
        };
        let own = u128::from(part(0)) << 64 | u128::from(part(8));
        Self {
            trace_id: parent.map_or(own, |parent| parent.trace_id).max(1),
            span_id: part(16).max(1),
            parent: parent.map(|parent| parent.span_id),
            seed: part(24),
        }
    }

    /// The id of the deliver span with this number; another one for each.
    pub(super) const fn deliver(&self, number: u32) -> u64 {
        let id = mix(self.seed.wrapping_add(number as u64));
        if id == 0 { 1 } else { id }
    }
}

/// Spreads a number over all 64 bits, each number to another one (SplitMix64, Steele et al. 2014).
pub(super) const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_root_has_an_id_of_its_own_and_a_child_that_of_its_trace() {
        let mut random = [0; 32];
        random[15] = 7;
        random[23] = 9;
        let root = Ids::new(None, random);
        assert_eq!((root.trace_id, root.span_id, root.parent), (7, 9, None));
        let parent = Parent { trace_id: 5, span_id: 6, sampled: true, state: None };
        let child = Ids::new(Some(&parent), random);
        assert_eq!((child.trace_id, child.span_id, child.parent), (5, 9, Some(6)));
    }

    #[test]
    fn no_id_is_zero_and_no_two_are_the_same() {
        let ids = Ids::new(None, [0; 32]);
        assert!(ids.trace_id != 0 && ids.span_id != 0);
        let all: HashSet<u64> = (0..10_000).map(|number| ids.deliver(number)).collect();
        assert!(all.len() == 10_000 && !all.contains(&0), "{}", all.len());
    }
}
