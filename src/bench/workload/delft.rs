//! One cell of the experiment of Delft: a few messages at a fixed interval to many users, pushed or
//! pulled.
//!
//! Pulls of a user come at a fixed interval, and those of all users are spread evenly over it. The
//! span for which costs are told is that of the messages; then the rest is waited for, because a
//! queue delivers late what a feed would have lost.

use std::time::Duration;

use super::{
    super::{
        clock::{MILLISECOND_NS, SECOND_NS},
        delft::Cell,
        error::BenchError,
        ledger::Times,
        meter::add_costs,
        report::{Report, per},
        swarm::{Connects, Counts, Swarm},
        wire::Publish,
    },
    Stage, add_totals,
    fanout::LATENCY_KEYS,
};

/// Runs once.
pub(super) fn run(stage: &mut Stage<'_>, cell: &Cell) -> Result<Report, BenchError> {
    let channel = format!("/bench/{:08x}", super::run_number());
    let mut memberships = vec![vec![0]; cell.users];
    memberships.push(Vec::new());
    let connects = if cell.pull.is_some() { Connects::Pulled } else { Connects::Held };
    let mut swarm = stage.swarm(vec![channel.clone()], memberships, 1, connects)?;
    let sessions = swarm.len();
    stage.open(&mut swarm, sessions)?;
    // The connects that are to be held are still on their way.
    let settled_ns = swarm.clock.now_ns() + SETTLING_NS;
    while swarm.clock.now_ns() < settled_ns {
        swarm.turn(Duration::from_millis(10))?;
    }

    let begin = stage.reading(&swarm);
    let before = swarm.counts.clone();
    let mut show = Show { cell, channel, previous: None, pulls: 0, begin_ns: begin.at_ns };
    show.drive(stage, &mut swarm, show.end_ns(), false)?;
    let end = stage.reading(&swarm);
    let after = swarm.counts.clone();
    show.settle(stage, &mut swarm)?;

    let mut report = stage.report("delft", &swarm, cell.config());
    add_figures(&mut report, cell, &swarm, (&before, &after));
    add_costs(&mut report, (&begin, &end), ("serverCpuPerDelivery", swarm.ledger.totals.delivered));
    add_totals(&mut report, &swarm.ledger.totals);
    stage.add_failures(&mut report, &swarm);
    swarm.close_all()?;
    Ok(report)
}

/// The publisher's side, and the users' clock.
#[derive(Debug)]
struct Show<'a> {
    cell: &'a Cell,
    channel: String,
    /// Index of the last message.
    previous: Option<u32>,
    /// Pulls that were due so far, of all sessions.
    pulls: u64,
    begin_ns: u64,
}

impl Show<'_> {
    /// The last message has had its interval.
    fn end_ns(&self) -> u64 {
        let span_ns = nanoseconds(self.cell.interval).saturating_mul(self.cell.messages as u64);
        self.begin_ns.saturating_add(span_ns)
    }

    /// Publishes and pulls what is due until `until_ns`, or, if `early`, until everything came.
    fn drive(
        &mut self,
        stage: &mut Stage<'_>,
        swarm: &mut Swarm,
        until_ns: u64,
        early: bool,
    ) -> Result<(), BenchError> {
        loop {
            let now_ns = swarm.clock.now_ns();
            let all_came = swarm.ledger.totals.lost() == 0;
            if now_ns >= until_ns || swarm.counts.failed > 0 || (early && all_came) {
                return Ok(());
            }
            let due_ns = self.publish_due(swarm, now_ns).min(self.pull_due(swarm, now_ns));
            let wait_ns = due_ns.min(until_ns).saturating_sub(now_ns).min(100 * MILLISECOND_NS);
            swarm.turn(Duration::from_nanos(wait_ns))?;
            stage.progress.tick(|| {
                let totals = swarm.ledger.totals;
                format!(
                    "{}, {}: {} of {} messages, {} received",
                    self.cell.title,
                    stage.contestant.target.name,
                    totals.published,
                    self.cell.messages,
                    totals.delivered
                )
            });
        }
    }

    /// Waits for what is missing until nothing came for the patience and an interval of the pulls:
    /// what an overloaded server still delivers is late, and not lost.
    fn settle(&mut self, stage: &mut Stage<'_>, swarm: &mut Swarm) -> Result<(), BenchError> {
        let wait_ns = self.cell.pull.map_or(0, nanoseconds);
        let wait_ns = wait_ns.saturating_add(nanoseconds(stage.common.patience));
        loop {
            let before = swarm.ledger.totals.delivered;
            let until_ns = swarm.clock.now_ns().saturating_add(wait_ns);
            self.drive(stage, swarm, until_ns, true)?;
            let totals = &swarm.ledger.totals;
            if totals.delivered == before || totals.lost() == 0 || swarm.counts.failed > 0 {
                return Ok(());
            }
        }
    }

    /// Sends the messages that are due; returns when the next one is.
    fn publish_due(&mut self, swarm: &mut Swarm, now_ns: u64) -> u64 {
        let publisher = self.cell.users;
        loop {
            let sent = swarm.ledger.totals.published;
            if sent >= self.cell.messages as u64 {
                return u64::MAX;
            }
            let offset_ns = nanoseconds(self.cell.interval).saturating_mul(sent);
            let due_ns = self.begin_ns.saturating_add(offset_ns);
            if due_ns > now_ns {
                return due_ns;
            }
            let sent_ns = swarm.clock.now_ns();
            let times = Times { sent_ns, due_ns, measured: true };
            let mark = swarm.ledger.publish(0, 0, times, self.previous);
            self.previous = Some(mark.index);
            let publish = Publish {
                channel: &self.channel,
                client_id: swarm.client_id(publisher),
                user: publisher,
                mark,
                start_ns: sent_ns,
                chat: "",
            };
            let mut text = String::from("[");
            publish.write(&mut text);
            text.push(']');
            swarm.publish(publisher, &text);
            swarm.flush_main(publisher);
        }
    }

    /// Sends the pulls that are due, the publisher's among them, whose session would expire without;
    /// returns when the next one is. One that finds the last unanswered is left out.
    fn pull_due(&mut self, swarm: &mut Swarm, now_ns: u64) -> u64 {
        let Some(interval) = self.cell.pull else { return u64::MAX };
        let sessions = swarm.len() as u64;
        loop {
            let (turn, number) = (self.pulls / sessions, self.pulls % sessions);
            let interval_ns = nanoseconds(interval);
            let phase_ns = u128::from(interval_ns) * u128::from(number) / u128::from(sessions);
            let offset_ns = interval_ns
                .saturating_mul(turn)
                .saturating_add(u64::try_from(phase_ns).unwrap_or(u64::MAX));
            let due_ns = self.begin_ns.saturating_add(offset_ns);
            if due_ns > now_ns {
                return due_ns;
            }
            swarm.pull(usize::try_from(number).unwrap_or(usize::MAX));
            self.pulls += 1;
        }
    }
}

/// Adds what the studies told, for the span between two counts where it is about costs.
fn add_figures(
    report: &mut Report,
    cell: &Cell,
    swarm: &Swarm,
    (before, after): (&Counts, &Counts),
) {
    let totals = &swarm.ledger.totals;
    let trips = &swarm.ledger.scheduled;
    let on_time = trips.count_between(0, nanoseconds(cell.interval));
    report.add("received", 100.0 * per(totals.delivered, totals.expected), "%");
    report.add("onTime", 100.0 * per(on_time, totals.expected), "%");
    report.add_compared("tripTime", trips.mean() / 1e6, "ms");
    report.add_latency(LATENCY_KEYS, trips);
    let answered = after.answered - before.answered;
    let vain = after.vain - before.vain;
    report.add("connects", per(answered, 1), "");
    report.add("connectsInVain", per(vain, 1), "");
    report.add("inVain", 100.0 * per(vain, answered), "% of connects");
    let sent = after.sent_bytes - before.sent_bytes;
    let received = after.bytes - before.bytes;
    report.add_compared("traffic", per(sent + received, 1_000_000), "MB");
    report.add("trafficUp", per(sent, 1_000_000), "MB");
    report.add("trafficDown", per(received, 1_000_000), "MB");
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / SECOND_NS)
}

/// Time between the last session and the first message.
const SETTLING_NS: u64 = 300 * MILLISECOND_NS;
