// An unmodified npm faye monitors.

import assert from "node:assert/strict";
import { SHORT } from "../lib/broker.js";
import { until } from "../lib/deadline.js";
import { FayeClient } from "../lib/faye_client.js";
import { about, Broker, channel, check, checkEnd } from "../lib/kit.js";
import { NAMES, watchesALife } from "../lib/monitoring.js";

/** Declares the checks; `websocket` says whether the client may leave long-polling. */
export async function monitoringChecks(websocket) {
  about(`faye over ${websocket ? "websocket" : "long-polling"}`);
  const broker = await Broker.start(SHORT, ["--dev"]);
  const open = (bench) => bench.keep(new FayeClient(broker.url({ path: "/faye" }), websocket));

  for (const [name, expected] of NAMES) {
    check(`a monitor of ${name} sees a life, and its own messages still flow`, async (bench) => {
      const [one, other] = [open(bench), open(bench)];
      // Faye's callback for its own replies on such a name has no data.
      const inbox = await one.subscribe(name);
      await watchesALife(broker.url(), inbox, expected, (data) => data);
      const [mine, theirs] = [channel("mine"), channel("theirs")];
      const [here, there] = [await one.subscribe(theirs), await other.subscribe(mine)];
      for (let n = 0; n < 100; n += 1) {
        await one.publish(mine, n);
        await other.publish(theirs, n);
      }
      await until("100 messages each way", () => here.length >= 100 && there.length >= 100);
      assert.deepEqual([...here], [...Array(100).keys()]);
      assert.equal(one.count("/meta/handshake"), 1, "no second handshake");
      assert.deepEqual(one.received.filter((m) => m.successful === false), []);
    });
  }

  checkEnd(broker);
}
