// The page of the README and the example chat, as a newcomer meets them, the chat served by the
// broker itself.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Publisher } from "../lib/bayeux.js";
import { launch, tab, visitor } from "../lib/browser.js";
import { pause, until } from "../lib/deadline.js";
import { about, Broker, check, checkEnd, endsWell } from "../lib/kit.js";
import { PageServer } from "../lib/page_server.js";
import { SHORT } from "../lib/broker.js";

const ROOT = new URL("../../../", import.meta.url);
const STATIC = ["--static", fileURLToPath(new URL("examples/chat", ROOT))];

about("Chromium");
const broker = await Broker.start(SHORT, STATIC);
const browser = await launch();

/** Opens the chat and waits until it says that it is connected. */
async function chat(bench, { at = broker, transport = "auto", room = "lobby", ...options } = {}) {
  const url = `${at.origin}/?transport=${transport}#${room}`;
  const page = await tab(bench, await visitor(bench, browser), url, options);
  await connected(page);
  return page;
}

const connected = (page) => page.waitForSelector('body[data-phase="connected"]');
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
      await until(3000, `question ${n}`, async () => (await texts(ben)).length === 2 * n - 1);
      await say(ben, `answer ${n}`);
      await until(3000, `answer ${n}`, async () => (await texts(ann)).length === 2 * n);
    }
    const expected = [1, 2, 3].flatMap((n) => [`question ${n} é😀 <b>`, `answer ${n}`]);
    assert.deepEqual(await texts(ann), expected);
    assert.deepEqual(await texts(ben), expected);
    await until(3000, "both members", async () => (await ann.getByTestId("member-count").textContent()).includes("2"));
  }, { over: transport });

  check("the chat says that the broker is gone, and sends later what was written", async (bench) => {
    const own = await Broker.start(SHORT, STATIC);
    bench.later(() => endsWell(own));
    const options = { at: own, transport, complaintsExpected: true };
    const [ann, ben] = [await chat(bench, options), await chat(bench, options)];
    await own.kill();
    await ann.getByTestId("banner-title").waitFor({ state: "visible" });
    await say(ann, "written while away");
    await own.restart();
    await Promise.all([connected(ann), connected(ben)]);
    await until(10_000, "the late message", async () => (await texts(ben)).includes("written while away"));
    assert.deepEqual(await texts(ben), ["written while away"]);
  }, { over: transport, limitMs: 60_000 });
}

check("the chat chooses WebSocket by itself, and a reload keeps its session", async (bench) => {
  const page = await chat(bench, { room: "reload" });
  assert.equal(await page.getByTestId("transport").textContent(), "websocket");
  const session = await page.getByTestId("session").textContent();
  await page.reload();
  await connected(page);
  assert.equal(await page.getByTestId("session").textContent(), session);
});

check("a message from a script appears in the chat", async (bench) => {
  const page = await chat(bench, { room: "script" });
  await (await Publisher.open(broker.url())).publish("/chat/script", { text: "from a script" });
  await until(3000, "the text", async () => (await texts(page)).includes("from a script"));
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
  await until(3000, "hello on the console", () => printed.includes("hello"));
  await pause(100);
  assert.equal(printed.filter((text) => text === "hello").length, 1);
});

check("the browser ends", () => browser.close());
checkEnd(broker);
