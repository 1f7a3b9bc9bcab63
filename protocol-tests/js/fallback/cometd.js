// Server-steered fallback with unmodified npm cometd in Node.

import assert from "node:assert/strict";
import { WHENS } from "../lib/application.js";
import { pause, until } from "../lib/deadline.js";
import { about, Broker, check, checkEnd, endsWell, sideBySide } from "../lib/kit.js";
import { cometd } from "./node.js";
import { fallChecks, LIMIT_MS, PATIENT, PATIENTLY, Traveller, wayBackChecks } from "./scenarios.js";

const KINDS = [
  { how: "ends", ack: false },
  { how: "resets", ack: false },
  { how: "swallows", ack: false },
  { how: "resets", ack: true },
  { how: "swallows", ack: true },
];

/** Declares the checks; `generation` is 7 or 9. */
export async function cometdChecks(generation) {
  about(`cometd ${generation}`);
  const broker = await Broker.start(PATIENT);
  const open = await cometd(generation);

  sideBySide(() => {
    fallChecks(open, broker, WHENS, KINDS);
    wayBackChecks(open, { when: WHENS[0], ack: true, cookies: true });

    check("sf04 a client that knows nothing but WebSocket keeps it", async (bench) => {
      const transports = ["websocket"];
      const one = await Traveller.start(bench, open, broker, { after: 200, when: WHENS[0], transports });
      await until("6 breaks", () => one.breaker.broken >= 6, PATIENTLY);
      one.breaker.heal();
      await one.stream.arrived(() => one.inbox());
      const { transport, handshakes } = await one.client.status();
      assert.deepEqual({ transport, handshakes }, { transport: "websocket", handshakes: 1 });
    }, { limit: LIMIT_MS });

    check("sf01 a broker that drains and comes back breaks nothing", async (bench) => {
      const mortal = await Broker.start();
      bench.later(() => endsWell(mortal));
      const one = await Traveller.start(bench, open, mortal, { after: Infinity, when: WHENS[0] });
      await one.stream.goesOn(1);
      await one.stream.arrived(() => one.inbox());
      for (let round = 2; round <= 5; round++) {
        await mortal.stop();
        await pause(200);
        await mortal.restart();
        await one.becomes("back", ({ subscribed }) => subscribed === round);
      }
      assert.equal((await one.client.status()).transport, "websocket");
    }, { limit: LIMIT_MS });
  });

  checkEnd(broker);
}
