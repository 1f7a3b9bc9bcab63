import { monitoringChecks } from "./monitoring.js";

await monitoringChecks(9, "websocket");
