// Looks at the broker every two seconds and keeps the last five minutes, whichever page is shown.

import { get, request } from "./api.js";
import { every } from "./dom.js";
import { by, histogram, parse, quantile } from "./metrics.js";

/** Milliseconds between two looks. */
export const STEP = 2000;
/** How many looks are kept. */
export const KEPT = 150;
/** Latency is that of the looks of this many steps: a single one may hold a handful of messages. */
const LATENCY_STEPS = 5;

/** Milliseconds after which the configuration is asked for again: somebody else may have had it read anew. */
const CONFIG_MS = 15_000;

/**
 * What is known of the broker; tells `look` after each look, and `changed` when it may have another
 * configuration: it was started again, or has read it anew.
 */
class Node extends EventTarget {
  stats = null;
  /** Why the last look failed. */
  failure = null;
  /** Why there are no metrics. */
  metricsFailure = null;
  looks = [];
  metrics = new Map();

  /** Begins to look, until `signal`. */
  watch(signal) {
    this.looks = [];
    this.stats = null;
    this.metricsFailure = null;
    every(STEP, signal, () => this.#look(signal));
  }

  async #look(signal) {
    try {
      const [stats] = await Promise.all([get("stats", { signal }), this.#readMetrics(signal)]);
      const changed = this.failure || stats.uptime_s < this.stats?.uptime_s;
      this.stats = stats;
      this.failure = null;
      this.#remember(stats);
      if (changed) this.dispatchEvent(new Event("changed"));
    } catch (error) {
      if (signal.aborted) return;
      this.failure = error;
      // A gap in the charts, and no rate over the time in which nobody looked.
      if (this.looks.length > 0) this.looks.push({ at: Date.now() });
    }
    this.looks.splice(0, this.looks.length - KEPT);
    this.dispatchEvent(new Event("look"));
  }

  async #readMetrics(signal) {
    // Refused once is refused until the page is opened anew.
    if (this.metricsFailure) return;
    try {
      this.metrics = parse(await (await request("metrics", { signal })).text());
      this.metricsFailure = null;
    } catch (error) {
      if (error.status === 0 || error.status === 401) throw error;
      this.metrics = new Map();
      this.metricsFailure = error;
    }
  }

  #remember(stats) {
    const totals = stats.totals;
    const refused = totals.publishes_refused + totals.handshakes_refused;
    const transports = by(this.metrics, "bayeuxd_sessions", "transport");
    const look = {
      at: Date.now(),
      totals: { in: totals.published, out: totals.delivered, lost: totals.lost, refused },
      histogram: histogram(this.metrics, "bayeuxd_delivery_latency_seconds"),
      sessions: stats.sessions,
      // Sessions before their first connect have no transport yet.
      transports: this.metrics.has("bayeuxd_sessions") ? transports : { sessions: stats.sessions },
      queue: stats.queue_bytes,
    };
    const last = this.looks.at(-1);
    // A broker that was started again counts from nothing.
    if (last?.totals && last.totals.in <= look.totals.in && last.totals.out <= look.totals.out) {
      const seconds = (look.at - last.at) / 1000;
      for (const name of ["in", "out", "lost", "refused"]) {
        look[name] = Math.max(0, look.totals[name] - last.totals[name]) / seconds;
      }
      const before = this.looks.slice(-LATENCY_STEPS).find(({ totals }) => totals);
      look.p50 = quantile(look.histogram, before.histogram, 0.5) ?? this.#late(stats.delivery_p50_ms);
      look.p99 = quantile(look.histogram, before.histogram, 0.99) ?? this.#late(stats.delivery_p99_ms);
    }
    this.looks.push(look);
  }

  /** Without metrics the latency since the last look has to do, in seconds. */
  #late(millis) {
    return this.metricsFailure && millis !== undefined ? millis / 1000 : null;
  }
}

/** The broker that served this page. */
export const node = new Node();

/** Hands the configuration to `take`, now and whenever it has changed, or what keeps it away to `failed`. */
export function configuration(signal, take, failed) {
  let last;
  const read = async () => {
    try {
      const config = await get("config", { signal });
      const text = JSON.stringify(config);
      if (text !== last) take(config);
      last = text;
    } catch (error) {
      if (signal.aborted) return;
      last = undefined;
      failed(error);
    }
  };
  node.addEventListener("changed", read, { signal });
  every(CONFIG_MS, signal, read);
}
