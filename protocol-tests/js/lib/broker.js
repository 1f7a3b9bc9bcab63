// Starts, kills, freezes and ends brokers of its own, each on a free port.
//
// The binary is `$BAYEUXD`, or the debug build of this checkout. The address is read from the line
// `bayeux   http://127.0.0.1:PORT …` of the start output.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { until, within } from "./deadline.js";

export const BINARY =
  process.env.BAYEUXD ?? fileURLToPath(new URL("../../../target/debug/bayeuxd", import.meta.url));

/** Settings that let checks of holds and expiry end within seconds. */
export const SHORT = {
  "session.timeout": "2s",
  "session.max_interval": "5s",
  "session.multi_session_interval": "500ms",
  "server.drain_timeout": "3s",
  "transports.enabled": '["websocket","long-polling","callback-polling"]',
};

const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/** One broker process; `origin` is `http://127.0.0.1:PORT`. */
export class Broker {
  #child;
  #args;
  #output = "";
  #settings;

  constructor(settings, args) {
    this.#settings = settings;
    this.#args = args;
  }

  /** Starts a broker with `settings` (dotted key to value) and further command-line `args`. */
  static async start(settings = SHORT, args = []) {
    const broker = new Broker(settings, args);
    await broker.#spawn(0);
    return broker;
  }

  async #spawn(port, adminPort = 0) {
    const sets = Object.entries(this.#settings).flatMap(([k, v]) => ["--set", `${k}=${v}`]);
    const args = ["serve", "--listen", `127.0.0.1:${port}`, "--admin", `127.0.0.1:${adminPort}`];
    this.#child = spawn(BINARY, [...args, ...sets, ...this.#args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(this.#child);
    this.#child.once("exit", () => running.delete(this.#child));
    const banner = new Promise((resolve, reject) => {
      const read = (text) => {
        this.#output += text;
        const line = /^bayeux\s.*?(http:\/\/[^\s/]+)/m.exec(this.#output.slice(start));
        if (line) resolve(line[1]);
      };
      const start = this.#output.length;
      this.#child.stdout.setEncoding("utf8").on("data", read);
      this.#child.stderr.setEncoding("utf8").on("data", read);
      this.#child.once("error", reject);
      this.#child.once("exit", (code) =>
        reject(new Error(`${BINARY} ended with ${code} at its start:\n${this.#output}`)),
      );
    });
    this.origin = await within("the start output with the address", banner);
    this.port = Number(new URL(this.origin).port);
  }

  /** The Bayeux endpoint under the given host name, which must resolve to 127.0.0.1. */
  url({ host = "127.0.0.1", path = "/cometd", port = this.port } = {}) {
    return `http://${host}:${port}${path}`;
  }

  /** Where operators connect, as the start output says. */
  async admin() {
    const line = /^admin\s.*?(http:\/\/[^\s/]+)/m;
    return (await until("the start output with the operators' address", () => line.exec(this.#output)))[1];
  }

  /** Ends the process at once and without a word, as a crash would. */
  async kill() {
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }

  /** Starts the process again on the port it had. */
  async restart() {
    await this.#spawn(this.port);
  }

  /** Starts the process again on both ports it had, with other settings. */
  async restartWith(settings) {
    this.#settings = settings;
    await this.#spawn(this.port, new URL(await this.admin()).port);
  }

  /** Stops the process in its tracks, without closing any connection. */
  freeze() {
    this.#child.kill("SIGSTOP");
  }

  /** Lets a frozen process go on. */
  thaw() {
    this.#child.kill("SIGCONT");
  }

  /** Drains the broker; returns its exit code and all it wrote. Fails if that takes too long. */
  async stop() {
    const child = this.#child;
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      await within("the end of the broker after SIGTERM", gone);
    }
    return { code: child.exitCode, output: this.#output };
  }
}
