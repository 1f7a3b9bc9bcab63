import { cometdChecks } from "./cometd.js";

await cometdChecks(9);
