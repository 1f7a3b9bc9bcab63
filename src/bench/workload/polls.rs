//! Polls per second: every session sends its next connect as soon as the last was answered, and
//! asks for the answer at once.

use std::time::Duration;

use serde_json::json;

use super::{
    super::{
        clock::MILLISECOND_NS,
        error::BenchError,
        meter::add_costs,
        options::Polls,
        report::{Report, number, rate},
        swarm::Connects,
    },
    Stage,
    fanout::LATENCY_KEYS,
};

/// Runs once.
pub(super) fn run(stage: &mut Stage<'_>, options: &Polls) -> Result<Report, BenchError> {
    let mut swarm =
        stage.swarm(Vec::new(), vec![Vec::new(); options.clients], 0, Connects::Rapid)?;
    stage.open(&mut swarm, options.clients)?;
    // Sessions that came first have polled while others were opened; that does not count.
    swarm.cycles.reset();
    let before = stage.reading(&swarm);
    let end_ns = before.at_ns + u64::try_from(options.duration.as_nanos()).unwrap_or(u64::MAX);
    let name = stage.contestant.target.name.clone();
    while swarm.counts.failed == 0 {
        let now_ns = swarm.clock.now_ns();
        if now_ns >= end_ns {
            break;
        }
        swarm.turn(Duration::from_nanos((end_ns - now_ns).min(100 * MILLISECOND_NS)))?;
        stage.progress.tick(|| {
            let per_second =
                rate(swarm.counts.cycles - before.cycles, now_ns.saturating_sub(before.at_ns));
            format!("{name}: {} polls/s", number(per_second.round()))
        });
    }
    let after = stage.reading(&swarm);

    let own = vec![
        ("clients", json!(options.clients)),
        ("durationMs", json!(options.duration.as_millis())),
    ];
    let mut report = stage.report("polls", &swarm, own);
    let polls = after.cycles - before.cycles;
    let span_ns = after.at_ns.saturating_sub(before.at_ns);
    report.add_compared("pollRate", rate(polls, span_ns), "polls/s");
    report.add_latency(LATENCY_KEYS, &swarm.cycles);
    add_costs(&mut report, (&before, &after), ("serverCpuPerPoll", polls));
    report.complete &= polls > 0;
    stage.add_failures(&mut report, &swarm);
    swarm.close_all()?;
    Ok(report)
}
