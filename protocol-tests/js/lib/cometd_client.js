// npm cometd in Node, of any generation since 3.1, as one kind of client for all checks.
//
// Each client has exactly the transports that it was given, its own cookies (the Node adapter would
// share them, and the broker would take all clients for one browser), and a log of all that crossed
// the wire.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { keepCookies } from "./cookie_jar.js";
import { until, within } from "./deadline.js";

const require = createRequire(import.meta.url);

/** What a generation of the library brings: `adapt`, `CometD` and the extensions' classes. */
export async function load(generation) {
  if (generation === 9) {
    const { adapt } = await import("cometd-nodejs-client");
    adapt(); // before the first import of cometd
    return { adapt, ...(await import("cometd")) };
  }
  const { adapt } = require("cometd-nodejs-client-1");
  adapt();
  const library = `cometd-${generation}`;
  if (generation === 8) {
    return { adapt, ...(await import(library)), ...(await import(`${library}/AckExtension.js`)) };
  }
  const extensions = ["AckExtension", "BinaryExtension", "TimeStampExtension", "TimeSyncExtension"];
  const classes = extensions.map((name) => [name, require(`${library}/${name}.js`)]);
  return { adapt, ...Object.fromEntries(classes), ...require(library) };
}

/** Loads the library once and returns a function that makes clients of it, with one transport or a list. */
export async function clientFactory(generation, transport) {
  const library = await load(generation);
  return {
    library,
    client: (url, options = {}) => new CometdClient(library, transport, url, options),
  };
}

/** A client with its log. Its promises reject when the broker refuses or does not answer in time. */
export class CometdClient {
  /** Bayeux messages sent, in order, as they went out. */
  sent = [];
  /** Bayeux messages received, in order, as they came in. */
  received = [];
  /** The texts of all responses and frames received. */
  texts = [];
  /** Messages of `/meta/unsuccessful`. */
  unsuccessful = [];
  /** Set by a check that provokes failures; otherwise `close` fails on any. */
  failuresExpected = false;

  constructor(library, transport, url, options) {
    this.cometd = new library.CometD();
    const transports = [transport].flat().map((name) => [name, this.cometd.findTransport(name)]);
    this.cometd.unregisterTransports();
    for (const [name, chosen] of transports) this.cometd.registerTransport(name, chosen);
    this.cometd.configure({ url, logLevel: "warn", backoffIncrement: 200, ...options });
    this.cometd.addListener("/meta/unsuccessful", (message) => this.unsuccessful.push(message));
    for (const [name, chosen] of transports) {
      this.#record(chosen);
    }
    keepCookies(library, this.cometd);
  }

  #record(transport) {
    const { convertToJSON, convertToMessages } = transport;
    transport.convertToJSON = (messages) => {
      this.sent.push(...structuredClone(messages));
      return convertToJSON.call(transport, messages);
    };
    transport.convertToMessages = (response) => {
      const messages = convertToMessages.call(transport, response);
      this.texts.push(response);
      this.received.push(...structuredClone(messages));
      return messages;
    };
  }

  /** Shakes hands and waits for the first connect reply. Returns the handshake reply. */
  async open(properties) {
    const connected = new Promise((resolve) => {
      const listener = this.cometd.addListener("/meta/connect", (message) => {
        if (!message.successful) return;
        this.cometd.removeListener(listener);
        resolve();
      });
    });
    const reply = await within("a handshake reply",
      new Promise((resolve) => this.cometd.handshake(properties ?? {}, resolve)),
    );
    assert.equal(reply.successful, true, JSON.stringify(reply));
    await within("the first connect reply", connected);
    return reply;
  }

  /** Subscribes and returns the array into which deliveries will be put, whole. */
  async subscribe(channel, inbox = []) {
    const reply = await this.#answer(`a reply to subscribe ${channel}`, (resolve) => {
      inbox.subscription = this.cometd.subscribe(channel, (m) => inbox.push(m), resolve);
    });
    assert.equal(reply.successful, true, JSON.stringify(reply));
    return inbox;
  }

  /** Unsubscribes what `subscribe` returned. */
  async unsubscribe(inbox) {
    const reply = await this.#answer("a reply to unsubscribe", (resolve) =>
      this.cometd.unsubscribe(inbox.subscription, resolve),
    );
    assert.equal(reply.successful, true, JSON.stringify(reply));
  }

  /** Publishes and returns the reply, which may be a refusal. */
  publish(channel, data, properties = {}) {
    return this.#answer(`a reply to publish ${channel}`, (resolve) =>
      this.cometd.publish(channel, data, properties, resolve),
    );
  }

  /** Disconnects and returns the reply. */
  disconnect() {
    return this.#answer("a reply to disconnect", (resolve) => this.cometd.disconnect(resolve));
  }

  #answer(what, send) {
    return within(what, new Promise(send));
  }

  /** How many messages of this channel went out. */
  count(channel) {
    return this.sent.filter((message) => message.channel === channel).length;
  }

  /** Waits until a connect is held: sent, not answered, and surely arrived. */
  async held() {
    const answered = () => this.received.filter((m) => m.channel === "/meta/connect").length;
    await until("a connect under way", () => this.count("/meta/connect") > answered());
    // A round trip behind it. Enough on a WebSocket; on HTTP it only makes arrival likely.
    await this.publish("/service/round-trip", {});
  }

  /** Disconnects if need be, and fails on messages of `/meta/unsuccessful` that nobody expected. */
  async close() {
    // A disconnect can overtake a connect that is under way on the client's other connection. That one
    // is answered 402 then, rightly so: what fails from here on is the client's own doing.
    const failures = [...this.unsuccessful];
    if (!this.cometd.isDisconnected()) {
      const gone = new Promise((resolve) => this.cometd.disconnect(resolve));
      await within("the end of the client", gone, 2000).catch(() => this.cometd.disconnect());
    }
    if (!this.failuresExpected) assert.deepEqual(failures, []);
  }
}
