/** The state of the connection: the pill in the header, the banner while it is broken, the facts at the side. */

import { byId, clock, element, setText } from "./dom.js";

/** Lines of the event list; the oldest go first. */
const EVENTS_MAX = 50;

const WORDS = {
  connecting: "Connecting",
  connected: "Connected",
  waiting: "Reconnecting",
  retrying: "Reconnecting",
  closed: "Ended",
};

/** Shows a `Connection`; call `show` at each of its changes. */
export class StatusView {
  #connection;

  constructor(connection) {
    this.#connection = connection;
    setText(byId("fact-server"), connection.url.replace(/^https?:\/\//, ""));
    byId("retry-now").addEventListener("click", () => connection.retryNow());
    connection.addEventListener("event", ({ detail }) => this.#addEvent(detail));
    addEventListener("securitypolicyviolation", (violation) => {
      this.#addEvent({ at: new Date(), text: `this page's own policy forbids ${violation.blockedURI} (connect-src in index.html)` });
    });
  }

  /** Shows the state as it is now. */
  show() {
    const state = this.#connection.snapshot;
    document.body.dataset.phase = state.phase;
    setText(byId("status-text"), WORDS[state.phase]);
    setText(byId("status-transport"), state.phase === "connected" ? state.transport : "");
    setText(byId("fact-session"), state.session ? `${state.session.slice(0, 8)}…` : "none yet");
    setText(byId("fact-reply"), state.replyMs === null ? "–" : `${state.replyMs.toFixed(state.replyMs < 10 ? 1 : 0)} ms`);
    setText(byId("fact-reconnects"), String(state.reconnects));
    this.#showBanner(state);
  }

  /** Counts down to the next attempt; call it every second. */
  tick() {
    const { phase, attempt, retryAt } = this.#connection.snapshot;
    let text = "";
    if (phase === "waiting") text = `Attempt ${attempt + 1} in ${Math.max(1, Math.ceil((retryAt - Date.now()) / 1000))} s.`;
    else if (phase === "retrying") text = `Attempt ${attempt + 1} …`;
    setText(byId("banner-countdown"), text);
  }

  #showBanner(state) {
    const broken = ["waiting", "retrying", "closed"].includes(state.phase);
    const shared = state.phase === "connected" && state.sharedPoll;
    byId("banner").hidden = !broken && !shared;
    byId("retry-now").hidden = !["waiting", "closed"].includes(state.phase);
    setText(byId("retry-now"), state.phase === "closed" ? "Start again" : "Try now");
    if (broken) {
      setText(byId("banner-title"), sentence(state.reason || "the connection broke"));
      setText(byId("banner-text"), state.phase === "closed" ? "" : "What you write now waits and goes out later.");
    } else if (shared) {
      setText(byId("banner-title"), "Another tab of this browser polls.");
      setText(byId("banner-text"), "Over HTTP/1.1 only one may wait, so messages come up to 2 s later here.");
    }
    this.tick();
  }

  #addEvent({ at, text }) {
    const events = byId("events");
    events.prepend(element("li", {}, element("time", {}, clock(at, true)), " ", text));
    while (events.children.length > EVENTS_MAX) events.lastChild.remove();
  }
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
