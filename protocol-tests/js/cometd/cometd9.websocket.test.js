import { matrix } from "./matrix.js";

await matrix(9, "websocket");
