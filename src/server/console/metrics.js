// Reads the broker's /metrics, as far as the overview needs it.

/** Maps each series name to its `{labels, value}`; lines that are no samples are skipped. */
export function parse(text) {
  const series = new Map();
  for (const line of text.split("\n")) {
    const sample = /^([a-z_]+)(?:\{([^}]*)\})? (\S+)$/.exec(line);
    if (!sample) continue;
    const labels = Object.fromEntries([...(sample[2] ?? "").matchAll(/([a-z_]+)="([^"]*)"/g)].map((m) => [m[1], m[2]]));
    if (!series.has(sample[1])) series.set(sample[1], []);
    series.get(sample[1]).push({ labels, value: Number(sample[3]) });
  }
  return series;
}

/** What can be denied, the label `op`, in words. */
export const OPERATIONS = { handshake: "handshakes", request: "requests of pages and browsers", subscribe: "subscriptions", publish: "publishes", monitor: "subscriptions of monitors", api: "requests to publish over HTTP", admin: "requests of operators" };

/** What could not be used, by the label `reason`, in words. */
export const faults = (reason) => reason.startsWith("api_") ? `bad requests to publish: ${reason.slice("api_".length)}` : `bad requests: ${reason}`;

/** The values of a series by one label, summed over the others; those that are zero left out. */
export function by(series, name, label) {
  const sums = {};
  for (const { labels, value } of series.get(name) ?? []) {
    if (value !== 0) sums[labels[label]] = (sums[labels[label]] ?? 0) + value;
  }
  return sums;
}

/** A histogram summed over all labels but `le`: bounds, ascending, with what is at or below. */
export function histogram(series, name) {
  const sums = new Map();
  for (const { labels, value } of series.get(`${name}_bucket`) ?? []) {
    const bound = labels.le === "+Inf" ? Infinity : Number(labels.le);
    sums.set(bound, (sums.get(bound) ?? 0) + value);
  }
  return [...sums].sort(([one], [other]) => one - other);
}

/**
 * The `part` quantile (0 to 1) of what a histogram got since `before`; `null` if that is nothing.
 * Inside a bucket values count as spread evenly, as Prometheus does it.
 */
export function quantile(now, before, part) {
  const earlier = new Map(before);
  const grown = now.map(([bound, n]) => [bound, n - (earlier.get(bound) ?? 0)]);
  const total = grown.at(-1)?.[1] ?? 0;
  if (total <= 0) return null;
  let low = 0;
  let below = 0;
  for (const [bound, n] of grown) {
    if (n >= total * part) {
      if (bound === Infinity) return low;
      return low + ((bound - low) * (total * part - below)) / Math.max(n - below, 1);
    }
    [low, below] = [bound, n];
  }
  return low;
}
