// npm faye in Node with a log of its messages. It shakes hands over long-polling and, unless that is
// disabled, goes on over a WebSocket with the same clientId.

import { createRequire } from "node:module";
import { within } from "./deadline.js";

const faye = createRequire(import.meta.url)("faye");

/** A Faye client with its log. Its promises reject when no answer comes in time. */
export class FayeClient {
  /** Bayeux messages sent and received, in order. */
  sent = [];
  received = [];
  #client;

  /** `websocket` false keeps the client on long-polling. */
  constructor(url, websocket) {
    this.#client = new faye.Client(url, { retry: 0.5 });
    this.#client.disable("eventsource");
    if (!websocket) this.#client.disable("websocket");
    this.#client.addExtension({
      outgoing: (message, pass) => (this.sent.push(structuredClone(message)), pass(message)),
      incoming: (message, pass) => (this.received.push(structuredClone(message)), pass(message)),
    });
  }

  /** Subscribes and returns the array into which data will be put. */
  async subscribe(channel) {
    const inbox = [];
    inbox.subscription = this.#client.subscribe(channel, (data) => inbox.push(data));
    await within(`a reply to subscribe ${channel}`, inbox.subscription);
    return inbox;
  }

  /** Publishes; resolves with the positive reply, rejects with Faye's error of a refusal. */
  async publish(channel, data) {
    await within(`a reply to publish ${channel}`, this.#client.publish(channel, data));
  }

  /** The connection type of the last connect. */
  get transport() {
    return this.sent.findLast((m) => m.channel === "/meta/connect")?.connectionType;
  }

  /** How many messages of this channel went out. */
  count(channel) {
    return this.sent.filter((m) => m.channel === channel).length;
  }

  /** Disconnects and waits for the reply; does nothing the second time. */
  async close() {
    await within("a reply to disconnect", Promise.resolve(this.#client.disconnect()));
  }
}
