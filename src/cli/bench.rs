//! `bayeuxd bench`: hands the options to the tool and turns its outcome into an exit code.

use super::{Failure, print};
use crate::bench::{self, BenchError, Command};

/// Runs a measurement and prints the result.
///
/// # Errors
///
/// No figures, or a run in which not everything came.
pub(super) fn run(command: Command) -> Result<(), Failure> {
    let outcome = bench::run(command).map_err(|error| match error {
        BenchError::Usage(line) => Failure::Usage(line),
        BenchError::Unreachable { .. } => Failure::Unreachable(error.to_string()),
        _ => Failure::Failed(error.to_string()),
    })?;
    print(outcome.text);
    if outcome.complete {
        Ok(())
    } else {
        Err(Failure::Failed("the run is not complete: see lost, duplicates, outOfOrder".to_owned()))
    }
}
