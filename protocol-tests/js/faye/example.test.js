// examples/faye/talk.js as a person uses it: a line typed in one terminal appears in the other.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { until } from "../lib/deadline.js";
import { about, Broker, check, checkEnd } from "../lib/kit.js";

const TALK = fileURLToPath(new URL("../../../examples/faye/talk.js", import.meta.url));

about("examples/faye");
const broker = await Broker.start();

/** One terminal: `output` is all that the program has printed, on both streams. */
function terminal(bench) {
  const child = spawn(process.execPath, [TALK, broker.url({ path: "/faye" }), "/chat/demo"]);
  bench.later(() => child.kill("SIGKILL"));
  const terminal = { child, output: "" };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => (terminal.output += text));
  }
  return terminal;
}

check("two terminals talk, and leave when their input ends", async (bench) => {
  const [one, other] = [terminal(bench), terminal(bench)];
  await until("both subscribed", () => [one, other].every((side) => side.output.includes("subscribed")));
  one.child.stdin.write("hello from here\n");
  await until("the line everywhere", () => [one, other].every((side) => side.output.includes(": hello from here\n")));
  for (const side of [one, other]) side.child.stdin.end();
  const codes = await Promise.all([one, other].map(async (side) => side.child.exitCode ?? (await once(side.child, "exit"))[0]));
  assert.deepEqual(codes, [0, 0]);
});

checkEnd(broker);
