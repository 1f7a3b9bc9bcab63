// The operators' console in Chromium, over live clients. A complaint of the browser fails a check, so
// each of them also says that the page keeps within its Content-Security-Policy.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after } from "node:test";
import { post } from "../lib/bayeux.js";
import { SHORT } from "../lib/broker.js";
import { launch, tab, visitor } from "../lib/browser.js";
import { clientFactory } from "../lib/cometd_client.js";
import { until } from "../lib/deadline.js";
import { Relay } from "../lib/relay.js";
import { about, Broker, channel, check, checkEnd } from "../lib/kit.js";

const PAGES = ["overview", "sessions", "channels", "live", "security", "try", "config"];
const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };

about("Chromium");
const folder = await mkdtemp(path.join(tmpdir(), "bayeuxd-console-"));
after(() => rm(folder, { recursive: true }));

/** A broker with a key of its own; `origin` of the console and the key stand beside it. */
async function start(name, more = {}) {
  const keyFile = path.join(folder, `${name}.key`);
  const settings = { ...SHORT, "session.timeout": "20s", "session.max_interval": "30s", "admin.key_file": keyFile, "api.key_file": `${keyFile}.pub`, ...more };
  const started = await Broker.start(settings);
  return { broker: started, console: await started.admin(), key: (await readFile(keyFile, "utf8")).trim() };
}

const node = await start("shared");
const { broker } = node;
const websocket = await clientFactory(9, "websocket");
const polling = await clientFactory(9, "long-polling");
const browser = await launch();

/** Opens a page of the console, signed in by the link that the broker prints. */
async function open(bench, where = "overview", { at = node, options, ...more } = {}) {
  const page = await tab(bench, await visitor(bench, browser, options), `${at.console}/#key=${at.key}`, more);
  await page.getByText("serving").waitFor();
  if (where !== "overview") await go(page, where);
  return page;
}

async function go(page, where) {
  await page.evaluate((hash) => (location.hash = hash), `#/${where}`);
  await page.locator("h1").waitFor();
}

/** A client that is connected and subscribed; with its inbox. */
async function subscriber(bench, factory, name) {
  const client = bench.keep(factory.client(broker.url()));
  const { clientId } = await client.open();
  return { client, clientId, inbox: await client.subscribe(name) };
}

/** The sessions that the admin API lists. */
async function sessions(query) {
  const response = await fetch(`${node.console}/admin/v1/sessions?${query}`, { headers: { "X-API-Key": node.key } });
  return (await response.json()).items;
}

/** The sid of the only session that gets what is published to `name`. */
async function sidOf(name) {
  const items = await sessions(`channel=${encodeURIComponent(name)}`);
  assert.equal(items.length, 1);
  return items[0].sid;
}

check("the printed link signs in, and its key leaves the address bar", async (bench) => {
  const page = await open(bench);
  assert.equal(new URL(page.url()).hash, "#/overview");
  assert.equal(await page.title(), "Overview · bayeuxd");
  await page.reload();
  await page.getByText("serving").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Key").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await page.reload();
  await page.getByLabel("Key").waitFor();
});

check("the sign-in field refuses a wrong key and takes the right one", async (bench) => {
  // The refusal itself is a complaint of the browser.
  const page = await tab(bench, await visitor(bench, browser), node.console, { complaintsExpected: true });
  await page.getByLabel("Key").fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor();
  await page.getByLabel("Key").fill(node.key);
  await page.keyboard.press("Enter");
  await page.getByText("serving").waitFor();
});

check("the overview shows clients and messages as they come", async (bench) => {
  const name = channel("console");
  const { client } = await subscriber(bench, websocket, name);
  await subscriber(bench, polling, name);
  const page = await open(bench);
  const tile = (title) => page.locator(".tile", { has: page.getByText(title, { exact: true }) }).locator("b");
  await until("both sessions", async () => Number(await tile("Sessions").textContent()) >= 2);
  await until("a rate", async () => {
    await client.publish(name, { text: "counted" });
    return Number(await tile("Out per second").textContent()) > 0;
  });
  assert.ok((await page.locator(".chart .line").count()) >= 5);
  const label = await page.getByRole("img", { name: /^Messages per second, now: in [\d.,]+, out [\d.,]+$/ });
  await label.waitFor();
});

check("a session is found, shown with its subscriptions, and ended", async (bench) => {
  const name = channel("console");
  const { client } = await subscriber(bench, websocket, name);
  client.failuresExpected = true;
  const sid = await sidOf(name);
  const page = await open(bench, "sessions", { complaintsExpected: true }); // 404 of a session that has ended
  await page.getByLabel("Search").fill(sid.toUpperCase());
  await until("the one row", async () => (await page.locator("tbody tr").count()) === 1);
  await page.getByRole("link", { name: sid }).click();
  await page.getByRole("heading", { name: `Session ${sid}` }).waitFor();
  await page.getByRole("link", { name, exact: true }).waitFor();
  const events = page.getByRole("list", { name: "Events, newest first" });
  await events.getByText(`${name} · 1 in all`).waitFor();
  await page.getByRole("button", { name: "Disconnect…" }).click();
  await page.getByLabel("Reason, for the log").fill("check");
  await page.keyboard.press("Escape"); // changed their mind
  assert.equal(client.cometd.isDisconnected(), false);
  await page.getByRole("button", { name: "Disconnect…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Disconnect" }).click();
  await until("the end of the client", () => client.cometd.isDisconnected());
  await page.getByText("There is no session of this name any more").waitFor();
  await page.getByText("by an operator").waitFor();
});

check("the sessions of a channel, filters without a match, and pages", async (bench) => {
  const name = channel("console");
  await subscriber(bench, websocket, name);
  const page = await open(bench, `sessions?channel=${encodeURIComponent(name)}`);
  await until("the one row", async () => (await page.locator("tbody tr").count()) === 1);
  assert.ok(await page.getByRole("button", { name: "Next" }).isDisabled());
  await page.getByLabel("Transport").selectOption("callback-polling");
  await page.getByText("No session is like that").waitFor();
  await page.getByLabel("Transport").selectOption("websocket");
  await page.getByLabel("Order").selectOption("rate");
  await page.getByText("Out /s").first().waitFor({ state: "attached" });
});

check("the tree shows a channel with its receivers, and publishes to it", async (bench) => {
  const name = channel("console");
  const { inbox } = await subscriber(bench, websocket, name);
  await subscriber(bench, polling, `${name}/*`);
  const page = await open(bench, "channels");
  await page.locator(`a[data-path="${name}"]`).click();
  await page.getByRole("heading", { name, exact: true }).waitFor();
  await page.getByText("Receivers now").waitFor();
  await page.getByLabel("Data, JSON").fill("{oops");
  await page.getByRole("button", { name: "Publish" }).click();
  await page.getByText("The data is no JSON").waitFor();
  await page.getByLabel("Data, JSON").fill('{"n":9007199254740993,"text":"from the console"}');
  await page.getByRole("button", { name: "Publish" }).click();
  await page.getByText("It reached 1 session.").waitFor();
  await until("the message", () => inbox.length === 1);
  assert.equal(inbox[0].data.text, "from the console");
  await page.getByLabel("Channel", { exact: true }).fill(`${name}-nobody`);
  await page.getByRole("button", { name: "Publish" }).click();
  await page.getByText("it reached no session").waitFor();
  const fold = page.getByRole("button", { name: `Channels below ${name}`, exact: true });
  await fold.click();
  await until("the folded tree", async () => (await page.locator(`a[data-path="${name}/*"]`).count()) === 0);
});

check("the live page is a monitor over a WebSocket, and catches up after the network was away", async (bench) => {
  const relay = await Relay.start(new URL(node.console).port);
  bench.later(() => relay.close());
  const at = { ...node, console: `http://127.0.0.1:${relay.port}` };
  const page = await open(bench, "overview", { at, complaintsExpected: true }); // requests that fail meanwhile
  const sockets = [];
  page.on("websocket", (socket) => sockets.push(socket.url()));
  await go(page, "live");
  await page.getByText(/^Following/).waitFor();
  assert.deepEqual(sockets, [`ws://127.0.0.1:${relay.port}/admin/v1/bayeux`]);
  const list = page.getByRole("list", { name: "Events, newest first" });
  const name = channel("console");
  const { client } = await subscriber(bench, websocket, name);
  await list.getByText(`${name} · 1 in all`).waitFor();
  relay.leave();
  await page.getByText(/trying again in \d+ s/).waitFor();
  await client.subscribe(`${name}/meanwhile`);
  relay.pass();
  await page.getByText(/^Following/).waitFor();
  await list.getByText(`${name}/meanwhile · 2 in all`).waitFor();
  await client.subscribe(`${name}/after`);
  await list.getByText(`${name}/after · 3 in all`).waitFor();
  await page.getByLabel("Contains").fill(name);
  await until("each of them once", async () => (await list.locator("li").count()) === 3);
});

check("events appear live, can be filtered, paused and taken along", async (bench) => {
  const page = await open(bench, "live");
  await page.getByText(/^Following/).waitFor();
  const name = channel("console");
  const { client } = await subscriber(bench, websocket, name);
  const list = page.getByRole("list", { name: "Events, newest first" });
  await list.getByText(`${name} · 1 in all`).waitFor();
  await page.getByLabel("Contains").fill(name);
  await until("the others to go", async () => (await list.locator("li").count()) === 1);
  await page.getByRole("button", { name: "Pause" }).click();
  await client.subscribe(`${name}/more`);
  await page.getByText(/new while paused/).waitFor();
  assert.equal(await list.locator("li").count(), 1);
  await page.getByRole("button", { name: "Go on" }).click();
  await list.getByText(`${name}/more · 2 in all`).waitFor();
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
  assert.match(file.suggestedFilename(), /^bayeuxd-events-.*\.ndjson$/);
  const lines = (await readFile(await file.path(), "utf8")).trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.map((event) => event.channel), [name, `${name}/more`]);
  await page.getByLabel("Contains").fill("");
  await page.getByLabel("Session").fill("000000000000");
  await page.getByText("Nothing has happened yet").waitFor();
  // Who leaves the page leaves no session behind.
  const monitors = async () => (await sessions("connected=true&search=HeadlessChrome")).filter(({ monitor }) => monitor);
  assert.equal((await monitors()).length, 1);
  await go(page, "overview");
  await until("the end of its session", async () => (await monitors()).length === 0);
});

for (const transport of ["websocket", "long-polling"]) {
  check("the client of Try it shakes hands, subscribes, publishes and shows its frames", async (bench) => {
    const page = await open(bench, "try");
    const name = channel("console");
    await page.getByLabel("Transport").selectOption(transport);
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await page.getByText("connected", { exact: true }).waitFor();
    await page.getByLabel("Channel or pattern").fill(name);
    await page.getByRole("button", { name: "Subscribe", exact: true }).click();
    const frames = page.getByRole("list", { name: "Frames, newest first" });
    const incoming = (text) => frames.locator("li.in", { hasText: text }).first().waitFor();
    await incoming(`"subscription":"${name}"`);
    await page.getByLabel("Channel", { exact: true }).fill(name);
    await page.getByLabel("Data, JSON").fill('"<img src=x onerror=alert(1)>"');
    await page.getByRole("button", { name: "Publish" }).click();
    await incoming(`"data":"<img src=x onerror=alert(1)>"`);
    assert.equal(await page.locator("main img").count(), 0);
    await page.getByRole("button", { name: "Disconnect" }).click();
    await incoming("/meta/disconnect");
    await page.getByText("disconnected", { exact: true }).waitFor();
  }, { over: transport });
}

check("a client of Try it that is replaced at once does not take its successor along", async (bench) => {
  const page = await open(bench, "try");
  await page.getByRole("button", { name: "Connect", exact: true }).click();
  await page.getByText("connected", { exact: true }).waitFor();
  // Faster than the goodbye of the first one is answered.
  await page.evaluate(() => {
    const [button] = [...document.querySelectorAll("button")].filter(({ textContent }) => textContent === "Disconnect");
    button.click();
    button.click();
  });
  const frames = page.getByRole("list", { name: "Frames, newest first" });
  await frames.locator("li.in", { hasText: "/meta/disconnect" }).waitFor();
  await until("the second handshake", async () => (await frames.locator("li.in", { hasText: "/meta/handshake" }).count()) === 2);
  await page.getByText("connected", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Publish" }).click();
  await frames.locator("li.in", { hasText: "/chat/demo" }).first().waitFor();
  await page.getByRole("button", { name: "Disconnect" }).click();
  await until("the second goodbye", async () => (await frames.locator("li.in", { hasText: "/meta/disconnect" }).count()) === 2);
  await page.getByText("disconnected", { exact: true }).waitFor();
});

check("the configuration shows what differs and hides secrets", async (bench) => {
  const page = await open(bench, "config");
  await page.getByText("max_interval").first().waitFor();
  await page.getByLabel("Only what differs from the default").check();
  await page.getByRole("row", { name: /max_interval 30s/ }).waitFor();
  assert.equal(await page.getByText("max_fragments").count(), 0);
  await page.getByLabel("Search").fill("no such key");
  await page.getByText("No key is like that").waitFor();
  const everything = await page.evaluate(async () => (await fetch("admin/v1/config", { headers: { Authorization: `Bearer ${sessionStorage.getItem("bayeuxd.key")}` } })).text());
  assert.ok(!everything.includes(node.key));
});

check("the security page shows keys without secrets, doubts about the configuration, and refusals as they come", async (bench) => {
  const secret = "0123456789abcdef".repeat(4);
  const keys = [
    { id: "orders", secret_sha256: secret, channels: ["/orders/**"] },
    { id: "desk", secret_sha256: secret.replace("0", "f"), role: "monitor", types: ["subscribe"] },
  ].map((key) => `{ ${Object.entries(key).map(([name, value]) => `${name} = ${JSON.stringify(value)}`).join(", ")} }`);
  const own = await start("security", { "auth.keys": `[${keys.join(", ")}]`, "server.allowed_origins": '["*"]' });
  bench.later(() => own.broker.stop());
  const page = await open(bench, "security", { at: own });
  await page.getByText('server.allowed_origins has "*": any page may connect').waitFor();
  await page.getByText("any origin").waitFor();
  await page.getByRole("row", { name: /orders publishes \/orders\/\*\*/ }).waitFor();
  await page.getByRole("row", { name: /desk monitors \/\*\* subscribe/ }).waitFor();
  await page.getByRole("row", { name: /local-admin everything/ }).waitFor();
  assert.ok(!(await page.content()).includes(secret.slice(1)));
  await page.getByText("Nothing of what is kept").waitFor();
  const publish = own.broker.url({ path: "/api/v1/publish/a" });
  assert.equal((await fetch(publish, { method: "POST", headers: { authorization: "Bearer wrong" }, body: "1" })).status, 401);
  await page.getByText("requests to publish over HTTP: no key or a wrong one").waitFor();
  const refusals = page.getByRole("list", { name: "Refusals, newest first" });
  await refusals.getByText("key refused").waitFor();
  // A client that is late is no refusal of this kind.
  await post(own.broker.url(), [{ channel: "/meta/subscribe", id: "1", clientId: "0".repeat(32), subscription: "/a" }]);
  assert.equal(await refusals.locator("li").count(), 1);
  await page.getByRole("link", { name: "Follow live" }).click();
  assert.ok(await page.getByLabel("Trouble only").isChecked());
  await go(page, "security");
  await page.getByRole("link", { name: "Busiest sessions" }).click();
  assert.equal(await page.getByLabel("Order").inputValue(), "rate");
});

check("Config and Security show the broker that is there, also after a restart", async (bench) => {
  const settings = { "admin.key_file": path.join(folder, "again.key"), "api.key_file": path.join(folder, "again.pub") };
  const own = await Broker.start(settings);
  bench.later(() => own.stop());
  const at = { console: await own.admin(), key: (await readFile(settings["admin.key_file"], "utf8")).trim() };
  const page = await open(bench, "config", { at, complaintsExpected: true }); // requests while it is away
  await page.getByLabel("Search").fill("max_interval");
  await page.getByRole("row", { name: /^max_interval 1m default/ }).waitFor();
  const other = await open(bench, "security", { at, complaintsExpected: true });
  await other.getByText("Nothing that `bayeuxd config check` would warn of.").waitFor();
  await own.kill();
  await own.restartWith({ ...settings, "session.max_interval": "90s", "server.allowed_origins": '["*"]' });
  await page.getByRole("row", { name: /^max_interval 90s/ }).waitFor();
  assert.equal(await page.getByLabel("Search").inputValue(), "max_interval");
  await other.getByText("any origin", { exact: true }).waitFor();
});

check("Try it says which origin a broker refuses, instead of trying for ever", async (bench) => {
  const own = await start("refusing", { "server.allowed_origins": '["https://app.example.com"]' });
  bench.later(() => own.broker.stop());
  for (const transport of ["websocket", "long-polling"]) {
    const page = await open(bench, "try", { at: own, complaintsExpected: true });
    await page.getByLabel("Transport").selectOption(transport);
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await page.getByText(`Add "${own.console}" to server.allowed_origins`).waitFor();
    assert.equal(await page.getByText("trying again").count(), 0);
    await page.getByRole("button", { name: "Connect", exact: true }).waitFor();
  }
});

check("levels that lead to one channel share its row, and a page of sessions says where it stands", async (bench) => {
  const own = await start("folded");
  bench.later(() => own.broker.stop());
  const client = bench.keep(websocket.client(own.broker.url()));
  await client.open();
  for (const name of ["/a/b/c", "/a/b/d", "/x/y/z"]) await client.subscribe(name);
  const page = await open(bench, "channels", { at: own });
  await page.getByRole("link", { name: "/x/y/z", exact: true }).waitFor();
  const shown = await page.locator("tbody tr td:first-child .code").allTextContents();
  assert.deepEqual(shown, ["/a/b", "/c", "/d", "/x/y/z"]);
  await page.getByRole("link", { name: "/a/b/c", exact: true }).waitFor();
  await page.getByRole("button", { name: "Channels below /a/b" }).click();
  await until("the folded tree", async () => (await page.locator("tbody tr").count()) === 2);
  await go(page, "sessions");
  await page.getByText("1 to 1 of 1", { exact: true }).waitFor();
  await go(page, "config");
  await page.getByRole("heading", { name: "channels", exact: true }).waitFor();
  await page.getByRole("row", { name: /\[\[channels\]\].*Rules by channel/ }).waitFor();
});

check("what clients call themselves stays text", async (bench) => {
  const attack = "<img src=x onerror=document.title='pwned'>";
  const handshake = { channel: "/meta/handshake", version: "1.0", id: "1", supportedConnectionTypes: ["long-polling"] };
  const [{ clientId }] = await post(broker.url(), [handshake], { "user-agent": attack });
  await post(broker.url(), [{ channel: "/meta/subscribe", id: "2", clientId, subscription: `/${attack}` }]);
  const page = await open(bench, "sessions", { complaintsExpected: true }); // a channel that cannot exist is a 400
  await page.getByLabel("Search").fill("onerror");
  await page.locator("tbody").getByText(attack.slice(0, 20)).waitFor();
  await until("the one row", async () => (await page.locator("tbody tr").count()) === 1);
  await page.locator("tbody a").click();
  await page.getByText(attack).first().waitFor();
  await go(page, `channels/${encodeURIComponent(attack)}`);
  await page.getByRole("heading", { name: `/${attack}` }).waitFor();
  await go(page, `live?sid=${encodeURIComponent(attack)}&channel=${encodeURIComponent(attack)}`);
  await go(page, `sessions/${encodeURIComponent(attack)}`);
  await page.getByRole("heading", { name: attack }).waitFor();
  assert.equal(await page.locator("main img").count(), 0);
  assert.doesNotMatch(await page.title(), /pwned/);
  assert.deepEqual(page.complaints.filter((text) => /Content Security Policy|TrustedHTML/.test(text)), []);
});

check("everything is reached and done with the keyboard alone", async (bench) => {
  const name = channel("console");
  await subscriber(bench, websocket, name);
  const page = await open(bench);
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim());
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "Skip to the content");
  for (const expected of ["bayeuxd", "Overview", "Sessions"]) {
    await page.keyboard.press("Tab");
    assert.equal(await focused(), expected);
    // Seen, not only there.
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "none");
  }
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/sessions$/);
  await until("the new heading in focus", async () => (await focused()) === "Sessions");
  const sid = await sidOf(name);
  for (let n = 0; (await focused()) !== sid && n < 40; n += 1) await page.keyboard.press("Tab");
  assert.equal(await focused(), sid);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: `Session ${sid}` }).waitFor();
  const summary = page.locator("summary").first();
  await summary.focus();
  await page.keyboard.press("Enter");
  await page.locator("details[open] pre").waitFor();
  await page.getByRole("button", { name: "Disconnect…" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  assert.equal(await focused(), "Cancel");
  await page.keyboard.press("Escape");
  await until("the focus back", async () => (await focused()) === "Disconnect…");
});

for (const colorScheme of ["dark", "light"]) {
  check("every text can be read, every control has a name, and nothing scrolls sideways", async (bench) => {
    const name = channel("console");
    await subscriber(bench, websocket, `${name}/with/a/rather/long/name/that/a/phone/cannot/show/in/one/line`);
    const wide = await open(bench, "overview", { options: { colorScheme } });
    const phone = await open(bench, "overview", { options: { ...PHONE, colorScheme } });
    const sid = await sidOf(`${name}/with/a/rather/long/name/that/a/phone/cannot/show/in/one/line`);
    for (const where of [...PAGES, `sessions/${sid}`]) {
      for (const page of [wide, phone]) {
        await go(page, where);
        await page.waitForTimeout(300); // what it asked for
        const found = await page.evaluate(inspect);
        assert.deepEqual(found.faint, [], where);
        assert.deepEqual(found.nameless, [], where);
        assert.equal(found.overflow, 0, `${where} is wider than its window`);
        assert.equal(found.ground, colorScheme === "dark" ? "dark" : "light");
      }
    }
  }, { over: colorScheme });
}

/** Runs in the page: texts with too little contrast, controls without a name, width that is too much. */
function inspect() {
  const numbers = (text) => text.match(/[\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = numbers(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest(":disabled, noscript")) continue;
    const style = getComputedStyle(element);
    const ink = luminance(numbers(element instanceof SVGElement ? style.fill : style.color));
    const paper = luminance(ground(element));
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (contrast < 4.5) faint.push(`${walker.currentNode.data} ${contrast.toFixed(2)}`);
  }
  const controls = [...document.querySelectorAll("button, a, input, select, textarea")].filter((c) => c.checkVisibility());
  const name = (c) => c.getAttribute("aria-label") ?? (c.labels?.[0]?.textContent || c.textContent).trim();
  return {
    faint,
    nameless: controls.filter((c) => !name(c)).map((c) => c.outerHTML),
    overflow: document.documentElement.scrollWidth - innerWidth,
    ground: luminance(ground(document.documentElement)) < 0.5 ? "dark" : "light",
  };
}

check("draining asks first, then the page says that its broker is gone", async (bench) => {
  const own = await start("drained");
  const page = await open(bench, "overview", { at: own, complaintsExpected: true });
  await page.getByRole("button", { name: "Drain and stop…" }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  assert.equal((await fetch(`${own.console}/readyz`)).status, 200);
  await page.getByRole("button", { name: "Drain and stop…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Drain and stop" }).click();
  await page.getByText("not answering").waitFor();
  await page.getByText("The broker does not answer.").waitFor();
  assert.equal((await own.broker.stop()).code, 0);
});

check("what is counted under several labels is summed under one of them", async () => {
  const { by, parse } = await import("../../../src/server/console/metrics.js");
  const series = parse(['{op="admin",reason="key"} 2', '{op="admin",reason="origin"} 3', '{op="api",reason="key"} 1', '{op="api",reason="policy"} 0', '{op="handshake",reason="key"} 0']
    .map((line) => `denied_total${line}`).join("\n"));
  assert.deepEqual(by(series, "denied_total", "op"), { admin: 5, api: 1 });
  assert.deepEqual(by(series, "unknown", "op"), {});
});

check("quantiles are those of the time between two looks", async () => {
  const { histogram, parse, quantile } = await import("../../../src/server/console/metrics.js");
  const read = (...counts) => histogram(parse(["0.001", "0.01", "+Inf"].flatMap((le, n) =>
    ["a", "b"].map((t) => `x_bucket{transport="${t}",le="${le}"} ${counts[n] / 2}`)).join("\n")), "x");
  assert.equal(quantile(read(100, 100, 100), read(100, 100, 100), 0.5), null);
  assert.equal(quantile(read(200, 200, 200), read(100, 100, 100), 0.5), 0.0005);
  const late = quantile(read(100, 200, 200), read(100, 100, 100), 0.5);
  assert.ok(Math.abs(late - 0.0055) < 1e-9, String(late));
  assert.equal(quantile(read(0, 0, 10), read(0, 0, 0), 0.99), 0.01);
});

check("the browser ends", () => browser.close());
checkEnd(broker);
