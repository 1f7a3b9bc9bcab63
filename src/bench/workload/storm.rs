//! Sessions per second: connection, handshake, subscribe, first connect.

use serde_json::json;

use super::{
    super::{
        error::BenchError,
        meter::add_costs,
        options::Storm,
        report::{Report, rate},
        swarm::Connects,
    },
    Stage,
};

/// Runs once.
pub(super) fn run(stage: &mut Stage<'_>, options: &Storm) -> Result<Report, BenchError> {
    let channel = format!("/bench/{:08x}", super::run_number());
    let mut swarm =
        stage.swarm(vec![channel], vec![vec![0]; options.clients], 0, Connects::Held)?;
    let before = stage.reading(&swarm);
    stage.open(&mut swarm, options.clients)?;
    let after = stage.reading(&swarm);

    let own = vec![("clients", json!(options.clients)), ("opening", json!(stage.common.opening))];
    let mut report = stage.report("storm", &swarm, own);
    let sessions = options.clients as u64;
    let span_ns = after.at_ns.saturating_sub(before.at_ns);
    report.add_compared("sessionRate", rate(sessions, span_ns), "sessions/s");
    report.add_latency(OPENING_KEYS, &swarm.opened);
    add_costs(&mut report, (&before, &after), ("serverCpuPerSession", sessions));
    if let (Some(from), Some(to)) = (before.server, after.server) {
        let cpu_ns = to.cpu_ns.saturating_sub(from.cpu_ns);
        report.add_compared("sessionRatePerCore", rate(sessions, cpu_ns), "sessions/s");
    }
    stage.add_failures(&mut report, &swarm);
    swarm.close_all()?;
    Ok(report)
}

const OPENING_KEYS: [&str; 6] =
    ["opening.min", "opening.p50", "opening.p90", "opening.p99", "opening.p99.9", "opening.max"];
