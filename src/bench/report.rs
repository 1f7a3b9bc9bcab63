//! The result of one run: figures with units, printed for people or as JSON.
//!
//! The JSON has the form of CometD's load client, `{"config":{…},"results":{…}}` with measures as
//! `{"value":…,"unit":…}`, so that its evaluations work on ours.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    /// Its name; a dot makes a nested object.
    pub(super) key: &'static str,
    /// The number.
    pub(super) value: f64,
    /// What it counts; empty for plain numbers.
    pub(super) unit: &'static str,
    /// Whether comparisons show it as a ratio.
    pub(super) compared: bool,
}

/// What a run was, what it found.
#[derive(Debug, Clone)]
pub(super) struct Report {
    /// The server's name.
    pub(super) name: String,
    /// Options that shape the figures, in their order.
    pub(super) config: Vec<(&'static str, Value)>,
    /// The figures, in their order.
    pub(super) figures: Vec<Figure>,
    /// What limits the meaning of the figures.
    pub(super) notes: Vec<String>,
    /// Whether everything came that should come.
    pub(super) complete: bool,
}

impl Report {
    /// Begins a report.
    pub(super) fn new(name: &str, config: Vec<(&'static str, Value)>) -> Self {
        Self {
            name: name.to_owned(),
            config,
            figures: Vec::new(),
            notes: Vec::new(),
            complete: true,
        }
    }

    /// Adds a figure.
    pub(super) fn add(&mut self, key: &'static str, value: f64, unit: &'static str) {
        self.figures.push(Figure { key, value, unit, compared: false });
    }

    /// Adds a figure that comparisons are about.
    pub(super) fn add_compared(&mut self, key: &'static str, value: f64, unit: &'static str) {
        self.figures.push(Figure { key, value, unit, compared: true });
    }

    /// Adds the percentiles of a histogram of nanoseconds; `keys` are min, p50, p90, p99, p99.9 and
    /// max. An empty one adds nothing.
    pub(super) fn add_latency(&mut self, keys: [&'static str; 6], histogram: &Histogram<u64>) {
        if histogram.is_empty() {
            return;
        }
        let [min, p50, p90, p99, p999, max] = keys;
        self.add(min, micros(histogram.min()), "µs");
        self.add_compared(p50, micros(histogram.value_at_quantile(0.5)), "µs");
        self.add(p90, micros(histogram.value_at_quantile(0.9)), "µs");
        self.add_compared(p99, micros(histogram.value_at_quantile(0.99)), "µs");
        self.add(p999, micros(histogram.value_at_quantile(0.999)), "µs");
        self.add(max, micros(histogram.max()), "µs");
    }

    /// Finds a figure.
    pub(super) fn figure(&self, key: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.key == key)
    }

    /// Writes the result for people.
    pub(super) fn text(&self) -> String {
        let mut out = format!("{}\n", self.name);
        for figure in &self.figures {
            let Figure { key, value, unit, .. } = figure;
            let _ = writeln!(out, "  {key:<28} {:>14} {unit}", number(*value));
        }
        for note in &self.notes {
            let _ = writeln!(out, "  note: {note}");
        }
        out
    }

    /// Writes the result for programs.
    pub(super) fn json(&self) -> Value {
        let mut results = Map::new();
        for Figure { key, value, unit, .. } in &self.figures {
            let measure = if unit.is_empty() {
                whole(*value)
            } else {
                json!({"value": whole(*value), "unit": unit})
            };
            match key.split_once('.') {
                None => {
                    results.insert((*key).to_owned(), measure);
                }
                Some((outer, inner)) => {
                    let entry = results.entry(outer).or_insert_with(|| Value::Object(Map::new()));
                    if let Value::Object(entry) = entry {
                        entry.insert(inner.to_owned(), measure);
                    }
                }
            }
        }
        let config: Map<String, Value> =
            self.config.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        json!({
            "server": self.name, "complete": self.complete, "notes": self.notes,
            "config": config, "results": results,
        })
    }
}

/// Writes a number with as many digits as mean something.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size.fract() == 0.0 && size < 1e15 => 0,
        size if size >= 1000.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

/// Converts nanoseconds.
#[expect(clippy::cast_precision_loss, reason = "a time of more than 104 days needs no nanosecond")]
pub(super) fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}

/// Divides two counts; 0 if there is nothing to divide by.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(super) fn per(count: u64, by: u64) -> f64 {
    if by == 0 { 0.0 } else { count as f64 / by as f64 }
}

/// Counts per second.
pub(super) fn rate(count: u64, nanoseconds: u64) -> f64 {
    per(count, nanoseconds) * 1e9
}

/// JSON without a needless `.0`.
#[expect(clippy::cast_possible_truncation, reason = "whole and below 1e15")]
fn whole(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        json!(value as i64)
    } else {
        json!((value * 1000.0).round() / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_the_shape_of_cometds_results() {
        let mut report = Report::new("x", vec![("clients", json!(3))]);
        report.add("messages", 12.0, "");
        report.add("latency.p50", 1.5, "µs");
        report.add("latency.max", 7.0, "µs");
        let json = report.json();
        assert_eq!(json["config"], json!({"clients": 3}));
        let latency =
            json!({"p50": {"value": 1.5, "unit": "µs"}, "max": {"value": 7, "unit": "µs"}});
        assert_eq!(json["results"], json!({"messages": 12, "latency": latency}));
    }

    #[test]
    fn percentiles_come_from_the_histogram() {
        let mut histogram = super::super::ledger::histogram();
        (1..=1000).for_each(|ms| histogram.saturating_record(ms * 1_000_000));
        let mut report = Report::new("x", Vec::new());
        report.add_latency(["min", "p50", "p90", "p99", "p999", "max"], &histogram);
        for (key, ms) in [
            ("min", 1.0),
            ("p50", 500.0),
            ("p90", 900.0),
            ("p99", 990.0),
            ("p999", 999.0),
            ("max", 1000.0),
        ] {
            let value = report.figure(key).unwrap().value / 1000.0;
            assert!((value - ms).abs() <= ms / 500.0, "{key} {value} {ms}");
        }
    }

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        let texts = [0.0, 0.314, 12.345, 1234.5, 7.0].map(number);
        assert_eq!(texts, ["0", "0.31", "12.3", "1234", "7"]);
        assert_eq!((per(1, 0), rate(5, 500_000_000)), (0.0, 10.0));
    }
}
