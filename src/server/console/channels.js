// What is published where: the channels as a tree, and one channel with its receivers and a way to
// publish to it.

import { channelPath, get, post, withQuery } from "./api.js";
import { button, el, empty, every, facts, failure, field, panel, table } from "./dom.js";
import { ago, count, counted, rate } from "./format.js";

export const title = "Channels";

/** One page of the API; a tree of more than that helps nobody. */
const MOST = 1000;

export function open(place, { rest, signal }) {
  let chosen = rest.length > 0 ? `/${rest.join("/")}` : null;
  let pattern = "";
  let timer;
  const closed = new Set();
  const tree = el("div", {});
  const aside = el("div", { class: "aside" });
  let last = NOTHING;
  let question = 0;
  let items = [];

  const draw = () => {
    if (items.length === 0) {
      const hint = pattern ? "No channel is within this pattern." : "No channel is in use. A channel exists while somebody subscribes to it or publishes to it.";
      return tree.replaceChildren(empty(hint));
    }
    const focused = document.activeElement?.dataset?.path;
    tree.replaceChildren(channelTable(branches(items, closed), { closed, draw }));
    if (focused) [...tree.querySelectorAll("[data-path]")].find(({ dataset }) => dataset.path === focused)?.focus();
  };
  const load = async () => {
    const asked = (question += 1);
    try {
      const page = await get(withQuery("channels", { pattern, limit: MOST }), { signal });
      if (asked !== question) return; // A later one was asked with another pattern.
      const now = performance.now();
      items = page.items.map((item) => ({ ...item, rate: rateOf(item, last, now) }));
      last = { at: now, whole: !page.next, published: new Map(page.items.map(({ channel, published }) => [channel, published])) };
      draw();
      if (page.next) tree.append(el("p", { class: "quiet" }, `The first ${count(MOST)}, by name. A pattern above shows others.`));
    } catch (error) {
      if (!signal.aborted && asked === question) tree.replaceChildren(failure(error));
    }
  };
  const narrow = ({ target }) => {
    pattern = target.value.trim();
    last = NOTHING;
    clearTimeout(timer);
    timer = setTimeout(load, 300);
  };
  place.append(
    el("div", { class: "filters" },
      field("Within", el("input", { type: "search", placeholder: "/chat/**", oninput: narrow }), { class: "grow" })),
    el("div", { class: `split ${chosen ? "chosen" : ""}` }, tree, aside));
  const box = publishBox(chosen ?? "");
  const about = el("div", {});
  aside.append(about, box);
  if (chosen) every(3000, signal, () => showChannel(about, chosen, signal));
  every(3000, signal, load);
}

const NOTHING = { at: 0, whole: false, published: new Map() };

/** Messages per second since the last look. A channel that is new began with zero, if the last look was at all. */
function rateOf({ channel, published }, last, now) {
  const before = last.published.get(channel) ?? (last.whole ? 0 : null);
  if (before === null) return null;
  return Math.max(0, published - before) / ((now - last.at) / 1000);
}

/**
 * The channels as rows of a tree, with the levels between them that are no channels themselves. Levels that
 * lead to a single next one share its row.
 */
function branches(items, closed) {
  const root = { path: "", below: new Map() };
  for (const item of items) {
    let at = root;
    for (const segment of item.channel.slice(1).split("/")) {
      if (!at.below.has(segment)) at.below.set(segment, { path: `${at.path}/${segment}`, below: new Map() });
      at = at.below.get(segment);
    }
    at.item = item;
  }
  const rows = [];
  const walk = (branch, depth) => {
    for (const first of branch.below.values()) {
      let child = first;
      while (!child.item && child.below.size === 1) [child] = child.below.values();
      rows.push({ ...child, label: child.path.slice(branch.path.length), depth });
      if (!closed.has(child.path)) walk(child, depth + 1);
    }
  };
  walk(root, 0);
  return rows;
}

function channelTable(rows, { closed, draw }) {
  const name = ({ path, label, item, below, depth }) => {
    const row = el("span", { class: "branch" });
    row.style.setProperty("--depth", Math.min(depth, 12));
    const isOpen = !closed.has(path);
    const fold = () => {
      if (isOpen) closed.add(path);
      else closed.delete(path);
      draw();
    };
    row.append(below.size > 0
      ? button(isOpen ? "▾" : "▸", fold, { class: "fold", "aria-expanded": isOpen, "aria-label": `Channels below ${path}`, "data-path": `fold ${path}` })
      : el("span", { class: "fold" }));
    row.append(item
      ? el("a", { class: "code", href: `#/channels${channelPath(path)}`, "data-path": path, "aria-label": path }, label)
      : el("span", { class: "code quiet" }, label));
    return row;
  };
  return table("Channels", [
    { title: "Channel", wide: true, cell: name },
    { title: "Subscribers", number: true, cell: ({ item }) => item ? count(item.subscribers) : "" },
    { title: "Per second", number: true, cell: ({ item }) => item && !item.pattern ? rate(item.rate) : "" },
    { title: "Published", number: true, cell: ({ item }) => item && !item.pattern ? count(item.published) : "" },
    { title: "Last", number: true, cell: ({ item }) => item?.last_publish_s === undefined ? "" : ago(item.last_publish_s) },
  ], rows);
}

async function showChannel(place, channel, signal) {
  try {
    const known = await get(`channels${channelPath(channel)}`, { signal });
    const patterns = known.patterns ?? [];
    place.replaceChildren(panel(channel,
      facts([
        ["Receivers now", known.pattern ? null : count(known.receivers)],
        ["Subscribers of this name", count(known.subscribers)],
        ["Published", known.pattern ? null : count(known.published)],
        ["Last message", known.last_publish_s === undefined ? null : ago(known.last_publish_s)],
        ["Persistent", known.persistent ? "yes" : null],
        ["By patterns", patterns.length > 0 ? el("ul", { class: "chips" }, patterns.map((pattern) =>
          el("li", {}, el("a", { class: "code", href: `#/channels${channelPath(pattern.channel)}` }, pattern.channel), ` ${count(pattern.subscribers)}`))) : null],
      ]),
      el("p", { class: "row" },
        el("a", { href: `#/sessions?channel=${encodeURIComponent(channel)}` }, "Its sessions"),
        el("a", { href: `#/live?channel=${encodeURIComponent(channel)}` }, "Follow live"))));
  } catch (error) {
    if (signal.aborted) return;
    const unknown = error.code === "channel_unknown";
    place.replaceChildren(panel(channel, unknown ? empty("Nobody uses this channel now. It comes into being with the first subscriber or message.") : failure(error)));
  }
}

function publishBox(channel) {
  const target = el("input", { name: "channel", value: /\*/.test(channel) ? "" : channel, placeholder: "/chat/demo", required: true, autocomplete: "off", spellcheck: "false" });
  const data = el("textarea", { name: "data", rows: 4, spellcheck: "false", required: true }, '{"text":"hello"}');
  const answer = el("div", { role: "status" });
  const publish = async (event) => {
    event.preventDefault();
    try {
      JSON.parse(data.value); // only to say what is wrong: through numbers of JavaScript 2^53 + 1 would become 2^53
      const message = `{"channel":${JSON.stringify(target.value.trim())},"data":${data.value}}`;
      const { sessions, queued } = await post("publish", message);
      const waits = queued > 0 ? `, ${count(queued)} of them when they come back` : "";
      answer.replaceChildren(el("p", { class: sessions > 0 ? "good" : "warn" },
        sessions > 0 ? `It reached ${counted(sessions, "session")}${waits}.` : "Nobody subscribes to this channel: it reached no session."));
    } catch (error) {
      const text = error instanceof SyntaxError ? { title: "The data is no JSON. ", message: `Text stands in quotes, like "hello". ${error.message}` } : error;
      answer.replaceChildren(failure(text));
    }
  };
  return panel("Publish", el("form", { class: "stack", onsubmit: publish },
    field("Channel", target), field("Data, JSON", data), el("button", { class: "primary" }, "Publish"), answer));
}
