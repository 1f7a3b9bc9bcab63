// One session: what it is, what it subscribed to, what happened to it, and how to end it.

import { get, post } from "./api.js";
import { ask, button, el, empty, every, facts, failure, field, notify, panel } from "./dom.js";
import { eventLine } from "./events.js";
import { ago, bytes, count, rate, span } from "./format.js";
import { presence } from "./sessions.js";

export function open(place, { rest: [sid], signal, heading }) {
  heading.textContent = `Session ${sid}`;
  const path = `sessions/${encodeURIComponent(sid)}`;
  const body = el("div", {});
  const end = (reconnect) => async () => {
    const answers = await ask(reconnect ? ANEW : AWAY);
    if (!answers) return;
    try {
      await post(`${path}/disconnect`, { reason: answers.reason, reconnect });
      notify(`Session ${sid} has ended.`);
    } catch (error) {
      notify(error.message, "bad");
    }
  };
  place.append(
    el("p", { class: "row heads" },
      el("a", { href: "#/sessions" }, "← All sessions"), el("span", { class: "grow" }),
      el("a", { class: "button", href: `#/live?sid=${encodeURIComponent(sid)}` }, "Follow live"),
      button("Let it start anew…", end(true)),
      button("Disconnect…", end(false), { class: "danger" })),
    body);
  let shown = "";
  every(2000, signal, async () => {
    try {
      const session = await get(path, { signal });
      // Not drawn anew without a change: somebody may be reading, or be on their way with the tab key.
      const now = JSON.stringify({ ...session, age_s: 0, idle_s: 0, expires_s: 0 });
      const focused = body.contains(document.activeElement);
      if (now !== shown || !focused) body.replaceChildren(...panels(session, path));
      shown = now;
    } catch (error) {
      if (signal.aborted) return;
      if (error.code === "session_unknown") return gone(body, sid, signal);
      body.replaceChildren(failure(error));
    }
  });
}

const REASON = () => field("Reason, for the log", el("input", { name: "reason", maxlength: 200, autocomplete: "off" }));
const AWAY = {
  title: "Disconnect this client?",
  text: "It is told to stay away and does not come back by itself. What waits for it is discarded.",
  get fields() { return [REASON()]; },
  action: "Disconnect",
};
const ANEW = {
  title: "End this session?",
  text: "Its next message is answered with 402 and the advice to handshake: the client begins a new session and subscribes again. What waits for it is discarded.",
  get fields() { return [REASON()]; },
  action: "End session",
};

function panels(session, path) {
  const { queue, queue_limit: limit } = session;
  return [
    el("div", { class: "columns" },
      panel("What it is", facts([
        ["State", presence(session)],
        ["Transport", session.transport ?? "none yet"],
        ["Address", session.ip],
        ["Origin", session.origin],
        ["User agent", session.client],
        ["Age", span(session.age_s)],
        ["Last active", ago(session.idle_s)],
        ["Extensions", session.extensions?.join(", ") || "none"],
        ["Monitors", session.monitor ? "yes" : null],
      ])),
      panel("Its messages", facts([
        ["Published", rated(session.received, session.in_per_s)],
        ["Delivered", rated(session.delivered, session.out_per_s)],
        ["Dropped", count(session.dropped)],
        ["Not acknowledged", session.extensions?.includes("ack") ? count(session.unacked) : null],
        ["Waiting", limit ? full("messages", queue.messages, limit.messages, count) : count(queue.messages)],
        ["", limit ? full("bytes", queue.bytes, limit.bytes, bytes) : bytes(queue.bytes)],
      ]))),
    panel(`Subscriptions (${count(session.channels?.length ?? 0)})`, subscriptions(session, path)),
    panel("What happened", happened(session.events ?? [])),
  ];
}

const rated = (total, perSecond) => perSecond === undefined ? count(total) : `${count(total)}, ${rate(perSecond)} per second`;

/** How full a queue is. A limit may be absent: then there is none. */
function full(what, value, limit, format) {
  if (!Number.isFinite(limit)) return `${format(value)} ${what}`;
  return el("span", { class: "full" },
    el("meter", { min: 0, max: limit, value, high: limit * 0.7, low: limit * 0.5, optimum: 0, "aria-label": `Queue, ${what}` }),
    `${format(value)} of ${format(limit)}${what === "bytes" ? "" : ` ${what}`}`);
}

function subscriptions({ channels = [] }, path) {
  if (channels.length === 0) return empty("None: it gets nothing. Clients that subscribe only once lose it with a new handshake; they should subscribe in their handshake listener.");
  const remove = (channel) => async () => {
    try {
      await post(`${path}/unsubscribe`, { channel });
      notify(`Unsubscribed from ${channel}. The client was not told.`);
    } catch (error) {
      notify(error.message, "bad");
    }
  };
  return el("ul", { class: "chips" }, channels.map((channel) => el("li", {},
    el("a", { class: "code", href: `#/channels${channel.split("/").map(encodeURIComponent).join("/")}` }, channel),
    button("×", remove(channel), { class: "quiet", "aria-label": `Unsubscribe it from ${channel}`, title: "Unsubscribe it" }))));
}

function happened(events) {
  if (events.length === 0) return empty("Nothing is kept any more. monitor.recent_events is how many events the broker keeps.");
  return el("ol", { class: "events", "aria-label": "Events, newest first" }, [...events].reverse().map((event) => eventLine(event, { withSession: false })));
}

/** A session that is no more: what the broker remembers of its end. */
async function gone(body, sid, signal) {
  const { recent } = await import("./events.js");
  const events = await recent({ sid }, signal).catch(() => []);
  if (signal.aborted || body.dataset.gone === String(events.length)) return;
  body.dataset.gone = events.length;
  body.replaceChildren(
    empty("There is no session of this name any more."),
    panel("What happened", happened(events)));
}
