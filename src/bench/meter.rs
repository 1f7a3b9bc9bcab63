//! Takes the measure of a span of a run: counts, CPU of the server and of the tool.

use super::{
    clock::MILLISECOND_NS,
    process::Usage,
    report::{Report, micros, per},
    swarm::Swarm,
};

/// The state of a run at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// The run's time.
    pub(super) at_ns: u64,
    /// Deliveries so far.
    pub(super) delivered: u64,
    /// Publishes so far.
    pub(super) published: u64,
    /// Messages and responses with deliveries so far.
    pub(super) responses: u64,
    /// Bytes received so far.
    pub(super) bytes: u64,
    /// Connects answered so far.
    pub(super) cycles: u64,
    /// The server's processes; `None` if they are unknown or gone.
    pub(super) server: Option<Usage>,
    /// CPU time of the tool's one thread.
    pub(super) client_ns: u64,
}

impl Reading {
    /// Reads everything now. `pids` may be empty.
    pub(super) fn take(swarm: &Swarm, pids: &[u32]) -> Self {
        Self {
            at_ns: swarm.clock.now_ns(),
            delivered: swarm.ledger.totals.delivered,
            published: swarm.ledger.totals.published,
            responses: swarm.counts.responses,
            bytes: swarm.counts.bytes,
            cycles: swarm.counts.cycles,
            server: if pids.is_empty() { None } else { Usage::of(pids) },
            client_ns: Usage::own_thread_ns(),
        }
    }
}

/// Adds what the span from `from` to `to` cost: the server's CPU time, also for each of `units`
/// under `unit_key`, its memory at the end, and how busy the tool was.
pub(super) fn add_costs(
    report: &mut Report,
    (from, to): (&Reading, &Reading),
    (unit_key, units): (&'static str, u64),
) {
    let span_ns = to.at_ns.saturating_sub(from.at_ns);
    if let (Some(before), Some(after)) = (from.server, to.server) {
        let cpu_ns = after.cpu_ns.saturating_sub(before.cpu_ns);
        let user = after.user_ticks.saturating_sub(before.user_ticks);
        let system = after.system_ticks.saturating_sub(before.system_ticks);
        report.add("serverCpu", 100.0 * per(cpu_ns, span_ns), "%");
        report.add("serverCpuUser", 100.0 * per(user, user + system), "% of it");
        if units > 0 {
            report.add_compared(unit_key, per(cpu_ns, units) / 1000.0, "µs");
        }
        report.add("serverRss", micros(after.rss_bytes) / 1000.0, "MB");
    }
    let busy = per(to.client_ns.saturating_sub(from.client_ns), span_ns);
    report.add("cpu", 100.0 * busy, "%");
    if busy > CLIENT_BUSY_MAX && span_ns > SPAN_NS_LEAST {
        report.notes.push(format!(
            "the tool used {:.0} % of a core, so its speed limits the figures, not only the \
             server's",
            100.0 * busy
        ));
    }
}

/// Share of a core above which the tool is held to be the limit: one thread cannot do much more,
/// and queues grow before it is at 1.
const CLIENT_BUSY_MAX: f64 = 0.85;
/// The kernel accounts CPU time in ticks of some milliseconds, so a shorter span says nothing.
const SPAN_NS_LEAST: u64 = 50 * MILLISECOND_NS;
