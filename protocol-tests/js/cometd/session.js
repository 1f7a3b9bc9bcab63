// Handshake, connect, disconnect, and sessions that the broker no longer knows.

import assert from "node:assert/strict";
import { knows, post } from "../lib/bayeux.js";
import { SHORT } from "../lib/broker.js";
import { until, within } from "../lib/deadline.js";
import { Broker, channel, check, endsWell } from "../lib/kit.js";

const ADVICE = { reconnect: "retry", interval: 0, timeout: 2000 };

/** Declares the checks for one generation and transport. */
export function sessionChecks({ broker, client, transport }) {
  check("p015 the handshake reply brings a session, the connection types and full advice", async (bench) => {
    const one = bench.keep(client(broker.url()));
    await one.open();
    const { id, clientId, ...rest } = one.received[0];
    assert.match(clientId, /^[0-9A-Za-z]{20,}$/);
    assert.equal(id, one.sent[0].id);
    assert.deepEqual(rest, {
      channel: "/meta/handshake",
      successful: true,
      version: "1.0",
      minimumVersion: "1.0",
      supportedConnectionTypes: ["websocket", "long-polling", "callback-polling"],
      advice: ADVICE,
    });
  });

  check("p031 the first connect is answered at once, the next one is held", async (bench) => {
    // A hold for which nobody here waits long enough.
    const patient = await Broker.start({ ...SHORT, "session.timeout": "60s" });
    bench.later(() => endsWell(patient));
    const first = bench.keep(client(patient.url()));
    await first.open();
    const [reply] = first.received.filter((m) => m.channel === "/meta/connect");
    const advice = { ...ADVICE, timeout: 60_000 };
    assert.deepEqual(reply, { channel: "/meta/connect", id: reply.id, successful: true, advice });
    const one = bench.keep(client(broker.url()));
    const start = performance.now();
    await one.open();
    await until("three connects", () => one.count("/meta/connect") >= 3);
    const elapsed = performance.now() - start;
    assert.ok(elapsed > 1900, `the hold of 2 s took ${elapsed} ms`);
  });

  check("p082 every configured path works, with and without a slash", async (bench) => {
    for (const path of ["/cometd", "/cometd/", "/bayeux", "/faye", "/cometd/45.0"]) {
      const one = bench.keep(client(broker.url({ path })));
      await one.open();
    }
  });

  check("p019 credentials and unknown fields in the handshake do no harm", async (bench) => {
    const one = bench.keep(client(broker.url()));
    await one.open({ ext: { authentication: { token: "x" }, odd: [1, { a: null }] }, "com.acme": 7 });
    const inbox = await one.subscribe(channel());
    assert.equal(inbox.length, 0);
  });

  check("p135 extensions that the broker does not know do no harm", async (bench) => {
    const one = bench.keep(client(broker.url()));
    const { TimeStampExtension } = client.library;
    one.cometd.registerExtension("timestamp", new TimeStampExtension());
    one.cometd.registerExtension("own", {
      outgoing: (message) => ({ ...message, ext: { ...message.ext, "com.acme": { deep: [1] } } }),
    });
    await one.open();
    const name = channel();
    const inbox = await one.subscribe(name);
    for (let n = 0; n < 5; n++) await one.publish(name, n);
    await until("5 messages", () => inbox.length === 5);
    assert.deepEqual(inbox.map((m) => m.data), [0, 1, 2, 3, 4]);
    assert.ok(one.received.filter((m) => m.data === undefined).every((m) => m.ext === undefined));
  });

  check("p037 a clientId that the broker does not know gets 402, and the client shakes hands anew", async (bench) => {
    const one = bench.keep(client(broker.url()));
    await one.open();
    const before = one.cometd.getClientId();
    one.failuresExpected = true;
    one.cometd.registerExtension("liar", {
      outgoing(message) {
        if (message.channel === "/meta/connect") {
          message.clientId = "0123456789abcdef0123456789abcdef";
          one.cometd.unregisterExtension("liar");
        }
        return message;
      },
    });
    await until("a second handshake", () => one.count("/meta/handshake") === 2);
    await until("another session", () => ![null, before].includes(one.cometd.getClientId()));
    const refused = one.received.filter((m) => m.successful === false);
    assert.deepEqual(refused, [
      {
        channel: "/meta/connect",
        id: refused[0].id,
        successful: false,
        error: "402::session_unknown",
        advice: { reconnect: "handshake", interval: 0 },
      },
    ]);
    const name = channel();
    const inbox = await one.subscribe(name);
    await one.publish(name, "after");
    await until("a message after the second handshake", () => inbox.length === 1);
    assert.equal(one.count("/meta/handshake"), 2);
  });

  check("p079 after a disconnect the session is gone", async (bench) => {
    const one = bench.keep(client(broker.url()));
    await one.open();
    await one.held();
    const clientId = one.cometd.getClientId();
    const reply = await one.disconnect();
    assert.deepEqual(reply, { channel: "/meta/disconnect", id: reply.id, successful: true });
    assert.equal(one.cometd.getStatus(), "disconnected");
    assert.equal(await knows(broker.url(), clientId), false);
    const [refused] = await post(broker.url(), [{ channel: "/meta/connect", id: "9", clientId }]);
    assert.equal(refused.error, "402::session_unknown");
    assert.deepEqual(refused.advice, { reconnect: "handshake", interval: 0 });
  });

  check("p045 a disconnect releases the held connect with advice none", async (bench) => {
    const one = bench.keep(client(broker.url()));
    await one.open();
    await one.held();
    await one.disconnect();
    const last = () => one.received.filter((m) => m.channel === "/meta/connect").at(-1);
    await until("the reply to the held connect", () => last().advice.reconnect === "none");
    assert.equal(last().successful, true);
  });

  check("a client that disconnected can shake hands again", async (bench) => {
    const one = bench.keep(client(broker.url()));
    const first = await one.open();
    await one.disconnect();
    const second = await one.open();
    assert.notEqual(first.clientId, second.clientId);
  });

  check("p115 a remote call without a service ends at the client, with its time limit", async (bench) => {
    const one = bench.keep(client(broker.url()));
    await one.open();
    one.failuresExpected = true;
    const answer = new Promise((resolve) => one.cometd.remoteCall("nobody", { q: 1 }, 500, resolve));
    const reply = await within("the end of the remote call", answer);
    assert.equal(reply.successful, false);
    assert.equal(reply.error, "406::timeout");
  });

  if (transport === "websocket") {
    check("p106 the sub-protocol that the client offers is accepted", async (bench) => {
      const one = bench.keep(client(broker.url(), { protocol: "bayeux" }));
      await one.open();
    });
  }
}
