//! The page that a scrape reads: Prometheus text format 0.0.4.
//!
//! Families come in the order in which they are added. Names get the prefix `bayeuxd_`; those of the
//! process have the names that Prometheus' own libraries give them.

use prometheus::{
    Encoder as _, TextEncoder,
    core::Collector as _,
    process_collector::ProcessCollector,
    proto::{Bucket, Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

use super::{
    cells::{Counts, Histogram},
    label::Labels,
    panics::panics,
};

/// What a histogram in seconds is recorded in: microseconds.
pub const UNITS_PER_SECOND: f64 = 1e6;

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Page(Vec<MetricFamily>);

impl Page {
    /// The type of the text.
    pub const CONTENT_TYPE: &'static str = prometheus::TEXT_FORMAT;

    /// Adds a number that only grows, for every value of `labels`.
    pub fn counter<L: Labels>(&mut self, name: &str, help: &str, labels: &[&str], of: &Counts<L>) {
        self.counter_values::<L>(name, help, labels, of.values());
    }

    /// Adds a number that only grows, read elsewhere; `values` by the index of their label.
    pub fn counter_values<L: Labels>(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
        values: impl IntoIterator<Item = u64>,
    ) {
        let metrics = values.into_iter().enumerate().map(|(index, value)| {
            let mut counter = Counter::default();
            counter.set_value(value as f64);
            let mut metric = labelled::<L>(labels, index);
            metric.set_counter(counter);
            metric
        });
        self.add(name, help, MetricType::COUNTER, metrics.collect());
    }

    /// Adds a number that goes up and down; `values` by the index of their label.
    pub fn gauge<L: Labels>(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
        values: impl IntoIterator<Item = u64>,
    ) {
        let metrics = values.into_iter().enumerate().map(|(index, value)| {
            let mut metric = labelled::<L>(labels, index);
            metric.set_gauge(gauge(value as f64));
            metric
        });
        self.add(name, help, MetricType::GAUGE, metrics.collect());
    }

    /// Adds a fact that is told by labels only.
    pub fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) {
        let mut metric =
            Metric::from_label(labels.iter().map(|(name, word)| pair(name, word)).collect());
        metric.set_gauge(gauge(1.0));
        self.add(name, help, MetricType::GAUGE, vec![metric]);
    }

    /// Adds a histogram whose values are told divided by `unit`.
    pub fn histogram(&mut self, name: &str, help: &str, unit: f64, of: &Histogram) {
        let metric = measured(labelled::<()>(&[], 0), unit, of);
        self.add(name, help, MetricType::HISTOGRAM, vec![metric]);
    }

    /// Adds histograms whose values are told divided by `unit`, for every value of `labels`.
    pub fn histograms<'a, L: Labels>(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
        unit: f64,
        of: impl IntoIterator<Item = &'a Histogram>,
    ) {
        let metrics = of.into_iter().enumerate();
        let metrics = metrics
            .map(|(index, histogram)| measured(labelled::<L>(labels, index), unit, histogram));
        self.add(name, help, MetricType::HISTOGRAM, metrics.collect());
    }

    /// Adds what the system says of the process: memory, processor time, descriptors, age; on Linux.
    pub fn process(&mut self) {
        self.counter_values::<()>(
            "panics_total",
            "Panics, each a bug that ended one connection.",
            &[],
            [panics()],
        );
        #[cfg(target_os = "linux")]
        self.0.extend(ProcessCollector::for_self().collect());
    }

    /// The text.
    #[must_use]
    pub fn into_text(self) -> Vec<u8> {
        let mut text = Vec::with_capacity(TEXT_BYTES);
        // Fails on a family without metrics or a name that is none, which tests exclude.
        let _ = TextEncoder::new().encode(&self.0, &mut text);
        text
    }

    fn add(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        let mut family = MetricFamily::default();
        family.set_name(format!("bayeuxd_{name}"));
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }
}

fn labelled<L: Labels>(names: &[&str], index: usize) -> Metric {
    let words = L::words(index);
    debug_assert_eq!(words.len(), names.len(), "a word for each label");
    Metric::from_label(names.iter().zip(words).map(|(name, word)| pair(name, word)).collect())
}

fn pair(name: &str, word: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(word.to_owned());
    pair
}

fn gauge(value: f64) -> Gauge {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    gauge
}

fn measured(mut metric: Metric, unit: f64, of: &Histogram) -> Metric {
    let mut histogram = prometheus::proto::Histogram::default();
    let buckets = of.cumulative().map(|(bound, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound as f64 / unit);
        bucket.set_cumulative_count(count);
        bucket
    });
    histogram.set_bucket(buckets.collect());
    // Counted last: a value that comes meanwhile must not be in a bucket and not in the count.
    histogram.set_sample_count(of.count());
    histogram.set_sample_sum(of.sum() as f64 / unit);
    metric.set_histogram(histogram);
    metric
}

/// About the size of the page.
const TEXT_BYTES: usize = 64 << 10;
