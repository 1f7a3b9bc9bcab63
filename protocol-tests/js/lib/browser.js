// Headless Chromium for checks. Everything that a page complains about fails the check, unless the
// check said before that it expects complaints.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

/** A host name that every page of the checks can use as a foreign site; it leads to 127.0.0.1. */
export const FOREIGN = "foreign.test";

/** Starts the browser `$CHROMIUM`, or the first `chromium` on the PATH. */
export async function launch() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: [
      "--no-sandbox", // the sandbox does not work for root, as in a container
      "--disable-dev-shm-usage",
      "--disable-gpu",
      `--host-resolver-rules=MAP ${FOREIGN} 127.0.0.1`,
    ],
  });
  process.on("exit", () => browser.close());
  return browser;
}

/** A visitor of their own: no cookies, no storage. Closed with the check. */
export async function visitor(bench, browser, options) {
  const context = await browser.newContext(options);
  bench.later(() => context.close());
  return context;
}

/**
 * Opens a tab; returns the page, with its complaints in `page.complaints`. Any is a
 * failure unless `complaintsExpected`.
 */
export async function tab(bench, context, url, { complaintsExpected = false } = {}) {
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) page.complaints.push(message.text());
  });
  bench.later(() => complaintsExpected || assert.deepEqual(page.complaints, []));
  await page.goto(url);
  return page;
}

/** Opens a tab with the client of `page/client.js`, not yet started. */
export async function clientTab(bench, context, url, options) {
  const page = await tab(bench, context, url, options);
  await page.waitForFunction(() => window.ready);
  return page;
}
