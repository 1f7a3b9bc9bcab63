// npm faye: its dialect, its switch to WebSocket on one session, its way back after a failure.

import assert from "node:assert/strict";
import { BackEnd } from "../lib/back_end.js";
import { Publisher } from "../lib/bayeux.js";
import { SHORT } from "../lib/broker.js";
import { pause, until } from "../lib/deadline.js";
import { FayeClient } from "../lib/faye_client.js";
import { about, Broker, channel, check, checkEnd, endsWell } from "../lib/kit.js";

const numbers = (count) => Array.from({ length: count }, (_, n) => n);

/** Declares the checks; `websocket` says whether the client may leave long-polling. */
export async function fayeChecks(websocket) {
  const transport = websocket ? "websocket" : "long-polling";
  about(`faye over ${transport}`);
  const broker = await Broker.start();
  const open = (bench, target = broker) => bench.keep(new FayeClient(target.url({ path: "/faye" }), websocket));

  check("p137 200 messages arrive in order, whole and once", async (bench) => {
    const [from, to] = [open(bench), open(bench)];
    const name = channel("faye");
    const inbox = await to.subscribe(name);
    for (const n of numbers(200)) await from.publish(name, { n, text: "é😀" });
    await until("200 messages", () => inbox.length >= 200);
    assert.deepEqual([...inbox], numbers(200).map((n) => ({ n, text: "é😀" })));
    const deliveries = to.received.filter((m) => m.data !== undefined);
    assert.deepEqual(deliveries[0], { channel: name, data: { n: 0, text: "é😀" } });
  });

  check("p099 the client works over its transport, on the session of its first handshake", async (bench) => {
    const one = open(bench);
    const inbox = await one.subscribe(channel());
    await until(`a connect over ${transport}`, () => one.transport === transport);
    assert.equal(one.count("/meta/handshake"), 1);
    const { clientId } = one.received.find((m) => m.channel === "/meta/handshake");
    assert.deepEqual(new Set(one.sent.slice(1).map((m) => m.clientId)), new Set([clientId]));
    assert.deepEqual(one.received.filter((m) => m.successful === false), []);
    assert.equal(inbox.length, 0);
  });

  check("p038 a subscribe that shares its request with the first connect is answered at once", async (bench) => {
    // A hold for which nobody here waits long enough.
    const patient = await Broker.start({ ...SHORT, "session.timeout": "60s" });
    bench.later(() => endsWell(patient));
    await open(bench, patient).subscribe(channel());
  });

  check("100 publishes at once all arrive", async (bench) => {
    const [from, to] = [open(bench), open(bench)];
    const name = channel("faye");
    const inbox = await to.subscribe(name);
    await from.publish(channel(), "the session exists");
    await until(`a connect over ${transport}`, () => from.transport === transport);
    await Promise.all(numbers(100).map((n) => from.publish(name, n)));
    await until("100 messages", () => inbox.length >= 100);
    // Over HTTP they go out on parallel connections, so only a WebSocket has an order.
    const arrived = websocket ? [...inbox] : inbox.toSorted((a, b) => a - b);
    assert.deepEqual(arrived, numbers(100));
  });

  check("wildcards, and an end to a subscription", async (bench) => {
    const [from, to] = [open(bench), open(bench)];
    const base = channel("faye");
    const [one, all] = [await to.subscribe(`${base}/*`), await to.subscribe(`${base}/**`)];
    for (const tail of ["/a", "/a/b"]) await from.publish(base + tail, tail);
    await until("both messages", () => all.length === 2);
    assert.deepEqual([...one], ["/a"]);
    const answered = () => to.received.some((m) => m.channel === "/meta/unsubscribe" && m.successful);
    one.subscription.cancel();
    await until("the reply to unsubscribe", answered);
    await from.publish(`${base}/c`, "/c");
    await until("the third message", () => all.length === 3);
    assert.deepEqual([...one], ["/a"]);
  });

  check("p120 a refusal reaches the application with code, arguments and text", async (bench) => {
    const one = open(bench);
    await assert.rejects(one.publish("/wild/*", 1), (error) => {
      assert.equal(error.code, 403);
      assert.deepEqual(error.params, ["wildcard_channel"]);
      assert.equal(error.message, "publish_denied");
      return true;
    });
  });

  if (websocket) {
    check("a message over the limit fails alone, once, and the WebSocket stays", async (bench) => {
      const one = open(bench);
      const name = channel("faye");
      const inbox = await one.subscribe(name);
      await until("a connect over websocket", () => one.transport === "websocket");
      await assert.rejects(one.publish(name, "x".repeat(70_000)), (error) => {
        assert.deepEqual([error.code, error.params, error.message], [413, ["65536"], "message_too_large"]);
        return true;
      });
      await one.publish(name, 1);
      await until("the small message", () => inbox.length > 0);
      assert.deepEqual([...inbox], [1]);
      assert.equal(one.sent.filter((m) => m.channel === name).length, 2);
    });
  }

  check("the hold is repeated without an error while nothing happens", async (bench) => {
    const one = open(bench);
    await one.subscribe(channel());
    await until("four connects", () => one.count("/meta/connect") >= 4);
    assert.deepEqual(one.received.filter((m) => m.successful === false), []);
    assert.equal(one.count("/meta/handshake"), 1);
  });

  check("after a restart of the broker the client shakes hands and subscribes by itself", async (bench) => {
    const own = await Broker.start();
    bench.later(() => endsWell(own));
    const one = open(bench, own);
    const name = channel("faye");
    const inbox = await one.subscribe(name);
    await until(`a connect over ${transport}`, () => one.transport === transport);
    await own.kill();
    await pause(200);
    await own.restart();
    await until("a second subscribe", () => one.received.filter((m) => m.channel === "/meta/subscribe" && m.successful).length >= 2);
    await (await Publisher.open(own.url())).publish(name, "back");
    await until("a message after the restart", () => inbox.includes("back"));
  });

  check("p114 a subscriber of a service channel hears what comes of a publish", async (bench) => {
    const backEnd = bench.keep(await BackEnd.start(({ data }) => ({ twice: data * 2 })));
    const services = backEnd.settings({ channel: "/service/call" }, { channel: "/service/plain", reply: "message" });
    const own = await Broker.start({ ...SHORT, ...services });
    bench.later(() => endsWell(own));
    const one = open(bench, own);
    for (const name of ["/service/call", "/service/plain"]) {
      const inbox = await one.subscribe(name);
      await one.publish(name, 4);
      await until("the answer", () => inbox.length > 0);
      assert.deepEqual([...inbox], [{ twice: 8 }]);
    }
  });

  checkEnd(broker);
}
