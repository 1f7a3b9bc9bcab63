//! Many subscribers of one channel.
//!
//! With `--rate max` each publisher keeps a window of messages that have not reached everybody: a
//! closed loop, which finds the highest rate. With a rate messages go when they are due whatever
//! the server does, and latency counts from that moment: an open loop, which finds the delay.

use std::time::Duration;

use serde_json::json;

use super::{
    super::{
        clock::{MILLISECOND_NS, SECOND_NS},
        error::BenchError,
        ledger::Times,
        meter::{Reading, add_costs},
        options::{FanOut, Pace},
        report::{Report, number, per, rate},
        swarm::{Connects, Swarm},
        wire::{Publish, Transport},
    },
    Stage, add_totals,
};

/// Runs once.
pub(super) fn run(stage: &mut Stage<'_>, options: &FanOut) -> Result<Report, BenchError> {
    let channel = format!("/bench/{:08x}", super::run_number());
    let mut memberships = vec![vec![0]; options.subscribers];
    memberships.resize(options.subscribers + options.publishers, Vec::new());
    let mut channels = vec![channel.clone()];
    if stage.contestant.monitored {
        channels.push(MONITOR.to_owned());
        memberships.push(vec![1]);
    }
    let mut swarm = stage.swarm(channels, memberships, options.publishers, Connects::Held)?;
    let sessions = swarm.len();
    stage.open(&mut swarm, sessions)?;

    let mut load = Load::new(options, channel, stage.transport, swarm.clock.now_ns());
    let begin = load.drive(stage, &mut swarm, load.measured_ns)?;
    let end = load.drive(stage, &mut swarm, load.end_ns)?;
    let name = stage.contestant.target.name.clone();
    swarm.settle(|swarm| {
        stage.progress.tick(|| format!("{name}: waiting for {}", swarm.ledger.totals.lost()));
    })?;
    let report = load.report(stage, &swarm, (&begin, &end));
    swarm.close_all()?;
    Ok(report)
}

/// The publishers' side.
#[derive(Debug)]
struct Load<'a> {
    options: &'a FanOut,
    channel: String,
    transport: Transport,
    chat: String,
    /// Index of each publisher's last message.
    previous: Vec<Option<u32>>,
    sent: u64,
    started_ns: u64,
    measured_ns: u64,
    end_ns: u64,
    text: String,
}

impl<'a> Load<'a> {
    fn new(options: &'a FanOut, channel: String, transport: Transport, now_ns: u64) -> Self {
        let span = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let measured_ns = now_ns + span(options.warmup);
        Self {
            options,
            channel,
            transport,
            chat: "x".repeat(options.message_size.saturating_sub(DATA_BYTES_LEAST)),
            previous: vec![None; options.publishers],
            sent: 0,
            started_ns: now_ns,
            measured_ns,
            end_ns: measured_ns + span(options.duration),
            text: String::new(),
        }
    }

    /// Publishes until `until_ns`; returns the state at that moment.
    fn drive(
        &mut self,
        stage: &mut Stage<'_>,
        swarm: &mut Swarm,
        until_ns: u64,
    ) -> Result<Reading, BenchError> {
        let mut last = (swarm.clock.now_ns(), swarm.ledger.totals.delivered);
        loop {
            let now_ns = swarm.clock.now_ns();
            if swarm.counts.failed > 0 {
                return Ok(stage.reading(swarm));
            }
            if now_ns >= until_ns {
                // Who was late at the end owes what was due before it.
                if let Pace::PerSecond(per_second) = self.options.rate {
                    self.publish_due(swarm, until_ns - 1, per_second);
                }
                return Ok(stage.reading(swarm));
            }
            let wait_ns = match self.options.rate {
                Pace::Max => {
                    self.fill_windows(swarm, now_ns);
                    until_ns - now_ns
                }
                Pace::PerSecond(per_second) => {
                    let due_ns = self.publish_due(swarm, now_ns, per_second);
                    due_ns.min(until_ns).saturating_sub(now_ns)
                }
            };
            swarm.turn(Duration::from_nanos(wait_ns.min(100 * MILLISECOND_NS)))?;
            stage.progress.tick(|| {
                let delivered = swarm.ledger.totals.delivered;
                let per_second = rate(delivered - last.1, now_ns.saturating_sub(last.0));
                last = (now_ns, delivered);
                let name = &stage.contestant.target.name;
                format!("{name}: {} deliveries/s", number(per_second.round()))
            });
        }
    }

    /// Lets every publisher send what its window has room for.
    fn fill_windows(&mut self, swarm: &mut Swarm, now_ns: u64) {
        let window = u32::try_from(self.options.window).unwrap_or(u32::MAX);
        for publisher in 0..self.options.publishers {
            let outstanding = swarm.ledger.outstanding(number_of(publisher));
            let room = window.saturating_sub(outstanding);
            if room == 0 || !swarm.is_free(self.options.subscribers + publisher) {
                continue;
            }
            // Over HTTP a request carries what the window allows, for the next one has to wait;
            // servers bound a batch.
            let batch = match self.transport {
                Transport::WebSocket => 1,
                Transport::LongPolling => room.min(BATCH_MAX),
            };
            let sends = if self.transport == Transport::WebSocket { room } else { 1 };
            for _ in 0..sends {
                self.publish(swarm, publisher, batch, (now_ns, now_ns));
            }
            swarm.flush_main(self.options.subscribers + publisher);
        }
    }

    /// Sends what is due; returns when the next message is.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "times and counts stay far below 2^53"
    )]
    fn publish_due(&mut self, swarm: &mut Swarm, now_ns: u64, per_second: f64) -> u64 {
        loop {
            let offset = self.sent as f64 / per_second * SECOND_NS as f64;
            let due_ns = self.started_ns + offset as u64;
            if due_ns > now_ns {
                return due_ns;
            }
            let publishers = self.options.publishers as u64;
            let publisher = usize::try_from(self.sent % publishers).unwrap_or(0);
            self.publish(swarm, publisher, 1, (swarm.clock.now_ns(), due_ns));
            swarm.flush_main(self.options.subscribers + publisher);
        }
    }

    /// Sends `count` messages as one batch.
    fn publish(
        &mut self,
        swarm: &mut Swarm,
        publisher: usize,
        count: u32,
        (sent_ns, due_ns): (u64, u64),
    ) {
        let session = self.options.subscribers + publisher;
        let times = Times { sent_ns, due_ns, measured: due_ns >= self.measured_ns };
        self.text.clear();
        for number in 0..count {
            self.text.push(if number == 0 { '[' } else { ',' });
            let previous = self.previous.get(publisher).copied().flatten();
            let mark = swarm.ledger.publish(number_of(publisher), 0, times, previous);
            if let Some(previous) = self.previous.get_mut(publisher) {
                *previous = Some(mark.index);
            }
            let publish = Publish {
                channel: &self.channel,
                client_id: swarm.client_id(session),
                user: publisher,
                mark,
                start_ns: sent_ns,
                chat: &self.chat,
            };
            publish.write(&mut self.text);
        }
        self.text.push(']');
        self.sent += u64::from(count);
        swarm.publish(session, &self.text);
    }

    fn report(&self, stage: &Stage<'_>, swarm: &Swarm, span: (&Reading, &Reading)) -> Report {
        let options = self.options;
        let open_loop = options.rate != Pace::Max;
        let pace = match options.rate {
            Pace::Max => json!("max"),
            Pace::PerSecond(rate) => json!(rate),
        };
        let mut report = stage.report(
            "fanout",
            swarm,
            vec![
                ("subscribers", json!(options.subscribers)),
                ("publishers", json!(options.publishers)),
                ("rate", pace),
                ("window", if open_loop { json!(null) } else { json!(options.window) }),
                ("messageSize", json!(options.message_size)),
                ("durationMs", json!(options.duration.as_millis())),
            ],
        );
        let (begin, end) = span;
        let span_ns = end.at_ns.saturating_sub(begin.at_ns);
        let deliveries = end.delivered - begin.delivered;
        report.add("sendRate", rate(end.published - begin.published, span_ns), "messages/s");
        report.add_compared("receiveRate", rate(deliveries, span_ns), "messages/s");
        report.add("responseRate", rate(end.responses - begin.responses, span_ns), "responses/s");
        if deliveries > 0 {
            report.add("bytesPerDelivery", per(end.bytes - begin.bytes, deliveries), "B");
        }
        let latency = if open_loop { &swarm.ledger.scheduled } else { &swarm.ledger.latency };
        report.add_latency(LATENCY_KEYS, latency);
        if options.subscribers == 0 {
            add_publish_costs(&mut report, span);
        } else {
            add_costs(&mut report, span, ("serverCpuPerDelivery", deliveries));
        }
        add_totals(&mut report, &swarm.ledger.totals);
        stage.add_failures(&mut report, swarm);
        report
    }
}

/// Adds what publishes cost that nobody receives, and how much of it is not the kernel's.
fn add_publish_costs(report: &mut Report, span: (&Reading, &Reading)) {
    add_costs(report, span, ("serverCpuPerPublish", span.1.published - span.0.published));
    let value = |key| report.figure(key).map(|figure| figure.value);
    if let (Some(all), Some(user)) = (value("serverCpuPerPublish"), value("serverCpuUser")) {
        report.add_compared("serverUserCpuPerPublish", all * user / 100.0, "µs");
    }
}

fn number_of(publisher: usize) -> u32 {
    u32::try_from(publisher).unwrap_or(u32::MAX)
}

/// Keys of a latency's percentiles.
pub(super) const LATENCY_KEYS: [&str; 6] =
    ["latency.min", "latency.p50", "latency.p90", "latency.p99", "latency.p99.9", "latency.max"];

/// The feed of everything that happens, publishes included; monitoring.md 2.
const MONITOR: &str = "/meta/monitor/**";
/// Bytes of a message's data beside its filling.
const DATA_BYTES_LEAST: usize = 88;
/// Messages in one request; bayeuxd accepts 100 by default.
const BATCH_MAX: u32 = 64;
