// examples/service-quotes as its README starts it: back-end, configuration and page, on free ports.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SHORT } from "../lib/broker.js";
import { launch, tab, visitor } from "../lib/browser.js";
import { until } from "../lib/deadline.js";
import { about, Broker, check, endsWell } from "../lib/kit.js";

const EXAMPLE = fileURLToPath(new URL("../../../examples/service-quotes/", import.meta.url));

about("examples/service-quotes");
const browser = await launch();

/** Starts the back-end; `output` is what it has printed. */
async function backEnd(bench) {
  const child = spawn(process.execPath, [join(EXAMPLE, "back_end.mjs"), "0"], { stdio: ["ignore", "pipe", "inherit"] });
  bench.later(() => child.kill("SIGKILL"));
  const program = { child, output: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => (program.output += text));
  program.port = await until("its port", () => /listening on port (\d+)/.exec(program.output)?.[1]);
  return program;
}

check("a page asks the back-end of 20 lines, and says so when it has no answer", async (bench) => {
  const program = await backEnd(bench);
  const folder = await mkdtemp(join(tmpdir(), "bayeuxd-quotes-"));
  bench.later(() => rm(folder, { recursive: true }));
  const config = join(folder, "bayeuxd.toml");
  const text = await readFile(join(EXAMPLE, "bayeuxd.toml"), "utf8");
  await writeFile(config, text.replace(":9000/", `:${program.port}/`));
  const broker = await Broker.start(SHORT, ["--config", config, "--static", join(EXAMPLE, "page")]);
  bench.later(() => endsWell(broker));
  const page = await tab(bench, await visitor(bench, browser), `${broker.origin}/`);
  const ask = async (symbol, answer) => {
    await page.fill("[name=symbol]", symbol);
    await page.click("button");
    await page.getByText(answer, { exact: true }).waitFor();
  };
  await ask("acme", "4 of acme: 50");
  await ask("nobody", "NoSuchSymbol: nobody trades NOBODY");
  assert.match(program.output, /session [0-9a-f]{12} asks for 4 of ACME/);
  program.child.kill("SIGKILL");
  await ask("globex", "java.io.IOException: the service cannot be reached");
});
