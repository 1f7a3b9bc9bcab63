// A small Bayeux client that hides nothing: every frame goes to `frame(direction, text)`. It does what
// the pages Try it and Live need, no more: handshake, connects by the server's advice, a new handshake
// where the advice says so. Applications use cometd.js or Faye.

const VERSION = { version: "1.0", minimumVersion: "1.0" };
const GOODBYE_MS = 2000;
/** Pauses before new attempts double up to the longest; a part is random, so that tabs spread. */
const RETRY_MS = { first: 1000, longest: 30_000 };

/** A client of the server at `url`, over `websocket` or `long-polling`. */
export class Client {
  #url;
  #transport;
  #told;
  #carrier = null;
  #id = 0;
  #clientId = null;
  #advice = { reconnect: "retry", interval: 0, timeout: 45_000 };
  #timer = null;
  #ended = true;
  #leaving = false;
  #ext;
  #failures = 0;

  /**
   * `told.phase(words, state, clientId)`, where `state` is `connecting`, `connected`, `lost` or `ended`; if there
   * are such, `told.frame(direction, text)` and `told.message(message)`. `ext` goes with handshakes.
   */
  constructor(url, transport, told, ext) {
    this.#url = url;
    this.#transport = transport;
    this.#told = told;
    this.#ext = ext && { ext };
  }

  /** Opens the carrier and shakes hands. */
  start() {
    this.#ended = false;
    this.#leaving = false;
    this.#told.phase("connecting", "connecting");
    const told = {
      opened: () => this.#handshake(),
      frame: (direction, text) => this.#told.frame?.(direction, text),
      messages: (messages) => messages.forEach((message) => this.#receive(message)),
      lost: (reason) => this.#lost(reason),
    };
    this.#carrier = this.#transport === "websocket" ? new Socket(this.#url, told) : new Poll(this.#url, told);
  }

  subscribe(subscription, ext) { this.#send({ channel: "/meta/subscribe", subscription, ...(ext && { ext }) }); }
  unsubscribe(subscription) { this.#send({ channel: "/meta/unsubscribe", subscription }); }
  publish(channel, data) { this.#send({ channel, data }); }

  /** Says goodbye, and closes when the answer is there. */
  stop() {
    if (!this.#clientId) return this.#end("disconnected");
    this.#leaving = true;
    clearTimeout(this.#timer);
    this.#send({ channel: "/meta/disconnect" });
    this.#timer = setTimeout(() => this.#end("disconnected, without an answer"), GOODBYE_MS);
  }

  /** Closes at once. */
  abandon() {
    if (!this.#ended) this.#end("disconnected");
  }

  #handshake() {
    this.#clientId = null;
    this.#send({ channel: "/meta/handshake", ...VERSION, supportedConnectionTypes: [this.#transport], ...this.#ext });
  }

  #connect() {
    const { interval = 0, timeout } = this.#advice;
    this.#timer = setTimeout(() => {
      this.#send({ channel: "/meta/connect", connectionType: this.#transport, ...(timeout === 0 && { advice: { timeout } }) });
    }, interval);
  }

  #send(message) {
    this.#id += 1;
    const { channel, ...rest } = message;
    const clientId = this.#clientId && { clientId: this.#clientId };
    this.#carrier?.send([{ id: String(this.#id), channel, ...clientId, ...rest }]);
  }

  #receive(message) {
    if (this.#ended) return;
    this.#told.message?.(message);
    if (message.advice) this.#advice = { ...this.#advice, ...message.advice };
    const { channel, successful } = message;
    if (channel === "/meta/handshake") {
      if (!successful) return this.#end(`handshake refused: ${message.error ?? "no reason given"}`);
      this.#clientId = message.clientId;
      this.#failures = 0;
      this.#told.phase("connected", "connected", message.clientId);
      this.#connect();
    } else if (channel === "/meta/connect") {
      if (this.#leaving) return; // the held one, answered because its session ends
      const { reconnect } = this.#advice;
      if (reconnect === "handshake") this.#handshake();
      else if (reconnect === "none") this.#end(`told to stay away: ${message.error ?? "disconnected by the server"}`);
      else this.#connect();
    } else if (channel === "/meta/disconnect") {
      this.#end("disconnected");
    }
  }

  #lost(reason) {
    if (this.#ended) return;
    if (this.#leaving) return this.#end("disconnected");
    const pause = Math.min(RETRY_MS.first * 2 ** this.#failures, RETRY_MS.longest) * (0.75 + Math.random() / 4);
    this.#failures += 1;
    this.#told.phase(`${reason}; trying again in ${Math.ceil(pause / 1000)} s`, "lost");
    clearTimeout(this.#timer);
    this.#carrier.close();
    this.#clientId = null;
    // A new session each time: a client that shows the protocol need not hide a break.
    this.#timer = setTimeout(() => this.start(), pause);
  }

  #end(reason) {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#carrier?.close();
    this.#clientId = null;
    this.#told.phase(reason, "ended");
  }
}

/** Frames over a WebSocket. */
class Socket {
  #socket;

  constructor(url, told) {
    this.#socket = new WebSocket(url.replace(/^http/, "ws"));
    this.#socket.onopen = () => told.opened();
    this.#socket.onmessage = ({ data }) => {
      told.frame("in", data);
      told.messages(JSON.parse(data));
    };
    this.#socket.onclose = ({ code, reason }) => told.lost(`the WebSocket closed with ${code}${reason ? ` ${reason}` : ""}`);
    this.told = told;
  }

  send(messages) {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    const text = JSON.stringify(messages);
    this.told.frame("out", text);
    this.#socket.send(text);
  }

  close() {
    this.#socket.onclose = null;
    this.#socket.close();
  }
}

/** Frames as POST requests; the connect is one that the broker holds. */
class Poll {
  #stop = new AbortController();

  constructor(url, told) {
    this.url = url;
    this.told = told;
    queueMicrotask(() => told.opened());
  }

  async send(messages) {
    const body = JSON.stringify(messages);
    this.told.frame("out", body);
    try {
      const response = await fetch(this.url, {
        method: "POST", body, headers: { "Content-Type": "application/json" }, credentials: "omit", signal: this.#stop.signal,
      });
      const text = await response.text();
      this.told.frame("in", text);
      if (!response.ok) throw new Error(`status ${response.status}`);
      this.told.messages(JSON.parse(text));
    } catch (error) {
      if (!this.#stop.signal.aborted) this.told.lost(`the request failed (${error.message})`);
    }
  }

  close() {
    this.#stop.abort();
  }
}
