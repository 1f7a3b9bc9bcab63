// Who is connected: a list to search and sort, and one session with all that is known of it.

import { get, withQuery } from "./api.js";
import { button, choice, el, empty, every, failure, field, table } from "./dom.js";
import { agent, bytes, count, rate, span } from "./format.js";
import { node } from "./node.js";
import { open as openSession } from "./session.js";

export const title = "Sessions";

const PAGE = 50;
const SORTS = [["sid", "sid"], ["queue", "longest queue"], ["age", "oldest"], ["rate", "busiest"]];
const TRANSPORTS = [["", "any"], ...["websocket", "long-polling", "callback-polling", "eventsource", "streaming", "iframe", "socket"].map((name) => [name, name])];
const CONNECTED = [["", "any"], ["true", "connected"], ["false", "away"]];

export function open(place, context) {
  if (context.rest[0]) return openSession(place, context);
  const { query, signal } = context;
  const wanted = { search: "", transport: "", connected: "", sort: SORTS.some(([name]) => name === query.get("sort")) ? query.get("sort") : "sid", channel: query.get("channel") ?? "" };
  /** The cursors of the pages before this one, and its own last. */
  let cursors = [undefined];
  const list = el("div", { "aria-live": "off" });
  const pages = el("div", { class: "row pager" });
  let asked = 0;
  const load = async () => {
    asked += 1;
    const mine = asked;
    try {
      const sort = wanted.sort === "sid" ? "" : wanted.sort;
      const page = await get(withQuery("sessions", { ...wanted, sort, limit: PAGE, cursor: cursors.at(-1) }), { signal });
      if (mine !== asked) return; // the question has changed meanwhile
      list.replaceChildren(page.items.length > 0 ? rows(page.items, wanted.sort) : nothing(wanted));
      turn(page);
    } catch (error) {
      if (!signal.aborted && mine === asked) list.replaceChildren(failure(error));
    }
  };
  const turn = (page) => pages.replaceChildren(
    el("span", { class: "quiet" }, position(page, cursors.length - 1, wanted)),
    button("Previous", () => (cursors.pop(), load()), { disabled: cursors.length < 2 }),
    button("Next", () => (cursors.push(page.next), load()), { disabled: !page.next }));
  let typing;
  const change = (name) => (event) => {
    wanted[name] = event.target.value.trim();
    cursors = [undefined];
    clearTimeout(typing);
    typing = setTimeout(load, event.type === "input" ? 250 : 0);
  };
  place.append(
    el("div", { class: "filters", role: "search" },
      field("Search", el("input", { type: "search", placeholder: "sid, address, origin, user agent", oninput: change("search") }), { class: "grow" }),
      field("Gets what is published to", el("input", { type: "search", placeholder: "/chat/demo", value: wanted.channel, oninput: change("channel") }), { class: "grow" }),
      field("Transport", choice(TRANSPORTS, "", change("transport"))),
      field("State", choice(CONNECTED, "", change("connected"))),
      field("Order", choice(SORTS, wanted.sort, change("sort")))),
    list, pages);
  every(4000, signal, load);
}

/** Which of how many sessions a page has; of those that fit a filter the last page alone knows the number. */
function position({ items, next }, pagesBefore, { search, transport, connected, channel }) {
  const first = pagesBefore * PAGE;
  const last = first + items.length;
  if (last === 0) return "";
  const filtered = search || transport || connected || channel;
  const total = next ? (filtered ? null : node.stats?.sessions) : last;
  // Sessions come and go between two looks.
  const of = total === null || total === undefined ? "" : ` of ${count(Math.max(total, last))}`;
  return `${count(first + 1)} to ${count(last)}${of}`;
}

function nothing({ search, transport, connected, channel }) {
  if (search || transport || connected || channel) return empty("No session is like that. Take a word out of the filters above.");
  return empty("No client is connected. Open a page that uses the broker, or make a session yourself on the page Try it.");
}

/** Connected or away, and for how long it may be. */
export function presence({ connected, expires_s: left }) {
  if (connected) return el("span", { class: "state good" }, "connected");
  return el("span", { class: "state warn" }, left === undefined ? "away" : `away, ends in ${span(left)}`);
}

function rows(items, sort) {
  const columns = [
    { title: "Session", cell: ({ sid }) => el("a", { class: "code", href: `#/sessions/${encodeURIComponent(sid)}` }, sid) },
    { title: "State", cell: presence },
    { title: "Transport", cell: ({ transport }) => transport ?? "none yet" },
    { title: "Client", wide: true, cell: ({ client, origin, ip }) => [
      client && el("span", { title: client }, agent(client)),
      el("span", { class: "quiet" }, [origin, ip].filter(Boolean).join(" · "))] },
    { title: "Age", number: true, cell: ({ age_s: age }) => span(age) },
    { title: "Subscriptions", number: true, cell: ({ subscriptions }) => count(subscriptions) },
    { title: "Waiting", number: true, cell: ({ queue }) => queue.messages > 0 ? `${count(queue.messages)} · ${bytes(queue.bytes)}` : "0" },
    { title: "In", number: true, cell: ({ received }) => count(received) },
    { title: "Out", number: true, cell: ({ delivered }) => count(delivered) },
    { title: "Dropped", number: true, cell: ({ dropped }) => el("span", { class: dropped > 0 && "bad" }, count(dropped)) },
  ];
  if (sort === "rate") {
    columns.splice(7, 2,
      { title: "In /s", number: true, cell: (session) => rate(session.in_per_s) },
      { title: "Out /s", number: true, cell: (session) => rate(session.out_per_s) });
  }
  return table("Sessions", columns, items);
}
