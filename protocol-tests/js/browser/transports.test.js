// npm cometd in a page, over each transport: what only a browser does, that is preflights, cookies,
// script tags, and the rule of origins.

import assert from "node:assert/strict";
import { Publisher } from "../lib/bayeux.js";
import { clientTab, FOREIGN, launch, visitor } from "../lib/browser.js";
import { until } from "../lib/deadline.js";
import { about, Broker, channel, check, checkEnd } from "../lib/kit.js";
import { PageServer } from "../lib/page_server.js";

const TRANSPORTS = ["websocket", "long-polling", "callback-polling"];
const numbers = (count) => Array.from({ length: count }, (_, n) => n);

about("Chromium");
const broker = await Broker.start();
const pages = await PageServer.start();
const browser = await launch();

for (const transport of TRANSPORTS) {
  check("a page of another origin publishes and receives", async (bench) => {
    const page = await clientTab(bench, await visitor(bench, browser), pages.url("client.html"));
    const name = channel("browser");
    const reply = await page.evaluate((o) => window.start(o), { url: broker.url({ host: "localhost" }), transport, channel: name });
    assert.equal(reply.successful, true, JSON.stringify(reply));
    const used = await page.evaluate(() => window.cometd.getTransport().type ?? window.cometd.getTransport().getType());
    assert.equal(used, transport);
    const publisher = await Publisher.open(broker.url());
    for (const n of numbers(20)) await publisher.publish(name, { n, text: "é😀\u2028</script>" });
    const own = await page.evaluate((c) => window.publish(c, { n: 20, text: "own" }), name);
    assert.equal(own.successful, true);
    await page.waitForFunction(() => window.inbox.length >= 21);
    const inbox = await page.evaluate(() => window.inbox);
    assert.deepEqual(inbox.map((d) => d.n), numbers(21));
    assert.equal(inbox[0].text, "é😀\u2028</script>");
    assert.deepEqual(await page.evaluate(() => window.failures), []);
  }, { over: transport });

  check("p108 a page of a foreign origin is refused", async (bench) => {
    const page = await clientTab(bench, await visitor(bench, browser), pages.url("client.html", FOREIGN), { complaintsExpected: true });
    const started = page.evaluate((o) => window.start(o), { url: broker.url(), transport, channel: "/foreign" });
    started.catch(() => {}); // the page is closed while the client still tries
    await page.waitForFunction(() => window.failures.length > 0);
    const [failure] = await page.evaluate(() => window.failures);
    assert.equal(failure.channel, "/meta/handshake");
    assert.ok(page.complaints.some((text) => /403|CORS|Access-Control|ERR_/.test(text)), page.complaints.join("\n"));
    assert.deepEqual(await page.evaluate(() => window.connects), []);
  }, { over: transport });
}

check("p087 the browser cookie is set, hidden from scripts, and comes back", async (bench) => {
  for (const transport of TRANSPORTS) {
    const context = await visitor(bench, browser);
    const page = await clientTab(bench, context, pages.url("client.html"));
    await page.evaluate((o) => window.start(o), { url: broker.url({ host: "localhost" }), transport, channel: channel() });
    const cookies = await context.cookies();
    const expected = transport === "websocket" ? "BAYEUX_BROWSER_WS" : "BAYEUX_BROWSER";
    assert.deepEqual(cookies.map((cookie) => cookie.name), [expected]);
    assert.equal(cookies[0].httpOnly, true);
    assert.equal(cookies[0].domain, "localhost");
    assert.equal(await page.evaluate(() => document.cookie), "");
    if (transport === "websocket") continue;
    const request = page.waitForRequest((r) => r.url().startsWith(broker.url({ host: "localhost" })));
    await page.evaluate(() => void window.publish("/any", 1));
    const sent = await (await request).allHeaders();
    assert.equal(sent.cookie, `BAYEUX_BROWSER=${cookies[0].value}`, transport);
  }
});

check("p088 a page of another site works although its browser keeps the cookie back", async (bench) => {
  for (const transport of TRANSPORTS) {
    const page = await clientTab(bench, await visitor(bench, browser), pages.url("client.html", "127.0.0.1"));
    const name = channel("cross-site");
    const reply = await page.evaluate((o) => window.start(o), { url: broker.url({ host: "localhost" }), transport, channel: name });
    assert.equal(reply.successful, true, JSON.stringify(reply));
    await page.evaluate((c) => window.publish(c, 1), name);
    await page.waitForFunction(() => window.inbox.length === 1);
  }
});

check("p091 a preflight is answered for this origin only, with credentials", async () => {
  const ask = (origin) =>
    fetch(broker.url(), {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type,x-own" },
    });
  const allowed = await ask("http://localhost:3000");
  assert.equal(allowed.status, 204);
  assert.equal(allowed.headers.get("access-control-allow-origin"), "http://localhost:3000");
  assert.equal(allowed.headers.get("access-control-allow-credentials"), "true");
  assert.match(allowed.headers.get("vary"), /origin/i);
  assert.match(allowed.headers.get("access-control-allow-headers"), /x-own/i);
  const refused = await ask("http://evil.example");
  assert.equal(refused.headers.get("access-control-allow-origin"), null);
});

check("p075 of two tabs over long-polling one holds its poll, and both get everything", async (bench) => {
  const context = await visitor(bench, browser);
  const name = channel("tabs");
  const tabs = [];
  for (let n = 0; n < 2; n++) {
    const page = await clientTab(bench, context, pages.url("client.html"));
    await page.evaluate((o) => window.start(o), { url: broker.url({ host: "localhost" }), transport: "long-polling", channel: name });
    tabs.push(page);
  }
  const crowded = (page) => page.evaluate(() => window.connects.some((m) => m.advice?.["multiple-clients"] === true));
  await until("the advice multiple-clients", async () => (await Promise.all(tabs.map(crowded))).includes(true));
  const publisher = await Publisher.open(broker.url());
  for (const n of numbers(10)) await publisher.publish(name, n);
  for (const page of tabs) {
    await page.waitForFunction(() => window.inbox.length >= 10);
    assert.deepEqual(await page.evaluate(() => window.inbox), numbers(10));
    assert.deepEqual(await page.evaluate(() => window.failures), []);
  }
});

check("two tabs over WebSocket both hold their connect", async (bench) => {
  const context = await visitor(bench, browser);
  const name = channel("tabs");
  for (let n = 0; n < 2; n++) {
    const page = await clientTab(bench, context, pages.url("client.html"));
    await page.evaluate((o) => window.start(o), { url: broker.url({ host: "localhost" }), transport: "websocket", channel: name });
    await page.waitForFunction(() => window.connects.length >= 2);
    const advised = await page.evaluate(() => window.connects.some((m) => m.advice?.["multiple-clients"]));
    assert.equal(advised, false);
  }
});

check("the pages and the browser end", async () => {
  await browser.close();
  pages.close();
});
checkEnd(broker);
