// What monitors of every kind go through: another client's life, then ordinary messages both ways.

import assert from "node:assert/strict";
import { post } from "./bayeux.js";
import { until } from "./deadline.js";
import { channel } from "./kit.js";

/** What `live` does, as a full monitor is told of it. */
export const LIFE = ["handshake", "connect", "subscribe", "publish", "unsubscribe", "disconnect"];

/** Every name that brings events, and the types of `LIFE` that come by it. */
export const NAMES = [
  ["/meta/**", LIFE],
  ["/meta/*", LIFE],
  ["/meta/monitor/**", LIFE],
  ["/meta/monitor/*", LIFE],
  ["/meta/monitor", LIFE],
  ["/monitor/**", LIFE],
  ["/monitor", LIFE],
  ["/meta/subscribe", ["subscribe"]],
  ["/meta/monitor/disconnect", ["disconnect"]],
];

/** The life of a client that has nothing to do with those under test; `name` is what it subscribes to. */
export async function live(url, name) {
  const shake = { channel: "/meta/handshake", version: "1.0", id: "1", supportedConnectionTypes: ["long-polling"] };
  const [{ clientId }] = await post(url, [shake]);
  const send = async (channel, more) => {
    const replies = await post(url, [{ channel, id: "2", clientId, ...more }]);
    assert.equal(replies.at(-1).successful, true, JSON.stringify(replies));
  };
  await send("/meta/connect", { connectionType: "long-polling" });
  await send("/meta/subscribe", { subscription: name });
  await send(`${name}/else`, { data: { n: 1 } });
  await send("/meta/unsubscribe", { subscription: name });
  await send("/meta/disconnect");
}

/** The events of the session that subscribed to `name`, in the order in which they came. */
export function eventsAbout(events, name) {
  const sid = events.find((event) => event.channel === name)?.sid;
  return sid ? events.filter((event) => event.sid === sid) : [];
}

/**
 * Waits until `inbox`, which `data` turns into events, has told the life of a client, and checks that it
 * told nothing else of it, in order.
 */
export async function watchesALife(url, inbox, expected, data) {
  const name = channel("life");
  await live(url, name);
  // Of a disconnect alone nothing says whose it is.
  const told = () => {
    const events = inbox.map(data).filter((event) => event !== undefined);
    return expected.includes("subscribe") ? eventsAbout(events, name) : events.filter((e) => e.type === expected[0]);
  };
  await until(`${expected}`, () => told().length >= expected.length);
  assert.deepEqual(told().map((event) => event.type), expected);
}
