// One unmodified npm cometd client in a page, driven by the checks through `window`.

import { CometD, ReloadExtension } from "/node_modules/cometd/cometd.js";

/** All messages received on subscribed channels: their data, in order. */
window.inbox = [];
/** Replies that failed, whole. */
window.failures = [];
/** Replies to connects, whole. */
window.connects = [];

/**
 * Shakes hands at `url` over `transport` only, and subscribes to `channel` in the handshake listener.
 * With `reload` the session goes over to the next page. Resolves with the first connect reply.
 */
window.start = ({ url, transport, channel, reload = false }) => {
  const cometd = new CometD();
  window.cometd = cometd;
  const chosen = cometd.findTransport(transport);
  cometd.unregisterTransports();
  cometd.registerTransport(transport, chosen);
  cometd.configure({ url, logLevel: "warn", maxNetworkDelay: 3000, backoffIncrement: 200 });
  cometd.addListener("/meta/unsuccessful", (message) => {
    // A failure of the network holds objects that cannot leave the page.
    const { failure, ...reply } = message;
    window.failures.push({ ...reply, reason: failure && { code: failure.httpCode, text: failure.reason } });
  });
  if (reload) {
    cometd.registerExtension("reload", new ReloadExtension());
    addEventListener("beforeunload", () => cometd.reload());
  }
  cometd.addListener("/meta/handshake", (reply) => {
    if (reply.successful) cometd.subscribe(channel, (message) => window.inbox.push(message.data));
  });
  return new Promise((resolve) => {
    cometd.addListener("/meta/connect", (message) => {
      window.connects.push(message);
      resolve(message);
    });
    // A failed handshake is an answer too, for pages that may not connect.
    cometd.handshake((reply) => reply.successful || resolve({ ...reply, failure: undefined }));
  });
};

/** Publishes and resolves with the reply. */
window.publish = (channel, data) =>
  new Promise((resolve) => window.cometd.publish(channel, data, {}, resolve));

window.ready = true;
