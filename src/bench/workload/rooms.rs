//! CometD's load: sessions join random rooms, and publish batches to random rooms at fixed times.
//!
//! Batch `i` is due `i` pauses after the start. What is expected is the sum of the members of each
//! chosen room, the sender included if it is one. Source: CometD 8 `CometDLoadClient`; its publish
//! to `/service/init` is left out, since a session is ready here when its subscribes are answered.

use std::{collections::HashMap, time::Duration};

use serde_json::json;

use super::{
    super::{
        clock::MILLISECOND_NS,
        error::BenchError,
        ledger::Times,
        meter::{Reading, add_costs},
        options::Rooms,
        random::Random,
        report::{Report, number, per, rate},
        swarm::{Connects, Swarm},
        wire::Publish,
    },
    Stage, add_totals,
    fanout::LATENCY_KEYS,
};

/// Runs once.
pub(super) fn run(stage: &mut Stage<'_>, options: &Rooms) -> Result<Report, BenchError> {
    let base = options.channel.trim_end_matches('/');
    let channels: Vec<String> = (0..options.rooms).map(|room| format!("{base}/{room}")).collect();
    let mut random = Random::new(stage.common.seed);
    let memberships = memberships(options, &mut random)?;
    let mut swarm = stage.swarm(channels.clone(), memberships, options.clients, Connects::Held)?;
    stage.open(&mut swarm, options.clients)?;

    let begin = stage.reading(&swarm);
    let mut load = Load {
        options,
        channels,
        random,
        previous: HashMap::new(),
        chat: "x".repeat(options.message_size),
    };
    let sent_ns = load.drive(stage, &mut swarm, begin.at_ns)?;
    let name = stage.contestant.target.name.clone();
    let received_ns = swarm.settle(|swarm| {
        stage.progress.tick(|| format!("{name}: waiting for {}", swarm.ledger.totals.lost()));
    })?;
    let end = stage.reading(&swarm);
    let report = load.report(stage, &swarm, (&begin, &end), (sent_ns, received_ns));
    swarm.close_all()?;
    Ok(report)
}

/// Chooses different rooms for each client.
fn memberships(options: &Rooms, random: &mut Random) -> Result<Vec<Vec<u32>>, BenchError> {
    if options.rooms_per_client > options.rooms || options.rooms_per_client > SUBSCRIBES_MAX {
        return Err(BenchError::Usage(format!(
            "a client cannot join {} different rooms of {}; at most {SUBSCRIBES_MAX} fit into the \
             batch it subscribes with",
            options.rooms_per_client, options.rooms
        )));
    }
    let join = |_| {
        let mut rooms = Vec::with_capacity(options.rooms_per_client);
        while rooms.len() < options.rooms_per_client {
            let room = u32::try_from(random.below(options.rooms)).unwrap_or(0);
            if !rooms.contains(&room) {
                rooms.push(room);
            }
        }
        rooms
    };
    Ok((0..options.clients).map(join).collect())
}

/// The senders' side.
#[derive(Debug)]
struct Load<'a> {
    options: &'a Rooms,
    channels: Vec<String>,
    random: Random,
    /// Index of the last message by sender and room.
    previous: HashMap<(u32, u32), u32>,
    chat: String,
}

impl Load<'_> {
    /// Sends every batch when it is due; returns the time of the last one.
    fn drive(
        &mut self,
        stage: &mut Stage<'_>,
        swarm: &mut Swarm,
        started_ns: u64,
    ) -> Result<u64, BenchError> {
        let mut batch = 0;
        while batch < self.options.batches && swarm.counts.failed == 0 {
            let due_ns = started_ns + batch as u64 * self.options.batch_pause * 1000;
            let now_ns = swarm.clock.now_ns();
            if now_ns < due_ns {
                swarm.turn(Duration::from_nanos((due_ns - now_ns).min(100 * MILLISECOND_NS)))?;
            } else {
                self.send(swarm, batch, due_ns);
                batch += 1;
                // Without a pause the deliveries still have to be taken.
                swarm.turn(Duration::ZERO)?;
            }
            stage.progress.tick(|| {
                let totals = swarm.ledger.totals;
                let name = &stage.contestant.target.name;
                let per_second =
                    rate(totals.delivered, swarm.clock.now_ns().saturating_sub(started_ns));
                let per_second = number(per_second.round());
                format!("{name}: batch {batch}, {per_second} deliveries/s")
            });
        }
        Ok(swarm.clock.now_ns())
    }

    fn send(&mut self, swarm: &mut Swarm, batch: usize, due_ns: u64) {
        let clients = self.options.clients;
        let client =
            if self.options.randomize { self.random.below(clients) } else { batch % clients };
        let sender = u32::try_from(client).unwrap_or(u32::MAX);
        let sent_ns = swarm.clock.now_ns();
        let mut text = String::from("[");
        for number in 0..self.options.batch_size {
            if number > 0 {
                text.push(',');
            }
            let room = self.populated_room(swarm);
            let previous = self.previous.get(&(sender, room)).copied();
            let times = Times { sent_ns, due_ns, measured: true };
            let mark = swarm.ledger.publish(sender, room, times, previous);
            self.previous.insert((sender, room), mark.index);
            let publish = Publish {
                channel: self.channels.get(room as usize).map_or("", String::as_str),
                client_id: swarm.client_id(client),
                user: client,
                mark,
                start_ns: sent_ns,
                chat: &self.chat,
            };
            publish.write(&mut text);
        }
        text.push(']');
        swarm.publish(client, &text);
        swarm.flush_main(client);
    }

    /// Chooses a room that has members; there is one, because every client is in some.
    fn populated_room(&mut self, swarm: &Swarm) -> u32 {
        loop {
            let room = u32::try_from(self.random.below(self.options.rooms)).unwrap_or(0);
            if swarm.ledger.members(room) > 0 {
                return room;
            }
        }
    }

    fn report(
        &self,
        stage: &Stage<'_>,
        swarm: &Swarm,
        span: (&Reading, &Reading),
        (sent_ns, received_ns): (u64, u64),
    ) -> Report {
        let options = self.options;
        let mut report = stage.report(
            "rooms",
            swarm,
            vec![
                ("clients", json!(options.clients)),
                ("rooms", json!(options.rooms)),
                ("roomsPerClient", json!(options.rooms_per_client)),
                ("batches", json!(options.batches)),
                ("batchSize", json!(options.batch_size)),
                ("batchPause", json!({"value": options.batch_pause, "unit": "µs"})),
                ("messageSize", json!(options.message_size)),
                ("randomize", json!(options.randomize)),
                ("seed", json!(stage.common.seed)),
            ],
        );
        let totals = &swarm.ledger.totals;
        let started_ns = span.0.at_ns;
        let send_ns = sent_ns.saturating_sub(started_ns);
        let receive_ns = received_ns.saturating_sub(started_ns);
        report.add("sendTime", per(send_ns, 1_000_000), "ms");
        report.add("sendRate", rate(totals.published, send_ns), "messages/s");
        report.add("receiveTime", per(receive_ns, 1_000_000), "ms");
        report.add_compared("receiveRate", rate(totals.delivered, receive_ns), "messages/s");
        let responses = swarm.counts.responses;
        report.add("responses", per(responses, 1), "");
        report.add("responseRate", rate(responses, receive_ns), "responses/s");
        report.add_latency(LATENCY_KEYS, &swarm.ledger.latency);
        report.add_latency(SCHEDULED_KEYS, &swarm.ledger.scheduled);
        add_costs(&mut report, span, ("serverCpuPerDelivery", totals.delivered));
        add_totals(&mut report, totals);
        stage.add_failures(&mut report, swarm);
        report
    }
}

const SCHEDULED_KEYS: [&str; 6] = [
    "latencyScheduled.min",
    "latencyScheduled.p50",
    "latencyScheduled.p90",
    "latencyScheduled.p99",
    "latencyScheduled.p99.9",
    "latencyScheduled.max",
];
/// Subscribes in the one batch that a session sends; bayeuxd accepts 100 messages by default.
const SUBSCRIBES_MAX: usize = 100;
