// Unmodified clients in Node for the scenarios of fallback.

import { createRequire } from "node:module";
import { Application } from "../lib/application.js";
import { load } from "../lib/cometd_client.js";
import { keepCookies } from "../lib/cookie_jar.js";
import { FayeApplication } from "../lib/faye_application.js";

const npmFaye = createRequire(import.meta.url)("faye");
const TRANSPORTS = ["websocket", "long-polling"];

/** Opens npm cometd of a generation; with `cookies` its WebSockets show them, as those of a browser do. */
export async function cometd(generation) {
  const library = await load(generation);
  return async (bench, { broker, breaker, channel, when, ack, cookies, transports = TRANSPORTS }) => {
    const url = broker.url({ port: breaker.port });
    const tune = (client) => keepCookies(library, client, { sockets: cookies });
    return bench.keep(new Application(library, { url, channel, when, ack, transports, tune }));
  };
}

/** Opens npm faye. */
export async function faye(bench, { broker, breaker, channel }) {
  return bench.keep(new FayeApplication(npmFaye, { url: broker.url({ path: "/faye", port: breaker.port }), channel }));
}
