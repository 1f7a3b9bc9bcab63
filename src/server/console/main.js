// The frame of the console: who is signed in, which page is shown, how the broker does.

import { forgetKey, get, guard, hasKey, keepKey, takeKey } from "./api.js";
import { el, failure, field } from "./dom.js";
import { span } from "./format.js";
import { icon } from "./icons.js";
import { node } from "./node.js";
import * as channels from "./channels.js";
import * as config from "./config.js";
import * as live from "./live.js";
import * as overview from "./overview.js";
import * as security from "./security.js";
import * as sessions from "./sessions.js";
import * as tryIt from "./try.js";

const PAGES = { overview, sessions, channels, live, security, try: tryIt, config };

const main = document.getElementById("main");
const top = document.getElementById("top");
const state = document.getElementById("node");
let leavePage = new AbortController();
let leaveNode = new AbortController();

/** What the address names: `#/channels/chat/demo?x=y` is the page channels, rest `/chat/demo`. */
function where() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  const [, name = "", ...rest] = path.split("/");
  const known = Object.hasOwn(PAGES, name) ? name : "overview";
  return { name: known, rest: rest.map(decode), query: new URLSearchParams(query) };
}

function decode(segment) {
  try { return decodeURIComponent(segment); } catch { return segment; }
}

function show() {
  leavePage.abort();
  leavePage = new AbortController();
  if (!hasKey()) return askForKey();
  const { name, rest, query } = where();
  const page = PAGES[name];
  for (const link of top.querySelectorAll("nav a")) {
    if (link.dataset.page === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${page.title} · bayeuxd`;
  const heading = el("h1", { tabindex: "-1" }, page.title);
  const place = el("div", { class: `page page-${name}` });
  main.replaceChildren(heading, place);
  page.open(place, { rest, query, signal: leavePage.signal, heading });
}

function askForKey(problem) {
  leaveNode.abort();
  top.hidden = true;
  document.title = "Sign in · bayeuxd";
  const key = el("input", { type: "password", name: "key", required: true, autocomplete: "off", spellcheck: "false", autofocus: true });
  const place = el("div", {});
  const enter = async (event) => {
    event.preventDefault();
    keepKey(key.value);
    try {
      await get("stats");
      start();
    } catch (error) {
      forgetKey();
      place.replaceChildren(failure(error));
      key.select();
    }
  };
  if (problem) place.append(failure({ title: "Signed out. ", message: problem }));
  main.replaceChildren(el("form", { class: "panel sign-in", onsubmit: enter },
    el("h1", {}, "bayeuxd console"),
    el("p", {}, "Sign in with a key of the role ", el("code", {}, "admin"), ". Without one in the configuration, the broker made it at its start; on the machine where it runs, started by hand or as a service:"),
    el("pre", {}, 'cat "${XDG_RUNTIME_DIR:-$HOME/.local/state}/bayeuxd/admin.key"\nsudo cat /run/bayeuxd/admin.key'),
    field("Key", key), place,
    el("button", { class: "primary" }, "Sign in"),
    el("p", { class: "quiet" }, "It stays in this tab and is forgotten when the tab closes.")));
  key.focus();
}

function start() {
  leaveNode.abort();
  leaveNode = new AbortController();
  top.hidden = false;
  node.watch(leaveNode.signal);
  show();
}

function showState() {
  const { stats, failure: problem } = node;
  if (problem) {
    state.replaceChildren(el("span", { class: "state bad" }, "not answering"));
  } else if (stats) {
    state.replaceChildren(
      el("span", { class: `state ${stats.draining ? "warn" : "good"}` }, stats.draining ? "draining" : "serving"),
      el("span", { class: "quiet" }, `${stats.version} · up ${span(stats.uptime_s)}`));
  }
}

document.getElementById("pages").append(...Object.entries(PAGES).map(([name, page]) =>
  el("a", { href: `#/${name}`, "data-page": name }, icon(name), el("span", {}, page.title))));
document.getElementById("leave").addEventListener("click", () => {
  forgetKey();
  leavePage.abort();
  askForKey();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address after # names the page
  main.focus();
});
node.addEventListener("look", showState);
guard.addEventListener("signedout", ({ detail }) => {
  if (!hasKey() || top.hidden) return;
  forgetKey();
  leavePage.abort();
  askForKey(detail);
});
window.addEventListener("hashchange", () => {
  const linked = location.hash.startsWith("#key=");
  takeKey();
  if (linked) return start();
  show();
  main.querySelector("h1")?.focus(); // a screen reader begins at the new page
});
takeKey();
if (hasKey()) start();
else askForKey();
