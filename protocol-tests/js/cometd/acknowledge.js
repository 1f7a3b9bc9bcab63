// The client's AckExtension: what a broken connection took with it comes again.

import assert from "node:assert/strict";
import { Publisher } from "../lib/bayeux.js";
import { pause, until } from "../lib/deadline.js";
import { channel, check } from "../lib/kit.js";
import { Relay } from "../lib/relay.js";

/** Declares the checks for one generation and transport. */
export function acknowledgeChecks({ broker, client }) {
  /** A client with the extension that subscribes to `name`; `inbox` gets the data. */
  async function acknowledging(bench, url, name) {
    const one = bench.keep(client(url, { maxNetworkDelay: 2000 }));
    one.cometd.registerExtension("ack", new client.library.AckExtension());
    const handshake = await one.open();
    assert.equal(handshake.ext.ack, true);
    return { one, inbox: await one.subscribe(name) };
  }

  const numbers = (count) => Array.from({ length: count }, (_, n) => n);

  check("p125 the number grows by one with each connect reply, and the client returns it", async (bench) => {
    const name = channel("ack");
    const { one, inbox } = await acknowledging(bench, broker.url(), name);
    for (const n of numbers(5)) {
      await one.publish(name, n);
      await until(`message ${n}`, () => inbox.length === n + 1);
    }
    await until("an empty hold", () => one.count("/meta/connect") >= 9);
    const connects = (messages) => messages.filter((m) => m.channel === "/meta/connect");
    const given = connects(one.received).map((m) => m.ext.ack);
    assert.deepEqual(given, numbers(given.length).map((n) => n + 1));
    const returned = connects(one.sent).map((m) => m.ext.ack);
    assert.deepEqual(returned, numbers(returned.length));
  });

  check("p126 no message is lost when connections break with messages under way", async (bench) => {
    const name = channel("ack");
    const relay = bench.keep(await Relay.start(broker.port));
    const { one, inbox } = await acknowledging(bench, broker.url({ port: relay.port }), name);
    one.failuresExpected = true;
    const clientId = one.cometd.getClientId();
    const publisher = await Publisher.open(broker.url());
    for (const n of numbers(200)) {
      await publisher.publish(name, n);
      if (n % 20 === 7) relay.cut(); // the reply with message n is somewhere on its way
      if (n % 20 === 17) await pause(300); // and now the client may recover
    }
    await until("the last message", () => inbox.some((m) => m.data === 199));
    // A message may come twice if its connection broke before it was acknowledged.
    assert.deepEqual([...new Set(inbox.map((m) => m.data))], numbers(200));
    assert.equal(one.cometd.getClientId(), clientId);
  });
}
