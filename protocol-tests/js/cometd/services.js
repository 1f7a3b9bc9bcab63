// Service channels behind the broker: remote calls, and messages that are answered.

import assert from "node:assert/strict";
import { BackEnd } from "../lib/back_end.js";
import { SHORT } from "../lib/broker.js";
import { pause, until, within } from "../lib/deadline.js";
import { Broker, channel, check, endsWell } from "../lib/kit.js";

/** What the back-end of all checks does with a call; `gates` are what calls wait for, by name. */
async function answer({ channel, data }, gates) {
  if (data.slow) await pause(data.slow);
  if (data.gate) await gates[data.gate];
  if (data.fails) throw { status: data.fails, class: "NoSuchSymbol", message: "nobody trades it" };
  return { channel, echo: data };
}

/** Declares the checks for one generation and transport. */
export function serviceChecks({ client }) {
  /** A broker with services, and a client of it. */
  async function open(bench, gates = {}) {
    const backEnd = bench.keep(await BackEnd.start((call) => answer(call, gates)));
    const services = backEnd.settings(
      { channel: "/service/quote/**" },
      { channel: "/service/quote/late", timeout: "200ms" },
      { channel: "/service/plain/*", reply: "message" },
    );
    const broker = await Broker.start({ ...SHORT, ...services });
    bench.later(() => endsWell(broker));
    const one = bench.keep(client(broker.url()));
    await one.open();
    return { one, broker, backEnd };
  }

  const call = (one, target, data) =>
    within(`the end of the call of ${target}`, new Promise((resolve) => one.cometd.remoteCall(target, data, 10_000, resolve)));

  check("p115 a remote call gets the back-end's answer, whole and by its id", async (bench) => {
    const { one, backEnd } = await open(bench);
    const reply = await call(one, "quote/acme", { text: "é😀", list: [1, null] });
    const { id } = one.sent.find((m) => m.channel === "/service/quote/acme");
    const data = { channel: "/service/quote/acme", echo: { text: "é😀", list: [1, null] } };
    assert.deepEqual(reply, { channel: "/service/quote/acme", id, successful: true, data });
    const [{ sid, ...posted }] = backEnd.calls;
    assert.match(sid, /^[0-9a-f]{12}$/);
    assert.deepEqual(posted, { user: null, channel: "/service/quote/acme", data: data.echo, id });
  });

  check("p115 calls run side by side, and each gets its own answer", async (bench) => {
    const { one } = await open(bench);
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    const replies = await Promise.all(numbers.map((n) => call(one, `quote/${n}`, { n, slow: (20 - n) * 5 })));
    assert.deepEqual(replies.map((reply) => reply.data.echo.n), numbers);
    assert.deepEqual(replies.map((reply) => reply.data.channel), numbers.map((n) => `/service/quote/${n}`));
  });

  check("p115 a failed call brings class and message, and nothing else fails", async (bench) => {
    const { one } = await open(bench, { never: new Promise(() => {}) });
    const told = async (data, target = "quote/acme") => {
      const { successful, error, data: failure } = await call(one, target, data);
      assert.equal(successful, false);
      return [error, failure.name ?? failure.class, failure.message];
    };
    assert.deepEqual(await told({ fails: 404 }), ["500::service_failed", "NoSuchSymbol", "nobody trades it"]);
    const broken = ["502::service_unavailable", "java.io.IOException", "the service answered with the status 500"];
    assert.deepEqual(await told({ fails: 500 }), broken);
    const late = ["504::service_timeout", "java.util.concurrent.TimeoutException", "the service did not answer in time"];
    assert.deepEqual(await told({ gate: "never" }, "quote/late"), late);
    assert.deepEqual(one.unsuccessful, []);
  });

  check("p114 a listener of the channel hears what comes of a publish, in either form", async (bench) => {
    const { one } = await open(bench);
    for (const [name, plain] of [["/service/quote/acme", false], ["/service/plain/acme", true]]) {
      const inbox = await one.subscribe(name);
      const reply = await one.publish(name, { n: 1 });
      assert.deepEqual(reply, { channel: name, id: reply.id, successful: true });
      await until("the answer", () => inbox.length > 0);
      const message = { channel: name, data: { channel: name, echo: { n: 1 } } };
      assert.deepEqual([...inbox], [plain ? message : { ...message, id: reply.id, successful: true }]);
    }
  });

  check("p114 while a call waits everything else goes on", async (bench) => {
    let release;
    const { one } = await open(bench, { held: new Promise((resolve) => (release = resolve)) });
    const name = channel();
    const inbox = await one.subscribe(name);
    const held = call(one, "quote/acme", { gate: "held" });
    for (let n = 0; n < 5; n++) await one.publish(name, n);
    await until("5 messages", () => inbox.length === 5);
    assert.ok(!one.received.some((m) => m.data?.echo), "the call still waits");
    release();
    assert.equal((await held).successful, true);
  });
}
