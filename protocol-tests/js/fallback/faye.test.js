// Server-steered fallback with unmodified npm faye in Node. It has no acknowledgements.

import { about, Broker, checkEnd, sideBySide } from "../lib/kit.js";
import { faye } from "./node.js";
import { fallChecks, PATIENT, wayBackChecks } from "./scenarios.js";

about("faye");
const broker = await Broker.start(PATIENT);

sideBySide(() => {
  fallChecks(faye, broker, [null], [{ how: "ends" }, { how: "resets" }, { how: "swallows" }]);
  wayBackChecks(faye, {});
});

checkEnd(broker);
