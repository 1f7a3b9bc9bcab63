import { fayeChecks } from "./checks.js";

await fayeChecks(false);
