//! The cap on open connections, shared by all listeners.
//!
//! Counts sockets and nothing else.
//! Source: architecture.md 12; operations.md, `limits.connections`; reliability.md T17, F13.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use crate::config::Dial;

/// The cap; clones count together.
#[derive(Debug, Clone)]
pub struct Connections(Arc<Count>);

#[derive(Debug)]
struct Count {
    max: Dial<usize>,
    open: AtomicUsize,
    refused: AtomicU64,
}

impl Connections {
    /// Allows `max` connections at a time.
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Count {
            max: Dial::new(max),
            open: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// Takes a place, or counts a refusal.
    pub fn admit(&self) -> Option<Permit> {
        // Relaxed: the number guards no other memory.
        let Count { max, open, refused } = &*self.0;
        let max = max.now();
        let next = |count: usize| count.checked_add(1).filter(|count| *count <= max);
        match open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(_) => Some(Permit(self.clone())),
            Err(_) => {
                refused.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// The cap.
    pub fn max(&self) -> usize {
        self.0.max.now()
    }

    /// Allows so many from now on; those above stay open.
    pub fn allow(&self, max: usize) {
        self.0.max.turn(max);
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// How many were refused since the start.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }
}

/// The place of one connection, given back on drop.
#[derive(Debug)]
pub struct Permit(Connections);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_up_to_the_cap_and_again_after_a_close() {
        let connections = Connections::new(2);
        let first = connections.admit().unwrap();
        let listeners = connections.clone();
        let second = listeners.admit().unwrap();
        assert!(connections.admit().is_none() && listeners.admit().is_none());
        assert_eq!((connections.open(), connections.refused()), (2, 2));
        drop(first);
        let third = connections.admit();
        assert!(third.is_some());
        drop((second, third));
        assert_eq!((connections.open(), connections.refused()), (0, 2));
    }
}
