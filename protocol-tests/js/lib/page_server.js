// Serves the pages of the browser checks on a free port of 127.0.0.1, as an application's own web
// server would: another origin than the broker.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOTS = { "/node_modules/": "../node_modules/", "/lib/": "./", "/": "../browser/page/" };
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8" };

/** A web server for `browser/page` and the npm packages. */
export class PageServer {
  #server;
  #pages = new Map();
  #held = null;

  static async start() {
    const server = new PageServer();
    server.#server = http.createServer((request, response) => server.#serve(request, response));
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    server.port = server.#server.address().port;
    return server;
  }

  /** The address of a page under the given host name. */
  url(page, host = "localhost") {
    return `http://${host}:${this.port}/${page}`;
  }

  /** Serves `html` as `page` from now on. */
  add(page, html) {
    this.#pages.set(`/${page}`, html);
  }

  /**
   * Keeps the next page waiting. Resolves when a browser has asked for it, with the function that lets
   * it go: in between the old page has ended and the new one has not begun.
   */
  hold() {
    return new Promise((resolve) => (this.#held = resolve));
  }

  async #serve(request, response) {
    const name = new URL(request.url, "http://page").pathname;
    if (name === "/favicon.ico") return response.writeHead(204).end();
    try {
      const body = this.#pages.get(name) ?? (await readFile(file(name)));
      if (name.endsWith(".html") && this.#held) {
        const asked = this.#held;
        this.#held = null;
        await new Promise((serve) => asked(serve));
      }
      response.writeHead(200, { "content-type": TYPES[path.extname(name)] ?? "application/octet-stream" });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

function file(name) {
  const prefix = Object.keys(ROOTS).find((root) => name.startsWith(root));
  return fileURLToPath(new URL(ROOTS[prefix] + name.slice(prefix.length), import.meta.url));
}
