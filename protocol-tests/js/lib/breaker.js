// A network that breaks every WebSocket after a while and leaves all other connections alone: what
// server-steered fallback is for.

import { once } from "node:events";
import net from "node:net";
import { pause } from "./deadline.js";

/**
 * How a WebSocket breaks.
 * - `ends`: both streams end without a close frame. What the broker had written by then arrives.
 * - `resets`: both ends get a reset at once. What is under way is lost or arrives, as it happens.
 * - `swallows`: nothing passes to the client any more; when a message is lost by that the client gets a
 *   reset and the broker the end of the stream. What it has written until it sees that is noted in `lost`.
 */
const HOW = { ends, resets, swallows };

/** Listens on a free port of 127.0.0.1 and passes connections on to the broker's port. */
export class Breaker {
  #server;
  #target;
  #after;
  #how;
  #mute;
  #healed = false;
  #down = false;
  #links = new Set();
  /** How many WebSockets were opened through it, and how many of them it has broken. */
  opened = 0;
  broken = 0;
  /** How many it had broken when the broker first sent a client away over one. */
  brokenBefore402 = null;
  /** The numbers that were data of messages which it has swallowed. */
  lost = [];

  /**
   * Breaks each WebSocket, in one of the ways above, `after` milliseconds of service. With `mute` it lets
   * none of their frames pass in the first place.
   */
  static async start(target, { after = Infinity, how = "ends", mute = false }) {
    const breaker = new Breaker();
    breaker.#target = target;
    breaker.#after = after;
    breaker.#how = HOW[how];
    breaker.#mute = mute;
    breaker.#server = net.createServer({ allowHalfOpen: true }, (socket) => breaker.#accept(socket));
    breaker.#server.listen(0, "127.0.0.1");
    await once(breaker.#server, "listening");
    breaker.port = breaker.#server.address().port;
    return breaker;
  }

  /** Breaks nothing any more. */
  heal() {
    this.#healed = true;
  }

  /** How many connections there are. */
  get connections() {
    return this.#links.size;
  }

  /** Ends all connections and accepts none for `ms` milliseconds. */
  async outage(ms) {
    this.#down = true;
    this.#links.forEach((link) => link.reset());
    await pause(ms);
    this.#down = false;
  }

  #accept(client) {
    if (this.#down) return reset(client);
    const link = new Link(client, this.#target);
    this.#links.add(link);
    link.onEnd = () => this.#links.delete(link);
    link.onUpgrade = () => {
      this.opened += 1;
      link.passes = !this.#mute;
    };
    // A slow broker may send it over a WebSocket that is being broken: that break came after the decision.
    link.on402 = () => (this.brokenBefore402 ??= this.broken - Number(link.breaks));
    link.onService = () => {
      if (this.#after === Infinity) return;
      const timer = setTimeout(() => void this.#break(link), this.#after);
      client.on("close", () => clearTimeout(timer));
    };
  }

  async #break(link) {
    if (this.#healed) return;
    this.broken += 1;
    link.breaks = true;
    this.lost.push(...numbers(await this.#how(link)));
  }

  /** Ends the network and its connections. */
  close() {
    this.#links.forEach((link) => link.reset());
    this.#server.close();
  }
}

/** Two connections, each of which carries what comes from the other. */
class Link {
  /** Called when the broker has opened a WebSocket. */
  onUpgrade = () => {};
  /** Whether it is being broken. */
  breaks = false;
  /** Called at the first frame of the broker: from then on the WebSocket carries a session. */
  onService = () => {};
  /** Called when the broker sends the client to a handshake. */
  on402 = () => {};
  /** Called when both connections have ended. */
  onEnd = () => {};
  /** Whether frames pass. */
  passes = true;
  /** What becomes of bytes from the broker. */
  onBytes;
  /** `http`, `asked` for a WebSocket, `open`. */
  #state = "http";
  #serves = false;

  constructor(client, target) {
    this.client = client;
    // Either half may end before the other, so that bytes on their way are not cut off.
    this.broker = net.connect({ port: target, host: "127.0.0.1", allowHalfOpen: true });
    this.onBytes = (bytes) => client.write(bytes);
    client.on("data", (bytes) => this.#ask(bytes)).on("end", () => this.broker.end());
    this.broker.on("data", (bytes) => this.#answer(bytes)).on("end", () => client.end());
    for (const [one, other] of [[client, this.broker], [this.broker, client]]) {
      one.on("error", () => reset(other));
    }
    let open = 2;
    for (const socket of [client, this.broker]) socket.on("close", () => (open -= 1) || this.onEnd());
  }

  #ask(bytes) {
    if (this.#state === "open") return void (this.passes && this.broker.write(bytes));
    // The upgrade may come after other requests on the connection.
    const text = bytes.toString("latin1");
    if (/\r\nupgrade: *websocket\r\n/i.test(text)) this.#state = "asked";
    // Without compression, so that what is swallowed can be read.
    this.broker.write(text.replace(/\r\nsec-websocket-extensions:[^\r]*/i, ""), "latin1");
  }

  #answer(bytes) {
    if (this.#state === "asked") {
      // The answer to the upgrade is written alone, before any frame.
      this.#state = bytes.includes("HTTP/1.1 101 ") ? "open" : "http";
      if (this.#state === "open") this.onUpgrade();
    } else if (this.#state === "open") {
      if (!this.passes) return;
      if (!this.#serves) this.onService();
      this.#serves = true;
      if (bytes.includes("402::session_unknown")) this.on402();
    }
    this.onBytes(bytes);
  }

  /** From now on nothing passes from the client to the broker. */
  deafen() {
    this.client.removeAllListeners("data").on("data", () => {});
    this.client.removeAllListeners("end");
  }

  reset() {
    reset(this.client);
    reset(this.broker);
  }
}

function reset(socket) {
  // Node does not reset a connection whose end is on its way, and hangs at its exit if it tried.
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

async function ends(link) {
  link.deafen();
  link.broker.end();
  return [];
}

async function resets(link) {
  link.reset();
  return [];
}

async function swallows(link) {
  const swallowed = [];
  const ended = once(link.broker, "close");
  const lost = new Promise((resolve) => {
    link.onBytes = (bytes) => {
      swallowed.push(bytes);
      if (numbers(swallowed).length > 0) resolve();
    };
  });
  await Promise.race([lost, ended]);
  link.deafen();
  link.broker.end();
  reset(link.client);
  await ended;
  return swallowed;
}

function numbers(bytes) {
  const text = Buffer.concat(bytes).toString("latin1");
  return [...text.matchAll(/"data":(\d+)[,}]/g)].map((match) => Number(match[1]));
}
