import { monitoringChecks } from "./monitoring.js";

await monitoringChecks(false);
