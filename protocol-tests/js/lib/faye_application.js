// What an application does with an unmodified Faye client, in Node and in a page: it subscribes once, and
// keeps what comes. The client shakes hands, and subscribes again, by itself.

export class FayeApplication {
  #client;
  #inbox = [];
  #handshakes = 0;
  #subscribed = 0;
  #transport;

  constructor(faye, { url, channel }) {
    const client = new faye.Client(url, { retry: 0.5 });
    this.#client = client;
    client.disable("eventsource");
    client.addExtension({
      outgoing: (message, pass) => {
        if (message.channel === "/meta/connect") this.#transport = message.connectionType;
        pass(message);
      },
      incoming: (message, pass) => {
        if (message.channel === "/meta/handshake" && message.successful) this.#handshakes += 1;
        if (message.channel === "/meta/subscribe" && message.successful) this.#subscribed += 1;
        pass(message);
      },
    });
    client.subscribe(channel, (data) => this.#inbox.push(data));
  }

  /** What the client is doing, as plain data. */
  status() {
    return { transport: this.#transport, handshakes: this.#handshakes, subscribed: this.#subscribed };
  }

  /** The data of all messages, in order. */
  inbox() {
    return [...this.#inbox];
  }

  /** Disconnects; resolves when that was answered. */
  async close() {
    await this.#client.disconnect();
  }
}
