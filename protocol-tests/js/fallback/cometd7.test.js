import { cometdChecks } from "./cometd.js";

await cometdChecks(7);
