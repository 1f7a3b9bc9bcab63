// CometD's server for Node on a loopback port: `node server.js PORT`. Serves /cometd; it knows no
// WebSocket.
"use strict";

const http = require("node:http");
const cometd = require("cometd-nodejs-server");

const bayeux = cometd.createCometDServer({ timeout: 45_000, maxInterval: 60_000 });
const server = http.createServer(bayeux.handle);
// Node closes idle connections after 5 s and ends requests after some time; held connects need both
// to be longer.
server.keepAliveTimeout = 75_000;
server.requestTimeout = 0;
server.listen(Number(process.argv[2]), "127.0.0.1", () => console.log("ready"));
