//! The cap on open connections, shared by all listeners.
//!
//! Counts sockets and nothing else. The default leaves descriptors in reserve, for files, for the
//! admin listener, and for connections that are told why they are refused.
//! Source: architecture.md 12; operations.md, `limits.connections`; reliability.md T17, F13.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

/// The cap; clones count together.
#[derive(Debug, Clone)]
pub struct Connections(Arc<Count>);

#[derive(Debug)]
struct Count {
    max: usize,
    open: AtomicUsize,
    refused: AtomicU64,
}

impl Connections {
    /// Allows `max` connections at a time. `None`: the descriptor limit of the process minus 256, but
    /// at least half of that limit.
    pub fn new(max: Option<usize>) -> Self {
        let max = max.unwrap_or_else(|| {
            let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
            let limit = descriptor_limit(&limits).unwrap_or(DESCRIPTORS_ASSUMED);
            limit.saturating_sub(DESCRIPTORS_RESERVED).max(limit / 2)
        });
        Self(Arc::new(Count { max, open: AtomicUsize::new(0), refused: AtomicU64::new(0) }))
    }

    /// Takes a place, or counts a refusal.
    pub fn admit(&self) -> Option<Permit> {
        // Relaxed: the number guards no other memory.
        let Count { max, open, refused } = &*self.0;
        let next = |count: usize| count.checked_add(1).filter(|count| count <= max);
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
        self.0.max
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

/// The soft limit in the text of `/proc/self/limits`; `None` if there is none to be read.
fn descriptor_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

const DESCRIPTORS_RESERVED: usize = 256;
/// The usual soft limit, where the system does not tell.
const DESCRIPTORS_ASSUMED: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_up_to_the_cap_and_again_after_a_close() {
        let connections = Connections::new(Some(2));
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

    #[test]
    fn reads_the_soft_descriptor_limit() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max processes             unlimited            unlimited            processes \n\
                    Max open files            1024                 524288               files     \n";
        assert_eq!(descriptor_limit(text), Some(1024));
        assert_eq!(descriptor_limit("Max open files  unlimited  unlimited  files"), None);
        assert_eq!(descriptor_limit(""), None);
    }

    #[test]
    fn the_default_leaves_some_descriptors_in_reserve() {
        let max = Connections::new(None).max();
        assert!(max > 0, "{max}");
    }
}
