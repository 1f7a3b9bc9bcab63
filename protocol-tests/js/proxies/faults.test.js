// npm cometd, unmodified, while proxies give up, reload, or meet no broker: the client comes back by
// itself, and what was acknowledged is not lost.

import assert from "node:assert/strict";
import { Publisher } from "../lib/bayeux.js";
import { SHORT } from "../lib/broker.js";
import { clientFactory } from "../lib/cometd_client.js";
import { pause, until } from "../lib/deadline.js";
import { about, Broker, channel, check, endsWell } from "../lib/kit.js";
import { FULL, PLAIN } from "../lib/reverse_proxy.js";
import { behind, numbers, robust } from "./behind.js";

about("behind a proxy");
const { client: polling, library } = await clientFactory(9, "long-polling");
const { client: websocket } = await clientFactory(9, "websocket");

/** A broker of the check's own that has to end well. */
async function broker(bench, settings) {
  const own = await Broker.start({ ...SHORT, ...settings });
  bench.later(() => endsWell(own));
  return own;
}

for (const kind of FULL) {
  check("a broker that is restarted behind its proxy gets its clients back", async (bench) => {
    const own = await broker(bench);
    const [url] = await behind(bench, kind, own);
    const name = channel("restart");
    const clients = [await robust(bench, polling, url, name), await robust(bench, websocket, url, name)];
    const before = clients.map((one) => one.cometd.getClientId());
    await own.kill();
    await pause(500); // the clients meet 502 or 503
    await own.restart();
    for (const [n, one] of clients.entries()) {
      await until("another session", () => ![null, before[n]].includes(one.cometd.getClientId()));
      await until("the subscription", () => one.received.filter((m) => m.channel === "/meta/subscribe").length === 2);
    }
    await (await Publisher.open(own.url())).publish(name, "back");
    for (const one of clients) await until("a message", () => one.inbox.includes("back"));
  }, { over: kind });
}

for (const kind of [...FULL, PLAIN]) {
  check("a proxy that gives up on every poll costs no acknowledged message", async (bench) => {
    const own = await broker(bench, { "session.timeout": "10s" });
    const [url] = await behind(bench, kind, own, "1s");
    const name = channel("impatient");
    const one = await robust(bench, polling, url, name, new library.AckExtension());
    const publisher = await Publisher.open(own.url());
    for (const n of numbers(40)) {
      await publisher.publish(name, n);
      // Some come into a held poll, some between a 504 and the next one.
      await pause(n % 8 === 7 ? 1100 : 40);
    }
    await until("40 messages", () => one.inbox.length >= 40);
    assert.deepEqual(one.inbox, numbers(40));
    assert.equal(one.count("/meta/handshake"), 1);
    const late = one.unsuccessful.filter((m) => [502, 504].includes(m.failure?.httpCode));
    assert.ok(late.length >= 3, `the proxy gave up ${late.length} times`);
  }, { over: kind });
}

check("a reload of nginx costs neither session nor message", async (bench) => {
  const own = await broker(bench);
  const [url, proxy] = await behind(bench, "nginx", own);
  const name = channel("reload");
  const ack = () => new library.AckExtension();
  const clients = [await robust(bench, polling, url, name, ack()), await robust(bench, websocket, url, name, ack())];
  const publisher = await Publisher.open(own.url());
  for (const n of numbers(40)) {
    if (n % 10 === 5) proxy.reload();
    await publisher.publish(name, n);
    await pause(50);
  }
  for (const one of clients) {
    await until("40 messages", () => one.inbox.length >= 40);
    assert.deepEqual(one.inbox, numbers(40));
    assert.equal(one.count("/meta/handshake"), 1);
  }
});

