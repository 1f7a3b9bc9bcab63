// A bare Bayeux request, to look at a session from outside without a client's help.

const JSON_BODY = { "content-type": "application/json" };

/** POSTs `messages` to `url` and returns the parsed replies. */
export async function post(url, messages, headers = {}) {
  const response = await fetch(url, {
    method: "POST",
    headers: { ...JSON_BODY, ...headers },
    body: JSON.stringify(messages),
  });
  if (response.status !== 200) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
  return response.json();
}

/** Whether the broker at `url` still knows the session `clientId` (asking prolongs its life). */
export async function knows(url, clientId) {
  const [reply] = await post(url, [{ channel: "/service/probe", id: "1", data: {}, clientId }]);
  if (reply.successful) return true;
  if (reply.error === "402::session_unknown") return false;
  throw new Error(`unexpected reply: ${JSON.stringify(reply)}`);
}

/** A publisher of a few messages, independent of every client under test; returns its cookie. */
export class Publisher {
  #url;
  #clientId;
  #cookie = {};
  #id = 1;

  /** Shakes hands at `url`. The session lives as long as `publish` is called often enough. */
  static async open(url) {
    const publisher = new Publisher();
    publisher.#url = url;
    const handshake = { channel: "/meta/handshake", version: "1.0", id: "1", supportedConnectionTypes: ["long-polling"] };
    const response = await fetch(url, { method: "POST", headers: JSON_BODY, body: JSON.stringify([handshake]) });
    const [cookie] = response.headers.getSetCookie();
    if (cookie) publisher.#cookie = { cookie: cookie.split(";")[0] };
    publisher.#clientId = (await response.json())[0].clientId;
    return publisher;
  }

  /** Publishes and waits for the positive reply. */
  async publish(channel, data) {
    await this.publishAll([{ channel, data }]);
  }

  /** Publishes several messages in one request and waits for the positive replies. */
  async publishAll(messages) {
    const whole = messages.map((message) => ({ ...message, id: String(++this.#id), clientId: this.#clientId }));
    for (const reply of await post(this.#url, whole, this.#cookie)) {
      if (!reply.successful) throw new Error(`publish refused: ${JSON.stringify(reply)}`);
    }
  }
}
