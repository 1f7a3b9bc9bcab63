// A client to play with, and all of its frames.

import { Client } from "./bayeux.js";
import { button, choice, el, empty, failure, field, panel } from "./dom.js";
import { clock, counted } from "./format.js";

export const title = "Try it";

const FRAMES = 200;

export function open(place, { signal }) {
  const origin = el("div", {});
  place.append(origin);
  addresses(signal).then((urls) => {
    if (urls.length === 0) origin.append(empty("This broker tells no address for clients."));
    else place.append(bench(urls, signal));
  }, (error) => signal.aborted || origin.append(failure(error)));
}

/** Where clients connect; the policy of this page allows these addresses and no others. */
async function addresses(signal) {
  const response = await fetch("console/addresses.json", { signal, cache: "no-store" });
  if (!response.ok) throw new Error(`the addresses of the broker could not be read, status ${response.status}`);
  return (await response.json()).bayeux;
}

function bench(urls, signal) {
  let client = null;
  let total = 0;
  const wanted = { url: urls[0], transport: "websocket" };
  const phase = el("p", { role: "status", class: "phase" }, el("span", { class: "state" }, "not connected"));
  const frames = el("ol", { class: "frames", "aria-label": "Frames, newest first" }, el("li", {}, empty("No frame yet. Connect, and the handshake appears here as it goes over the wire.")));
  const tally = el("span", { class: "quiet" });
  const frame = (direction, text) => {
    total += 1;
    tally.textContent = counted(total, "frame");
    frames.querySelector(".empty")?.closest("li").remove();
    frames.prepend(el("li", { class: direction },
      el("span", { class: "direction", role: "img", "aria-label": direction === "in" ? "from the broker" : "to the broker" }, direction === "in" ? "◂" : "▸"),
      el("time", {}, clock(Date.now())), el("pre", {}, pretty(text))));
    while (frames.children.length > FRAMES) frames.lastChild.remove();
  };
  const tell = (words, connected, session) => {
    phase.replaceChildren(el("span", { class: `state ${connected ? "good" : "warn"}` }, words),
      session ? el("span", { class: "code quiet" }, `clientId ${session}`) : "");
    for (const form of talk.querySelectorAll("fieldset")) form.disabled = !connected;
    connect.textContent = client === null ? "Connect" : "Disconnect";
  };
  const connect = button("Connect", () => {
    if (client) {
      client.stop();
      client = null;
      connect.textContent = "Connect";
      return;
    }
    const mine = client = new Client(wanted.url, wanted.transport, {
      frame,
      phase: (words, state, session) => {
        // One that still says goodbye has no say over its successor.
        if (client !== null && client !== mine) return;
        if (state === "ended") client = null;
        tell(words, state === "connected", session);
        // A browser does not say why it could not connect.
        if (state === "lost") refusesOrigin(wanted.url, signal).then((refused) => {
          if (!refused || client !== mine) return;
          mine.abandon();
          tell(`refused: the broker lets no page of ${location.origin} connect. Add "${location.origin}" to server.allowed_origins and have the configuration read again`, false);
        });
      },
    });
    client.start();
    connect.textContent = "Disconnect";
  }, { class: "primary" });
  const talk = el("div", { class: "talk" }, subscribeForm(() => client), publishForm(() => client));
  signal.addEventListener("abort", () => client?.abandon(), { once: true });
  return el("div", { class: "split" },
    el("div", { class: "aside" },
      panel("Client",
        el("div", { class: "stack" },
          field("Address", choice(urls.map((url) => [url, url]), urls[0], ({ target }) => (wanted.url = target.value))),
          field("Transport", choice([["websocket", "websocket"], ["long-polling", "long-polling"]], "websocket", ({ target }) => (wanted.transport = target.value))),
          connect, phase)),
      talk),
    el("section", { class: "panel" },
      el("div", { class: "row" }, el("h2", {}, "Frames"), tally, el("span", { class: "grow" }), button("Clear", () => frames.replaceChildren())),
      frames));
}

/** Whether a broker is there whose answers pages of this origin may not read: to a farewell of nobody, since only messages are answered across origins. */
async function refusesOrigin(url, signal) {
  const body = JSON.stringify([{ id: "1", channel: "/meta/disconnect", clientId: "nobody" }]);
  const answers = (mode) => fetch(url, { method: "POST", body, mode, signal, credentials: "omit", cache: "no-store" }).then(() => true, () => false);
  return !(await answers("cors")) && answers("no-cors");
}

function subscribeForm(client) {
  const channel = el("input", { value: "/chat/demo", required: true, autocomplete: "off", spellcheck: "false" });
  const act = (verb) => (event) => {
    event.preventDefault();
    client()?.[verb](channel.value.trim());
  };
  return panel("Subscribe", el("form", { onsubmit: act("subscribe") }, el("fieldset", { class: "stack", disabled: true },
    field("Channel or pattern", channel),
    el("div", { class: "row" }, el("button", {}, "Subscribe"), button("Unsubscribe", act("unsubscribe"))))));
}

function publishForm(client) {
  const channel = el("input", { value: "/chat/demo", required: true, autocomplete: "off", spellcheck: "false" });
  const data = el("textarea", { rows: 3, required: true, spellcheck: "false" }, '{"text":"hello"}');
  const said = el("div", { role: "status" });
  const publish = (event) => {
    event.preventDefault();
    said.replaceChildren();
    try {
      client()?.publish(channel.value.trim(), JSON.parse(data.value));
    } catch (error) {
      said.replaceChildren(failure({ title: "The data is no JSON. ", message: error.message }));
    }
  };
  return panel("Publish", el("form", { onsubmit: publish }, el("fieldset", { class: "stack", disabled: true },
    field("Channel", channel), field("Data, JSON", data), el("div", {}, el("button", {}, "Publish")), said)));
}

/** JSON with a message on each line; anything else as it is. */
function pretty(text) {
  try {
    const messages = JSON.parse(text);
    if (!Array.isArray(messages) || messages.length < 2) return text;
    return `[${messages.map((message) => JSON.stringify(message)).join(",\n ")}]`;
  } catch {
    return text;
  }
}
