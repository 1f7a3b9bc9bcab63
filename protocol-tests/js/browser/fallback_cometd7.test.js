import { pageChecks } from "./fallback.js";

await pageChecks("cometd 7", [{ how: "ends", ack: false }, { how: "resets", ack: true }]);
