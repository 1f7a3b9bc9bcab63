import { matrix } from "./matrix.js";

await matrix(7, "websocket");
