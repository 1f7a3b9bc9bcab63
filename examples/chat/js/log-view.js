/**
 * The lines of the room on show.
 *
 * Keeps one element per line, so that a change touches only what changed: screen readers then speak only new
 * lines. Stays at the end while the reader is there; else a button counts what came meanwhile.
 */

import { avatar, byId, clock, element, setText } from "./dom.js";

/** Lines of one member closer than this stand together, in milliseconds. */
const GROUP_MS = 5 * 60_000;

/** Shows one room at a time in `#log`. */
export class LogView {
  #log = byId("log"); // scrolls and is spoken
  #lines = byId("lines");
  #newest = byId("to-newest");
  #nodes = new Map(); // line -> element
  #room = null;
  #below = 0;

  constructor() {
    this.#log.addEventListener("scroll", () => this.#atEnd() && this.#setBelow(0));
    this.#newest.addEventListener("click", () => this.#toEnd());
    new ResizeObserver(() => this.#below === 0 && this.#toEnd()).observe(this.#log);
  }

  /** Shows `room` as it is now. */
  show(room) {
    const other = room !== this.#room;
    if (other) {
      this.#room = room;
      this.#nodes.clear();
      // A room's old lines are not news: spoken are only lines that come while it is on show.
      this.#log.setAttribute("aria-live", "off");
      this.#lines.replaceChildren(welcome());
    }
    const follow = other || this.#atEnd();
    const added = this.#sync(room);
    if (follow || added.some((line) => line.own)) this.#toEnd();
    else this.#setBelow(this.#below + added.length);
    if (other) requestAnimationFrame(() => this.#log.setAttribute("aria-live", "polite"));
  }

  #sync(room) {
    const present = new Set(room.lines);
    for (const [line, node] of this.#nodes) {
      if (present.has(line)) continue;
      node.remove();
      this.#nodes.delete(line);
    }
    const added = [];
    room.lines.forEach((line, index) => {
      const node = this.#nodes.get(line);
      if (node) {
        update(node, line, room);
        return;
      }
      const fresh = line.kind === "note" ? note(line) : message(line, room.lines[index - 1]);
      update(fresh, line, room);
      this.#nodes.set(line, fresh);
      this.#lines.append(fresh);
      added.push(line);
    });
    return added;
  }

  #atEnd() {
    return this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 60;
  }

  #toEnd() {
    this.#log.scrollTop = this.#log.scrollHeight;
    this.#setBelow(0);
  }

  #setBelow(count) {
    this.#below = count;
    this.#newest.hidden = count === 0;
    setText(this.#newest, count === 1 ? "1 new message" : `${count} new messages`);
  }
}

function welcome() {
  const text = "Messages since you opened this page; the broker keeps no history. Open the page in a second window to talk.";
  return element("li", { class: "welcome" }, text);
}

function note(line) {
  return element("li", { class: "note", "data-testid": "note" }, line.text, " ", element("time", {}, clock(line.at)));
}

function message(line, before) {
  const follows = before?.kind === "message" && before.from.id === line.from.id
    && before.from.name === line.from.name && line.at - before.at < GROUP_MS;
  return element(
    "li",
    { class: `message${line.own ? " own" : ""}${follows ? " follows" : ""}`, "data-testid": "message" },
    line.own ? null : avatar(line.from),
    element(
      "div",
      { class: "bubble-column" },
      element("p", { class: "meta" },
        element("span", { class: line.own ? "visually-hidden" : "author", "data-testid": "author" }, line.own ? "You" : line.from.name),
        " ", element("time", { datetime: line.at.toISOString() }, clock(line.at))),
      element("p", { class: "bubble", "data-testid": "text" }, line.text),
      line.own ? element("div", { class: "delivery" }) : null,
    ),
  );
}

/** Brings the state of an own message up to date. */
function update(node, line, room) {
  if (line.kind !== "message") return;
  const mark = `${line.state}|${line.reason}`;
  if (node.dataset.mark === mark) return;
  node.dataset.mark = mark;
  node.dataset.state = line.state;
  const delivery = node.querySelector(".delivery");
  if (!delivery) return;
  const button = (text, testid, action) => element("button", { type: "button", "data-testid": testid, onclick: action }, text);
  const again = line.state === "failed" ? button("Try again", "retry", () => room.transmit(line)) : null;
  const drop = button("Discard", "discard", () => room.discard(line));
  if (line.state === "failed") delivery.replaceChildren(`Not sent: ${line.reason} `, again, " ", drop);
  else if (line.state === "waiting") delivery.replaceChildren("Waits for the connection ", drop);
  else delivery.replaceChildren();
}
