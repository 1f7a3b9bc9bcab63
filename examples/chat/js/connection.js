/**
 * One Bayeux session through the npm `cometd` client, unmodified.
 *
 * It shows the three things that an application has to do itself:
 *  - subscribe inside the handshake listener: a new handshake is a new session without subscriptions;
 *  - tell a lost connection (the session lives, messages wait in the broker) from a lost session;
 *  - spread reconnects: the client waits without jitter, so `onTransportFailure` is wrapped here.
 *
 * Knows nothing of rooms or of the page. Events: "change" (see `snapshot`), "session" (a session begins or
 * is taken up again; detail `{replaced}`), "event" (one line for people), "refused" (a subscription).
 */

import { CometD, ReloadExtension } from "../node_modules/cometd/cometd.js";
import { refusalText, failureText } from "./reasons.js";

/** Longest pause between two attempts, in milliseconds (the client's own default is 60 s). */
const BACKOFF_MAX_MS = 10_000;

/** The session, and what there is to know about its connection. */
export class Connection extends EventTarget {
  #cometd = new CometD();
  #channels = new Map(); // channel -> {listener, handle}; no handle: to be subscribed
  #phase = "connecting";
  #reason = "";
  #retry = null; // {at, timer, go} while waiting for the next attempt
  #attempt = 0;
  #reconnects = 0;
  #replyMs = null;
  #lastSession = null;
  #sharedPoll = false;

  /** Prepares a session at `url`, limited to `transport` unless that is "auto". Call `start` next. */
  constructor(url, transport) {
    super();
    this.url = url;
    const cometd = this.#cometd;
    cometd.unregisterTransport("callback-polling");
    for (const type of cometd.getTransportTypes()) {
      if (transport !== "auto" && type !== transport) cometd.unregisterTransport(type);
    }
    cometd.configure({ url, maxBackoff: BACKOFF_MAX_MS, logLevel: "warn" });
    cometd.registerExtension("reload", new ReloadExtension({ name: `chat.session.${transport}` }));
    cometd.addListener("/meta/handshake", (reply) => this.#onHandshake(reply));
    cometd.addListener("/meta/connect", (reply) => this.#onConnect(reply));
    cometd.addListener("/meta/disconnect", () => this.#onDisconnect());
    this.#spreadReconnects();

    addEventListener("online", () => this.retryNow());
    addEventListener("offline", () => this.#note("this device says it has no network"));
  }

  /** Opens the session; after a reload of the page the extension takes up the old one. */
  start() {
    this.#cometd.handshake();
  }

  /** Ends the session, so that others need not wait for its expiry. Resolves when that is told, or after 1 s. */
  stop() {
    this.#phase = "closed";
    return new Promise((resolve) => {
      setTimeout(resolve, 1000);
      this.#cometd.disconnect(resolve);
    });
  }

  /** Hands the session over to the next page of this tab. For `pagehide`. */
  suspend() {
    this.#cometd.reload();
  }

  /** Ends the pause before the next attempt; begins anew if the session was ended for good. */
  retryNow() {
    if (this.#phase === "closed") {
      this.#enter("connecting");
      this.start();
    } else if (this.#retry) {
      this.clearTimer(this.#retry.timer);
      this.#retry.go();
    }
  }

  /** Receives `channel` from now on, over every session to come. `listener` gets the `data`. */
  subscribe(channel, listener) {
    this.#channels.set(channel, { listener, handle: null });
    if (this.connected) this.#subscribeMissing();
  }

  /** Ends `subscribe`. */
  unsubscribe(channel) {
    const handle = this.#channels.get(channel)?.handle;
    this.#channels.delete(channel);
    if (handle && this.connected) this.#cometd.unsubscribe(handle);
  }

  /**
   * Publishes `data`. Resolves with `{ok: true}`, or `{ok: false, reason, lost}`; `lost`: the connection broke, so
   * nobody knows whether the broker had the message; otherwise the broker refused it.
   */
  publish(channel, data) {
    const begun = performance.now();
    return new Promise((resolve) => {
      if (this.#cometd.isDisconnected()) {
        resolve({ ok: false, lost: true, reason: "there is no session" });
        return;
      }
      this.#cometd.publish(channel, data, (reply) => {
        if (reply.successful) {
          this.#replyMs = performance.now() - begun;
          this.#changed();
          resolve({ ok: true });
        } else if (reply.failure) {
          resolve({ ok: false, lost: true, reason: failureText(reply.failure) });
        } else {
          resolve({ ok: false, lost: false, reason: refusalText(reply.error) });
        }
      });
    });
  }

  /** Calls `action` after `delayMs` by the client's worker clock, which background tabs do not slow down. */
  setTimer(action, delayMs) {
    return this.#cometd.setTimeout(action, delayMs);
  }

  /** Takes back what `setTimer` returned. */
  clearTimer(timer) {
    this.#cometd.clearTimeout(timer);
  }

  /** Whether the last `/meta/connect` succeeded. */
  get connected() {
    return this.#phase === "connected";
  }

  /**
   * What there is to show: `phase` is "connecting", "connected", "waiting" (for the next attempt), "retrying" or
   * "closed"; `retryAt` is the time of the next attempt in milliseconds of the epoch.
   */
  get snapshot() {
    return {
      phase: this.#phase,
      reason: this.#reason,
      attempt: this.#attempt,
      retryAt: this.#retry?.at ?? null,
      transport: this.#cometd.getTransport()?.type ?? null,
      session: this.#cometd.getClientId(),
      replyMs: this.#replyMs,
      reconnects: this.#reconnects,
      sharedPoll: this.#sharedPoll,
    };
  }

  #onHandshake(reply) {
    if (!reply.successful) {
      this.#lost(reply);
      return;
    }
    const resumed = Boolean(reply.ext?.reload);
    this.#note(resumed ? "session taken up again after a reload" : `new session over ${this.snapshot.transport}`);
    // The place to subscribe: the client has dropped every subscription of an earlier session.
    for (const entry of this.#channels.values()) entry.handle = null;
    this.#subscribeMissing();
    const replaced = this.#lastSession !== null && this.#lastSession !== reply.clientId;
    this.#lastSession = reply.clientId;
    this.dispatchEvent(new CustomEvent("session", { detail: { replaced } }));
  }

  #onConnect(reply) {
    if (!reply.successful) {
      this.#lost(reply);
      return;
    }
    const shared = Boolean(reply.advice?.["multiple-clients"]);
    if (shared !== this.#sharedPoll) {
      this.#sharedPoll = shared;
      this.#changed();
    }
    if (reply.advice?.reconnect === "none") {
      this.#onDisconnect();
      return;
    }
    if (this.connected) {
      this.#subscribeMissing();
      return;
    }
    if (this.#attempt > 0) {
      this.#reconnects += 1;
      this.#note(`connected again at attempt ${this.#attempt}`);
    } else {
      this.#note("connected");
    }
    this.#attempt = 0;
    this.#reason = "";
    this.#enter("connected");
    this.#subscribeMissing();
  }

  #onDisconnect() {
    if (this.#phase === "closed") return;
    this.#reason = "the session was ended";
    this.#note(this.#reason);
    this.#enter("closed");
  }

  /** A handshake or connect failed: by the network (`failure`) or by the broker (`error`). */
  #lost(reply) {
    this.#reason = reply.failure ? failureText(reply.failure) : refusalText(reply.error);
    this.#attempt += 1;
    this.#note(this.#reason);
    this.#enter(reply.advice?.reconnect === "none" ? "closed" : "retrying");
  }

  #subscribeMissing() {
    const cometd = this.#cometd;
    cometd.batch(() => {
      for (const [channel, entry] of this.#channels) {
        if (entry.handle) continue;
        const listener = (message) => entry.listener(message.data);
        entry.handle = cometd.subscribe(channel, listener, (reply) => this.#onSubscribe(channel, entry, reply));
      }
    });
  }

  #onSubscribe(channel, entry, reply) {
    if (reply.successful) return;
    if (reply.failure) {
      entry.handle = null; // the connection broke: asked again at the next connect
      return;
    }
    const reason = refusalText(reply.error);
    this.#note(`${channel} refused: ${reason}`);
    this.dispatchEvent(new CustomEvent("refused", { detail: { channel, reason } }));
  }

  /** Waits 50 to 100 % of the client's back-off, counted down where people see it, and ended by `retryNow`. */
  #spreadReconnects() {
    const cometd = this.#cometd;
    const decide = cometd.onTransportFailure;
    cometd.onTransportFailure = (message, failure, handle) => {
      decide.call(cometd, message, failure, (decision) => {
        const pauseMs = Math.round((decision.delay || 0) * (0.5 + Math.random() / 2));
        if (decision.action === "none" || pauseMs === 0) {
          if (decision.action === "none") this.#enter("closed");
          handle.call(cometd, decision);
          return;
        }
        const go = () => {
          this.#retry = null;
          if (cometd.isDisconnected()) return;
          this.#enter("retrying");
          handle.call(cometd, { ...decision, delay: 0 });
        };
        this.#retry = { at: Date.now() + pauseMs, timer: this.setTimer(go, pauseMs), go };
        this.#enter("waiting");
      });
    };
  }

  #enter(phase) {
    this.#phase = phase;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  #note(text) {
    this.dispatchEvent(new CustomEvent("event", { detail: { at: new Date(), text } }));
  }
}
