// The client's extensions for time, timestamps and binary data. Acknowledgement has its own file.

import assert from "node:assert/strict";
import { SHORT } from "../lib/broker.js";
import { until, within } from "../lib/deadline.js";
import { Broker, channel, check } from "../lib/kit.js";

/** How far the clock of the client is behind in the check of its extension. */
const SKEW_MS = 3_600_000;

/** Turns the clock of this process back until the check ends; the broker has its own. */
function turnClockBack(bench) {
  const RealDate = globalThis.Date;
  globalThis.Date = class extends RealDate {
    constructor(...args) {
      super(...(args.length > 0 ? args : [RealDate.now() - SKEW_MS]));
    }
  };
  bench.later(() => void (globalThis.Date = RealDate));
}

/** Declares the checks for one generation and transport. */
export function extensionChecks({ broker, client }) {
  const { BinaryExtension, TimeStampExtension, TimeSyncExtension } = client.library;

  check("p130 a client whose clock is an hour behind learns the server's time", async (bench) => {
    turnClockBack(bench);
    const one = bench.keep(client(broker.url()));
    const timesync = new TimeSyncExtension({ maxSamples: 4 });
    one.cometd.registerExtension("timesync", timesync);
    await one.open();
    for (let n = 0; n < 4; n++) await one.subscribe(channel());
    const error = Math.abs(timesync.getTimeOffset() - SKEW_MS);
    assert.ok(error < 500, `the offset is ${error} ms off`);
    const answers = one.received.filter((m) => m.ext?.timesync).map((m) => m.ext.timesync);
    const [first] = answers; // later guesses may be good enough to get no answer
    assert.ok(Math.abs(first.a + SKEW_MS) < 10_000, `the first guess was off by ${first.a} ms`);
  });

  check("p131 with session.timestamp replies and deliveries say when", async (bench) => {
    const own = bench.keep(await Broker.start({ ...SHORT, "session.timestamp": "true" }));
    const one = bench.keep(client(own.url()));
    one.cometd.registerExtension("timestamp", new TimeStampExtension());
    await one.open();
    const name = channel();
    const inbox = await one.subscribe(name);
    await one.publish(name, 1);
    await until("the message", () => inbox.length === 1);
    const time = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d UTC \d{4}$/;
    for (const { timestamp } of one.received) assert.match(timestamp, time);
  });

  check("p133 what publishBinary sends arrives bit by bit", async (bench) => {
    const one = bench.keep(client(broker.url()));
    one.cometd.registerExtension("binary", new BinaryExtension());
    await one.open();
    const name = channel("binary");
    const inbox = await one.subscribe(name);
    const everyByte = Uint8Array.from({ length: 256 }, (_, n) => n);
    // Lengths around a whole group of Z85, which is 4 bytes.
    const parts = [everyByte, ...[0, 1, 2, 3, 4, 5].map((length) => everyByte.slice(251, 251 + length))];
    for (const [index, bytes] of parts.entries()) {
      const last = index === parts.length - 1;
      const publish = (resolve) => one.cometd.publishBinary(name, bytes, last, { index }, resolve);
      const reply = await within("a reply to publishBinary", new Promise(publish));
      assert.equal(reply.successful, true);
    }
    await until("all parts", () => inbox.length === parts.length);
    const received = inbox.map(({ data }) => ({ ...data, data: [...new Uint8Array(data.data)] }));
    const sent = parts.map((bytes, index) => {
      return { data: [...bytes], last: index === parts.length - 1, meta: { index } };
    });
    assert.deepEqual(received, sent);
  });
}
