// Server-steered fallback with the other generations of npm cometd, as far as they can differ: in how they
// shake hands again, and on which connection.

import { WHENS } from "../lib/application.js";
import { about, Broker, checkEnd, sideBySide } from "../lib/kit.js";
import { cometd } from "./node.js";
import { fallChecks, PATIENT } from "./scenarios.js";

const KINDS = [{ how: "resets", ack: true }];

about("cometd 3.1, 4, 5, 8");
const broker = await Broker.start(PATIENT);
const opens = new Map();
for (const generation of [3, 4, 5, 8]) opens.set(generation, await cometd(generation));

sideBySide(() => {
  for (const [generation, open] of opens) {
    about(`cometd ${generation}`);
    // 3.1 and 4 shake hands over another WebSocket: the cookie alone says that it is the same client.
    const cookies = generation < 5;
    fallChecks((bench, options) => open(bench, { ...options, cookies }), broker, WHENS, KINDS);
  }
});

about("cometd 3.1, 4, 5, 8");
checkEnd(broker);
