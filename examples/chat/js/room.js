/**
 * One room: its lines, its members, and the own messages on their way out.
 *
 * Channels: `/chat/NAME` carries `{text, key, from: {id, name}}`, `/chat/NAME/members` the presence messages.
 * An own message is "sending", "waiting" (for the connection), "sent" or "failed". After a broken connection nobody
 * knows whether the broker had it, so it is sent again under the same `key`, and a key that was seen is not shown
 * twice. Knows no page; `onchange` tells the view.
 */

import { randomId } from "./settings.js";
import { Presence } from "./presence.js";

/** Lines kept; the oldest go first. */
const LINES_MAX = 500;
/** Longest text shown, in characters; as in the message field. */
const TEXT_MAX = 2000;

/** A room that this page has joined. */
export class Room {
  lines = []; // {kind: "message", key, text, from, at, own, state, reason} | {kind: "note", text, at}
  unread = 0;
  onchange = () => {};
  #seen = new Set();
  #answering = false;

  constructor(name, self, connection) {
    this.name = name;
    this.channel = `/chat/${name}`;
    this.members = new Presence(self, Date.now());
    this.self = self;
    this.connection = connection;
    connection.subscribe(this.channel, (data) => this.#onMessage(data));
    connection.subscribe(`${this.channel}/members`, (data) => this.#onMember(data));
    if (connection.connected) this.greet();
  }

  /** Sends `text`, now or when there is a connection. */
  send(text) {
    const line = { kind: "message", key: randomId(), text, from: this.self, at: new Date(), own: true, state: "waiting", reason: "" };
    this.#seen.add(line.key);
    this.#add(line);
    this.transmit(line);
  }

  /** Sends a waiting or failed own message. */
  async transmit(line) {
    if (!this.connection.connected) {
      this.#settle(line, "waiting");
      return;
    }
    this.#settle(line, "sending");
    const { key, text } = line;
    const result = await this.connection.publish(this.channel, { key, text, from: { id: this.self.id, name: this.self.name } });
    if (result.ok) this.#settle(line, "sent");
    else if (result.lost) this.#settle(line, "waiting", result.reason);
    else this.#settle(line, "failed", result.reason);
  }

  /** Takes an own message back that is not sent. */
  discard(line) {
    this.lines = this.lines.filter((other) => other !== line);
    this.#seen.delete(line.key);
    this.onchange();
  }

  /** Connected: what waited goes out, in order. */
  flush() {
    for (const line of this.lines) {
      if (line.own && line.state === "waiting") this.transmit(line);
    }
  }

  /** Enters the room for the others to see. */
  greet() {
    this.#tell("hello");
  }

  /** A sign of life. */
  beat() {
    this.#tell("here");
  }

  /** Leaves the room for the others to see. */
  farewell() {
    this.#tell("leave");
  }

  /** Leaves and forgets the room. */
  close() {
    this.farewell();
    this.connection.unsubscribe(this.channel);
    this.connection.unsubscribe(`${this.channel}/members`);
  }

  /** Drops members that fell silent. */
  expire() {
    for (const name of this.members.expire(Date.now())) this.note(`${name} left`);
  }

  /** Adds a line of the page itself. */
  note(text) {
    this.#add({ kind: "note", text, at: new Date() });
  }

  #onMessage(data) {
    const message = parse(data);
    if (!message) return;
    const own = message.from.id === this.self.id;
    if (this.#seen.has(message.key)) {
      const line = own && this.lines.find((other) => other.key === message.key);
      if (line) this.#settle(line, "sent"); // the echo proves more than the reply
      return;
    }
    this.#seen.add(message.key);
    this.unread += 1;
    this.#add({ kind: "message", ...message, at: new Date(), own, state: "sent", reason: "" });
  }

  #onMember(data) {
    const { joined, answer, changed } = this.members.receive(data, Date.now());
    if (joined) this.note(`${joined} joined`);
    if (answer) this.#answer();
    if (changed) this.onchange();
  }

  /** Answers "hello": spread, so that a full room does not answer in one instant, and once for many. */
  #answer() {
    if (this.#answering) return;
    this.#answering = true;
    const reply = () => {
      this.#answering = false;
      this.beat();
    };
    this.connection.setTimer(reply, Math.random() * 400);
  }

  #tell(type) {
    if (!this.connection.connected) return;
    this.connection.publish(`${this.channel}/members`, { type, id: this.self.id, name: this.self.name });
  }

  #settle(line, state, reason = "") {
    if (line.state === "sent") return;
    Object.assign(line, { state, reason });
    this.onchange();
  }

  #add(line) {
    this.lines.push(line);
    for (const old of this.lines.splice(0, this.lines.length - LINES_MAX)) this.#seen.delete(old.key);
    this.onchange();
  }
}

/** Reads `{text, key?, from?}`; a bare `{text}`, as from a script, is from "somebody". Null for anything else. */
function parse(data) {
  if (typeof data !== "object" || data === null || typeof data.text !== "string" || !data.text) return null;
  const name = typeof data.from?.name === "string" ? data.from.name.trim().slice(0, 30) : "";
  return {
    text: data.text.slice(0, TEXT_MAX),
    key: typeof data.key === "string" && data.key.length <= 64 ? data.key : randomId(),
    from: { id: typeof data.from?.id === "string" ? data.from.id : "", name: name || "somebody" },
  };
}
