// The example page that shows what the broker does, served by the broker itself.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { SHORT } from "../lib/broker.js";
import { launch, tab, visitor } from "../lib/browser.js";
import { until } from "../lib/deadline.js";
import { about, Broker, channel, check, checkEnd } from "../lib/kit.js";
import { live } from "../lib/monitoring.js";

const PAGE = fileURLToPath(new URL("../../../examples/monitor", import.meta.url));

about("Chromium");
const broker = await Broker.start(SHORT, ["--dev", "--static", PAGE]);
const browser = await launch();

check("the example page shows the life of a client, newest first", async (bench) => {
  const page = await tab(bench, await visitor(bench, browser), `${broker.origin}/`);
  await page.waitForFunction(() => document.querySelector("#status").textContent === "watching");
  const name = channel("page");
  await live(broker.url(), name);
  const rows = async () => page.locator("#events tr").allTextContents();
  await until("the end of the client", async () => (await rows())[0]?.includes('cause="client"'));
  const text = (await rows()).toReversed().join("\n");
  const order = ["handshake", `channel="${name}" pattern=false total=1`, `channel="${name}/else" size=7`, `total=0`, "disconnect"];
  const places = order.map((part) => text.lastIndexOf(part));
  assert.ok(places.every((place, n) => place > (places[n - 1] ?? -1)), text);
});

checkEnd(broker);
