// Browsers that speak HTTP/2 to the proxy: their tabs share a connection, so each may hold a poll. bayeuxd
// learns it by `Via`. Raw requests of Node's own HTTP/2 client, without TLS.

import assert from "node:assert/strict";
import http2 from "node:http2";
import { post } from "../lib/bayeux.js";
import { SHORT } from "../lib/broker.js";
import { within } from "../lib/deadline.js";
import { about, Broker, check, checkEnd } from "../lib/kit.js";
import { FULL, HTTP2 } from "../lib/reverse_proxy.js";
import { behind } from "./behind.js";

about("HTTP/2 before a proxy");
const TRUSTING = { ...SHORT, "server.trusted_proxies": '["127.0.0.1"]' };
const broker = await Broker.start({ ...TRUSTING, "session.http2_max_per_browser": "2" });
const HANDSHAKE = { channel: "/meta/handshake", version: "1.0", supportedConnectionTypes: ["long-polling"] };
const connect = (clientId, advice) => ({ channel: "/meta/connect", connectionType: "long-polling", clientId, advice });

/** One connection over which several requests may be under way. */
class Browser {
  #session;
  #path;
  #cookie;

  constructor(bench, url) {
    this.#session = http2.connect(new URL(url).origin);
    this.#path = new URL(url).pathname;
    bench.keep({ stop: () => this.#session.destroy() });
  }

  /** The replies to `messages`. The cookie is kept, as browsers do. */
  async post(messages) {
    const request = this.#session.request({
      ":method": "POST",
      ":path": this.#path,
      "content-type": "application/json",
      ...(this.#cookie && { cookie: this.#cookie }),
    });
    request.end(JSON.stringify(messages));
    let headers;
    request.once("response", (response) => (headers = response));
    let text = "";
    for await (const chunk of request.setEncoding("utf8")) text += chunk;
    assert.equal(headers[":status"], 200, text);
    this.#cookie ??= headers["set-cookie"]?.[0].split(";")[0];
    return JSON.parse(text);
  }

  get cookie() {
    return this.#cookie;
  }

  /** A tab: a session that has connected once. */
  async tab() {
    const [{ clientId }] = await this.post([HANDSHAKE]);
    await this.post([connect(clientId, { timeout: 0 })]);
    return clientId;
  }
}

for (const kind of HTTP2) {
  check("p075 tabs that share a connection each hold a poll, up to their own limit", async (bench) => {
    const [url] = await behind(bench, kind, broker);
    const browser = new Browser(bench, url);
    const tabs = [await browser.tab(), await browser.tab(), await browser.tab()];
    const replies = await within("the replies", Promise.all(tabs.map((tab) => browser.post([connect(tab)]))));
    const told = replies.map(([reply]) => Boolean(reply.advice?.["multiple-clients"]));
    assert.deepEqual(told.toSorted(), [false, false, true], "two of three are held");
  }, { over: kind });
}

for (const kind of FULL) {
  check("p075 over HTTP/1.1 one tab holds, whatever the client claims in Via", async (bench) => {
    const [url] = await behind(bench, kind, broker);
    const claim = { via: "2.0 me" };
    const response = await fetch(url, { method: "POST", body: JSON.stringify([HANDSHAKE]), headers: claim });
    const cookie = response.headers.getSetCookie()[0].split(";")[0];
    const headers = { ...claim, cookie };
    const first = (await response.json())[0].clientId;
    const [{ clientId: second }] = await post(url, [HANDSHAKE], headers);
    for (const tab of [first, second]) await post(url, [connect(tab, { timeout: 0 })], headers);
    const replies = await Promise.all([first, second].map((tab) => post(url, [connect(tab)], headers)));
    const told = replies.map(([reply]) => Boolean(reply.advice?.["multiple-clients"]));
    assert.deepEqual(told.toSorted(), [false, true], "one of two is held");
  }, { over: kind });
}

checkEnd(broker);
