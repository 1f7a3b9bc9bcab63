//! `bayeuxd bench`: a load tool for any Bayeux server, and the reference floor to compare with.
//!
//! The sessions of a run live in a [`swarm`], one thread with its own event loop; a [`workload`]
//! drives them and fills a [`report`]; [`contest`] runs several servers in turn and makes ratios of
//! them, because on a shared machine only ratios of neighbouring runs mean something. The
//! [`floor`] is the least server that can answer the tool.
//!
//! The tool shares no protocol code with the broker: it would share its mistakes (the floor borrows
//! the frame header and the answer to the upgrade). It parses JSON only while sessions are opened;
//! deliveries are found by a byte search ([`marker`]).
//! Source of the room workload: CometD 8, `CometDLoadClient`.

mod clock;
mod contest;
mod delft;
mod error;
mod floor;
pub(crate) mod frame;
mod inflate;
mod ledger;
mod line;
mod marker;
mod meter;
mod options;
mod process;
mod progress;
mod random;
mod report;
mod response;
mod session;
mod swarm;
mod target;
mod wire;
mod workload;

use std::fs;

use serde_json::Value;

pub(crate) use self::{error::BenchError, options::Command};
use self::{options::Common, report::Report, workload::Workload};

/// What a measurement found.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// For standard output.
    pub(crate) text: String,
    /// Whether everything came that should come, once and in order.
    pub(crate) complete: bool,
}

/// Results before it is known who wants to read them.
#[derive(Debug)]
struct Results {
    /// For people.
    text: String,
    /// For programs.
    json: Value,
    /// As [`Outcome::complete`].
    complete: bool,
}

/// Measures, or serves as the floor.
///
/// # Errors
///
/// There are no figures: see [`BenchError`].
pub(crate) fn run(command: Command) -> Result<Outcome, BenchError> {
    match command {
        Command::FanOut(options) => {
            options.check()?;
            measure(&options.common, &Workload::FanOut(&options))
        }
        Command::Rooms(options) => measure(&options.common, &Workload::Rooms(&options)),
        Command::Idle(options) => measure(&options.common, &Workload::Idle(&options)),
        Command::Storm(options) => measure(&options.common, &Workload::Storm(&options)),
        Command::Polls(options) => measure(&options.common, &Workload::Polls(&options)),
        Command::Delft(options) => finish(&options.common, &delft::run(&options)?),
        Command::Floor(options) => {
            floor::serve(&options)?;
            Ok(Outcome { text: String::new(), complete: true })
        }
    }
}

fn measure(common: &Common, workload: &Workload<'_>) -> Result<Outcome, BenchError> {
    let results = contest::run(common, workload)?;
    let complete = results.iter().flatten().all(|report: &Report| report.complete);
    let (text, json) = (contest::text(&results), contest::json(&results));
    finish(common, &Results { text, json, complete })
}

/// Writes results to where the options want them.
fn finish(common: &Common, results: &Results) -> Result<Outcome, BenchError> {
    let Results { text, json, complete } = results;
    if let Some(file) = &common.file {
        fs::write(file, format!("{json:#}\n")).map_err(|error| {
            BenchError::Usage(format!("cannot write {}: {error}", file.display()))
        })?;
    }
    let text = if common.json { format!("{json:#}\n") } else { text.clone() };
    Ok(Outcome { text, complete: *complete })
}
