// How the broker does: numbers, charts of the last minutes, what went wrong, and the way to stop it.

import { post } from "./api.js";
import { chart } from "./chart.js";
import { ask, button, el, failure, notify, panel } from "./dom.js";
import { bytes, count, counted, latency, rate } from "./format.js";
import { by, faults, OPERATIONS } from "./metrics.js";
import { node } from "./node.js";

export const title = "Overview";

const sizes = Object.assign((n) => bytes(n), { base: 2, least: 1024 });
const rates = Object.assign((n) => rate(n), { least: 1 });
const counts = Object.assign((n) => count(n), { least: 4 });
const latencies = Object.assign((n) => latency(n), { least: 0.001 });

const TONES = { websocket: 1, "long-polling": 2, "callback-polling": 3, eventsource: 4, streaming: 5, iframe: 6, socket: 7 };

/** What went wrong, as metrics with a label, and the words for it; of causes only those that have words. A
 * function makes all of the words. */
const TROUBLES = [
  ["bayeuxd_sessions_closed_total", "cause", "sessions ended", { expired: "no connect in time", idle: "no activity in time", slow: "queue over its bound", limit: "all queues near their ceiling", kicked: "by an operator" }],
  ["bayeuxd_unknown_session_total", "on", "messages of unknown sessions", {}],
  ["bayeuxd_denied_total", "op", "denied", OPERATIONS],
  ["bayeuxd_limit_hits_total", "limit", "limit hit", {}],
  ["bayeuxd_bad_requests_total", "reason", faults, {}],
  ["bayeuxd_messages_discarded_total", "cause", "messages lost", { slow: "with a session whose queue ran over", limit: "when all queues neared their ceiling" }],
  ["bayeuxd_messages_dropped_total", "reason", "messages dropped by the policy of their channel", {}],
  ["bayeuxd_panics_total", "", "panics, a bug of the broker", {}],
];

export function open(place, { signal }) {
  const charts = [
    [chart("Sessions", counts, { stacked: true }), sessionsByTransport],
    [chart("Messages per second", rates), () => [
      { name: "in", of: (look) => look.in, tone: 2 },
      { name: "out", of: (look) => look.out, tone: 1 },
    ]],
    [chart("Delivery latency", latencies), () => [
      { name: "p50", of: (look) => look.p50, tone: 2 },
      { name: "p99", of: (look) => look.p99, tone: 3 },
    ]],
    [chart("Waiting in queues", sizes), () => [{ name: "bytes", of: (look) => look.queue, tone: 1 }]],
    [chart("Losses per second", rates), () => [
      { name: "lost", of: (look) => look.lost, tone: 4 },
      { name: "refused", of: (look) => look.refused, tone: 3 },
    ]],
  ];
  const problem = el("div", {});
  const tiles = el("div", { class: "tiles" });
  const troubles = el("div", {});
  place.append(problem, tiles, el("div", { class: "charts" },
    charts.map(([{ element }]) => element),
    panel("Since the start", troubles)), actions());
  let drawn = "";
  const draw = () => {
    problem.replaceChildren(...problems());
    if (!node.stats) return;
    tiles.replaceChildren(...tilesOf(node.stats, node.looks.at(-1) ?? {}));
    for (const [{ draw }, series] of charts) draw(node.looks, series());
    const now = JSON.stringify(troubleLines());
    if (now !== drawn) troubles.replaceChildren(troubleList());
    drawn = now;
  };
  node.addEventListener("look", draw, { signal });
  draw();
}

function problems() {
  if (node.failure) return [failure(node.failure)];
  if (!node.metricsFailure) return [];
  return [failure({ title: "No transports and no causes. ", message: `/metrics is not open to this page: ${node.metricsFailure.message}` })];
}

function sessionsByTransport() {
  const names = [...new Set(node.looks.flatMap(({ transports = {} }) => Object.keys(transports)))];
  if (names.length === 0) names.push("sessions");
  const order = (name) => TONES[name] ?? 9;
  return names.sort((one, other) => order(one) - order(other)).map((name) =>
    ({ name, of: (look) => look.transports && (look.transports[name] ?? 0), tone: TONES[name] ?? 1 }));
}

function tilesOf(stats, look) {
  const share = stats.queue_bytes_limit ? stats.queue_bytes / stats.queue_bytes_limit : 0;
  const { lost } = stats.totals;
  return [
    tile("Sessions", count(stats.sessions), `of at most ${count(stats.sessions_limit)}`, "#/sessions"),
    tile("Connected", count(stats.connects_held), "connects held"),
    tile("Channels", count(stats.channels), `${count(stats.subscriptions)} subscriptions`, "#/channels"),
    tile("In per second", rate(look.in), `${count(stats.totals.published)} since the start`),
    tile("Out per second", rate(look.out), `${count(stats.totals.delivered)} since the start`),
    tile("Waiting", bytes(stats.queue_bytes), stats.queue_bytes_limit ? `of at most ${bytes(stats.queue_bytes_limit)}` : "without a limit", null, share > 0.7 && "bad"),
    tile("Lost", count(lost), "with sessions whose queue ran over", null, lost > 0 && "warn"),
  ];
}

function tile(name, value, note, href, tone) {
  const inside = [el("span", { class: "name" }, name), el("b", {}, value), el("span", { class: "note" }, note)];
  return el(href ? "a" : "div", { class: `tile ${tone || ""}`, href }, inside);
}

function troubleLines() {
  return TROUBLES.flatMap(([name, label, what, words]) =>
    Object.entries(by(node.metrics, name, label))
      .filter(([value]) => label !== "cause" || Object.hasOwn(words, value))
      .map(([value, n]) => [count(n), told(what, words, value)]));
}

function told(what, words, value) {
  if (typeof what === "function") return what(value);
  return value === "undefined" ? what : `${what}: ${words[value] ?? value}`;
}

function troubleList() {
  const lines = troubleLines();
  if (node.metricsFailure) return el("p", { class: "empty" }, "Unknown without /metrics.");
  if (lines.length === 0) return el("p", { class: "empty" }, "Nothing denied, dropped or ended against the will of its client.");
  return el("ul", { class: "counted" }, lines.map(([n, text]) => el("li", {}, el("b", {}, n), el("span", {}, text))));
}

function actions() {
  return panel("Actions",
    el("div", { class: "actions" },
      el("p", {}, button("Read the configuration again", reload), " ",
        el("span", { class: "quiet" }, "API keys, origins, limits and the log level change without a disconnect; what else differs is named and needs a restart.")),
      el("p", {}, button("Drain and stop…", drain, { class: "danger" }), " ",
        el("span", { class: "quiet" }, "Clients are told to come back elsewhere, then the process ends."))));
}

async function reload() {
  try {
    const { reloaded, restart } = await post("reload");
    node.dispatchEvent(new Event("changed"));
    const later = restart.length > 0 ? ` Needs a restart: ${restart.join(", ")}.` : "";
    notify(`Read again; ${reloaded.length > 0 ? `in force now: ${reloaded.join(", ")}` : "nothing differs"}.${later}`);
  } catch (error) {
    notify(`Not read: ${error.message}`, "bad");
  }
}

async function drain() {
  const sessions = counted(node.stats?.sessions ?? 0, "session");
  const yes = await ask({
    title: "Drain and stop this broker?",
    text: `It has ${sessions}: their clients are told to reconnect, what waits is sent, then the process ends. This page cannot start it again.`,
    action: "Drain and stop",
  });
  if (!yes) return;
  try {
    await post("drain");
    notify("Draining. This page will lose its broker soon.");
  } catch (error) {
    notify(`Not draining: ${error.message}`, "bad");
  }
}
