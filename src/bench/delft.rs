//! The experiment of Delft: push against pull.
//!
//! Bozdag, Mesbah and van Deursen asked in 2007 and 2008 what a server costs that pushes, compared with
//! users who pull, and how much arrives how late. A cell is one combination of users, variant and
//! intervals; the cells run one after the other. What a server's queue keeps is late here, where it was
//! lost there, so beside what was received stands what came on time: before the next message was due.
//! Source: TUD-SERG-2007-016a, TUD-SERG-2008-009.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use super::{
    Results, contest,
    error::BenchError,
    options::{self, Variant},
    report::{Report, number},
    workload::Workload,
};

/// One combination.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    /// Subscribers of the one channel.
    pub(super) users: usize,
    /// How messages reach them.
    pub(super) variant: Variant,
    /// Time between messages.
    pub(super) interval: Duration,
    /// Time between pulls; `None` unless they pull.
    pub(super) pull: Option<Duration>,
    /// Messages that are published.
    pub(super) messages: usize,
    /// What the intervals were divided by.
    pub(super) time_scale: f64,
    /// For the progress line.
    pub(super) title: String,
}

impl Cell {
    /// Tells what the cell is, for its report.
    pub(super) fn config(&self) -> Vec<(&'static str, Value)> {
        let seconds = |time: Duration| json!({"value": time.as_secs_f64(), "unit": "s"});
        vec![
            ("users", json!(self.users)),
            ("variant", json!(self.variant.name())),
            ("interval", seconds(self.interval)),
            ("pullInterval", self.pull.map_or(Value::Null, seconds)),
            ("publishes", json!(self.messages)),
            ("timeScale", json!(self.time_scale)),
        ]
    }
}

/// Runs every cell.
///
/// # Errors
///
/// The server cannot be reached, or no cell has figures. A cell that a server refuses is told and left
/// out: to fail at many users is a result.
pub(super) fn run(options: &options::Delft) -> Result<Results, BenchError> {
    options.check()?;
    let cells = cells(options);
    let sockets = cells.iter().map(|cell| Workload::Delft(cell).sockets(&options.common)).max();
    contest::check_descriptors(sockets.unwrap_or(0))?;
    let mut table = Table::new();
    let mut runs: Vec<Value> = Vec::new();
    let mut complete = true;
    for cell in &cells {
        match contest::run(&options.common, &Workload::Delft(cell)) {
            Ok(results) => {
                for report in results.iter().flatten() {
                    table.add(cell, report);
                    runs.push(report.json());
                    complete &= report.complete;
                }
            }
            Err(BenchError::Refused(reason)) => {
                table.add_failure(cell, &reason);
                complete = false;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Results { text: table.text, json: json!({"runs": runs}), complete })
}

/// Makes all combinations, the ones with few users first.
fn cells(options: &options::Delft) -> Vec<Cell> {
    let scaled = |time: &Duration| time.div_f64(options.time_scale);
    let mut cells = Vec::new();
    for users in &options.users {
        for interval in &options.intervals {
            for variant in &options.variants {
                let pulls: Vec<Option<Duration>> = match variant {
                    Variant::Pull => options.pulls.iter().map(|pull| Some(scaled(pull))).collect(),
                    _ => vec![None],
                };
                cells.extend(pulls.into_iter().map(|pull| Cell {
                    users: *users,
                    variant: *variant,
                    interval: scaled(interval),
                    pull,
                    messages: options.messages,
                    time_scale: options.time_scale,
                    title: String::new(),
                }));
            }
        }
    }
    let spans: Vec<f64> = cells.iter().map(|cell| cell.interval.as_secs_f64()).collect();
    let all = cells.len();
    for (done, cell) in cells.iter_mut().enumerate() {
        let left: f64 = spans.iter().skip(done).sum::<f64>() * options.messages as f64;
        let minutes = left * options.common.rounds as f64 / 60.0;
        cell.title = format!("cell {} of {all}, {minutes:.0} min left", done + 1);
    }
    cells
}

/// The result for people: a line a run.
#[derive(Debug)]
struct Table {
    text: String,
}

impl Table {
    fn new() -> Self {
        let mut text = String::from(
            "on time: received before the next message was due; trip: from the moment a message was \
             due;\nCPU: of a core; in vain: connects answered without a message; traffic: both ways, \
             HTTP and frames\n\n",
        );
        let _ = writeln!(
            text,
            "{:>6} {:<12} {:>7} {:>7} {:>9} {:>8} {:>10} {:>10} {:>7} {:>9} {:>8} {:>9}  server",
            "users",
            "variant",
            "every s",
            "pull s",
            "received",
            "on time",
            "trip ms",
            "p99 ms",
            "CPU %",
            "in vain",
            "in vain%",
            "MB",
        );
        Self { text }
    }

    fn add(&mut self, cell: &Cell, report: &Report) {
        let value = |key: &str| report.figure(key).map(|figure| figure.value);
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
        self.add_cell(cell);
        let _ = writeln!(
            self.text,
            " {:>8}% {:>7}% {:>10} {:>10} {:>7} {:>9} {:>8} {:>9}  {}",
            shown(value("received")),
            shown(value("onTime")),
            shown(value("tripTime")),
            shown(value("latency.p99").map(|micros| micros / 1000.0)),
            shown(value("serverCpu")),
            shown(value("connectsInVain")),
            shown(value("inVain")),
            shown(value("traffic")),
            report.name,
        );
        for note in &report.notes {
            let _ = writeln!(self.text, "       note: {note}");
        }
    }

    fn add_failure(&mut self, cell: &Cell, reason: &str) {
        self.add_cell(cell);
        let _ = writeln!(self.text, " {reason}");
    }

    fn add_cell(&mut self, cell: &Cell) {
        let pull = cell.pull.map_or_else(|| "-".to_owned(), |pull| number(pull.as_secs_f64()));
        let (variant, interval) = (cell.variant.name(), number(cell.interval.as_secs_f64()));
        let users = cell.users;
        let _ = write!(self.text, "{users:>6} {variant:<12} {interval:>7} {pull:>7}");
    }
}
