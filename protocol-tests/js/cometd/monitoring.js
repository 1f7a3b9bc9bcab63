// An unmodified npm cometd monitors: every name brings the events, and harms the client in nothing.

import assert from "node:assert/strict";
import { pause, until } from "../lib/deadline.js";
import { about, Broker, channel, check, checkEnd } from "../lib/kit.js";
import { SHORT } from "../lib/broker.js";
import { clientFactory } from "../lib/cometd_client.js";
import { LIFE, NAMES, watchesALife } from "../lib/monitoring.js";

/** Declares the checks; `generation` is 7 or 9. The broker lets every session monitor. */
export async function monitoringChecks(generation, transport) {
  about(`cometd ${generation} over ${transport}`);
  const { client } = await clientFactory(generation, transport);
  const broker = await Broker.start(SHORT, ["--dev"]);

  for (const [name, expected] of NAMES) {
    check(`a monitor of ${name} sees a life, and its own messages still flow`, async (bench) => {
      const one = bench.keep(client(broker.url()));
      await one.open();
      const inbox = await one.subscribe(name);
      await watchesALife(broker.url(), inbox, expected, (message) => message.data);

      const [mine, theirs] = [channel("mine"), channel("theirs")];
      const other = bench.keep(client(broker.url()));
      await other.open();
      const [here, there] = [await one.subscribe(theirs), await other.subscribe(mine)];
      for (let n = 0; n < 100; n += 1) {
        await one.publish(mine, n);
        await other.publish(theirs, n);
      }
      await until("100 messages each way", () => here.length >= 100 && there.length >= 100);
      assert.deepEqual(here.map((m) => m.data), [...Array(100).keys()]);
      assert.equal(one.count("/meta/handshake"), 1, "no second handshake");
      // At most one connect at a time: every reply answers the one before.
      const connects = one.sent.filter((m) => m.channel === "/meta/connect").map((m) => m.id);
      const replies = one.received.filter((m) => m.channel === "/meta/connect" && m.data === undefined);
      assert.deepEqual(replies.map((m) => m.id), connects.slice(0, replies.length));
      assert.ok(connects.length - replies.length <= 1);
    });
  }

  check("two monitors that are left alone do not wake each other", async (bench) => {
    const monitors = [bench.keep(client(broker.url())), bench.keep(client(broker.url()))];
    for (const one of monitors) {
      await one.open();
      await one.subscribe("/meta/monitor/connect");
    }
    await pause(1500);
    const before = monitors.map((one) => one.count("/meta/connect"));
    await pause(6000);
    for (const [n, one] of monitors.entries()) {
      const connects = one.count("/meta/connect") - before[n];
      // A hold takes 2 s; totals come every 5 s.
      assert.ok(connects <= 6, `${connects} connects in 6 s`);
    }
  });

  check("a filter comes with the subscribe message", async (bench) => {
    const one = bench.keep(client(broker.url()));
    await one.open();
    const inbox = [];
    await new Promise((resolve, reject) =>
      one.cometd.subscribe("/meta/monitor/**", (m) => inbox.push(m), { ext: { monitor: { types: ["publish"] } } },
        (reply) => (reply.successful ? resolve() : reject(new Error(JSON.stringify(reply))))));
    const name = channel("filtered");
    await one.publish(name, 1);
    await until("an event", () => inbox.some((m) => m.data.channel === name));
    assert.deepEqual(new Set(inbox.map((m) => m.data.type)), new Set(["publish"]));
  });

  check("what no client could bear is refused with the name to use", async (bench) => {
    const one = bench.keep(client(broker.url()));
    one.failuresExpected = true;
    await one.open();
    for (const verb of ["handshake", "connect", "disconnect"]) {
      await assert.rejects(one.subscribe(`/meta/${verb}`), new RegExp(`403:/meta/${verb}:use_/meta/monitor/${verb}`));
    }
    const inbox = await one.subscribe("/meta/monitor/**");
    await watchesALife(broker.url(), inbox, LIFE, (message) => message.data);
  });

  checkEnd(broker);
}
