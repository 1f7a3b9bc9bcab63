/**
 * Who is in a room, from messages on a plain channel; the broker knows nothing of it.
 *
 * A page that enters says "hello", the others answer "here", all repeat "here" every `BEAT_MS`, and who leaves
 * says "leave". Who is silent for `SILENCE_MS` is gone. A "leave" counts only after `GRACE_MS`: a page that
 * reloads says "leave" and, a moment later, "hello" under the same id. Reads no clock: `now` is given.
 */

/** Pause between two signs of life, in milliseconds. */
export const BEAT_MS = 20_000;
/** Silence after which a member is gone: two lost signs of life and some delay. */
export const SILENCE_MS = 50_000;
/** Time for a page to come back after "leave". */
export const GRACE_MS = 4_000;
/** Members shown at most; a bound against floods. */
const MEMBERS_MAX = 200;

/** The members of one room as this page knows them. */
export class Presence {
  #members = new Map(); // id -> {id, name, seen, leftAt}

  constructor(self, now) {
    this.self = self;
    this.#members.set(self.id, { ...self, seen: now, leftAt: null });
  }

  /** Members in the order of their names, ourselves first: `[{id, name}]`. */
  get list() {
    const others = [...this.#members.values()].filter((member) => member.id !== this.self.id);
    others.sort((a, b) => a.name.localeCompare(b.name));
    return [this.self, ...others];
  }

  /**
   * Takes in `{type, id, name}`. Returns `{joined}` with a name for news worth a line, `{answer: true}` if a "here"
   * is due, and `changed` if the list looks different; anything that is no such message is ignored.
   */
  receive(data, now) {
    const { type, id, name } = parse(data) ?? {};
    if (!type || id === this.self.id) return {};
    const known = this.#members.get(id);
    if (type === "leave") {
      if (known && known.leftAt === null) known.leftAt = now;
      return {};
    }
    if (!known && this.#members.size >= MEMBERS_MAX) return {};
    this.#members.set(id, { id, name, seen: now, leftAt: null });
    const news = type === "hello" && !known;
    return { joined: news ? name : null, answer: type === "hello", changed: known?.name !== name };
  }

  /** Drops who left or fell silent; returns their names. */
  expire(now) {
    const gone = [];
    for (const [id, member] of this.#members) {
      const left = member.leftAt !== null && now - member.leftAt >= GRACE_MS;
      if (id === this.self.id || !(left || now - member.seen >= SILENCE_MS)) continue;
      this.#members.delete(id);
      gone.push(member.name);
    }
    return gone;
  }

  /** Forgets the others, when a connection was away too long to know. */
  clear() {
    for (const id of this.#members.keys()) {
      if (id !== this.self.id) this.#members.delete(id);
    }
  }
}

function parse(data) {
  if (typeof data !== "object" || data === null) return null;
  const { type, id, name } = data;
  if (!["hello", "here", "leave"].includes(type)) return null;
  if (typeof id !== "string" || typeof name !== "string" || !id || id.length > 64) return null;
  return { type, id, name: name.trim().slice(0, 30) || "somebody" };
}
