// A service in 20 lines: says what shares cost. `node back_end.mjs [PORT]`
import { createServer } from "node:http";

const PRICES = { ACME: 12.5, GLOBEX: 80 };

const server = createServer(async (request, response) => {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  const { sid, channel, data } = JSON.parse(text);
  const symbol = channel.split("/").at(-1);
  const price = PRICES[symbol];
  console.log(`session ${sid} asks for ${data.shares} of ${symbol}`);
  // 2xx: the answer. 4xx with class and message: the caller's fault, and the caller is told so.
  const [status, answer] = price
    ? [200, { symbol, price, total: price * data.shares }]
    : [404, { class: "NoSuchSymbol", message: `nobody trades ${symbol}` }];
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
});

server.listen(process.argv[2] ?? 9000, "127.0.0.1", () => console.log(`listening on port ${server.address().port}`));
