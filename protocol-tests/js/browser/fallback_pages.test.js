// What fallback makes of the pages of one browser: tabs, reloads, pages that are left, and a network that
// opens WebSockets and then passes nothing.

import assert from "node:assert/strict";
import { WHENS } from "../lib/application.js";
import { Breaker } from "../lib/breaker.js";
import { visitor } from "../lib/browser.js";
import { pause, until } from "../lib/deadline.js";
import { about, Broker, channel, check, checkEnd, sideBySide } from "../lib/kit.js";
import { LIMIT_MS, PATIENT, PATIENTLY, Traveller } from "../fallback/scenarios.js";
import { Pages } from "./fallback.js";

/** Long enough for a page to be loaded by a busy machine. */
const DEMOTE_FOR_MS = 20_000;
const [when] = WHENS;

about("Chromium");
const broker = await Broker.start({ ...PATIENT, "transports.websocket.demote_for": `${DEMOTE_FOR_MS}ms` });
const pages = await Pages.start("cometd 9");
const open = (bench, options) => pages.open(bench, { ...options, when });

/** Another page of the same browser behind the same network; resolves when it is subscribed. */
async function another(bench, breaker, context) {
  const page = await open(bench, { broker, breaker, channel: channel("fallback"), context });
  await until("a subscription", async () => (await page.status()).subscribed > 0, PATIENTLY);
  return page;
}

sideBySide(() => {
  check("sf08 sf12 a page that is loaded during the demotion polls at once, one loaded after it does not", async (bench) => {
    const context = await visitor(bench, pages.browser);
    const one = await Traveller.start(bench, open, broker, { after: 1000, context });
    await one.falls();
    one.breaker.heal();
    await one.stream.arrived(() => one.inbox());
    const during = await (await another(bench, one.breaker, context)).status();
    assert.deepEqual([during.transport, during.handshakes], ["long-polling", 1]);
    await pause(Math.max(0, DEMOTE_FOR_MS - (performance.now() - one.fell)));
    const after = await (await another(bench, one.breaker, context)).status();
    assert.deepEqual([after.transport, after.handshakes], ["websocket", 1]);
    assert.equal((await one.client.status()).handshakes, 2);
  }, { limit: LIMIT_MS });

  check("sf10 two tabs of one browser both fall back, each with its own messages", async (bench) => {
    const context = await visitor(bench, pages.browser);
    // An earlier page got the cookie: two first visits at the same moment would make two browsers.
    await another(bench, bench.keep(await Breaker.start(broker.port, {})), context);
    const tabs = await Promise.all([1, 2].map(() => Traveller.start(bench, open, broker, { after: 2000, context })));
    for (const tab of tabs) await tab.becomes("long-polling", ({ transport }) => transport === "long-polling");
    for (const tab of tabs) await tab.stream.goesOn(25);
    for (const tab of tabs) {
      await tab.stream.arrived(() => tab.inbox());
      await tab.staysDown();
    }
  }, { limit: LIMIT_MS });

  check("sf01 pages that are left, one after the other, break nothing", async (bench) => {
    const context = await visitor(bench, pages.browser);
    const breaker = bench.keep(await Breaker.start(broker.port, {}));
    for (let round = 1; round <= 5; round++) {
      const { page, status } = await another(bench, breaker, context);
      assert.equal((await status()).transport, "websocket", `page ${round}`);
      if (round % 2 === 0) await page.close();
      else await page.goto("about:blank");
    }
  }, { limit: LIMIT_MS });

  check("sf13 behind a network that swallows every frame the third page polls", async (bench) => {
    const context = await visitor(bench, pages.browser);
    const breaker = bench.keep(await Breaker.start(broker.port, { mute: true }));
    for (let round = 1; round <= 2; round++) {
      const { page, status } = await open(bench, { broker, breaker, channel: channel("fallback"), context });
      await until("a WebSocket", () => breaker.opened === round);
      assert.equal((await status()).handshakes, 0);
      await page.close();
      await until("its end", () => breaker.connections === 0);
    }
    const third = await Traveller.start(bench, open, broker, { mute: true, context });
    await third.stream.goesOn(20);
    await third.stream.arrived(() => third.inbox());
    const { transport, handshakes } = await third.client.status();
    assert.deepEqual([transport, handshakes], ["long-polling", 1]);
    assert.equal(third.breaker.opened, 0, "the upgrade is refused");
  }, { limit: LIMIT_MS });
});

pages.checkEnd();
checkEnd(broker);
