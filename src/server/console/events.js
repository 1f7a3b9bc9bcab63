// The events of docs/monitoring.md: those that were kept, and telling each in a line.

import { request, withQuery } from "./api.js";
import { el } from "./dom.js";
import { bytes, clock, count, counted, rate, span } from "./format.js";

/** All types, in the order of their filters. */
export const TYPES = ["handshake", "connect", "subscribe", "unsubscribe", "disconnect", "publish", "queue", "auth", "transport", "limit", "error", "node", "stats"];

/** The kept events that fit, oldest first. */
export async function recent(parameters, signal) {
  const response = await request(withQuery("admin/v1/events", { recent: 50, ...parameters, follow: false }), { signal });
  const lines = (await response.text()).split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => JSON.parse(line));
}

/** Whether something went wrong that somebody may want to see. */
export function isTrouble(event) {
  if (event.ok === false || ["auth", "limit", "error", "lost"].includes(event.type)) return true;
  // What a channel drops by its own policy is as its application wants it.
  if (event.type === "queue") return !["drop_oldest", "latest"].includes(event.policy);
  return event.type === "disconnect" && !["client", "drain", "moved"].includes(event.cause);
}

const TELL = {
  handshake: (e) => [e.ok === false ? "refused" : "accepted", e.types?.length && `offers ${e.types.join(", ")}`, e.ext_keys?.length && `ext ${e.ext_keys.join(", ")}`, e.moved_from && `continues ${e.moved_from}`, e.auth === "key" && "with a key"],
  connect: (e) => [CONNECTS[e.kind] ?? e.kind, e.gap_ms && `after ${span(e.gap_ms / 1000)} without`],
  subscribe: (e) => [e.channel, e.ok === false ? "refused" : e.total !== undefined && `${count(e.total)} in all`],
  unsubscribe: (e) => TELL.subscribe(e),
  disconnect: (e) => [CAUSES[e.cause] ?? e.cause, e.age_s !== undefined && `after ${span(e.age_s)}`, e.delivered !== undefined && `${count(e.delivered)} delivered`, e.discarded > 0 && `${count(e.discarded)} discarded`],
  publish: (e) => [e.channel, e.size !== undefined && bytes(e.size), e.fanout !== undefined && `to ${counted(e.fanout, "session")}`, e.via === "http" && "over HTTP"],
  queue: (e) => [e.policy, `${counted(e.messages, "message")}, ${bytes(e.bytes)} waiting`, e.dropped > 0 && `${count(e.dropped)} dropped`],
  auth: (e) => ["key refused", e.op && `for ${e.op}`],
  transport: (e) => [e.kind, e.from && `${e.from} → ${e.to}`, e.breaks && `${e.breaks} broke within ${span(e.window_s)}`],
  limit: (e) => [e.limit, e.value !== undefined && `at ${count(e.value)}`],
  error: (e) => [e.status, e.detail],
  node: (e) => [e.event],
  stats: (e) => [counted(e.sessions, "session"), e.in_per_s !== undefined && `${rate(e.in_per_s)}/s in`, e.out_per_s !== undefined && `${rate(e.out_per_s)}/s out`],
  lost: (e) => [`${count(e.n)} events did not get here, this page or its network was too slow`],
};
const CONNECTS = { first: "first connect", resume: "came back", switch: "on another transport", timeout: "time was up", poll: "poll" };
const CAUSES = { client: "its client said so", expired: "no connect in time", kicked: "by an operator", slow: "its queue was full", limit: "all queues were full", drain: "the broker stopped", moved: "goes on as a new session", idle: "no activity" };

/** What an event says, in words. */
export function tell(event) {
  const parts = event.merged ? [`${count(event.merged)} in a short time`] : (TELL[event.type]?.(event) ?? []);
  return [...parts, event.error, event.reason].filter(Boolean).join(" · ");
}

/** An event as a line that opens to its JSON. */
export function eventLine(event, { withSession = true } = {}) {
  const { type, ts, sid, transport } = event;
  return el("li", {}, el("details", { class: isTrouble(event) && "trouble" },
    el("summary", {},
      el("time", { datetime: ts }, clock(ts)),
      el("span", { class: `type type-${type}` }, type),
      withSession && el("span", { class: "code sid" }, sid ?? ""),
      el("span", { class: "tell" }, tell(event)),
      el("span", { class: "quiet via" }, transport ?? "")),
    el("pre", {}, JSON.stringify(event, null, 2)),
    withSession && sid && el("p", {}, el("a", { href: `#/sessions/${encodeURIComponent(sid)}` }, `Open session ${sid}`))));
}
