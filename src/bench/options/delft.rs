//! The options of `bayeuxd bench delft`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{
    super::{error::BenchError, wire::Transport},
    Common, duration, positive,
};

/// Options of `delft`. Every combination is a cell: users, variant, interval, and for pull its own.
#[derive(Debug, Args)]
pub(crate) struct Delft {
    #[command(flatten)]
    pub(in super::super) common: Common,
    /// Numbers of users.
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "100,500,1000,2000,5000,10000",
        value_parser = positive
    )]
    pub(in super::super) users: Vec<usize>,
    /// How messages reach them.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "websocket,long-polling,pull")]
    pub(in super::super) variants: Vec<Variant>,
    /// Times between messages, like 1s; the studies had 1, 5, 15, 30 and 50 s.
    #[arg(
        long,
        value_name = "TIME",
        value_delimiter = ',',
        default_value = "1s,5s",
        value_parser = duration
    )]
    pub(in super::super) intervals: Vec<Duration>,
    /// Times between two pulls of a user.
    #[arg(
        long,
        value_name = "TIME",
        value_delimiter = ',',
        default_value = "1s,5s",
        value_parser = duration
    )]
    pub(in super::super) pulls: Vec<Duration>,
    /// Messages of a cell.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = positive)]
    pub(in super::super) messages: usize,
    /// Divide all intervals by this. A cell then takes that much less time and is that much more
    /// load.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = scale)]
    pub(in super::super) time_scale: f64,
}

/// How messages reach a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Variant {
    /// Pushed over a WebSocket.
    #[value(name = "websocket")]
    WebSocket,
    /// Pushed with the response to a held connect.
    LongPolling,
    /// Asked for at intervals: connects over HTTP that are answered at once.
    Pull,
}

impl Delft {
    /// Checks what no single option can.
    pub(in super::super) fn check(&self) -> Result<(), BenchError> {
        if self.common.transport.is_some() {
            return Err(BenchError::Usage(
                "delft has --variants instead of --transport".to_owned(),
            ));
        }
        let least = self.intervals.iter().chain(&self.pulls).min();
        if least.is_some_and(|least| least.div_f64(self.time_scale) < INTERVAL_LEAST) {
            return Err(BenchError::Usage(format!(
                "intervals, divided by --time-scale, are at least {} ms",
                INTERVAL_LEAST.as_millis()
            )));
        }
        Ok(())
    }
}

impl Variant {
    /// The name of the option's value.
    pub(in super::super) const fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::LongPolling => "long-polling",
            Self::Pull => "pull",
        }
    }

    /// How its sessions connect.
    pub(in super::super) const fn transport(self) -> Transport {
        match self {
            Self::WebSocket => Transport::WebSocket,
            Self::LongPolling | Self::Pull => Transport::LongPolling,
        }
    }
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if (1.0..=SCALE_MAX).contains(&factor) => Ok(factor),
        _ => Err(format!("expected a number from 1 to {SCALE_MAX}")),
    }
}

/// The tool's event queue counts in milliseconds; far below ten of them an interval means nothing.
const INTERVAL_LEAST: Duration = Duration::from_millis(10);
/// 50 s become half a second.
const SCALE_MAX: f64 = 100.0;
