import { monitoringChecks } from "./monitoring.js";

await monitoringChecks(7, "websocket");
