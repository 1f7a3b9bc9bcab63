//! The options of `bayeuxd bench`.
//!
//! Those of the room workload are CometD's, spelling included, so that a command line for its load
//! client can be kept; ours have dashes. Source: CometD 8 `CometDLoadClient`.

mod delft;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

pub(crate) use self::delft::{Delft, Variant};
use super::{error::BenchError, wire::Transport};

/// What is to be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Many subscribers of one channel: rate, CPU and latency of deliveries.
    #[command(name = "fanout")]
    FanOut(FanOut),
    /// CometD's load: sessions in rooms that publish to random rooms.
    Rooms(Rooms),
    /// Sessions that only wait: memory of each.
    Idle(Idle),
    /// Handshake, subscribe and first connect: sessions per second.
    Storm(Storm),
    /// Connects that are answered at once: polls per second.
    Polls(Polls),
    /// Push against pull: a few messages at long intervals to many users, as in the studies of Delft.
    Delft(Delft),
    /// Run the reference floor: the least server that can answer this tool.
    Floor(Floor),
}

/// Options of every workload.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The server, like http://localhost:8080/cometd; without it --host, --port and --context.
    #[arg(long, conflicts_with_all = ["host", "port", "context"])]
    pub(super) url: Option<String>,
    /// The server's host.
    #[arg(long, default_value = "localhost")]
    pub(super) host: String,
    /// The server's port.
    #[arg(long, default_value_t = 8080)]
    pub(super) port: u16,
    /// The path is this and /cometd.
    #[arg(long, default_value = "/cometd")]
    pub(super) context: String,
    /// websocket (default) or long-polling.
    #[arg(long, value_parser = transport)]
    pub(super) transport: Option<Transport>,
    /// Use the acknowledgement extension: messages come with replies to connects.
    #[arg(long = "ackExtension", alias = "ack-extension")]
    pub(super) ack_extension: bool,
    /// Ask for permessage-deflate: what the server sends over WebSocket is compressed.
    #[arg(long = "permessage-deflate")]
    pub(super) permessage_deflate: bool,
    /// Source addresses: connect from 127.0.0.1 to 127.0.0.N in turn, for more than 28,000
    /// connections.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=254))]
    pub(super) sources: u8,
    /// Sessions that are opened at a time.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = positive)]
    pub(super) opening: usize,
    /// Process ids of the server, to tell its CPU time and memory.
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub(super) pid: Vec<u32>,
    /// Another server to measure in turn: NAME=URL, or NAME=URL@PID,PID; can be repeated.
    #[arg(long, value_name = "NAME=URL[@PID]")]
    pub(super) against: Vec<String>,
    /// Measure the reference floor in turn: direct (a write a delivery) or coalesced (a write for
    /// what one turn of its loop brings).
    #[arg(long, value_name = "MODE", value_delimiter = ',')]
    pub(super) with_floor: Vec<Mode>,
    /// Rounds; in each one every server is measured once.
    #[arg(long, alias = "iterations", value_name = "N", default_value_t = 1, value_parser = positive)]
    pub(super) rounds: usize,
    /// Time without news after which nothing more is expected, like 10s.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(super) patience: Duration,
    /// Seed of random choices.
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Print the result as JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Write the result as JSON to this file too.
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
}

/// Options of `fanout`.
#[derive(Debug, Args)]
pub(crate) struct FanOut {
    #[command(flatten)]
    pub(super) common: Common,
    /// Subscribers of the channel; 0, with --rate, shows what a publish costs by itself.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = count)]
    pub(super) subscribers: usize,
    /// Sessions that publish and do not subscribe.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = positive)]
    pub(super) publishers: usize,
    /// Publishes per second, sent when they are due whatever the server does; or max: as fast as
    /// the window allows.
    #[arg(long, default_value = "max", value_parser = pace)]
    pub(super) rate: Pace,
    /// With --rate max: messages of a publisher that have not reached every subscriber.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = positive)]
    pub(super) window: usize,
    /// Measured time, like 5s.
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub(super) duration: Duration,
    /// Time before it in which the load runs already.
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub(super) warmup: Duration,
    /// Bytes of the message's data; at least what the mark needs, about 100.
    #[arg(long, value_name = "BYTES", default_value_t = 100)]
    pub(super) message_size: usize,
    /// Measure the server in turn while a session monitors everything, to tell what that costs
    /// publishers. For a bayeuxd that was started with --dev.
    #[arg(long)]
    pub(super) with_monitor: bool,
}

/// Options of `rooms`.
#[derive(Debug, Args)]
pub(crate) struct Rooms {
    #[command(flatten)]
    pub(super) common: Common,
    /// Rooms are the channels below it.
    #[arg(long, default_value = "/a")]
    pub(super) channel: String,
    /// Number of rooms.
    #[arg(long, default_value_t = 100, value_parser = positive)]
    pub(super) rooms: usize,
    /// Rooms that each client joins.
    #[arg(long = "roomsPerClient", alias = "rooms-per-client", default_value_t = 10, value_parser = positive)]
    pub(super) rooms_per_client: usize,
    /// Number of clients.
    #[arg(long, default_value_t = 1000, value_parser = positive)]
    pub(super) clients: usize,
    /// Number of batches.
    #[arg(long, default_value_t = 1000, value_parser = positive)]
    pub(super) batches: usize,
    /// Publishes in a batch.
    #[arg(long = "batchSize", alias = "batch-size", default_value_t = 10, value_parser = positive)]
    pub(super) batch_size: usize,
    /// Microseconds from one batch to the next.
    #[arg(long = "batchPause", alias = "batch-pause", default_value_t = 10_000)]
    pub(super) batch_pause: u64,
    /// Bytes of the chat text in a message.
    #[arg(long = "messageSize", alias = "message-size", default_value_t = 50)]
    pub(super) message_size: usize,
    /// Batches come from random clients, not from one after the other.
    #[arg(long)]
    pub(super) randomize: bool,
}

/// Options of `idle`.
#[derive(Debug, Args)]
pub(crate) struct Idle {
    #[command(flatten)]
    pub(super) common: Common,
    /// Sessions that are held.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = positive)]
    pub(super) clients: usize,
    /// Subscriptions of each, to channels that all share.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) subscriptions: usize,
    /// Time they are held, like 30s.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub(super) duration: Duration,
}

/// Options of `storm`.
#[derive(Debug, Args)]
pub(crate) struct Storm {
    #[command(flatten)]
    pub(super) common: Common,
    /// Sessions that are opened.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = positive)]
    pub(super) clients: usize,
}

/// Options of `polls`.
#[derive(Debug, Args)]
pub(crate) struct Polls {
    #[command(flatten)]
    pub(super) common: Common,
    /// Sessions that poll without a pause.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = positive)]
    pub(super) clients: usize,
    /// Measured time, like 5s.
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub(super) duration: Duration,
}

/// Options of `floor`.
#[derive(Debug, Args)]
pub(crate) struct Floor {
    /// Address to listen on; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8099")]
    pub(super) listen: std::net::SocketAddr,
    /// How deliveries are written.
    #[arg(long, value_enum, default_value_t = Mode::Direct)]
    pub(super) mode: Mode,
    /// Time after which it ends by itself, like 1h.
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = duration)]
    pub(super) lifetime: Duration,
}

/// How the floor writes deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// One write for each.
    Direct,
    /// One write for all that one turn of the event loop brings to a subscriber.
    Coalesced,
}

impl Mode {
    /// The name of the option's value.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Coalesced => "coalesced",
        }
    }
}

/// How fast messages are published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// As fast as the window allows.
    Max,
    /// So many a second, whatever the server does.
    PerSecond(f64),
}

impl Common {
    /// Composes the server's URL.
    pub(super) fn target_url(&self) -> String {
        self.url.clone().unwrap_or_else(|| {
            let Self { host, port, context, .. } = self;
            format!("http://{host}:{port}{}/cometd", context.trim_end_matches('/'))
        })
    }
}

impl FanOut {
    /// Checks what no single option can.
    pub(super) fn check(&self) -> Result<(), BenchError> {
        let messages = match self.rate {
            Pace::Max => 0.0,
            Pace::PerSecond(rate) => rate * (self.duration + self.warmup).as_secs_f64(),
        };
        if messages > MESSAGES_MAX {
            return Err(BenchError::Usage(format!(
                "{messages} publishes are more than the {MESSAGES_MAX} a run can account for"
            )));
        }
        if self.subscribers == 0 && self.rate == Pace::Max {
            return Err(BenchError::Usage(
                "without subscribers nothing tells when a publish has arrived: give a --rate"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

fn transport(text: &str) -> Result<Transport, String> {
    match text.to_ascii_lowercase().replace('_', "-").as_str() {
        "websocket" | "ws" => Ok(Transport::WebSocket),
        "long-polling" | "lp" => Ok(Transport::LongPolling),
        _ => Err("expected websocket or long-polling".to_owned()),
    }
}

fn pace(text: &str) -> Result<Pace, String> {
    if text == "max" {
        return Ok(Pace::Max);
    }
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(Pace::PerSecond(rate)),
        _ => Err("expected max, or publishes per second as a number above 0".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let scale = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err("expected a time like 500ms, 5s, 2m or 1h".to_owned()),
    };
    let seconds = number.parse::<f64>().map_err(|_| "expected a time like 5s".to_owned())? * scale;
    if seconds > DURATION_SECONDS_MAX {
        return Err("expected at most 24h".to_owned());
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn positive(text: &str) -> Result<usize, String> {
    match count(text) {
        Ok(0) | Err(_) => Err(format!("expected a number from 1 to {COUNT_MAX}")),
        count => count,
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(count) if count <= COUNT_MAX => Ok(count),
        _ => Err(format!("expected a number from 0 to {COUNT_MAX}")),
    }
}

/// Bounds every count, so that products of two of them cannot overflow.
const COUNT_MAX: usize = 10_000_000;
/// Messages of one room have 32-bit numbers; this keeps their account below 2 GB.
const MESSAGES_MAX: f64 = 40_000_000.0;
const DURATION_SECONDS_MAX: f64 = 24.0 * 3600.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, ms) in [("500ms", 500), ("5s", 5000), ("1.5", 1500), ("2m", 120_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "5 s", "1d", "25h", "1.2.3s", "-1s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn cometds_transport_names_are_understood() {
        assert_eq!(transport("LONG_POLLING"), Ok(Transport::LongPolling));
        assert_eq!(transport("WEBSOCKET"), Ok(Transport::WebSocket));
        assert!(transport("carrier-pigeon").is_err());
    }

    #[test]
    fn a_rate_is_max_or_a_number_above_0() {
        assert_eq!(pace("max"), Ok(Pace::Max));
        assert_eq!(pace("2.5"), Ok(Pace::PerSecond(2.5)));
        for text in ["0", "-1", "inf", "NaN", "fast"] {
            assert!(pace(text).is_err(), "{text}");
        }
    }
}
