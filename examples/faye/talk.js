/**
 * Talks on one channel with the npm `faye` client: prints what arrives, publishes each line of the input.
 *
 *     node talk.js [URL] [CHANNEL]
 *
 * Uses the message form of examples/chat, so that a room of the web page is on the other side.
 */

import { createInterface } from "node:readline";
import { userInfo } from "node:os";
import faye from "faye";

const url = process.argv[2] ?? "http://127.0.0.1:8080/faye";
const channel = process.argv[3] ?? "/chat/demo";
const from = { id: `faye-${process.pid}`, name: userInfo().username };

let leaving = false;

const client = new faye.Client(url);
client.on("transport:up", () => console.error(`connected to ${url}`));
client.on("transport:down", () => leaving || console.error("connection lost, trying again"));

await client.subscribe(channel, (data) => {
  console.log(`${data?.from?.name ?? "somebody"}: ${data?.text ?? JSON.stringify(data)}`);
});
console.error(`subscribed to ${channel}; write a line`);

for await (const text of createInterface({ input: process.stdin })) {
  if (!text.trim()) continue;
  try {
    await client.publish(channel, { text, from });
  } catch (error) {
    console.error(`not sent: ${error.message}`);
  }
}
leaving = true;
await client.disconnect();
