//! Sessions that only wait: what each of them costs in memory, and in CPU while nothing happens.
//!
//! A few sessions are opened before the first reading, so that what a server needs once (threads,
//! code, pools) is not counted as theirs.

use std::time::Duration;

use serde_json::json;

use super::{
    super::{
        clock::MILLISECOND_NS,
        error::BenchError,
        meter::add_costs,
        options::Idle,
        report::{Report, micros, per},
        swarm::Connects,
    },
    Stage,
};

/// Runs once.
pub(super) fn run(stage: &mut Stage<'_>, options: &Idle) -> Result<Report, BenchError> {
    let channels = (0..options.subscriptions).map(|number| format!("/bench/idle/{number}"));
    let channels: Vec<String> = channels.collect();
    let all: Vec<u32> = (0..channels.len()).filter_map(|room| u32::try_from(room).ok()).collect();
    let mut swarm = stage.swarm(channels, vec![all; options.clients], 0, Connects::Held)?;

    let first = (options.clients / 10).min(FIRST_MAX);
    stage.open(&mut swarm, first)?;
    let before = stage.reading(&swarm);
    stage.open(&mut swarm, options.clients)?;
    let opened = stage.reading(&swarm);
    let end_ns = opened.at_ns + u64::try_from(options.duration.as_nanos()).unwrap_or(u64::MAX);
    let name = stage.contestant.target.name.clone();
    loop {
        let now_ns = swarm.clock.now_ns();
        if now_ns >= end_ns {
            break;
        }
        swarm.turn(Duration::from_nanos((end_ns - now_ns).min(100 * MILLISECOND_NS)))?;
        stage.progress.tick(|| format!("{name}: {} sessions held", options.clients));
    }
    let held = stage.reading(&swarm);

    let mut report = stage.report(
        "idle",
        &swarm,
        vec![
            ("clients", json!(options.clients)),
            ("subscriptions", json!(options.subscriptions)),
            ("durationMs", json!(options.duration.as_millis())),
        ],
    );
    let counted = (options.clients - first) as u64;
    if let (Some(before), Some(held)) = (before.server, held.server) {
        let per_session = |from: u64, to: u64| per(to.saturating_sub(from), counted);
        let anonymous = per_session(before.anonymous_bytes, held.anonymous_bytes);
        report.add("rssPerSession", per_session(before.rss_bytes, held.rss_bytes), "B");
        report.add_compared("rssAnonPerSession", anonymous, "B");
        report.add("serverRssBefore", micros(before.rss_bytes) / 1000.0, "MB");
    } else {
        report.notes.push("memory is told only with --pid".to_owned());
    }
    report.add("connectsAnswered", per(held.cycles - opened.cycles, 1), "");
    add_costs(&mut report, (&opened, &held), ("serverCpuPerSession", counted));
    stage.add_failures(&mut report, &swarm);
    swarm.close_all()?;
    Ok(report)
}

/// Sessions opened before the first reading.
const FIRST_MAX: usize = 100;
