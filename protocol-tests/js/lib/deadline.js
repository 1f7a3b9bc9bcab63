// Waiting with a limit. No check sleeps for luck: it waits for an event or a condition, and says
// what it waited for when that does not come.

/** Resolves after `ms` milliseconds. Only for pauses that are the subject of a check. */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * How long anything may take, in milliseconds: long, because a busy machine is no failure. Where time
 * is the subject, a check measures it.
 */
const PATIENCE_MS = 20_000;

/** Settles as `promise` does, or rejects after `ms` milliseconds naming `what` was awaited. */
export async function within(what, promise, ms = PATIENCE_MS) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Resolves with the first truthy value of `condition()`, asked every few milliseconds, or rejects after
 * `patience` milliseconds.
 */
export async function until(what, condition, { every = 5, patience = PATIENCE_MS } = {}) {
  const end = performance.now() + patience;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > end) throw new Error(`not within ${patience} ms: ${what}`);
    await pause(every);
  }
}
