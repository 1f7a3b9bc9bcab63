import { pageChecks } from "./fallback.js";

await pageChecks("faye", [{ how: "ends" }, { how: "resets" }], [null]);
