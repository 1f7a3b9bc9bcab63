//! Several servers measured in turn, and the ratios of neighbouring runs.
//!
//! On a machine that others use too, absolute figures swing by a factor of three within minutes.
//! Two runs one after the other meet much the same conditions, so their ratio is worth more, and
//! the median of several such ratios more still.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    error::BenchError,
    floor::Child,
    options::Common,
    progress::Progress,
    report::{Report, number},
    target::Target,
    workload::Workload,
};

/// A server to measure.
#[derive(Debug)]
pub(super) struct Contestant {
    /// Where it is.
    pub(super) target: Target,
    /// Its processes; may be unknown.
    pub(super) pids: Vec<u32>,
    /// Whether a session monitors everything meanwhile.
    pub(super) monitored: bool,
}

impl Contestant {
    /// Parses `NAME=URL` or `NAME=URL@PID,PID`.
    fn parse(text: &str) -> Result<Self, BenchError> {
        let usage = || BenchError::Usage(format!("--against {text}: expected NAME=URL[@PID,PID]"));
        let (name, rest) = text.split_once('=').ok_or_else(usage)?;
        let (url, pids) = rest.rsplit_once('@').unwrap_or((rest, ""));
        let pids = pids.split(',').filter(|pid| !pid.is_empty());
        let pids = pids.map(str::parse).collect::<Result<_, _>>().map_err(|_| usage())?;
        Ok(Self { target: Target::parse(name, url)?, pids, monitored: false })
    }
}

/// Measures every server once a round; the results are by server, then by round. The first server
/// is the one that the options name.
///
/// # Errors
///
/// Any run without figures ends the contest.
pub(super) fn run(
    common: &Common,
    workload: &Workload<'_>,
) -> Result<Vec<Vec<Report>>, BenchError> {
    check_descriptors(workload.sockets(common))?;
    let url = common.target_url();
    let alone =
        common.against.is_empty() && common.with_floor.is_empty() && !workload.with_monitor();
    let own = |name, monitored| {
        let (target, pids) = (Target::parse(name, &url)?, common.pid.clone());
        Ok::<_, BenchError>(Contestant { target, pids, monitored })
    };
    let mut contestants = vec![own(if alone { &url } else { "this" }, false)?];
    if workload.with_monitor() {
        contestants.push(own("monitored", true)?);
    }
    for text in &common.against {
        contestants.push(Contestant::parse(text)?);
    }
    // They run until the contest is over; an idle floor takes no CPU.
    let mut floors = Vec::new();
    for mode in &common.with_floor {
        let child = Child::start(*mode)?;
        contestants.push(Contestant {
            target: Target::parse(&format!("floor-{}", mode.name()), child.url())?,
            pids: vec![child.pid()],
            monitored: false,
        });
        floors.push(child);
    }

    let mut progress = Progress::new();
    let mut results: Vec<Vec<Report>> = contestants.iter().map(|_| Vec::new()).collect();
    for round in 0..common.rounds {
        for turn in 0..contestants.len() {
            // Every round begins with another server, so that none is always the first.
            let number = (turn + round) % contestants.len();
            let Some(contestant) = contestants.get(number) else { continue };
            let report = workload.run(common, contestant, &mut progress);
            progress.clear();
            if let Some(reports) = results.get_mut(number) {
                reports.push(report?);
            }
        }
    }
    Ok(results)
}

/// Writes the results for people: one run as it is, several as a table of ratios.
pub(super) fn text(results: &[Vec<Report>]) -> String {
    match results {
        [runs] if runs.len() == 1 => runs.iter().map(Report::text).collect(),
        _ => table(results),
    }
}

/// Writes the results for programs: one run as it is, several as an array with all of them.
pub(super) fn json(results: &[Vec<Report>]) -> Value {
    let runs: Vec<Value> = results.iter().flatten().map(Report::json).collect();
    match <[Value; 1]>::try_from(runs) {
        Ok([run]) => run,
        Err(runs) => {
            let ratios: Vec<Value> = ratios(results)
                .into_iter()
                .map(|row| {
                    json!({"server": row.name, "figure": row.key, "median": row.median,
                           "unit": row.unit, "ratio": row.ratio, "low": row.low, "high": row.high})
                })
                .collect();
            json!({"runs": runs, "ratios": ratios})
        }
    }
}

/// One figure of one server.
#[derive(Debug)]
struct Row {
    name: String,
    key: &'static str,
    unit: &'static str,
    median: f64,
    /// The first server's figure divided by this one's, paired by round: median, least, most.
    ratio: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

fn ratios(results: &[Vec<Report>]) -> Vec<Row> {
    let Some(first) = results.first() else { return Vec::new() };
    let Some(keys) = first.first().map(|report| &report.figures) else { return Vec::new() };
    let mut rows = Vec::new();
    for figure in keys.iter().filter(|figure| figure.compared) {
        let value = |report: &Report| report.figure(figure.key).map(|figure| figure.value);
        for (number, runs) in results.iter().enumerate() {
            let values: Vec<f64> = runs.iter().filter_map(value).collect();
            let Some(middle) = median(values) else { continue };
            let mut paired: Vec<f64> = first
                .iter()
                .zip(runs)
                .filter_map(|(ours, other)| Some(value(ours)? / value(other)?))
                .filter(|ratio| number > 0 && ratio.is_finite())
                .collect();
            paired.sort_by(f64::total_cmp);
            rows.push(Row {
                name: runs.first().map(|run| run.name.clone()).unwrap_or_default(),
                key: figure.key,
                unit: figure.unit,
                median: middle,
                low: paired.first().copied(),
                high: paired.last().copied(),
                ratio: median(paired),
            });
        }
    }
    rows
}

fn table(results: &[Vec<Report>]) -> String {
    let rounds = results.first().map_or(0, Vec::len);
    let mut out =
        format!("medians of {rounds} rounds; ratio = this / that, median of pairs [least-most]\n");
    let mut last = "";
    for row in ratios(results) {
        if row.key != last {
            last = row.key;
            let _ = writeln!(out, "{} ({})", row.key, row.unit);
        }
        let _ = write!(out, "  {:<20} {:>12}", row.name, number(row.median));
        if let (Some(ratio), Some(low), Some(high)) = (row.ratio, row.low, row.high) {
            let _ = write!(out, "   {ratio:>7.2}x [{low:.2}-{high:.2}]");
        }
        out.push('\n');
    }
    for report in results.iter().flatten() {
        if !report.complete {
            let lines = report.text();
            let _ = write!(out, "incomplete run of {lines}");
        } else if !report.notes.is_empty() {
            let _ = writeln!(out, "note: {}: {}", report.name, report.notes.join("; "));
        }
    }
    out
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*values.get(middle - 1)?, upper))
}

/// Checks that the process may have so many sockets.
///
/// # Errors
///
/// It may not.
pub(super) fn check_descriptors(sockets: usize) -> Result<(), BenchError> {
    let needed = sockets + DESCRIPTORS_BESIDE;
    let limit = bayeuxd::config::Machine::read().descriptors;
    if needed > limit { Err(BenchError::Descriptors { needed, limit }) } else { Ok(()) }
}

/// Descriptors beside the sessions' sockets: standard streams, event queues, files of /proc.
const DESCRIPTORS_BESIDE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(name: &str, rates: &[f64]) -> Vec<Report> {
        let report = |rate: &f64| {
            let mut report = Report::new(name, Vec::new());
            report.add("uncompared", 1.0, "");
            report.add_compared("rate", *rate, "1/s");
            report
        };
        rates.iter().map(report).collect()
    }

    #[test]
    fn ratios_pair_runs_of_the_same_round() {
        let rows = ratios(&[runs("this", &[10.0, 40.0, 20.0]), runs("that", &[10.0, 10.0, 10.0])]);
        let found: Vec<_> =
            rows.iter().map(|row| (&*row.name, row.median, row.ratio, row.high)).collect();
        assert_eq!(found, [("this", 20.0, None, None), ("that", 10.0, Some(2.0), Some(4.0))]);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn another_server_is_named_with_its_processes() {
        let faye = Contestant::parse("faye=http://127.0.0.1:9001/bayeux@12,13").unwrap();
        assert_eq!((&*faye.target.name, faye.pids), ("faye", vec![12, 13]));
        assert_eq!(Contestant::parse("x=http://127.0.0.1:1/").unwrap().pids, [0; 0]);
        for text in ["http://127.0.0.1:1/", "x=http://127.0.0.1:1/@a"] {
            assert!(Contestant::parse(text).is_err(), "{text}");
        }
    }
}
