// Events as they happen, from the monitoring channels: filter, pause, take along.

import { button, el, empty, failure, field } from "./dom.js";
import { eventLine, isTrouble, tell, TYPES } from "./events.js";
import { Feed } from "./feed.js";
import { count, counted } from "./format.js";

export const title = "Live";

/** Events that are kept for filters and for the download; the oldest go first. */
const KEPT = 2000;
/** Of these, so many stand on the page. */
const SHOWN = 300;
const USUAL = TYPES.filter((type) => !["publish", "stats"].includes(type));

export function open(place, { query, signal }) {
  const wanted = { types: new Set(USUAL), channel: query.get("channel") ?? "", sid: query.get("sid") ?? "", text: "", trouble: query.has("trouble") };
  const feed = { events: [], paused: false, held: 0, gone: 0 };
  const list = el("ol", { class: "events", "aria-label": "Events, newest first" });
  const note = el("p", { class: "quiet", role: "status" });
  const fits = (event) => (!wanted.trouble || isTrouble(event)) &&
    (wanted.text === "" || `${event.type} ${event.sid ?? ""} ${event.ip ?? ""} ${event.origin ?? ""} ${event.ua ?? ""} ${tell(event)}`.toLowerCase().includes(wanted.text));
  const says = (status) => {
    if (status) feed.status = status;
    const held = feed.held > 0 ? ` · ${count(feed.held)} new while paused` : "";
    note.textContent = `${feed.paused ? "Paused" : feed.status} · ${counted(feed.events.length, "event")} kept${feed.gone > 0 ? `, ${count(feed.gone)} older ones let go` : ""}${held}`;
  };
  const redraw = () => {
    list.replaceChildren(...feed.events.filter(fits).slice(-SHOWN).reverse().map((event) => eventLine(event)));
    if (list.children.length === 0) list.append(el("li", {}, empty(feed.events.length > 0 ? "None of the kept events is like that." : "Nothing has happened yet. Whatever clients do from now on appears here.")));
  };
  let fresh = [];
  let drawing = false;
  // All events of a moment at once: a storm must not make the page stutter.
  const drawFresh = () => {
    drawing = false;
    const lines = fresh.filter(fits).slice(-SHOWN).reverse().map((event) => eventLine(event));
    fresh = [];
    says();
    if (lines.length === 0) return;
    if (list.querySelector(".empty")) list.replaceChildren();
    list.prepend(...lines);
    while (list.children.length > SHOWN) list.lastChild.remove();
  };
  const take = (event) => {
    feed.events.push(event);
    if (feed.events.length > KEPT) {
      feed.gone += feed.events.length - KEPT;
      feed.events.splice(0, feed.events.length - KEPT);
    }
    if (feed.paused) feed.held += 1;
    else fresh.push(event);
    if (!drawing) setTimeout(drawFresh, 100);
    drawing = true;
  };

  const source = new Feed({
    status: says,
    events: (events) => events.forEach(take),
    failed: (error) => {
      says("Not following");
      list.replaceChildren(el("li", {}, failure(error)));
    },
  }, signal);
  const follow = () => {
    Object.assign(feed, { events: [], held: 0, gone: 0 });
    fresh = [];
    redraw();
    if (wanted.types.size === 0) says("No type is chosen");
    source.want({ types: [...wanted.types], channel: wanted.channel, sid: wanted.sid });
  };

  const pause = button("Pause", () => {
    feed.paused = !feed.paused;
    pause.setAttribute("aria-pressed", feed.paused);
    pause.textContent = feed.paused ? "Go on" : "Pause";
    feed.held = 0;
    redraw();
    says();
  }, { "aria-pressed": "false" });
  const clear = button("Clear", () => {
    Object.assign(feed, { events: [], held: 0, gone: 0 });
    redraw();
    says();
  });
  place.append(filters(wanted, follow, redraw),
    el("div", { class: "row heads" }, note, el("span", { class: "grow" }), pause, clear,
      button("Download", () => download(feed.events.filter(fits)))),
    list);
  follow();
}

function filters(wanted, follow, redraw) {
  let typing;
  const later = (name, work) => (event) => {
    wanted[name] = event.target.value.trim();
    if (name === "text") wanted.text = wanted.text.toLowerCase();
    clearTimeout(typing);
    typing = setTimeout(work, 300);
  };
  const types = TYPES.map((type) => el("label", { class: "check" },
    el("input", { type: "checkbox", checked: wanted.types.has(type), onchange: ({ target }) => {
      if (target.checked) wanted.types.add(type);
      else wanted.types.delete(type);
      follow();
    } }), type));
  return el("div", { class: "filters" },
    field("Contains", el("input", { type: "search", placeholder: "any words", oninput: later("text", redraw) }), { class: "grow" }),
    field("Channel", el("input", { type: "search", placeholder: "/chat/**", value: wanted.channel, oninput: later("channel", follow) })),
    field("Session", el("input", { type: "search", placeholder: "sid", value: wanted.sid, oninput: later("sid", follow) })),
    el("label", { class: "check" }, el("input", { type: "checkbox", checked: wanted.trouble, onchange: ({ target }) => {
      wanted.trouble = target.checked;
      redraw();
    } }), "Trouble only"),
    el("fieldset", { class: "types" }, el("legend", {}, "Types"), types));
}

/** Hands the events to the browser as a file, one JSON object a line. */
function download(events) {
  const text = events.map((event) => `${JSON.stringify(event)}\n`).join("");
  const url = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  const name = `bayeuxd-events-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.ndjson`;
  const link = el("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
