// A page that is loaded again, and one that is closed.

import assert from "node:assert/strict";
import { knows, Publisher } from "../lib/bayeux.js";
import { SHORT } from "../lib/broker.js";
import { clientTab, launch, visitor } from "../lib/browser.js";
import { pause, until } from "../lib/deadline.js";
import { about, Broker, channel, check, checkEnd } from "../lib/kit.js";
import { PageServer } from "../lib/page_server.js";

const numbers = (count) => Array.from({ length: count }, (_, n) => n);

about("Chromium");
const broker = await Broker.start();
// For reloads, which take their time on a busy machine: sessions live as long as by default.
const patient = await Broker.start({ ...SHORT, "session.max_interval": "60s" });
const pages = await PageServer.start();
const browser = await launch();

for (const transport of ["websocket", "long-polling"]) {
  check("p134 a reload keeps the session, and no message is lost", async (bench) => {
    const page = await clientTab(bench, await visitor(bench, browser), pages.url("client.html"));
    const name = channel("reload");
    const start = () =>
      page.evaluate((o) => window.start(o), { url: patient.url({ host: "localhost" }), transport, channel: name, reload: true });
    await start();
    const clientId = await page.evaluate(() => window.cometd.getClientId());
    const publisher = await Publisher.open(patient.url());
    const received = [];
    for (let round = 0; round < 3; round++) {
      const first = round * 30;
      for (const n of numbers(10)) await publisher.publish(name, first + n);
      await page.waitForFunction((last) => window.inbox.at(-1) === last, first + 9);
      received.push(...(await page.evaluate(() => window.inbox)));
      // The new page is kept waiting; meanwhile nobody is connected.
      const asked = pages.hold();
      const reloaded = page.reload();
      const serve = await asked;
      await pause(300); // the old page closed its connection before it asked; let the broker see it
      for (const n of numbers(10)) await publisher.publish(name, first + 10 + n);
      serve();
      await reloaded;
      await page.waitForFunction(() => window.ready);
      await start();
      assert.deepEqual(await page.evaluate(() => window.failures), []);
      assert.equal(await page.evaluate(() => window.cometd.getClientId()), clientId);
      for (const n of numbers(10)) await publisher.publish(name, first + 20 + n);
      await page.waitForFunction((last) => window.inbox.at(-1) === last, first + 29);
      received.push(...(await page.evaluate(() => window.inbox.splice(0))));
    }
    assert.deepEqual(received, numbers(90));
  }, { over: transport });

  check("p055 the session of a closed tab is gone after max_interval", async (bench) => {
    const page = await clientTab(bench, await visitor(bench, browser), pages.url("client.html"));
    await page.evaluate((o) => window.start(o), { url: broker.url({ host: "localhost" }), transport, channel: channel() });
    await page.waitForFunction(() => window.connects.length >= 2); // so the third is held
    const clientId = await page.evaluate(() => window.cometd.getClientId());
    await page.close();
    await pause(6500); // max_interval 5 s, removal at most 1 s late; asking earlier would prolong it
    assert.equal(await knows(broker.url(), clientId), false);
  }, { over: transport });
}

check("a page whose broker was killed and started again is back by itself", async (bench) => {
  for (const transport of ["websocket", "long-polling"]) {
    const own = await Broker.start();
    bench.later(() => own.stop());
    const page = await clientTab(bench, await visitor(bench, browser), pages.url("client.html"), { complaintsExpected: true });
    const name = channel("restart");
    await page.evaluate((o) => window.start(o), { url: own.url({ host: "localhost" }), transport, channel: name });
    await own.kill();
    await pause(300);
    await own.restart();
    const publisher = await Publisher.open(own.url());
    await until("a message after the restart", async () => {
      await publisher.publish(name, "back");
      return page.evaluate(() => window.inbox.includes("back"));
    });
  }
});

check("the pages and the browser end", async () => {
  await browser.close();
  pages.close();
});
checkEnd(broker);
checkEnd(patient);
