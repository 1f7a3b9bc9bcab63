// npm cometd and npm faye, unmodified, behind nginx, HAProxy and Apache: every transport works, and where
// a proxy knows nothing of WebSocket they fall back by themselves.

import assert from "node:assert/strict";
import { post, Publisher } from "../lib/bayeux.js";
import { SHORT } from "../lib/broker.js";
import { clientFactory } from "../lib/cometd_client.js";
import { until, within } from "../lib/deadline.js";
import { FayeClient } from "../lib/faye_client.js";
import { about, Broker, channel, check, checkEnd } from "../lib/kit.js";
import { FULL, PLAIN } from "../lib/reverse_proxy.js";
import { behind, numbers } from "./behind.js";

about("behind a proxy");
const broker = await Broker.start();
const { client: all } = await clientFactory(9, ["websocket", "long-polling"]);
const { client: polling } = await clientFactory(9, "long-polling");
const chosen = (one) => one.cometd.getTransport().type;

for (const kind of [...FULL, PLAIN]) {
  check("cometd publishes and receives by long-polling", async (bench) => {
    const [url] = await behind(bench, kind, broker);
    const reader = bench.keep(polling(url));
    const writer = bench.keep(polling(url));
    await reader.open();
    await writer.open();
    const name = channel("proxied");
    const inbox = await reader.subscribe(name);
    for (const n of numbers(50)) assert.equal((await writer.publish(name, { n })).successful, true);
    await until("50 messages", () => inbox.length === 50);
    assert.deepEqual([...inbox], numbers(50).map((n) => ({ channel: name, data: { n } })));
    // A whole hold of 2 s passes, too.
    const connects = reader.count("/meta/connect");
    await until("two more connects", () => reader.count("/meta/connect") >= connects + 2);
  }, { over: kind });
}

for (const kind of FULL) {
  check("cometd chooses the WebSocket and receives what is published", async (bench) => {
    const [url] = await behind(bench, kind, broker);
    const one = bench.keep(all(url));
    await one.open();
    assert.equal(chosen(one), "websocket");
    const name = channel("proxied");
    const inbox = await one.subscribe(name);
    for (const n of numbers(50)) one.cometd.publish(name, n);
    await until("50 messages", () => inbox.length === 50);
    assert.deepEqual(inbox.map((m) => m.data), numbers(50));
  }, { over: kind });
}

check("without upgrade headers cometd falls back to long-polling by itself", async (bench) => {
  const [url] = await behind(bench, PLAIN, broker);
  const one = bench.keep(all(url));
  one.failuresExpected = true;
  one.cometd.handshake();
  await until("a connect reply", () => one.received.some((m) => m.channel === "/meta/connect" && m.successful));
  assert.ok(one.count("/meta/handshake") <= 2, "one try for each transport");
  assert.equal(chosen(one), "long-polling");
  const name = channel("fallback");
  const inbox = await one.subscribe(name);
  const publisher = await Publisher.open(broker.url());
  for (const n of numbers(20)) await publisher.publish(name, n);
  await until("20 messages", () => inbox.length === 20);
  assert.deepEqual(inbox.map((m) => m.data), numbers(20));
});

for (const [kind, transport] of [...FULL.map((kind) => [kind, "websocket"]), [PLAIN, "long-polling"]]) {
  check("faye finds the transport that works", async (bench) => {
    const [url] = await behind(bench, kind, broker);
    const one = bench.keep(new FayeClient(url, true));
    const name = channel("faye");
    const inbox = await one.subscribe(name);
    for (const n of numbers(20)) await one.publish(name, n);
    await until("20 messages", () => inbox.length === 20);
    assert.deepEqual([...inbox], numbers(20));
    await until(`a connect over ${transport}`, () => one.transport === transport);
  }, { over: kind });
}

check("p150 lines of a stream come one by one even if a proxy compresses them", async (bench) => {
  const own = bench.keep(await Broker.start({ ...SHORT, "transports.enabled": '["long-polling","iframe"]' }));
  const [url] = await behind(bench, PLAIN, own);
  const handshake = { channel: "/meta/handshake", version: "1.0", supportedConnectionTypes: ["iframe"] };
  const [{ clientId }] = await post(url, [handshake]);
  const name = channel("compressed");
  await post(url, [{ channel: "/meta/subscribe", subscription: name, clientId }]);
  const headers = { "accept-encoding": "gzip", "sec-fetch-site": "same-origin" };
  const stream = await fetch(`${url}/${clientId}?callback=f`, { headers });
  assert.equal(stream.headers.get("content-encoding"), "gzip");
  const lines = stream.body.pipeThrough(new TextDecoderStream()).getReader();
  const publisher = await Publisher.open(own.url());
  let text = "";
  for (const n of numbers(10)) {
    await publisher.publish(name, { n });
    while (!text.includes(`{"n":${n}}`)) text += (await within(`line ${n}`, lines.read())).value;
  }
  await lines.cancel();
});

checkEnd(broker);
