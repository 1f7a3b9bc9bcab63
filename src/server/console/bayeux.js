// A small Bayeux client that hides nothing: every frame goes to `frame(direction, text)`. It does what
// the page Try it needs, no more: handshake, connects by the server's advice, a new handshake where the
// advice says so. Applications use cometd.js or Faye.

const VERSION = { version: "1.0", minimumVersion: "1.0" };
const RETRY_MS = 2000;

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

  /** `told.frame(direction, text)` and `told.phase(words, isConnected, sessionName)`. */
  constructor(url, transport, told) {
    this.#url = url;
    this.#transport = transport;
    this.#told = told;
  }

  /** Opens the carrier and shakes hands. */
  start() {
    this.#ended = false;
    this.#leaving = false;
    this.#told.phase("connecting", false);
    const told = {
      opened: () => this.#handshake(),
      frame: (direction, text) => this.#told.frame(direction, text),
      messages: (messages) => messages.forEach((message) => this.#receive(message)),
      lost: (reason) => this.#lost(reason),
    };
    this.#carrier = this.#transport === "websocket" ? new Socket(this.#url, told) : new Poll(this.#url, told);
  }

  subscribe(subscription) { this.#send({ channel: "/meta/subscribe", subscription }); }
  unsubscribe(subscription) { this.#send({ channel: "/meta/unsubscribe", subscription }); }
  publish(channel, data) { this.#send({ channel, data }); }

  /** Says goodbye, and closes when the answer is there. */
  stop() {
    if (!this.#clientId) return this.#end("disconnected");
    this.#leaving = true;
    clearTimeout(this.#timer);
    this.#send({ channel: "/meta/disconnect" });
    this.#timer = setTimeout(() => this.#end("disconnected, without an answer"), RETRY_MS);
  }

  /** Closes at once. */
  abandon() {
    if (!this.#ended) this.#end("disconnected");
  }

  #handshake() {
    this.#clientId = null;
    this.#send({ channel: "/meta/handshake", ...VERSION, supportedConnectionTypes: [this.#transport] });
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
    if (message.advice) this.#advice = { ...this.#advice, ...message.advice };
    const { channel, successful } = message;
    if (channel === "/meta/handshake") {
      if (!successful) return this.#end(`handshake refused: ${message.error ?? "no reason given"}`);
      this.#clientId = message.clientId;
      this.#told.phase("connected", true, message.clientId);
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
    this.#told.phase(`${reason}; trying again`, false);
    clearTimeout(this.#timer);
    this.#carrier.close();
    // A new session each time: a client that shows the protocol need not hide a break.
    this.#timer = setTimeout(() => this.start(), RETRY_MS);
  }

  #end(reason) {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#carrier?.close();
    this.#clientId = null;
    this.#told.phase(reason, false);
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
