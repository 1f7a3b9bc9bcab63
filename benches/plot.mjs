// Draws the plots of docs/benchmarks.md from benches/results: `node benches/plot.mjs`. Needs Node only.
//
// The images carry their own background, and follow the reader's choice of a light or dark page where
// the program that shows them knows it.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const read = (name) => JSON.parse(readFileSync(join(here, "results", `${name}.json`), "utf8"));
const images = join(here, "../docs/images");

/** Name in the data, name in the legend, class of its line. */
const SERVERS = [
  ["floor-coalesced", "floor, coalesced", "f1"],
  ["floor-direct", "floor, direct", "f2"],
  ["bayeuxd", "bayeuxd", "a"],
  ["cometd-java", "CometD Java", "b"],
  ["cometd-nodejs", "cometd-nodejs", "c"],
  ["faye", "Faye", "d"],
];

// Colours that differ in lightness, too; floors are grey and dashed.
const STYLE = `
  .bg { fill: #ffffff } .frame { fill: none; stroke: #8c959f } .grid { stroke: #d8dee4 }
  text { font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px } .note { fill: #59636e; font-size: 12px }
  path { fill: none; stroke-width: 2 } .a { stroke: #0550ae; fill: #0550ae; stroke-width: 3.2 }
  .b { stroke: #bc4c00; fill: #bc4c00 } .c { stroke: #1a7f37; fill: #1a7f37 } .d { stroke: #8250df; fill: #8250df }
  .f1 { stroke: #6e7781; fill: #6e7781; stroke-dasharray: 7 4 } .f2 { stroke: #6e7781; fill: #6e7781; stroke-dasharray: 2 4 }
  path.a, path.b, path.c, path.d, path.f1, path.f2 { fill: none }
  @media (prefers-color-scheme: dark) {
    .bg { fill: #0d1117 } .frame { stroke: #6e7681 } .grid { stroke: #262c36 } text { fill: #e6edf3 } .note { fill: #9198a1 }
    .a { stroke: #6cb6ff; fill: #6cb6ff } .b { stroke: #f0883e; fill: #f0883e } .c { stroke: #56d364; fill: #56d364 }
    .d { stroke: #d2a8ff; fill: #d2a8ff } .f1, .f2 { stroke: #9198a1; fill: #9198a1 }
  }`;

const PANEL = { width: 360, height: 260, left: 70, top: 62, gap: 88 };

const escape = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;");

/** A number as an axis shows it. */
function label(value) {
  if (value >= 1e6) return `${value / 1e6} M`;
  if (value >= 1e3) return `${value / 1e3} k`;
  return String(value);
}

/** An axis that maps values to 0…1: `{at, ticks}`. */
function logarithmic(from, to) {
  const ticks = [];
  for (let tick = 10 ** Math.floor(Math.log10(from)); tick <= to * 1.001; tick *= 10) {
    for (const factor of [1, 2, 5]) if (tick * factor >= from * 0.999 && tick * factor <= to * 1.001) ticks.push(tick * factor);
  }
  // Over many decades only powers of ten have room.
  const decades = Math.log10(to / from);
  const at = (value) => Math.log10(value / from) / decades;
  return { at, ticks: decades > 2.2 ? ticks.filter((tick) => Number.isInteger(Math.round(Math.log10(tick) * 1e6) / 1e6)) : ticks };
}

function linear(to, step) {
  const ticks = Array.from({ length: Math.floor(to / step) + 1 }, (_, number) => number * step);
  return { at: (value) => value / to, ticks };
}

/** One panel: frame, grid, axes and a line for each `{name, points: [[x, y]…]}`. */
function panel({ title, x, y, xLabel, yLabel, lines, shownX }, number) {
  const { width, height, left, top, gap } = PANEL;
  const x0 = left + number * (width + gap);
  const px = (value) => (x0 + x.at(value) * width).toFixed(1);
  const py = (value) => (top + height - y.at(value) * height).toFixed(1);
  const out = [`<text class="title" x="${x0}" y="${top - 14}">${escape(title)}</text>`];
  for (const tick of y.ticks) {
    out.push(`<line class="grid" x1="${x0}" x2="${x0 + width}" y1="${py(tick)}" y2="${py(tick)}"/>`);
    out.push(`<text x="${x0 - 8}" y="${Number(py(tick)) + 4}" text-anchor="end">${label(tick)}</text>`);
  }
  for (const tick of shownX ?? x.ticks) {
    out.push(`<line class="grid" x1="${px(tick)}" x2="${px(tick)}" y1="${top}" y2="${top + height}"/>`);
    out.push(`<text x="${px(tick)}" y="${top + height + 19}" text-anchor="middle">${label(tick)}</text>`);
  }
  out.push(`<rect class="frame" x="${x0}" y="${top}" width="${width}" height="${height}"/>`);
  const middle = top + height / 2;
  out.push(`<text x="${x0 + width / 2}" y="${top + height + 40}" text-anchor="middle">${escape(xLabel)}</text>`);
  out.push(`<text transform="translate(${x0 - 54} ${middle}) rotate(-90)" text-anchor="middle">${escape(yLabel)}</text>`);
  for (const { style, points } of lines) {
    const path = points.map(([a, b], at) => `${at ? "L" : "M"}${px(a)} ${py(b)}`).join(" ");
    out.push(`<path class="${style}" d="${path}"/>`);
    for (const [a, b] of points) out.push(`<circle class="${style}" style="stroke:none" cx="${px(a)}" cy="${py(b)}" r="3.5"/>`);
  }
  return out.join("\n");
}

/** Writes an image of panels side by side, with one legend below. */
function image(file, description, panels, entries, note) {
  const { width, height, left, top, gap } = PANEL;
  const all = left + panels.length * width + (panels.length - 1) * gap + 24;
  const bottom = top + height + 66;
  let at = left;
  const legend = entries.map(([text, style]) => {
    const entry = `<path class="${style}" d="M${at} ${bottom - 4} h28"/><text x="${at + 34}" y="${bottom}">${escape(text)}</text>`;
    at += 56 + text.length * 7.2;
    return entry;
  });
  const total = bottom + 18;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${all} ${total}" width="${all}" height="${total}" role="img">`,
    `<title>${escape(description)}</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="bg" width="${all}" height="${total}"/>`,
    `<text class="note" x="${left}" y="22">${escape(note)}</text>`,
    ...panels.map(panel),
    ...legend,
    "</svg>",
  ];
  writeFileSync(join(images, file), `${parts.join("\n")}\n`);
}

/** Points of a figure by subscribers, for each server that has it. */
function curves(data, transport, figure) {
  const steps = Object.entries(data)
    .filter(([name]) => name.startsWith(`${transport}-`))
    .map(([, table]) => [table.config.subscribers, table.servers])
    .sort((a, b) => a[0] - b[0]);
  return SERVERS.map(([name, , style]) => ({
    name,
    style,
    points: steps
      .map(([subscribers, servers]) => [subscribers, servers[name]?.[figure]?.median])
      .filter(([, value]) => value > 0),
  })).filter(({ points }) => points.length > 0);
}

const TRANSPORTS = [["websocket", "WebSocket"], ["long-polling", "long-polling"]];

/** One figure over WebSocket and long-polling, both axes logarithmic. */
function byTransport(file, description, figure, yLabel, note) {
  const data = read("curves");
  const sets = TRANSPORTS.map(([transport]) => curves(data, transport, figure));
  const values = sets.flat().flatMap(({ points }) => points);
  const bounds = (values) => [10 ** Math.floor(Math.log10(Math.min(...values))), 10 ** Math.ceil(Math.log10(Math.max(...values)))];
  const xs = [...new Set(values.map(([x]) => x))].sort((a, b) => a - b);
  const y = logarithmic(...bounds(values.map(([, value]) => value)));
  const x = logarithmic(Math.min(...xs), Math.max(...xs));
  const panels = TRANSPORTS.map(([, title], number) => ({
    title, x, y, xLabel: "subscribers of one channel", yLabel, lines: sets[number], shownX: xs,
  }));
  image(file, description, panels, SERVERS.map(([, text, style]) => [text, style]), note);
}

/** Resident memory by sessions, both transports in a panel each. */
function memory() {
  const data = read("memory");
  const lines = (transport) =>
    SERVERS.map(([name, , style]) => ({
      style,
      points: Object.entries(data)
        .filter(([entry]) => entry.startsWith(`${name}-${transport}-`))
        .map(([, { config, servers }]) => [config.clients, servers.bayeuxd.serverRss.median])
        .sort((a, b) => a[0] - b[0]),
    })).filter(({ points }) => points.length > 0);
  const sets = TRANSPORTS.map(([transport]) => lines(transport));
  const values = sets.flat().flatMap(({ points }) => points);
  const top = Math.ceil(Math.max(...values.map(([, value]) => value)) / 200) * 200;
  const most = Math.max(...values.map(([value]) => value));
  const panels = TRANSPORTS.map(([, title], number) => ({
    title, x: linear(most, 1000), y: linear(top, top > 600 ? 200 : 100), lines: sets[number],
    xLabel: "waiting sessions, one subscription each", yLabel: "resident memory, MB",
  }));
  const shown = SERVERS.filter(([name]) => !name.startsWith("floor")).map(([, text, style]) => [text, style]);
  image("memory.svg", "Resident memory of the server by waiting sessions", panels, shown,
    "whole process, started fresh for each point; a Java heap is as large as it was allowed to grow");
}

mkdirSync(images, { recursive: true });
byTransport("deliveries.svg", "Deliveries a second by subscribers", "receiveRate", "deliveries a second",
  "closed loop, 100 B, one publisher, 16 messages under way (4 to 5,000 subscribers); server and load tool share 2 cores");
byTransport("cpu.svg", "CPU time of the server for a delivery, by subscribers", "serverCpuPerDelivery", "µs of CPU for a delivery",
  "closed loop, 100 B, one publisher, 16 messages under way (4 to 5,000 subscribers); user and kernel time of the server");
memory();
