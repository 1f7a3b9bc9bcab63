// The network and the broker fail; the client comes back, and nobody lost what the broker had taken.

import assert from "node:assert/strict";
import { Publisher } from "../lib/bayeux.js";
import { pause, until } from "../lib/deadline.js";
import { Broker, channel, check, endsWell } from "../lib/kit.js";
import { Relay } from "../lib/relay.js";

/** Declares the checks for one generation and transport. */
export function networkChecks({ broker, client }) {
  /** A client behind a relay that subscribes in its handshake listener, as applications should. */
  async function behindRelay(bench, name, target = broker) {
    const relay = bench.keep(await Relay.start(target.port));
    const one = bench.keep(client(target.url({ port: relay.port }), { maxNetworkDelay: 2000 }));
    const inbox = [];
    one.failuresExpected = true;
    one.cometd.addListener("/meta/handshake", (reply) => {
      if (reply.successful) one.cometd.subscribe(name, (message) => inbox.push(message.data));
    });
    await one.open();
    await until("the subscription", () => one.received.some((m) => m.channel === "/meta/subscribe"));
    await one.held();
    return { one, relay, inbox };
  }

  const handshakes = (one) => one.count("/meta/handshake");
  const connects = (one) => one.received.filter((m) => m.channel === "/meta/connect" && m.successful).length;

  check("p056 a cut connection is opened again on the same session, and nothing is lost", async (bench) => {
    const name = channel("cut");
    const { one, relay, inbox } = await behindRelay(bench, name);
    const publisher = await Publisher.open(broker.url());
    const clientId = one.cometd.getClientId();
    for (let n = 0; n < 30; n++) {
      if (n % 10 === 5) {
        // What the kernel has taken is out of the broker's hands, so let it arrive before the cut.
        await until(`message ${n - 1}`, () => inbox.includes(n - 1));
        relay.leave();
        await pause(100); // the broker sees the reset
      }
      await publisher.publish(name, n);
      if (n % 10 === 8) relay.pass();
      if (n % 10 === 9) await until(`message ${n}`, () => inbox.includes(n));
    }
    assert.deepEqual(inbox, Array.from({ length: 30 }, (_, n) => n));
    assert.equal(one.cometd.getClientId(), clientId);
    assert.equal(handshakes(one), 1);
  });

  check("p054 a session that was away too long has expired; the client shakes hands and subscribes anew", async (bench) => {
    const name = channel("expiry");
    const { one, relay, inbox } = await behindRelay(bench, name);
    const clientId = one.cometd.getClientId();
    relay.leave();
    await pause(6500); // max_interval 5 s, removal at most 1 s late
    relay.pass();
    await until("a second handshake", () => handshakes(one) === 2);
    await until("another session", () => ![null, clientId].includes(one.cometd.getClientId()));
    assert.ok(one.received.some((m) => m.error === "402::session_unknown"));
    const subscribed = () => one.received.filter((m) => m.channel === "/meta/subscribe").length === 2;
    await until("the second subscription", subscribed);
    await (await Publisher.open(broker.url())).publish(name, "after");
    await until("a message on the new session", () => inbox.includes("after"));
  });

  check("a broker that was killed and started again gets its clients back", async (bench) => {
    const own = await Broker.start();
    bench.later(() => endsWell(own));
    const name = channel("restart");
    const { one, inbox } = await behindRelay(bench, name, own);
    const clientId = one.cometd.getClientId();
    await own.kill();
    await pause(300);
    await own.restart();
    await until("a second handshake", () => handshakes(one) === 2);
    await until("another session", () => ![null, clientId].includes(one.cometd.getClientId()));
    const subscribed = () => one.received.filter((m) => m.channel === "/meta/subscribe").length === 2;
    await until("the second subscription", subscribed);
    const publisher = await Publisher.open(own.url());
    for (const n of [1, 2, 3]) await publisher.publish(name, n);
    await until("3 messages", () => inbox.length === 3);
    assert.deepEqual(inbox, [1, 2, 3]);
  });

  check("p053 a broker that was frozen longer than the expiry keeps its sessions", async (bench) => {
    const own = await Broker.start();
    bench.later(() => endsWell(own));
    const name = channel("frozen");
    const { one, inbox } = await behindRelay(bench, name, own);
    own.freeze();
    await pause(6000); // longer than the max_interval of 5 s
    own.thaw();
    const before = connects(one);
    await until("two connects after the thaw", () => connects(one) >= before + 2);
    const publisher = await Publisher.open(own.url());
    await publisher.publish(name, "thawed");
    await until("a message after the thaw", () => inbox.includes("thawed"));
    assert.equal(handshakes(one), 1);
  });

  check("a network that swallows everything for a while costs the client nothing but time", async (bench) => {
    const name = channel("swallow");
    const { one, relay, inbox } = await behindRelay(bench, name);
    relay.swallow();
    await pause(1000);
    relay.cut();
    relay.pass();
    const before = connects(one);
    await until("a connect after the pause", () => connects(one) > before);
    const publisher = await Publisher.open(broker.url());
    for (const n of [1, 2, 3]) await publisher.publish(name, n);
    await until("3 messages", () => inbox.length === 3);
    assert.deepEqual(inbox, [1, 2, 3]);
    assert.equal(handshakes(one), 1);
  });
}
