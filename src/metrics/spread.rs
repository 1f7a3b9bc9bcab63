//! Quantiles out of histograms, for those who look without Prometheus.

use super::Histogram;

/// What histograms of the same bounds held together at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    /// Bounds, ascending, each with the number of values between the bound before and itself; the last
    /// bound is [`u64::MAX`].
    buckets: Vec<(u64, u64)>,
}

impl Spread {
    /// Reads histograms, which have the same bounds.
    #[must_use]
    pub fn of<'a>(histograms: impl Iterator<Item = &'a Histogram>) -> Self {
        let mut buckets: Vec<(u64, u64)> = Vec::new();
        for histogram in histograms {
            if buckets.is_empty() {
                buckets = histogram.buckets().map(|(bound, _)| (bound, 0)).collect();
            }
            for ((_, sum), (_, count)) in buckets.iter_mut().zip(histogram.buckets()) {
                *sum += count;
            }
        }
        Self { buckets }
    }

    /// What has come since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let pairs = self.buckets.iter().zip(&before.buckets);
        let grown = pairs.map(|((bound, now), (_, then))| (*bound, now.saturating_sub(*then)));
        Self { buckets: grown.collect() }
    }

    /// The value that `part` (0 to 1) of all values do not exceed; `None` if there are none.
    ///
    /// Within a bucket values count as spread evenly, and above the last bound as if they were there, both
    /// as Prometheus does it.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let total: u64 = self.buckets.iter().map(|(_, count)| count).sum();
        let rank = total as f64 * part;
        let (mut low, mut below) = (0.0, 0.0);
        for &(bound, count) in self.buckets.iter().filter(|_| total > 0) {
            let up_to = below + count as f64;
            if bound == u64::MAX {
                return Some(low);
            }
            if up_to >= rank && count > 0 {
                return Some(low + (bound as f64 - low) * (rank - below) / count as f64);
            }
            (low, below) = (bound as f64, up_to);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: &[u64]) -> Histogram {
        let histogram = Histogram::new(&[10, 100, 1_000]);
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    #[test]
    fn a_quantile_lies_within_its_bucket() {
        let spread = |values: &[u64]| Spread::of([histogram(values)].iter());
        assert_eq!(spread(&[]).quantile(0.5), None);
        assert_eq!(Spread::default().quantile(0.5), None);
        assert_eq!(spread(&[7]).quantile(0.5), Some(5.0));
        assert_eq!(spread(&[7, 7, 50, 50]).quantile(0.5), Some(10.0));
        assert_eq!(spread(&[7, 7, 50, 50]).quantile(0.75), Some(55.0));
        assert_eq!(spread(&[500, 500]).quantile(0.0), Some(100.0));
        assert_eq!(spread(&[7, 5_000]).quantile(0.99), Some(1_000.0), "above the last bound");
    }

    #[test]
    fn histograms_count_together_and_what_was_before_does_not() {
        let (one, other) = (histogram(&[7]), histogram(&[500]));
        let before = Spread::of([&one, &other].into_iter());
        one.record(50);
        other.record(50);
        let now = Spread::of([&one, &other].into_iter());
        assert_eq!(now.since(&before), Spread::of([histogram(&[50, 50])].iter()));
        assert_eq!(now.since(&now).quantile(0.5), None);
    }
}
