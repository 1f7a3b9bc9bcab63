// Numbered streams of messages from an independent publisher, one for all streams to a broker.

import assert from "node:assert/strict";
import { Publisher } from "./bayeux.js";
import { pause, until } from "./deadline.js";

/** What streams wait for may take long on a busy machine, and the asking should not keep it busy. */
const SLOWLY = { every: 100, patience: 60_000 };

/** Publishes 0, 1, 2, … to one channel until it is stopped. */
export class Stream {
  /** How many messages the broker has accepted. */
  sent = 0;
  /** How many milliseconds to wait after message `n`. */
  pace = () => 80;
  /** When the next message is to be sent. */
  due = 0;
  #channel;
  #press;

  /** Begins at once. */
  constructor(url, channel) {
    this.#channel = channel;
    this.#press = Press.of(url);
    this.#press.add(this);
  }

  /** The next message. */
  get next() {
    return { channel: this.#channel, data: this.sent };
  }

  /** The next message was accepted. */
  accepted() {
    this.due = performance.now() + this.pace(this.sent);
    this.sent += 1;
  }

  /** Waits until `count` more messages were accepted. */
  async goesOn(count) {
    const then = this.sent + count;
    await until(`message ${then}`, () => this.sent >= then, SLOWLY);
  }

  /** Stops, and waits until the last message is in `inbox`. */
  async ends(inbox) {
    await this.stop();
    await until(`message ${this.sent - 1}`, async () => (await inbox()).includes(this.sent - 1), SLOWLY);
  }

  /**
   * Stops, and fails unless each message has come once and in order; `missing` are those that cannot have
   * come.
   */
  async arrived(inbox, missing = []) {
    await this.ends(inbox);
    const expected = Array.from({ length: this.sent }, (_, n) => n).filter((n) => !missing.includes(n));
    assert.deepEqual(await inbox(), expected);
  }

  /** Sends nothing more; resolves when nothing is under way. */
  async stop() {
    await this.#press.remove(this);
  }
}

/** Sends what is due of all streams to one broker in one request, so that many streams cost little. */
class Press {
  static #presses = new Map();
  #url;
  #streams = new Set();
  #sending = null;
  #running = null;

  static of(url) {
    if (!Press.#presses.has(url)) Press.#presses.set(url, new Press(url));
    return Press.#presses.get(url);
  }

  constructor(url) {
    this.#url = url;
  }

  add(stream) {
    this.#streams.add(stream);
    this.#running ??= this.#run();
  }

  async remove(stream) {
    this.#streams.delete(stream);
    await this.#sending;
  }

  async #run() {
    const publisher = await Publisher.open(this.#url);
    while (this.#streams.size > 0) {
      const due = [...this.#streams].filter((stream) => stream.due <= performance.now());
      if (due.length > 0) {
        this.#sending = publisher.publishAll(due.map((stream) => stream.next));
        await this.#sending;
        due.forEach((stream) => stream.accepted());
      }
      await pause(5);
    }
    this.#running = null; // the session of the publisher may expire before it is needed again
  }
}
