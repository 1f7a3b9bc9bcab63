// Unmodified clients in Chromium for the scenarios of fallback.

import { clientTab, launch, visitor } from "../lib/browser.js";
import { WHENS } from "../lib/application.js";
import { within } from "../lib/deadline.js";
import { about, Broker, check, checkEnd, sideBySide } from "../lib/kit.js";
import { PageServer } from "../lib/page_server.js";
import { fallChecks, PATIENT, wayBackChecks } from "../fallback/scenarios.js";

const TRANSPORTS = ["websocket", "long-polling", "callback-polling"];

/** A browser and pages with a client of a kind. */
export class Pages {
  #client;
  #pages;
  /** Settles when the last page is open. */
  #last = Promise.resolve();

  static async start(client) {
    const pages = new Pages();
    pages.#client = client;
    pages.#pages = await PageServer.start();
    pages.browser = await launch();
    return pages;
  }

  /** Opens a page, of a visitor of its own unless a `context` is given; one at a time, because that is work. */
  open(bench, options) {
    const opened = this.#last.then(() => this.#open(bench, options));
    this.#last = opened.catch(() => {});
    return opened;
  }

  async #open(bench, { broker, breaker, channel, when, ack, context }) {
    context ??= await visitor(bench, this.browser);
    const path = this.#client === "faye" ? "/faye" : "/cometd";
    const url = broker.url({ host: "localhost", path, port: breaker.port });
    const home = this.#client === "faye" ? await this.#sameOrigin(context, breaker, path) : this.#pages.url("");
    const page = await clientTab(bench, context, `${home}fallback.html`, { complaintsExpected: true });
    const options = { url, channel, when, ack, transports: TRANSPORTS };
    await page.evaluate(([client, options]) => window.start(client, options), [this.#client, options]);
    return {
      page,
      status: () => within("an answer of the page", page.evaluate(() => window.application.status()), 60_000),
      inbox: () => within("an answer of the page", page.evaluate(() => window.application.inbox()), 60_000),
    };
  }

  /** Faye polls by XHR only where the page comes from; of other origins it loads scripts. */
  async #sameOrigin(context, breaker, endpoint) {
    const home = `http://localhost:${breaker.port}/`;
    const isPage = (url) => url.href.startsWith(home) && url.pathname !== endpoint;
    await context.route(isPage, (route) => {
      const { pathname } = new URL(route.request().url());
      return route.continue({ url: this.#pages.url(pathname.slice(1)) });
    });
    return home;
  }

  /** Declares the last check of a file. */
  checkEnd() {
    check("the pages and the browser end", async () => {
      await this.browser.close();
      this.#pages.close();
    });
  }
}

/** Declares the checks of one client; `kinds` are networks, `whens` habits of the application. */
export async function pageChecks(client, kinds, whens = WHENS) {
  about(`${client} in Chromium`);
  const broker = await Broker.start(PATIENT);
  const pages = await Pages.start(client);
  const open = (bench, options) => pages.open(bench, options);

  sideBySide(() => {
    fallChecks(open, broker, whens, kinds);
    wayBackChecks(open, { when: whens[0], ack: kinds.some(({ ack }) => ack) });
  });

  pages.checkEnd();
  checkEnd(broker);
}
