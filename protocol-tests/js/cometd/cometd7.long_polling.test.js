import { matrix } from "./matrix.js";

await matrix(7, "long-polling");
