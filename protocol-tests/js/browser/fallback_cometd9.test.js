import { pageChecks } from "./fallback.js";

await pageChecks("cometd 9", [{ how: "ends", ack: false }, { how: "resets", ack: true }]);
