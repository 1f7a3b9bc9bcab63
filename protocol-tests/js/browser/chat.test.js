// The page of the README and the example chat, as a newcomer meets them, the chat served by the
// broker itself.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Publisher } from "../lib/bayeux.js";
import { SHORT } from "../lib/broker.js";
import { launch, tab, visitor } from "../lib/browser.js";
import { pause, until } from "../lib/deadline.js";
import { about, Broker, check, checkEnd, endsWell } from "../lib/kit.js";
import { PageServer } from "../lib/page_server.js";
import { Relay } from "../lib/relay.js";

const ROOT = new URL("../../../", import.meta.url);
const STATIC = ["--static", fileURLToPath(new URL("examples/chat", ROOT))];

about("Chromium");
const broker = await Broker.start(SHORT, STATIC);
const browser = await launch();

/** Opens the chat, served by `at`, and waits until it says that it is connected. */
async function chat(bench, { at = broker, server, transport = "auto", room = "lobby", ...options } = {}) {
  const query = new URLSearchParams({ transport, ...(server && { server }) });
  const url = `${at.origin}/?${query}#${room}`;
  const page = await tab(bench, await visitor(bench, browser), url, options);
  await connected(page);
  return page;
}

const connected = (page) => page.waitForSelector('body[data-phase="connected"]');
const session = (page) => page.getByTestId("session").textContent();
const texts = (page) => page.getByTestId("text").allTextContents();

async function say(page, text) {
  await page.getByTestId("compose-text").fill(text);
  await page.getByTestId("send").click();
}

for (const transport of ["websocket", "long-polling"]) {
  check("two people talk in the example chat", async (bench) => {
    const room = `talk-${transport}`;
    const [ann, ben] = [await chat(bench, { transport, room }), await chat(bench, { transport, room })];
    assert.equal(await ann.getByTestId("transport").textContent(), transport);
    for (const n of [1, 2, 3]) {
      await say(ann, `question ${n} é😀 <b>`);
      await until(`question ${n}`, async () => (await texts(ben)).length === 2 * n - 1);
      await say(ben, `answer ${n}`);
      await until(`answer ${n}`, async () => (await texts(ann)).length === 2 * n);
    }
    const expected = [1, 2, 3].flatMap((n) => [`question ${n} é😀 <b>`, `answer ${n}`]);
    assert.deepEqual(await texts(ann), expected);
    assert.deepEqual(await texts(ben), expected);
    await until("both members", async () => (await ann.getByTestId("member-count").textContent()).includes("2"));
  }, { over: transport });

  check("the chat says that the network is away, and sends later what was written", async (bench) => {
    const relay = bench.keep(await Relay.start(broker.port));
    const options = { transport, room: `away-${transport}`, complaintsExpected: true };
    const ann = await chat(bench, { ...options, server: `http://127.0.0.1:${relay.port}/cometd` });
    const ben = await chat(bench, options);
    relay.leave();
    await ann.getByTestId("banner-title").waitFor({ state: "visible" });
    await say(ann, "written while away");
    await say(ben, "said meanwhile");
    relay.pass();
    await connected(ann);
    await until("the late message", async () => (await texts(ben)).includes("written while away"));
    await until("the missed message", async () => (await texts(ann)).includes("said meanwhile"));
    assert.equal((await texts(ann)).length, 2);
    assert.equal((await texts(ben)).length, 2);
  }, { over: transport });

  check("the chat finds back to a broker that was killed and started again", async (bench) => {
    const own = await Broker.start(SHORT, STATIC);
    bench.later(() => endsWell(own));
    const options = { at: own, transport, complaintsExpected: true };
    const people = [await chat(bench, options), await chat(bench, options)];
    const sessions = await Promise.all(people.map(session));
    await own.kill();
    await own.restart();
    for (const [n, page] of people.entries()) {
      await until("a new session", async () => ![sessions[n], "none yet"].includes(await session(page)));
      await connected(page);
    }
    await say(people[0], "here again");
    await until("the message", async () => (await texts(people[1])).includes("here again"));
  }, { over: transport });
}

check("the chat chooses WebSocket by itself, and a reload keeps its session", async (bench) => {
  const page = await chat(bench, { room: "reload" });
  assert.equal(await page.getByTestId("transport").textContent(), "websocket");
  const before = await session(page);
  await page.reload();
  await connected(page);
  assert.equal(await session(page), before);
});

check("a message from a script appears in the chat", async (bench) => {
  const page = await chat(bench, { room: "script" });
  await (await Publisher.open(broker.url())).publish("/chat/script", { text: "from a script" });
  await until("the text", async () => (await texts(page)).includes("from a script"));
});

check("the page in the README prints hello", async (bench) => {
  const readme = await readFile(new URL("README.md", ROOT), "utf8");
  const html = /```html\n([\s\S]*?)```/.exec(readme)[1];
  assert.ok(html.includes("http://localhost:8080/cometd"));
  const pages = bench.keep(await PageServer.start());
  pages.add("readme.html", html.replace("http://localhost:8080/cometd", broker.url({ host: "localhost" })));
  const printed = [];
  const context = await visitor(bench, browser);
  context.on("console", (message) => printed.push(message.text()));
  await tab(bench, context, "about:blank").then((page) => page.goto(pages.url("readme.html")));
  await until("hello on the console", () => printed.includes("hello"));
  await pause(100);
  assert.equal(printed.filter((text) => text === "hello").length, 1);
});

check("the browser ends", () => browser.close());
checkEnd(broker);
