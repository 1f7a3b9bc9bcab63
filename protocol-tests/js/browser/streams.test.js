// Responses without an end, read by what browsers have: npm faye over EventSource, a bare EventSource,
// a fetch that reads as it goes, and an iframe whose scripts call the page.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Publisher } from "../lib/bayeux.js";
import { launch, tab, visitor } from "../lib/browser.js";
import { SHORT } from "../lib/broker.js";
import { pause, until } from "../lib/deadline.js";
import { about, Broker, channel, check, checkEnd } from "../lib/kit.js";
import { PageServer } from "../lib/page_server.js";

const FAYE = fileURLToPath(new URL("../node_modules/faye/client/faye-browser.js", import.meta.url));
const PAGES = ["--static", fileURLToPath(new URL("page", import.meta.url))];
const SETTINGS = {
  ...SHORT,
  "transports.enabled": '["websocket","long-polling","eventsource","streaming","iframe"]',
  "transports.streaming.heartbeat": "500ms",
};
const TEXT = "é😀\u2028</script><!-- <script>";
const numbers = (count) => Array.from({ length: count }, (_, n) => n);

about("Chromium");
const broker = await Broker.start(SETTINGS, PAGES);
const pages = await PageServer.start();
const browser = await launch();

/** A page with a session that is subscribed to a channel of its own. */
async function page(bench, base, options) {
  const opened = await tab(bench, await visitor(bench, browser), `${base}/streams.html`, options);
  await opened.waitForFunction(() => window.ready);
  const name = channel("stream");
  const url = broker.url({ host: "localhost" });
  const reply = await opened.evaluate(([url, name]) => window.session(url, name), [url, name]);
  assert.equal(reply.successful, true, JSON.stringify(reply));
  return [opened, name];
}

const own = () => `http://localhost:${broker.port}`;
const other = () => `http://localhost:${pages.port}`;

for (const [transport, base] of [["eventsource", other], ["streaming", other], ["iframe", own]]) {
  const item = transport === "eventsource" ? "p138" : "p150";
  check(`${item} a page receives what is published, in order and once`, async (bench) => {
    const [stream, name] = await page(bench, base());
    const publisher = await Publisher.open(broker.url());
    await publisher.publish(name, { n: 0, text: TEXT });
    await stream.evaluate((transport) => window.open[transport](), transport);
    for (const n of numbers(30).slice(1)) await publisher.publish(name, { n, text: TEXT });
    // Longer than a hold and max_interval: the stream alone keeps the session.
    await pause(6000);
    await stream.evaluate(([c, text]) => window.post({ channel: c, data: { n: 30, text } }), [name, TEXT]);
    await stream.waitForFunction(() => window.inbox.length >= 31);
    const inbox = await stream.evaluate(() => window.inbox);
    assert.deepEqual(inbox, numbers(31).map((n) => ({ n, text: TEXT })));
    const [reply] = await stream.evaluate((type) => window.post({ channel: "/meta/connect", connectionType: type }), transport);
    assert.deepEqual(reply.advice, { reconnect: "retry", interval: 2000, timeout: 0 });
    // The goodbye ends the stream with the reply of its connect.
    await stream.evaluate(() => window.post({ channel: "/meta/disconnect" }));
    await stream.waitForFunction(() => window.replies.length > 0);
    const last = await stream.evaluate(() => ({ ...window.replies.at(-1), ext: undefined }));
    assert.deepEqual([last.channel, last.advice], ["/meta/connect", { reconnect: "none" }]);
    if (transport === "eventsource") await stream.evaluate(() => window.events.close());
    if (transport === "iframe") {
      assert.equal(await stream.evaluate(() => window.frame.contentDocument.body.querySelectorAll("script").length), 0);
    }
  }, { over: transport });
}

check("p138 an EventSource that was cut comes again by itself, and nothing is lost", async (bench) => {
  const [stream, name] = await page(bench, other());
  const publisher = await Publisher.open(broker.url());
  await stream.evaluate(() => window.open.eventsource());
  await publisher.publish(name, 1);
  await stream.waitForFunction(() => window.inbox.length === 1);
  // A poll takes over, so the server ends the stream; the browser opens it again after `retry`. The
  // first connect of a session does not, whatever its type.
  const poll = { channel: "/meta/connect", connectionType: "long-polling", advice: { timeout: 0 } };
  const first = await stream.evaluate((poll) => window.post(poll), poll);
  assert.equal(first[0].advice.interval, 2000);
  await stream.evaluate((poll) => window.post(poll), poll);
  for (const n of [2, 3, 4]) await publisher.publish(name, n);
  await stream.waitForFunction(() => window.opened === 2);
  await publisher.publish(name, 5);
  await stream.waitForFunction(() => window.inbox.length === 5);
  assert.deepEqual(await stream.evaluate(() => window.inbox), [1, 2, 3, 4, 5]);
  await stream.evaluate(() => window.events.close());
});

check("p138 npm faye without WebSocket works over its EventSource", async (bench) => {
  const faye = await tab(bench, await visitor(bench, browser), `${own()}/streams.html`);
  await faye.addScriptTag({ path: FAYE });
  const name = channel("faye");
  const start = performance.now();
  const opened = faye.waitForResponse((response) =>
    response.headers()["content-type"]?.startsWith("text/event-stream"));
  await faye.evaluate(async ([url, name]) => {
    window.inbox = [];
    window.sent = [];
    const client = (window.client = new Faye.Client(url, { retry: 1 }));
    client.disable("websocket");
    client.addExtension({ outgoing: (m, pass) => (window.sent.push(structuredClone(m)), pass(m)) });
    await client.subscribe(name, (data) => window.inbox.push(data));
  }, [`${own()}/faye`, name]);
  const publisher = await Publisher.open(broker.url());
  // Until the stream is open Faye polls, and what a poll brings may be overtaken by the stream.
  await opened;
  for (const n of numbers(50)) await publisher.publish(name, { n, text: TEXT });
  await pause(6000);
  await faye.evaluate((name) => window.client.publish(name, { n: 50, text: "own" }), name);
  await faye.waitForFunction(() => window.inbox.length >= 51);
  assert.deepEqual(await faye.evaluate(() => window.inbox.map((data) => data.n)), numbers(51));
  const sent = await faye.evaluate(() => window.sent);
  const of = (channel) => sent.filter((m) => m.channel === channel);
  assert.equal(of("/meta/handshake").length, 1);
  const connects = of("/meta/connect");
  // Faye polls until it has found that it can do better: once, on a busy machine more often. It never goes back.
  const types = connects.map((m) => m.connectionType);
  const better = types.indexOf("eventsource");
  assert.ok(better > 0, types.join());
  assert.deepEqual([...new Set(types.slice(better))], ["eventsource"], types.join());
  // Two at first, and one after each hold of 2 s.
  const most = 3 + (performance.now() - start) / 2000;
  assert.ok(connects.length >= 3 && connects.length <= most, `${connects.length} connects, ${most} allowed`);
  await faye.evaluate(() => window.client.disconnect());
});

check("p138 npm faye over EventSource comes back to a broker that was restarted", async (bench) => {
  const mortal = bench.keep(await Broker.start(SETTINGS, PAGES));
  const base = `http://localhost:${mortal.port}`;
  const faye = await tab(bench, await visitor(bench, browser), `${base}/streams.html`, { complaintsExpected: true });
  await faye.addScriptTag({ path: FAYE });
  const name = channel("faye");
  await faye.evaluate(async ([url, name]) => {
    window.inbox = [];
    window.client = new Faye.Client(url, { retry: 1 });
    window.client.disable("websocket");
    await window.client.subscribe(name, (data) => window.inbox.push(data));
  }, [`${base}/faye`, name]);
  await mortal.kill();
  await mortal.restart();
  const publisher = await Publisher.open(mortal.url());
  await until("a message after the restart", async () => {
    await publisher.publish(name, "back");
    await pause(200);
    return (await faye.evaluate(() => window.inbox.length)) > 0;
  }, 20_000);
});

check("p150 the shell lines in the documentation print messages", async (bench) => {
  const text = await readFile(new URL("../../../docs/transports.md", import.meta.url), "utf8");
  const script = /```sh\n([\s\S]*?)```/.exec(text)[1].replace("http://127.0.0.1:8080/cometd", broker.url());
  const shell = spawn("bash", ["-c", script], { stdio: ["ignore", "pipe", "inherit"], detached: true });
  bench.later(() => process.kill(-shell.pid));
  let output = "";
  shell.stdout.setEncoding("utf8").on("data", (part) => (output += part));
  await until("the stream", () => output.includes("\n"));
  const publisher = await Publisher.open(broker.url());
  await publisher.publish("/news", "hello");
  await until("the message", () => output.includes('[{"channel":"/news","data":"hello"}]\n'));
});

check("the browser ends", () => browser.close());
checkEnd(broker);
