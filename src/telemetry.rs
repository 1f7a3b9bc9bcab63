//! The log: one line per event on standard error.
//!
//! Text for people, JSON for machines; the fields are the same. Text that clients chose is escaped,
//! so one event is one line whatever they send (`line`). What clients can cause is thinned out by
//! [`Sampler`]. What must never be logged (clientIds, cookies, payloads) is up to the callers.
//! Source: docs/operations.md, section on the log.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal as _},
    panic::{self, PanicHookInfo},
};

use tracing::error;
use tracing_subscriber::{
    Layer as _, Registry, filter::Targets, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

use crate::config::{Log, LogFormat};

mod line;
mod sampler;

pub use self::sampler::{Allowed, Sampler};

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The operator's: `log.level` cannot be read. Loading the configuration finds this earlier.
    #[error("log.level = \"{0}\": expected levels like \"info,bayeuxd::ws=debug\"")]
    Level(String),
    /// Ours: the process has a logger already.
    #[error("logging was set up twice")]
    Twice,
}

/// The levels of the log, which can be changed while the process runs.
///
/// An event that is not logged costs what it did before: where it stands in the code the answer is kept until
/// the levels change.
#[derive(Debug)]
pub struct Levels(reload::Handle<Targets, Registry>);

impl Levels {
    /// Logs by other levels from now on.
    ///
    /// # Errors
    ///
    /// [`InitError::Level`]: nothing has changed then.
    pub fn set(&self, level: &str) -> Result<(), InitError> {
        // The logger lives as long as the process.
        let _ = self.0.reload(levels(level)?);
        Ok(())
    }
}

/// Sends all events of the process to standard error, panics included.
///
/// # Errors
///
/// [`InitError`]; at most one call of a process can succeed.
pub fn init(log: &Log) -> Result<Levels, InitError> {
    let (filter, handle) = reload::Layer::new(levels(&log.level)?);
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    let lines = line::Lines::new(json, io::stderr).with_filter(filter);
    tracing_subscriber::registry().with(lines).try_init().map_err(|_| InitError::Twice)?;
    panic::set_hook(Box::new(log_panic));
    Ok(Levels(handle))
}

fn levels(text: &str) -> Result<Targets, InitError> {
    text.parse().map_err(|_| InitError::Level(text.to_owned()))
}

/// Logs a panic. The broker goes on: only the connection that panicked ends.
fn log_panic(info: &PanicHookInfo<'_>) {
    let text = info.payload_as_str().unwrap_or("no message");
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        error!(event = "error", location, backtrace = %trace, "panic: {text}");
    } else {
        error!(event = "error", location, "panic: {text}");
    }
}
