// nginx, HAProxy and Apache between clients and the broker, with the settings of docs/proxies.md.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { pause, within } from "./deadline.js";

const START = fileURLToPath(new URL("../../proxies/start", import.meta.url));

/** Their names: those whose settings pass WebSockets on, and the one whose do not. */
export const FULL = ["nginx", "haproxy", "apache"];
export const PLAIN = "nginx-plain";
/** Those that take HTTP/2 in clear text. */
export const HTTP2 = ["nginx-h2", "haproxy", "apache"];

const running = new Set();
process.on("exit", () => running.forEach(killGroup));

/** Ends all processes of a proxy: killed alone, it would leave its workers behind. */
function killGroup(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/** A running proxy on a free port of 127.0.0.1. */
export class ReverseProxy {
  #child;
  #folder;

  /** Starts `kind` before the broker's port. `timeout`, like "1s": how long it waits for a response. */
  static async start(kind, target, timeout = "") {
    let output;
    for (let tries = 0; tries < 5; tries++) {
      const proxy = new ReverseProxy();
      if (await proxy.#launch(kind, target, timeout)) return proxy;
      output = await readFile(path.join(proxy.#folder, "output"), "utf8");
      await proxy.stop();
    }
    throw new Error(`${kind} does not start; run protocol-tests/run proxies, which fetches it\n${output}`);
  }

  /** False if it has ended: another process was faster to take the port, perhaps. */
  async #launch(kind, target, timeout) {
    this.port = await freePort();
    this.#folder = await mkdtemp(path.join(os.tmpdir(), `bayeuxd-${kind}-`));
    const args = [kind, this.#folder, String(this.port), String(target), timeout];
    const output = await open(path.join(this.#folder, "output"), "w");
    this.#child = spawn(START, args, { stdio: ["ignore", "ignore", output.fd], detached: true });
    await output.close();
    running.add(this.#child);
    this.#child.once("exit", () => running.delete(this.#child));
    while (this.#child.exitCode === null) {
      if (await accepts(this.port)) return true;
      await pause(10);
    }
    return false;
  }

  /** Lets nginx start new workers and end the old ones, as after a change of its settings. */
  reload() {
    this.#child.kill("SIGHUP");
  }

  /** Ends it together with its connections. */
  async stop() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, "exit");
      // Apache would wait 10 s for workers that still have a client, so it gets only a moment.
      this.#child.kill("SIGTERM");
      await Promise.race([gone, pause(300)]);
      killGroup(this.#child);
      await within("the end of a proxy", gone);
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** A port that nobody listens on, below those that the system gives to connections. */
async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 10_000);
    const server = net.createServer();
    const taken = new Promise((resolve) => server.once("error", () => resolve(true)));
    server.listen(port, "127.0.0.1");
    const free = once(server, "listening").then(() => false, () => true);
    if (await Promise.race([taken, free])) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => (socket.destroy(), resolve(true)));
    socket.once("error", () => resolve(false));
  });
}
