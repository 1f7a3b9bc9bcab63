//! The cells that are counted in.
//!
//! All updates are relaxed: the numbers order nothing, and a scrape may see one a moment before another.

use std::{
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering},
};

use super::label::Labels;

/// One number for every value of a label, or a single one for `()`. It wraps, so what is added and
/// taken back again makes a gauge.
#[derive(Debug)]
pub struct Counts<L> {
    cells: Box<[AtomicU64]>,
    labels: PhantomData<fn(L)>,
}

/// How often a value lay within which bounds. A value counts at the first bound that is not below it.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One more than bounds: for what is above them all.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// One histogram for every value of a label.
#[derive(Debug)]
pub struct Histograms<L> {
    cells: Box<[Histogram]>,
    labels: PhantomData<fn(L)>,
}

// === impl Counts ===

impl<L: Labels> Counts<L> {
    /// Adds to the number of `label`, and returns what it was.
    pub fn add(&self, label: L, count: usize) -> u64 {
        let cell = self.cells.get(label.index());
        cell.map_or(0, |cell| cell.fetch_add(count as u64, Ordering::Relaxed))
    }

    /// Takes away from the number of `label`.
    pub fn sub(&self, label: L, count: usize) {
        if let Some(cell) = self.cells.get(label.index()) {
            cell.fetch_sub(count as u64, Ordering::Relaxed);
        }
    }

    /// The number of `label` now.
    #[must_use]
    pub fn of(&self, label: L) -> u64 {
        self.cells.get(label.index()).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// All numbers together.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.values().fold(0, u64::wrapping_add)
    }

    /// All numbers, by the index of their label.
    pub fn values(&self) -> impl Iterator<Item = u64> {
        self.cells.iter().map(|cell| cell.load(Ordering::Relaxed))
    }
}

impl<L: Labels> Default for Counts<L> {
    fn default() -> Self {
        Self { cells: (0..L::COUNT).map(|_| AtomicU64::new(0)).collect(), labels: PhantomData }
    }
}

// === impl Histogram ===

impl Histogram {
    /// An empty one; `bounds` rise.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0) }
    }

    /// Notes a value.
    pub fn record(&self, value: u64) {
        self.record_many(value, 1);
    }

    /// Notes a value that occurred `count` times.
    pub fn record_many(&self, value: u64, count: u64) {
        // From the first: most values are small, and a search by halves would not be faster.
        let bucket = self.bounds.iter().position(|bound| value <= *bound);
        if let Some(bucket) = self.buckets.get(bucket.unwrap_or(self.bounds.len())) {
            bucket.fetch_add(count, Ordering::Relaxed);
        }
        if value > 0 {
            self.sum.fetch_add(value.saturating_mul(count), Ordering::Relaxed);
        }
    }

    /// Each bound with the number of values up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let sums = counts.scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        self.bounds.iter().copied().zip(sums)
    }

    /// Each bound with the number of values between it and the one before; the last is [`u64::MAX`].
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let bounds = self.bounds.iter().copied().chain([u64::MAX]);
        bounds.zip(self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)))
    }

    /// The number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// All values together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }
}

// === impl Histograms ===

impl<L: Labels> Histograms<L> {
    /// Empty ones; `bounds` rise.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        let cells = (0..L::COUNT).map(|_| Histogram::new(bounds)).collect();
        Self { cells, labels: PhantomData }
    }

    /// Notes a value of `label`.
    pub fn record(&self, label: L, value: u64) {
        if let Some(cell) = self.cells.get(label.index()) {
            cell.record(value);
        }
    }

    /// All histograms, by the index of their label.
    pub fn iter(&self) -> impl Iterator<Item = &Histogram> {
        self.cells.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Via;

    #[test]
    fn each_label_has_a_number_of_its_own() {
        let counts = Counts::<Via>::default();
        counts.add(Via::Http, 3);
        counts.add(Via::Bayeux, 1);
        counts.sub(Via::Http, 1);
        assert_eq!((counts.of(Via::Http), counts.of(Via::Bayeux)), (2, 1));
        assert_eq!(counts.value(), 3);
    }

    #[test]
    fn a_value_counts_at_the_first_bound_that_it_does_not_exceed() {
        let histogram = Histogram::new(&[0, 10, 100]);
        for value in [0, 1, 10, 11, 100, 101] {
            histogram.record(value);
        }
        histogram.record_many(5, 4);
        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(0, 1), (10, 7), (100, 9)]);
        assert_eq!((histogram.count(), histogram.sum()), (10, 243));
    }
}
