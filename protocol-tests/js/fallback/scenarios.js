// What every client does that fallback leads: to long-polling when the network breaks its WebSockets,
// and back when it has healed. No message of a numbered stream is lost, doubled or out of order.
//
// A scenario opens clients by a function that a platform brings, see `node.js` and
// `../browser/fallback.js`: `open(bench, { broker, breaker, channel, … })` resolves with
// `{ status(), inbox() }`, of which the status has `transport`, `handshakes` and `subscribed`.

import assert from "node:assert/strict";
import { SHORT } from "../lib/broker.js";
import { Breaker } from "../lib/breaker.js";
import { pause, until } from "../lib/deadline.js";
import { Broker, channel, check, endsWell } from "../lib/kit.js";
import { Stream } from "../lib/stream.js";

/** The network of issue and protocol.md section 18. */
const LIFE_MS = 2000;
/** For checks of what comes after the fall. */
const SHORT_LIFE_MS = 1000;
/** More messages than an application misses that subscribes late. */
const MANY = 25;
/** A busy machine is no failure, and asking costs a page about as much as a message. */
export const PATIENTLY = { every: 200, patience: 60_000 };
/** For a check with several such waits. */
export const LIMIT_MS = 180_000;
const MAX_INTERVAL_MS = 4000;
const DEMOTE_FOR_MS = 4000;

/**
 * Holds are long: Faye gives a connect up, and drops what comes for it, after 1.2 times the hold, so short
 * holds would make a test of the machine.
 */
export const PATIENT = { ...SHORT, "session.timeout": "10s", "session.max_interval": "60s" };
/** Demotions and sessions end within seconds. */
const FORGIVING = {
  ...PATIENT,
  "session.max_interval": `${MAX_INTERVAL_MS}ms`,
  "transports.websocket.demote_for": `${DEMOTE_FOR_MS}ms`,
};
const HOLD_MS = 2500;
const STEERING = {
  ...SHORT,
  "session.timeout": `${HOLD_MS}ms`,
  "session.max_interval": "60s",
  "transports.websocket.demote_for": `${DEMOTE_FOR_MS}ms`,
  "transports.websocket.promote": "steer",
};

/** One client behind a network that breaks its WebSockets, subscribed to a stream that is for it alone. */
export class Traveller {
  static async start(bench, open, broker, { after = LIFE_MS, how, mute, ...options }) {
    const traveller = new Traveller();
    traveller.breaker = bench.keep(await Breaker.start(broker.port, { after, how, mute }));
    const name = channel("fallback");
    traveller.client = await open(bench, { broker, breaker: traveller.breaker, channel: name, ...options });
    await traveller.becomes("subscribed", ({ subscribed }) => subscribed > 0);
    traveller.stream = bench.keep(new Stream(broker.url(), name));
    traveller.again = async () => bench.keep(new Stream(broker.url(), name));
    return traveller;
  }

  /** Waits for a status. */
  async becomes(what, test) {
    await until(what, async () => test(await this.client.status()), PATIENTLY);
  }

  /** Waits until the client polls; it must have been led there after the third break. */
  async falls() {
    // Faye polls at its start as well.
    await this.becomes("long-polling", ({ transport, handshakes }) => transport === "long-polling" && handshakes > 1);
    this.fell = performance.now();
    assert.equal(this.breaker.brokenBefore402, 3);
  }

  /** Fails unless the client still polls, on its second session. */
  async staysDown() {
    const { transport, handshakes } = await this.client.status();
    assert.deepEqual({ transport, handshakes }, { transport: "long-polling", handshakes: 2 });
  }

  inbox() {
    return this.client.inbox();
  }
}

/** Declares the checks of the way down, side by side; `whens` are the application's habits, if it has any. */
export function fallChecks(open, broker, whens, kinds) {
  for (const { how, ack } of kinds) {
    for (const when of whens) {
      const over = [`a network that ${how}`, ack && "with ack", when && `subscribing ${when}`].filter(Boolean).join(", ");
      check("sf09 on long-polling after the third break, each message came once and in order", async (bench) => {
        const one = await Traveller.start(bench, open, broker, { how, ack, when });
        await one.falls();
        await one.stream.goesOn(MANY);
        if (how === "resets" && !ack) await losesLittle(one);
        else await one.stream.arrived(() => one.inbox(), ack ? [] : one.breaker.lost);
        await one.staysDown();
        if (how === "swallows") assert.ok(one.breaker.lost.length > 0, "nothing was under way at a break");
        console.log(`${over}: ${one.stream.sent} messages, ${one.breaker.lost.length} swallowed`);
      }, { over, limit: LIMIT_MS });
    }
  }
}

/** What a reset has cost is a gap at each break, at most. */
async function losesLittle(one) {
  await one.stream.ends(() => one.inbox());
  const inbox = await one.inbox();
  const gaps = inbox.filter((n, index) => n !== (inbox[index - 1] ?? -1) + 1);
  assert.deepEqual(inbox, [...new Set(inbox)].sort((a, b) => a - b));
  assert.ok(gaps.length <= one.breaker.broken, `after gaps: ${gaps}`);
}

/** Declares the checks of the way back. */
export function wayBackChecks(open, options) {
  check("sf12 when the network has healed the next handshake is over WebSocket", async (bench) => {
    const broker = await Broker.start(FORGIVING);
    bench.later(() => endsWell(broker));
    const one = await Traveller.start(bench, open, broker, { after: SHORT_LIFE_MS, ...options });
    await one.falls();
    one.breaker.heal();
    await one.stream.goesOn(MANY);
    await pause(Math.max(0, DEMOTE_FOR_MS - (performance.now() - one.fell)));
    await one.stream.arrived(() => one.inbox());
    await one.staysDown();
    // Its session expires: an occasion that an application cannot choose.
    const { subscribed } = await one.client.status();
    await one.breaker.outage(MAX_INTERVAL_MS + 1500);
    await one.becomes("a WebSocket", ({ transport }) => transport === "websocket");
    await one.becomes("subscribed again", (status) => status.subscribed > subscribed);
    const before = (await one.inbox()).length;
    const stream = await one.again();
    await stream.goesOn(20);
    await stream.arrived(async () => (await one.inbox()).slice(before));
    assert.equal((await one.client.status()).handshakes, 3);
  }, { limit: LIMIT_MS });

  for (const { how, ack } of [{ how: "ends", ack: false }, { how: "swallows", ack: true }]) {
    if (ack && !options.ack) continue;
    const over = ack ? "a network that swallows, with ack" : "a network that ends";
    check("sf12 with promote = steer it comes back by itself, and each message came once and in order", async (bench) => {
      const broker = await Broker.start(STEERING);
      bench.later(() => endsWell(broker));
      const one = await Traveller.start(bench, open, broker, { after: SHORT_LIFE_MS, how, ...options, ack });
      await one.falls();
      one.breaker.heal();
      one.stream.pace = pulses();
      await one.becomes("a WebSocket", ({ transport }) => transport === "websocket");
      await one.stream.goesOn(60);
      await one.stream.arrived(() => one.inbox());
      const { transport, handshakes } = await one.client.status();
      assert.deepEqual({ transport, handshakes }, { transport: "websocket", handshakes: 3 });
    }, { over, limit: LIMIT_MS });
  }
}

/**
 * Some messages at a time, with pauses somewhat longer than a hold: only a hold that ends without a
 * message is an occasion to steer, and the next messages come just then.
 */
function pulses() {
  let round = 0;
  return (n) => {
    if (n % 30 !== 29) return 10;
    round += 1;
    return HOLD_MS + ((round * 7) % 40);
  };
}
