// A session whose requests go by fetch and whose messages come by a stream, without any Bayeux client;
// driven by the checks through `window`.

/** Data of all deliveries, in order. */
window.inbox = [];
/** Everything else that came by the stream. */
window.replies = [];

const handle = (messages) =>
  messages.forEach((m) => ("data" in m ? window.inbox.push(m.data) : window.replies.push(m)));

/** Posts messages for the session; resolves with what came back. */
window.post = async (...messages) => {
  const body = JSON.stringify(messages.map((m) => ({ id: "1", clientId: window.clientId, ...m })));
  const headers = { "content-type": "application/json" };
  const response = await fetch(window.url, { method: "POST", body, headers, credentials: "include" });
  return response.json();
};

/** Shakes hands at `url` and subscribes to `channel`. */
window.session = async (url, channel) => {
  window.url = url;
  const types = ["eventsource", "streaming", "iframe"];
  const handshake = { channel: "/meta/handshake", version: "1.0", supportedConnectionTypes: types };
  const [reply] = await window.post({ ...handshake, clientId: undefined });
  window.clientId = reply.clientId;
  await window.post({ channel: "/meta/subscribe", subscription: channel });
  return reply;
};

/** Opens a stream of each kind; resolves when it is open. */
window.open = {
  eventsource: () =>
    new Promise((resolve) => {
      const events = new EventSource(`${window.url}/${window.clientId}`, { withCredentials: true });
      window.events = events;
      window.opened = 0;
      events.onopen = () => ((window.opened += 1), resolve());
      events.onmessage = (event) => handle(JSON.parse(event.data));
    }),

  streaming: async () => {
    const response = await fetch(`${window.url}/${window.clientId}`, { credentials: "include" });
    (async () => {
      let text = "";
      for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
        const lines = (text + part).split("\n");
        text = lines.pop();
        lines.flatMap((line) => JSON.parse(line)).forEach((message) => handle([message]));
      }
      window.ended = true;
    })();
  },

  iframe: async () => {
    window.app = { on: handle };
    const frame = document.createElement("iframe");
    frame.src = `${window.url}/${window.clientId}?callback=app.on`;
    document.body.append(frame);
    window.frame = frame;
  },
};

window.ready = true;
