// Faye on a loopback port: `node server.js PORT`. Serves /bayeux.
"use strict";

const http = require("node:http");
const faye = require("faye");

const bayeux = new faye.NodeAdapter({ mount: "/bayeux", timeout: 45 });
const server = http.createServer();
bayeux.attach(server);
// Node closes idle connections after 5 s, which would cost a slow publisher a connection each time.
server.keepAliveTimeout = 75_000;
server.listen(Number(process.argv[2]), "127.0.0.1", () => console.log("ready"));
