// All checks of one generation of npm cometd over one transport. The library keeps its window object
// in a global, so every pair has a process, that is a test file, of its own.

import { clientFactory } from "../lib/cometd_client.js";
import { about, Broker, checkEnd } from "../lib/kit.js";
import { acknowledgeChecks } from "./acknowledge.js";
import { deliveryChecks } from "./delivery.js";
import { extensionChecks } from "./extensions.js";
import { networkChecks } from "./network.js";
import { serviceChecks } from "./services.js";
import { sessionChecks } from "./session.js";

/** Declares the checks; `generation` is 7 or 9. */
export async function matrix(generation, transport) {
  about(`cometd ${generation} over ${transport}`);
  const { client, library } = await clientFactory(generation, transport);
  client.library = library;
  const kit = { broker: await Broker.start(), client, transport };
  sessionChecks(kit);
  deliveryChecks(kit);
  acknowledgeChecks(kit);
  extensionChecks(kit);
  serviceChecks(kit);
  networkChecks(kit);
  checkEnd(kit.broker);
}
