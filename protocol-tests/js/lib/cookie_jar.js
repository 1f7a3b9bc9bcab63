// Cookies for one cometd client in Node, as a browser has them: the adapter's own jar is shared by all
// clients of a process, and its WebSockets have none.

/** Gives the client's requests and, with `sockets`, its WebSockets one jar of its own. */
export function keepCookies(library, cometd, { sockets = false } = {}) {
  const jar = new Map();
  const store = (header) => {
    const [pair] = header.split(";");
    jar.set(pair.slice(0, pair.indexOf("=")), pair.trim());
  };
  const shared = { XMLHttpRequest: window.XMLHttpRequest, WebSocket: window.WebSocket };
  library.adapt({
    cookies: {
      storeCookie: (_, header, done) => (store(header), done()),
      retrieveCookies: (_, __, done) => done(null, [...jar.values()]),
    },
  });
  const own = { XMLHttpRequest: window.XMLHttpRequest };
  if (sockets) own.WebSocket = withCookies(window.WebSocket, jar, store);
  Object.assign(window, shared);

  const wrap = (transport, method) => {
    if (!transport) return;
    const original = transport[method];
    transport[method] = (...args) => {
      Object.assign(window, own); // looked up synchronously inside
      try {
        return original.apply(transport, args);
      } finally {
        Object.assign(window, shared);
      }
    };
  };
  wrap(cometd.findTransport("long-polling"), "xhrSend");
  if (sockets) wrap(cometd.findTransport("websocket"), "send");
}

function withCookies(WebSocket, jar, store) {
  return class extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { headers: { Cookie: [...jar.values()].join("; ") } });
      this.on("upgrade", (response) => (response.headers["set-cookie"] ?? []).forEach(store));
    }
  };
}
