// What the checks of one file share: a broker, clients that are closed after each check, and a limit
// of time for each check, so that a hung one fails alone.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { Broker } from "./broker.js";

const LIMIT_MS = 60_000;

// What a hung check left behind must not keep the process; the pause lets its report out.
after(() => void setTimeout(() => process.exit(), 2000).unref());

/** Collects what a check opened; everything is closed when the check ends, last opened first. */
class Bench {
  #closers = [];

  /** Runs `closer` when the check ends. */
  later(closer) {
    this.#closers.push(closer);
  }

  /** Remembers something with a `close` or `stop` method and returns it. */
  keep(thing) {
    this.later(() => (thing.close ? thing.close() : thing.stop()));
    return thing;
  }

  async clear() {
    const errors = [];
    for (const closer of this.#closers.reverse()) {
      try {
        await closer();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}

/** Says which client the checks of this file are about, for their names. */
export function about(client) {
  subject = ` (${client})`;
}
let subject = "";

/**
 * Declares a check: `name` is a sentence, `body` gets a Bench. A check that a file declares once for
 * each transport says so with `over`, so that names stay literal: docs/conformance.md quotes them. It may
 * take `limit` milliseconds.
 */
export function check(name, body, { over, limit = LIMIT_MS } = {}) {
  const title = over ? `${name}, over ${over}` : name;
  test(title + subject, { timeout: limit }, async (context) => {
    const bench = new Bench();
    let failed = true;
    // Also when the limit has passed, and then without a second complaint.
    context.after(async () => failed && (await bench.clear().catch(() => {})));
    await body(bench);
    failed = false;
    await bench.clear();
  });
}

/** Runs the checks that `declare` declares at the same time: for those that mostly wait. */
export function sideBySide(declare) {
  describe("side by side", { concurrency: true }, declare);
}

/** Declares the last check of a file: its shared broker ends in order. */
export function checkEnd(broker) {
  check("the broker drains with exit code 0 and never panicked", () => endsWell(broker));
}

/** Drains the broker and fails unless it ended with 0 and without a panic. */
export async function endsWell(broker) {
  const { code, output } = await broker.stop();
  assert.doesNotMatch(output, /panicked/);
  assert.equal(code, 0, output);
}

/** A channel name that no other check uses. */
export function channel(hint = "check") {
  channels += 1;
  return `/${hint}/${process.pid}/${channels}`;
}
let channels = 0;

export { Broker };
