// What the checks behind proxies share.

import { until } from "../lib/deadline.js";
import { ReverseProxy } from "../lib/reverse_proxy.js";

/** A proxy before `broker`, and its URL. `timeout`, like "1s": how long it waits for a response. */
export async function behind(bench, kind, broker, timeout) {
  const proxy = bench.keep(await ReverseProxy.start(kind, broker.port, timeout));
  return [broker.url({ port: proxy.port }), proxy];
}

/**
 * A client that subscribes in its handshake listener, as applications should, and puts what comes into
 * its `inbox`. Failures are expected.
 */
export async function robust(bench, make, url, name, extension) {
  const one = bench.keep(make(url, { maxNetworkDelay: 3000 }));
  one.failuresExpected = true;
  if (extension) one.cometd.registerExtension("ack", extension);
  one.inbox = [];
  one.cometd.addListener("/meta/handshake", (reply) => {
    if (reply.successful) one.cometd.subscribe(name, (message) => one.inbox.push(message.data));
  });
  await one.open();
  await until("the subscription", () => one.received.some((m) => m.channel === "/meta/subscribe"));
  return one;
}

/** 0 to `count` - 1. */
export const numbers = (count) => Array.from({ length: count }, (_, n) => n);
