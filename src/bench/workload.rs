//! The workloads: each plans a swarm, drives it, and makes a report of what it saw.

mod delft;
mod fanout;
mod idle;
mod polls;
mod rooms;
mod storm;

use serde_json::{Value, json};

use super::{
    contest::Contestant,
    delft::Cell,
    error::BenchError,
    ledger::{Ledger, Totals},
    meter::Reading,
    options::{Common, FanOut, Idle, Polls, Rooms, Storm},
    progress::Progress,
    report::{Report, per},
    swarm::{Connects, Habits, Swarm},
    wire::Transport,
};

/// A workload with its options.
#[derive(Debug, Clone, Copy)]
pub(super) enum Workload<'a> {
    /// Many subscribers of one channel.
    FanOut(&'a FanOut),
    /// CometD's rooms.
    Rooms(&'a Rooms),
    /// Sessions that wait.
    Idle(&'a Idle),
    /// Sessions per second.
    Storm(&'a Storm),
    /// Polls per second.
    Polls(&'a Polls),
    /// One cell of the experiment of Delft.
    Delft(&'a Cell),
}

impl Workload<'_> {
    /// Runs once against one server.
    ///
    /// # Errors
    ///
    /// The server cannot be reached or refuses sessions.
    pub(super) fn run(
        &self,
        common: &Common,
        contestant: &Contestant,
        progress: &mut Progress,
    ) -> Result<Report, BenchError> {
        let transport = self.transport(common);
        let mut stage = Stage { common, transport, contestant, progress };
        match self {
            Self::FanOut(options) => fanout::run(&mut stage, options),
            Self::Rooms(options) => rooms::run(&mut stage, options),
            Self::Idle(options) => idle::run(&mut stage, options),
            Self::Storm(options) => storm::run(&mut stage, options),
            Self::Polls(options) => polls::run(&mut stage, options),
            Self::Delft(cell) => delft::run(&mut stage, cell),
        }
    }

    /// Whether the first server is measured with a monitor too.
    pub(super) const fn with_monitor(&self) -> bool {
        matches!(self, Self::FanOut(options) if options.with_monitor)
    }

    /// Tells how sessions connect.
    fn transport(&self, common: &Common) -> Transport {
        match self {
            Self::Delft(cell) => cell.variant.transport(),
            _ => common.transport.unwrap_or(Transport::WebSocket),
        }
    }

    /// Counts the sockets of a run.
    pub(super) fn sockets(&self, common: &Common) -> usize {
        let (sessions, senders) = match self {
            Self::FanOut(options) => {
                let monitors = usize::from(options.with_monitor);
                (options.subscribers + options.publishers + monitors, options.publishers)
            }
            Self::Rooms(options) => (options.clients, options.clients),
            Self::Idle(options) => (options.clients, 0),
            Self::Storm(options) => (options.clients, 0),
            Self::Polls(options) => (options.clients, 0),
            Self::Delft(cell) => (cell.users + 1, 1),
        };
        match self.transport(common) {
            Transport::WebSocket => sessions,
            Transport::LongPolling => sessions + senders,
        }
    }
}

/// What a workload needs beside its own options.
#[derive(Debug)]
struct Stage<'a> {
    common: &'a Common,
    transport: Transport,
    contestant: &'a Contestant,
    progress: &'a mut Progress,
}

impl Stage<'_> {
    /// Plans a swarm: `memberships` lists for each session the channels it subscribes to; the first
    /// `senders` publishers have an account of their own.
    fn swarm(
        &self,
        channels: Vec<String>,
        memberships: Vec<Vec<u32>>,
        senders: usize,
        connects: Connects,
    ) -> Result<Swarm, BenchError> {
        let habits = Habits {
            transport: self.transport,
            opening_max: self.common.opening,
            sources: self.common.sources,
            connects,
            acks: self.common.ack_extension,
            deflate: self.common.permessage_deflate,
            patience_ns: u64::try_from(self.common.patience.as_nanos()).unwrap_or(u64::MAX),
        };
        let ledger = Ledger::new(run_number(), channels.len(), senders, &memberships);
        Swarm::new(self.contestant.target.clone(), habits, channels, memberships, ledger)
    }

    /// Opens the first `count` sessions and shows how far it is.
    fn open(&mut self, swarm: &mut Swarm, count: usize) -> Result<(), BenchError> {
        let name = &self.contestant.target.name;
        swarm.open(count, |swarm| {
            self.progress.tick(|| format!("{name}: {} of {count} sessions", swarm.counts.ready));
        })
    }

    /// Reads the state of the run.
    fn reading(&self, swarm: &Swarm) -> Reading {
        Reading::take(swarm, &self.contestant.pids)
    }

    /// Begins a report with what every workload tells.
    fn report(&self, workload: &str, swarm: &Swarm, own: Vec<(&'static str, Value)>) -> Report {
        let mut config = vec![
            ("workload", json!(workload)),
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("os", json!(std::env::consts::OS)),
            ("cores", json!(std::thread::available_parallelism().map_or(0, usize::from))),
            ("transport", json!(self.transport.name())),
            ("ackExtension", json!(self.common.ack_extension)),
            ("permessageDeflate", json!(self.common.permessage_deflate)),
            ("sessions", json!(swarm.len())),
        ];
        config.extend(own);
        Report::new(&self.contestant.target.name, config)
    }

    /// Adds what went wrong, if anything did.
    fn add_failures(&self, report: &mut Report, swarm: &Swarm) {
        let counts = &swarm.counts;
        if counts.failed > 0 {
            report.complete = false;
            report.add("failedSessions", per(counts.failed as u64, 1), "");
        }
        if let Some(reason) = &counts.first_failure {
            report.notes.push(format!("the first failure: {reason}"));
        }
    }
}

/// Adds what the ledger says.
fn add_totals(report: &mut Report, totals: &Totals) {
    report.add("expected", per(totals.expected, 1), "");
    report.add("messages", per(totals.delivered, 1), "");
    report.add("lost", per(totals.lost(), 1), "");
    report.add("duplicates", per(totals.duplicates, 1), "");
    report.add("outOfOrder", per(totals.out_of_order, 1), "");
    if totals.refused > 0 {
        report.add("refusedPublishes", per(totals.refused, 1), "");
    }
    if totals.foreign > 0 {
        report.add("foreign", per(totals.foreign, 1), "");
    }
    report.complete &= totals.is_complete();
}

/// Chooses a number that tells this run's messages and channels from those of others.
fn run_number() -> u32 {
    getrandom::u32().unwrap_or_else(|_| std::process::id())
}
