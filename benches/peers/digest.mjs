// Makes small tables of the JSON that `bayeuxd bench` writes. Node only, nothing to install.
//
//   digest.mjs held FILE SERVER   exit code 0 if SERVER kept up with CometD's room load
//   digest.mjs tables DIR         medians and ratios of every file, as JSON
//   digest.mjs goals DIR          the same, and the table of goals in Markdown on standard error
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Figures that the tables keep. */
const KEPT = [
  "receiveRate", "responseRate", "sessionRate", "sessionRatePerCore", "serverCpu", "serverCpuPerDelivery",
  "serverCpuPerSession", "serverCpuPerPublish", "serverUserCpuPerPublish", "serverRss", "serverRssBefore",
  "rssPerSession", "rssAnonPerSession", "latency.p50", "latency.p99", "latencyScheduled.p99", "messages",
  "lost", "duplicates", "outOfOrder", "cpu",
];
const FAULTS = ["lost", "duplicates", "outOfOrder"];

/** A server holds a load if nothing is lost, and what is due now has come within this time: µs. */
const HELD_P99 = 250_000;

/** Reads the runs of a file: `[{server, config, complete, figures}]`, in their order. */
function runs(file) {
  const json = JSON.parse(readFileSync(file, "utf8"));
  const all = json.runs ?? [json];
  // A server that is measured alone goes by its URL.
  const alone = all.every(({ server }) => server === all[0].server);
  return all.map(({ server, config, complete, results }) => {
    const figures = {};
    for (const [key, value] of Object.entries(results)) {
      if (typeof value === "number") figures[key] = value;
      else if ("value" in value) figures[key] = value.value;
      else for (const [inner, { value: number }] of Object.entries(value)) figures[`${key}.${inner}`] = number;
    }
    return { server: alone || server === "this" ? "bayeuxd" : server, config, complete, figures };
  });
}

/** The runs of each server, by round. */
function byServer(all) {
  const servers = new Map();
  for (const run of all) servers.set(run.server, [...(servers.get(run.server) ?? []), run]);
  return servers;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function short(number) {
  return Number(number.toPrecision(4));
}

/** Ours divided by the other's, pair by pair of the same round: `{ratio, low, high}`. */
function ratio(ours, others) {
  const pairs = ours.map((value, round) => value / others[round]).filter(Number.isFinite);
  if (!pairs.length) return undefined;
  return { ratio: short(median(pairs)), low: short(Math.min(...pairs)), high: short(Math.max(...pairs)) };
}

/** One file as a table: `{config, complete, rounds, servers: {NAME: {FIGURE: {median, ratio…}}}}`. */
function table(file) {
  const all = runs(file);
  const servers = byServer(all);
  const ours = servers.get("bayeuxd");
  const rows = {};
  for (const [name, its] of servers) {
    rows[name] = {};
    for (const key of KEPT) {
      const values = its.map((run) => run.figures[key]).filter((value) => value !== undefined);
      if (!values.length) continue;
      const compared = name !== "bayeuxd" && !FAULTS.includes(key) && key !== "messages" && key !== "cpu";
      const pair = compared ? ratio(ours.map((run) => run.figures[key]), values) : undefined;
      // A fault in one round is a fault of all.
      const value = FAULTS.includes(key) ? values.reduce((a, b) => a + b, 0) : short(median(values));
      rows[name][key] = { median: value, ...pair };
    }
  }
  const { version, os, cores, ...config } = all[0].config;
  const rounds = servers.get(all[0].server).length;
  return { config, rounds, complete: all.every((run) => run.complete), servers: rows };
}

/** Every file but the steps of the room load, of which only the highest counts. */
function tables(directory) {
  const files = readdirSync(directory).filter((file) => /^(?!rooms-).*\.json$/.test(file)).sort();
  return Object.fromEntries(files.map((file) => [file.slice(0, -5), table(join(directory, file))]));
}

/** Whether a run of the room load kept up. */
function held({ complete, figures, config }) {
  const dueSeconds = (config.batches * config.batchPause.value) / 1e6;
  const due = figures.expected / dueSeconds;
  return complete && figures["latencyScheduled.p99"] <= HELD_P99 && figures.receiveRate >= 0.85 * due;
}

/** The room load at rising rates, by round: highest rate of each server, and p99 of both at Java's. */
function rooms(directory) {
  const steps = readdirSync(directory).map((file) => /^rooms-(\d+)-(\d+)\.json$/.exec(file)).filter(Boolean);
  const rounds = [...new Set(steps.map((step) => step[2]))].sort();
  const best = (server, round) =>
    steps
      .filter((step) => step[2] === round)
      .map((step) => byServer(runs(join(directory, step[0]))))
      .filter((servers) => servers.get(server)?.every(held))
      .sort((a, b) => b.get(server)[0].figures.receiveRate - a.get(server)[0].figures.receiveRate)[0];
  const figures = { bayeuxd: [], "cometd-java": [], p99: { bayeuxd: [], "cometd-java": [] } };
  for (const round of rounds) {
    const [ours, java] = ["bayeuxd", "cometd-java"].map((server) => best(server, round));
    if (!ours || !java) continue;
    figures.bayeuxd.push(ours.get("bayeuxd")[0].figures.receiveRate);
    figures["cometd-java"].push(java.get("cometd-java")[0].figures.receiveRate);
    for (const server of ["bayeuxd", "cometd-java"]) {
      figures.p99[server].push(java.get(server)[0].figures["latencyScheduled.p99"]);
    }
  }
  const pair = (ours, others) => ({
    bayeuxd: short(median(ours)), "cometd-java": short(median(others)), ...ratio(ours, others),
  });
  return figures.bayeuxd.length
    ? {
        rounds: figures.bayeuxd.length,
        receiveRate: pair(figures.bayeuxd, figures["cometd-java"]),
        p99AtRateOfJava: pair(figures.p99.bayeuxd, figures.p99["cometd-java"]),
      }
    : undefined;
}

/** A number for people: as many digits as mean something. */
function shown(number) {
  const digits = Math.abs(number) >= 100 ? 0 : Math.abs(number) >= 10 ? 1 : 2;
  return number.toLocaleString("en", { maximumFractionDigits: digits });
}

const MORE = (value, bound) => value >= bound;
const LESS = (value, bound) => value <= bound;

/** The goals: what, which file, which figure, against whom, goal, stretch goal. */
function goals(all, room) {
  const rows = [];
  const add = (what, unit, found, better, goal, stretch) => {
    if (!found || found.value === undefined) return rows.push([what, "not measured", "", "", "no"]);
    const { value, low, high } = found;
    const span = low === undefined || low === high ? "" : ` [${shown(low)}–${shown(high)}]`;
    const most = goal === stretch ? "yes" : "stretch";
    const reached = better(value, stretch) ? most : better(value, goal) ? "yes" : "no";
    const further = goal === stretch ? "" : `${shown(stretch)}${unit}`;
    rows.push([what, `${shown(value)}${unit}${span}`, `${shown(goal)}${unit}`, further, reached]);
  };
  const compare = (what, file, figure, server, better, goal, stretch) => {
    const found = all[file]?.servers[server]?.[figure];
    add(`${what}: ${server}`, "×", found && { value: found.ratio, ...found }, better, goal, stretch);
  };
  const own = (what, unit, file, figure, goal, stretch) => {
    const found = all[file]?.servers.bayeuxd?.[figure];
    add(what, unit, found && { value: found.median }, LESS, goal, stretch);
  };
  const fast = "WebSocket, 1,000 subscribers, rate";
  compare(fast, "websocket-max", "receiveRate", "floor-coalesced", MORE, 0.7, 0.9);
  compare(fast, "websocket-max", "receiveRate", "floor-direct", MORE, 5, 8);
  compare(fast, "websocket-max", "receiveRate", "faye", MORE, 25, 35);
  compare(fast, "websocket-max", "receiveRate", "cometd-java", MORE, 5, 10);
  const even = "WebSocket, 15,000 deliveries/s,";
  compare(`${even} CPU per delivery`, "websocket-rate", "serverCpuPerDelivery", "floor-direct", LESS, 1.3, 1.1);
  compare(`${even} p99`, "websocket-rate", "latency.p99", "floor-direct", LESS, 1.3, 1.1);
  const load = (figures) => figures && { value: figures.ratio, ...figures };
  add("Rooms, highest rate held: cometd-java", "×", load(room?.receiveRate), MORE, 5, 10);
  add("Rooms, p99 at the highest rate of cometd-java", "×", load(room?.p99AtRateOfJava), LESS, 1, 1);
  for (const subscribers of [100, 1000]) {
    const file = `long-polling-${subscribers}`;
    const what = `Long-polling, ${subscribers.toLocaleString("en")} subscribers, rate`;
    compare(what, file, "receiveRate", "floor-coalesced", MORE, 0.6, 0.8);
    compare(what, file, "receiveRate", "floor-direct", MORE, 0.6, 0.8);
    compare(what, file, "receiveRate", "faye", MORE, 6, 8);
    compare(what, file, "receiveRate", "cometd-nodejs", MORE, 6, 8);
    compare(what, file, "receiveRate", "cometd-java", MORE, 3, 5);
  }
  own("Idle WebSocket session, memory in user space", " B", "idle-websocket", "rssAnonPerSession", 3000, 2000);
  own("Held long-poll, memory in user space", " B", "idle-long-polling", "rssAnonPerSession", 6000, 3000);
  compare("Sessions per second and core", "storm", "sessionRatePerCore", "faye", MORE, 8, 15);
  own("Publish without subscribers, user CPU", " µs", "publish", "serverUserCpuPerPublish", 2, 1);
  const faults = Object.values(all).flatMap(({ servers }) => FAULTS.map((key) => servers.bayeuxd?.[key]?.median ?? 0));
  add("Lost, duplicated, out of order, all runs", "", { value: faults.reduce((a, b) => a + b, 0) }, LESS, 0, 0);
  return rows;
}

function markdown(rows) {
  const lines = [["goal: against", "measured", "goal", "stretch", "reached"], Array(5).fill("---"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** One entry a line, so that a change of one shows as one. */
function print(object) {
  const lines = Object.entries(object).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  console.log(`{\n${lines.join(",\n")}\n}`);
}

const [command, path, server] = process.argv.slice(2);
if (command === "held") {
  const name = server === "this" ? "bayeuxd" : server;
  process.exitCode = byServer(runs(path)).get(name)?.every(held) ? 0 : 1;
} else if (command === "tables") {
  print(tables(path));
} else if (command === "goals") {
  const all = tables(path);
  const room = rooms(path);
  const rows = goals(all, room);
  print({ ...all, ...(room && { rooms: room }), goals: rows });
  console.error(markdown(rows));
} else {
  console.error("usage: digest.mjs held FILE SERVER | tables DIR | goals DIR");
  process.exitCode = 2;
}
