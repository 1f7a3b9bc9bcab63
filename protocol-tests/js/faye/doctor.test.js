// `bayeuxd doctor` at a server of npm faye: what it says has to be true of Faye, and name nothing to change
// where nothing is wrong.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { promisify } from "node:util";
import faye from "faye";
import { BINARY } from "../lib/broker.js";
import { about, check } from "../lib/kit.js";

about("npm faye as a server");

check("the doctor finds nothing wrong with a server of Faye", async (bench) => {
  const server = createServer();
  new faye.NodeAdapter({ mount: "/faye", timeout: 1 }).attach(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  bench.later(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${server.address().port}/faye`;
  const { stdout } = await promisify(execFile)(BINARY, ["doctor", url, "--origin", "https://app.example.com", "--json"]);
  const { ok, checks } = JSON.parse(stdout);
  assert.equal(ok, true);
  const of = Object.fromEntries(checks.map(({ check, status, text, fix = [] }) => [check, { status, text, fix }]));
  assert.deepEqual(of.cookies, { status: "skip", text: "Faye sets none", fix: [] });
  for (const name of ["reach", "post", "path", "affinity", "websocket", "cors", "body", "buffering", "hold", "idle"]) {
    assert.equal(of[name]?.status, "pass", `${name}: ${of[name]?.text}`);
  }
});
