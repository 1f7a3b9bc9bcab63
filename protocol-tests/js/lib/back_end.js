// A back-end of service channels, played by the check, and the setting that sends channels to it.

import { once } from "node:events";
import { createServer } from "node:http";

/** Listens on a free port; what `answer(call)` returns or resolves to is the JSON of the response. */
export class BackEnd {
  /** The posted calls, in order. */
  calls = [];
  #server;

  /** `answer` may throw `{ status, ...body }`. */
  static async start(answer) {
    const backEnd = new BackEnd();
    backEnd.#server = createServer(async (request, response) => {
      let text = "";
      for await (const chunk of request.setEncoding("utf8")) text += chunk;
      const call = JSON.parse(text);
      backEnd.calls.push(call);
      try {
        response.end(JSON.stringify(await answer(call)));
      } catch ({ status, ...body }) {
        response.writeHead(status).end(JSON.stringify(body));
      }
    });
    backEnd.#server.unref().listen(0, "127.0.0.1");
    await once(backEnd.#server, "listening");
    return backEnd;
  }

  /** The settings of a broker; `entries` is a list of further keys of `[[services]]`, with `channel`. */
  settings(...entries) {
    const url = `http://127.0.0.1:${this.#server.address().port}/`;
    const pairs = (entry) => Object.entries({ url, ...entry }).map(([k, v]) => `${k} = ${JSON.stringify(v)}`);
    return { services: `[${entries.map((entry) => `{ ${pairs(entry).join(", ")} }`).join(", ")}]` };
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
