//! The instruction counts that were agreed on, and what a new measurement says about them.
//!
//! Knows no tool and no file: text in, verdicts out, so that `tests/guards.rs` can show that a slower
//! scene fails.

use std::{collections::BTreeMap, fmt};

/// A count may grow by this much before it fails. Above the noise, which is what hash seeds and
/// addresses do to a count (below 1 %), and what another libc's `memcpy` does (up to 3 %).
pub(crate) const TOLERANCE_PERCENT: f64 = 5.0;

/// Instructions of one run, by scene.
pub(crate) type Counts = BTreeMap<String, u64>;

/// A scene's count beside the agreed one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) scene: String,
    /// `None`: the scene is not in the baseline.
    pub(crate) agreed: Option<u64>,
    /// `None`: the baseline has a scene that is no more.
    pub(crate) measured: Option<u64>,
}

/// Reads a baseline: lines of a name and a count; `#` begins a comment. The line that is neither is
/// the error.
pub(crate) fn parse(text: &str) -> Result<Counts, String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let entry = |line: &str| {
        let (name, count) = line.split_once(char::is_whitespace)?;
        Some((name.to_owned(), count.trim().parse().ok()?))
    };
    lines
        .filter(|line| !line.is_empty())
        .map(|line| entry(line).ok_or_else(|| line.to_owned()))
        .collect()
}

/// Writes what [`parse`] reads, under comments that say where it comes from.
pub(crate) fn write(counts: &Counts, comments: &[String]) -> String {
    let comments = comments.iter().map(|line| format!("# {line}\n"));
    let counts = counts.iter().map(|(name, count)| format!("{name:<16} {count:>10}\n"));
    comments.chain(counts).collect()
}

/// Compares two measurements, scene by scene.
pub(crate) fn compare(agreed: &Counts, measured: &Counts) -> Vec<Verdict> {
    let mut names: Vec<&String> = agreed.keys().chain(measured.keys()).collect();
    names.sort();
    names.dedup();
    let verdict = |name: &String| Verdict {
        scene: name.clone(),
        agreed: agreed.get(name).copied(),
        measured: measured.get(name).copied(),
    };
    names.into_iter().map(verdict).collect()
}

impl Verdict {
    /// Whether the guard lets it pass: only a scene that is known and did not get slower.
    pub(crate) fn passes(&self) -> bool {
        self.change_percent().is_some_and(|change| change <= TOLERANCE_PERCENT)
    }

    /// By how much the count has grown.
    fn change_percent(&self) -> Option<f64> {
        let (agreed, measured) = (self.agreed? as f64, self.measured? as f64);
        Some((measured - agreed) * 100.0 / agreed.max(1.0))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<16}", self.scene)?;
        match (self.measured, self.change_percent()) {
            (Some(measured), Some(change)) => {
                write!(f, " {measured:>10} {change:>+7.1} %")?;
                if change > TOLERANCE_PERCENT {
                    f.write_str("  SLOWER")?;
                } else if change < -TOLERANCE_PERCENT {
                    f.write_str("  faster: bless it, or a later loss hides behind it")?;
                }
                Ok(())
            }
            (Some(measured), None) => write!(f, " {measured:>10}  NOT IN THE BASELINE"),
            (None, _) => f.write_str("  IN THE BASELINE ONLY"),
        }
    }
}
