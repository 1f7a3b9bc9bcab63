// What an application does with an unmodified CometD client of any generation, in Node and in a page:
// it shakes hands, subscribes to one channel after every handshake, and keeps what comes.

/** When an application subscribes. */
export const WHENS = ["in the handshake listener", "on connect", "late"];
const LATE_MS = 700;
/** When it tries again, if the connection broke just then. */
const RETRY_MS = 100;

export class Application {
  #cometd;
  #inbox = [];
  #handshakes = 0;
  #subscribed = 0;
  #subscription = null;

  /**
   * `library` has `CometD` and `AckExtension`. Of the client's transports those in `transports` are used.
   * `tune` gets the client before its handshake.
   */
  constructor(library, { url, channel, when, ack, transports, tune = () => {} }) {
    const cometd = new library.CometD();
    this.#cometd = cometd;
    for (const type of cometd.getTransportTypes()) {
      if (!transports.includes(type)) cometd.unregisterTransport(type);
    }
    if (ack) cometd.registerExtension("ack", new library.AckExtension());
    cometd.configure({ url, logLevel: "error", backoffIncrement: 100 });
    tune(cometd);

    let retry;
    const subscribe = () => {
      clearTimeout(retry);
      this.#subscription = cometd.subscribe(channel, (message) => this.#inbox.push(message.data));
    };
    let fresh = false;
    cometd.addListener("/meta/handshake", (reply) => {
      if (!reply.successful) return;
      clearTimeout(retry); // the client has forgotten its subscriptions
      this.#handshakes += 1;
      fresh = true;
      if (when === WHENS[0]) subscribe();
      if (when === WHENS[2]) setTimeout(subscribe, LATE_MS);
    });
    cometd.addListener("/meta/connect", (reply) => {
      if (when !== WHENS[1] || !reply.successful || !fresh) return;
      fresh = false;
      subscribe();
    });
    cometd.addListener("/meta/subscribe", (reply) => {
      if (reply.successful) {
        this.#subscribed += 1;
      } else {
        clearTimeout(retry);
        retry = setTimeout(() => (this.#subscription = cometd.resubscribe(this.#subscription)), RETRY_MS);
      }
    });
    cometd.handshake();
  }

  /** What the client is doing, as plain data. */
  status() {
    const transport = this.#cometd.getTransport();
    return {
      transport: transport?.type ?? transport?.getType?.(),
      handshakes: this.#handshakes,
      subscribed: this.#subscribed,
    };
  }

  /** The data of all messages, in order. */
  inbox() {
    return [...this.#inbox];
  }

  /** Disconnects; resolves when that was answered. */
  close() {
    this.#cometd.clearListeners();
    return new Promise((resolve) => this.#cometd.disconnect(resolve));
  }
}
