// Waiting with a limit. No check sleeps for luck: it waits for an event or a condition, and says
// what it waited for when that does not come.

/** Resolves after `ms` milliseconds. Only for pauses that are the subject of a check. */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Settles as `promise` does, or rejects after `ms` milliseconds naming `what` was awaited. */
export async function within(ms, what, promise) {
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

/** Resolves with the first truthy value of `condition()`, asked every 5 ms, or rejects after `ms`. */
export async function until(ms, what, condition) {
  const end = performance.now() + ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await pause(5);
  }
}
