// The events as they happen: a Bayeux client on the admin listener that subscribes to the monitoring
// channels, as any other monitor does (docs/monitoring.md), and begins with what was kept.

import { extOfKey } from "./api.js";
import { Client } from "./bayeux.js";
import { recent } from "./events.js";

/** Events of all types under one name; the filter tells which. */
const CHANNEL = "/meta/monitor";
/** Kept events to begin with. */
const BEFORE = 200;
/** A broker that refuses now may not do so later. */
const REFUSED_MS = 10_000;
const REFUSALS = {
  "403:monitor_limit:subscribe_denied": "as many monitors are connected as may be (monitor.max_subscribers)",
  "403::handshake_denied": "the key is not, or no longer, known to the broker",
};

export class Feed {
  #told;
  #signal;
  #client;
  #wanted = null;
  #connected = false;
  /** Subscribes without an answer: what comes before the last one is of an older wish. */
  #asked = 0;
  /** Events that arrive while the kept ones are read. */
  #early = null;
  #last = null;

  /**
   * `told.status(words)`, `told.events(events)`, `told.failed(error)` when the filter cannot be used. Ends
   * with `signal`.
   */
  constructor(told, signal) {
    this.#told = told;
    this.#signal = signal;
    const url = new URL("admin/v1/bayeux", location.href).href.split("#")[0];
    const client = { phase: (words, state) => this.#phase(words, state), message: (message) => this.#message(message) };
    this.#client = new Client(url, "websocket", client, extOfKey());
    signal.addEventListener("abort", () => this.#client.stop(), { once: true });
    this.#client.start();
  }

  /** Asks for other events from now on: `types`, a list, and `channel` and `sid`, which may be empty. */
  want(wanted) {
    this.#wanted = wanted;
    this.#last = null;
    if (this.#connected) this.#subscribe();
  }

  #phase(words, state) {
    if (this.#signal.aborted) return;
    this.#connected = state === "connected";
    this.#early = null;
    this.#asked = 0;
    if (this.#connected) return this.#subscribe();
    if (state === "connecting") return this.#told.status("Connecting");
    if (state === "lost") return this.#told.status(`Not following: ${words}`);
    const why = Object.entries(REFUSALS).find(([error]) => words.includes(error))?.[1] ?? words;
    this.#told.status(`Not following: ${why}`);
    setTimeout(() => this.#signal.aborted || this.#client.start(), REFUSED_MS);
  }

  #subscribe() {
    const { types, channel, sid } = this.#wanted;
    this.#early = null;
    if (types.length === 0) return this.#client.unsubscribe(CHANNEL);
    this.#asked += 1;
    this.#client.subscribe(CHANNEL, { monitor: { types, ...(channel && { channel }), ...(sid && { sid }) } });
  }

  #message({ channel, data, successful, error }) {
    if (channel === CHANNEL && data) return this.#take(data);
    if (channel !== "/meta/subscribe") return;
    this.#asked -= 1;
    if (this.#asked === 0 && this.#wanted.types.length > 0) this.#begin(successful ? null : (REFUSALS[error] ?? error));
  }

  /** Reads what was kept; the API also says best what is wrong with a filter. */
  async #begin(refusal) {
    const mine = (this.#early = []);
    const { types, channel, sid } = this.#wanted;
    let kept = [];
    try {
      kept = await recent({ types: types.join(","), channel, sid, recent: BEFORE }, this.#signal);
    } catch (error) {
      if (this.#signal.aborted || mine !== this.#early) return;
      if (error.status === 400) return this.#told.failed(error);
    }
    if (this.#signal.aborted || mine !== this.#early) return;
    this.#early = null;
    if (refusal) return this.#told.status(`Not following: ${refusal}`);
    this.#told.status("Following");
    this.#pass([...kept, ...mine]);
  }

  #take(event) {
    if (this.#early) this.#early.push(event);
    else if (this.#asked === 0 && this.#wanted.types.length > 0) this.#pass([event]);
  }

  /** Hands events on, none twice: after a break the kept ones overlap with those that are known. */
  #pass(events) {
    const fresh = [];
    for (const event of events) {
      const told = event.type === "lost" || event.merged !== undefined || event.snapshot;
      if (!told && this.#last && !isNewer(event, this.#last)) continue;
      if (!told) this.#last = event;
      fresh.push(event);
    }
    if (fresh.length > 0) this.#told.events(fresh);
  }
}

/** A broker that was started again counts from the beginning: there the time tells. */
function isNewer(event, other) {
  return event.seq > other.seq || event.ts > other.ts;
}
