// Numbers, sizes and times as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const NONE = "–";

/** A count: 12,345, from a million on 1.23M. */
export function count(n) {
  if (n === null || n === undefined) return NONE;
  return Math.abs(n) < 1_000_000 ? whole.format(n) : short.format(n);
}

/** A count with what is counted: 1 session, 2 sessions. */
export const counted = (n, what) => `${count(n)} ${what}${n === 1 ? "" : "s"}`;

/** A rate: 0, 0.4, 12.5, 5,230. */
export function rate(n) {
  if (n === null || n === undefined) return NONE;
  return n < 100 ? String(Math.round(n * 10) / 10) : count(n);
}

/** A size in bytes. */
export function bytes(n) {
  if (n === null || n === undefined) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  for (; n >= 1024 && at < units.length - 1; at += 1) n /= 1024;
  return `${at > 0 && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[at]}`;
}

/** A time span given in seconds: 4 s, 5 min, 3 h 20 min, 2 d 4 h. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (minutes < 60) return `${minutes} min`;
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** How long ago something was, in seconds. */
export const ago = (seconds) => seconds < 1 ? "just now" : `${span(seconds)} ago`;

/** A latency given in seconds. */
export function latency(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  if (seconds === 0) return "0";
  if (seconds < 0.0001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${Number((seconds * 1000).toPrecision(2))} ms`;
  return `${Number(seconds.toPrecision(2))} s`;
}

/** The time of day of a Date or a timestamp, with milliseconds. */
export function clock(time) {
  const at = new Date(time);
  const two = (n) => String(n).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

/** The part of a user agent that tells clients apart. */
export function agent(text) {
  if (!text) return NONE;
  const known = /(Edg|OPR|Firefox|Chrome|HeadlessChrome|Version)\/(\d+)/.exec(text);
  const names = { Edg: "Edge", OPR: "Opera", Version: "Safari", HeadlessChrome: "Chrome, headless" };
  if (text.startsWith("Mozilla/") && known) return `${names[known[1]] ?? known[1]} ${known[2]}`;
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}
