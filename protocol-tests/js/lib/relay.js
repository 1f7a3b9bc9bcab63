// A TCP relay between a client and the broker, for network faults: connections cut, a network that
// is away, bytes that vanish.

import { once } from "node:events";
import net from "node:net";

/** Listens on a free port of 127.0.0.1 and passes every connection on to the broker's port. */
export class Relay {
  #server;
  #target;
  #pairs = new Set();
  #mode = "pass";
  /** Connections accepted so far, refused ones not counted. */
  accepted = 0;

  static async start(target) {
    const relay = new Relay();
    relay.#target = target;
    relay.#server = net.createServer((socket) => relay.#accept(socket));
    relay.#server.listen(0, "127.0.0.1");
    await once(relay.#server, "listening");
    relay.port = relay.#server.address().port;
    return relay;
  }

  #accept(client) {
    client.on("error", () => {});
    if (this.#mode === "away") return client.resetAndDestroy();
    this.accepted += 1;
    const broker = net.connect(this.#target, "127.0.0.1");
    broker.on("error", () => {});
    const pair = [client, broker];
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      pair.forEach((socket) => socket.destroy());
    };
    client.on("close", end).on("data", (bytes) => this.#mode === "swallow" || broker.write(bytes));
    broker.on("close", end).on("data", (bytes) => this.#mode === "swallow" || client.write(bytes));
  }

  /** Resets all connections, on both sides; new ones are welcome. */
  cut() {
    for (const pair of this.#pairs) pair.forEach((socket) => socket.resetAndDestroy());
    this.#pairs.clear();
  }

  /** Takes the network away: all connections are reset, new ones refused. */
  leave() {
    this.#mode = "away";
    this.cut();
  }

  /** Keeps connections open and accepts new ones, but swallows every byte. */
  swallow() {
    this.#mode = "swallow";
  }

  /** Passes bytes again. What was swallowed is lost: cut() if the peers must notice. */
  pass() {
    this.#mode = "pass";
  }

  /** Ends the relay and its connections. */
  close() {
    this.cut();
    this.#server.close();
  }
}
