// Reporter of node:test for ../run, which counts its lines: one per check, details below a failure.

import { inspect } from "node:util";

/** Turns test events into lines `ok   NAME (MS ms)`, `FAIL NAME`, `skip NAME: REASON`. */
export default async function* report(events) {
  for await (const { type, data } of events) {
    if (type === "test:stderr" || type === "test:stdout") yield indent(data.message);
    if (type !== "test:pass" && type !== "test:fail") continue;
    // A file and a suite only hold checks. They are reported only when they fail by themselves.
    const holder = data.details.type === "suite" || data.file === data.name;
    if (type === "test:pass") {
      if (holder) continue;
      if (data.skip === "test name does not match pattern") continue; // somebody runs a selection
      const skipped = data.skip !== undefined || data.todo !== undefined;
      const ms = Math.round(data.details.duration_ms);
      yield skipped ? `skip ${data.name}: ${data.skip}\n` : `ok   ${data.name} (${ms} ms)\n`;
    } else {
      const error = data.details.error;
      if (holder && error?.failureType === "subtestsFailed") continue;
      yield `FAIL ${data.name}\n${indent(explain(error))}`;
    }
  }
}

function explain(error) {
  const cause = error?.cause ?? error;
  return cause?.stack ?? inspect(cause);
}

function indent(text) {
  return text.replace(/\n+$/, "").replace(/^/gm, "     | ") + "\n";
}
