/**
 * What the address and the browser's storage say: broker, transport, room, and who we are.
 *
 * Nothing here talks to the broker.
 */

/** Transports that a page may be limited to; "auto" lets the client choose. */
export const TRANSPORTS = ["auto", "websocket", "long-polling"];

/** Rooms that are always offered. */
export const DEFAULT_ROOMS = ["demo", "lobby", "workshop"];

const ADJECTIVES = ["Amber", "Brisk", "Calm", "Clever", "Gentle", "Linen", "Merry", "Norman", "Quick", "Saxon", "Silver", "Woven"];
const ANIMALS = ["Badger", "Comet", "Falcon", "Hare", "Heron", "Lion", "Otter", "Raven", "Seal", "Stag", "Swan", "Wolf"];

/** Returns the Bayeux URL: this origin's `/cometd`, or the one in `?server=`. */
export function serverUrl(location) {
  const override = new URLSearchParams(location.search).get("server");
  if (!override) return `${location.origin}/cometd`;
  const url = new URL(override, location.href);
  return url.pathname === "/" ? `${url.origin}/cometd` : url.href;
}

/** Returns the transport in `?transport=`, "auto" for none or an unknown one. */
export function chosenTransport(location) {
  const value = new URLSearchParams(location.search).get("transport");
  return TRANSPORTS.includes(value) ? value : "auto";
}

/** Returns the address of this page with another transport. */
export function addressWithTransport(location, transport) {
  const url = new URL(location.href);
  if (transport === "auto") url.searchParams.delete("transport");
  else url.searchParams.set("transport", transport);
  return url.href;
}

/** Returns a room name for any text: lower case, `a-z0-9_-`, at most 32 characters; "demo" if none is left. */
export function roomName(text) {
  return text.toLowerCase().replace(/[^a-z0-9_-]/g, "").slice(0, 32) || DEFAULT_ROOMS[0];
}

/** Returns the room in the address (`#lobby`). */
export function roomOf(location) {
  return roomName(location.hash.slice(1));
}

/**
 * Who this page is: `{id, name}`.
 *
 * The id lives as long as the tab, so a reload is not a second member; the name is kept for the next visit.
 */
export function loadIdentity() {
  const id = sessionStorage.getItem("chat.id") || randomId();
  sessionStorage.setItem("chat.id", id);
  return { id, name: localStorage.getItem("chat.name") || `${pick(ADJECTIVES)} ${pick(ANIMALS)}` };
}

/** Keeps the name for the next visit. */
export function saveName(name) {
  localStorage.setItem("chat.name", name);
}

/** Returns the rooms this tab had open, so that a reload finds them again. */
export function loadRooms() {
  const names = (sessionStorage.getItem("chat.rooms") || "").split(",").filter(Boolean);
  return names.map(roomName);
}

/** Keeps the rooms of this tab. */
export function saveRooms(names) {
  sessionStorage.setItem("chat.rooms", names.join(","));
}

/** Returns 16 hexadecimal digits at random (`crypto.randomUUID` exists only on secure origins). */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function pick(list) {
  return list[Math.floor(Math.random() * list.length)];
}
