// Who may do what, what is doubtful about it, and who was refused. Only shows: the configuration is changed
// where it stands.

import { el, empty, every, facts, failure, panel, table } from "./dom.js";
import { eventLine, recent } from "./events.js";
import { count } from "./format.js";
import { faults, OPERATIONS } from "./metrics.js";
import { configuration, node } from "./node.js";

export const title = "Security";

/** Refusals that are shown, of as many kept events. */
const SHOWN = 30;
const LOOKED_AT = 500;
/** Types with refusals, and those that are nothing else. */
const TYPES = ["handshake", "subscribe", "unsubscribe", "publish", "auth", "limit", "error"];
const ALWAYS = ["auth", "limit", "error"];

export function open(place, { signal }) {
  const configured = el("div", {});
  const counted = el("div", {});
  const refused = el("div", {});
  place.append(configured, panel("Refused since the start", counted),
    panel("Refused lately", refused, el("p", { class: "row" },
      el("a", { href: "#/live?trouble=1" }, "Follow live"), el("a", { href: "#/sessions?sort=rate" }, "Busiest sessions"))));
  // Only what has changed is drawn: somebody may be reading, or be on their way with the tab key.
  const draw = (to, shown, make) => {
    if (to.dataset.shown === shown) return;
    to.dataset.shown = shown;
    to.replaceChildren(make());
  };
  const drawCounts = () => {
    const lines = refusals();
    draw(counted, JSON.stringify([lines, Boolean(node.metricsFailure)]), () => countList(lines));
  };
  node.addEventListener("look", drawCounts, { signal });
  drawCounts();
  configuration(signal, (config) => configured.replaceChildren(...access(config)), (error) => configured.replaceChildren(failure(error)));
  every(5000, signal, async () => {
    try {
      const events = (await recent({ types: TYPES.join(","), recent: LOOKED_AT }, signal))
        .filter(isRefusal).slice(-SHOWN).reverse();
      draw(refused, JSON.stringify(events.map(({ seq, merged }) => [seq, merged])), () => eventList(events));
    } catch (error) {
      if (!signal.aborted) draw(refused, error.message, () => failure(error));
    }
  });
}

/** A client that comes back too late is refused too, but not because of who it is. */
function isRefusal({ type, ok, error = "" }) {
  return (ok === false && !error.startsWith("402:")) || ALWAYS.includes(type);
}

function access({ items, warnings = [] }) {
  const of = Object.fromEntries(items.map(({ key, value }) => [key, value]));
  return [
    panel("Worth a look", remarks(warnings)),
    panel("Who may connect", facts([
      ["Clients at", places([...list(of["server.listen"]), ...list(of["transports.socket.listen"])])],
      ["Without a key", anonymous(of)],
      ["Pages of", origins(of)],
      ["Trusted proxies", list(of["server.trusted_proxies"]).join(", ") || "none: the address of a client is that of its connection"],
      ["TLS", "none of its own; clients reach it encrypted through a proxy with TLS (docs/proxies.md)"],
      ["Cookie of browsers", of["session.browser_cookie.require"] ? "required of each session that was given one" : "compared if it is presented"],
      ["Operators at", places(list(of["admin.listen"]))],
      ["Metrics", { loopback: "open while the operators' address is of this machine only", always: "open to everybody who reaches the operators' address", never: "with a key only" }[of["metrics.open"]]],
      ["Monitors see", [`addresses ${{ full: "in full", truncate: "cut to their network", none: "not at all" }[of["monitor.ip"]]}`, of["monitor.payloads"] ? "what is published, if their key may" : "nothing of what is published"].join("; ")],
    ])),
    panel("Keys", keys(of["auth.keys"] ?? [])),
  ];
}

const list = (value) => [value ?? []].flat().filter((entry) => entry !== "");

const isNear = (address) => /^(127\.|\[::1\])/.test(address);

/** Addresses, and who reaches them. */
function places(addresses) {
  if (addresses.length === 0) return "nowhere";
  const near = addresses.every(isNear);
  return [el("span", { class: "code" }, addresses.join(", ")), near ? " · this machine only" : el("span", { class: "warn" }, " · other machines too")];
}

function anonymous(of) {
  const near = [...list(of["server.listen"]), ...list(of["transports.socket.listen"])].every(isNear);
  if (near) return "everybody on this machine may subscribe and publish";
  return el("span", { class: "warn" }, "everybody who reaches it may subscribe and publish (auth.anonymous)");
}

function origins(of) {
  const allowed = list(of["server.allowed_origins"]);
  if (allowed.includes("*")) return el("span", { class: "warn" }, "any origin");
  if (allowed.length > 0) return allowed.join(", ");
  return list(of["server.listen"]).every(isNear) ? "this machine, any port (localhost, 127.0.0.1)" : "the broker's own origin only";
}

function remarks(warnings) {
  if (warnings.length === 0) return empty("Nothing that `bayeuxd config check` would warn of.");
  return el("ul", { class: "remarks" }, warnings.map(({ origin, text }) =>
    el("li", {}, text, origin ? el("span", { class: "quiet" }, ` · ${origin}`) : null)));
}

function keys(all) {
  if (all.length === 0) return empty("None. `bayeuxd key gen` makes one for the configuration.");
  const rights = { publish: "publishes", monitor: "monitors", admin: "everything" };
  return table("Keys", [
    { title: "Key", cell: ({ id }) => el("span", { class: "code" }, id) },
    { title: "May", cell: ({ role = "publish" }) => el("span", { class: role === "admin" && "warn" }, rights[role] ?? role) },
    { title: "Where", wide: true, cell: ({ role, channels = [] }) => el("span", { class: "code" }, channels.join(", ") || (role === "publish" ? "nowhere" : "/**")) },
    { title: "Events", wide: true, cell: ({ role, types = [], payload }) => role === "monitor" ? el("span", {}, `${types.join(", ") || "all but publish"}${payload ? ", with what is published" : ""}`) : "" },
    { title: "Its secret", wide: true, cell: ({ id, secret_file: file }) => el("span", { class: "quiet" }, secretOf(id, file)) },
  ], all);
}

/** Where the secret of a key is: the page does not know it. */
function secretOf(id, file) {
  if (id === "local-admin" || id === "local-user") return "made by the broker for its own user";
  return file ? `in ${file}` : "only its SHA-256 is known here";
}

const REASONS = { policy: "not allowed", origin: "page of another origin", key: "no key or a wrong one", cookie: "cookie of another browser" };

/** What was denied and by which limit, as pairs of number and words. */
function refusals() {
  const of = (name) => (node.metrics.get(name) ?? []).filter(({ value }) => value > 0);
  return [
    ...of("bayeuxd_denied_total").map(({ labels: { op, reason }, value }) => [value, `${OPERATIONS[op] ?? op}: ${REASONS[reason] ?? reason}`]),
    ...of("bayeuxd_limit_hits_total").map(({ labels: { limit }, value }) => [value, `limit ${limit}`]),
    ...of("bayeuxd_bad_requests_total").map(({ labels: { reason }, value }) => [value, faults(reason)]),
  ];
}

function countList(lines) {
  if (node.metricsFailure) return empty(`Unknown: /metrics is not open to this page. ${node.metricsFailure.message}`);
  if (lines.length === 0) return empty("Nothing.");
  return el("ul", { class: "counted" }, lines.map(([n, text]) => el("li", {}, el("b", {}, count(n)), el("span", {}, text))));
}

function eventList(events) {
  if (events.length === 0) return empty("Nothing of what is kept. monitor.recent_events is how many events the broker keeps.");
  return el("ol", { class: "events", "aria-label": "Refusals, newest first" }, events.map((event) => eventLine(event)));
}
