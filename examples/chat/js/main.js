/** Puts the page together: rooms follow the address, the view follows the rooms and the connection. */

import * as settings from "./settings.js";
import { BEAT_MS } from "./presence.js";
import { Room } from "./room.js";
import { byId, setText } from "./dom.js";
import { LogView } from "./log-view.js";
import { StatusView } from "./status-view.js";
import { installDrawers, showMembers, showOwnBadge, showRooms } from "./sides.js";

/** Loads the part that needs the CometD client, so that a missing `npm install` is told on the page. */
async function loadConnection() {
  try {
    return await import("./connection.js");
  } catch (error) {
    byId("banner").hidden = false;
    setText(byId("banner-title"), "The CometD client is missing.");
    setText(byId("banner-text"), "Run “npm install” in examples/chat and load this page again.");
    throw error;
  }
}

const { Connection } = await loadConnection();
const self = settings.loadIdentity();
const transport = settings.chosenTransport(location);
const connection = new Connection(settings.serverUrl(location), transport);
const status = new StatusView(connection);
const log = new LogView();
const rooms = new Map();
let current = null;
let brokenSince = null;
let replaced = false;

function openRoom(name) {
  if (!rooms.has(name)) {
    const room = new Room(name, self, connection);
    room.onchange = () => render(room);
    rooms.set(name, room);
    settings.saveRooms([...rooms.keys()]);
  }
  return rooms.get(name);
}

function closeRoom(name) {
  rooms.get(name)?.close();
  rooms.delete(name);
  settings.saveRooms([...rooms.keys()]);
  renderRooms();
}

function enterRoom() {
  const name = settings.roomOf(location);
  if (location.hash !== `#${name}`) history.replaceState(null, "", `#${name}`);
  current = openRoom(name);
  setText(byId("room-title"), name);
  byId("compose-text").placeholder = `Message to #${name}`;
  render(current);
}

function render(room) {
  if (room === current) {
    if (!document.hidden) room.unread = 0;
    log.show(room);
    showMembers(room.members);
  }
  renderRooms();
}

function renderRooms() {
  const names = new Set([...settings.DEFAULT_ROOMS, ...rooms.keys()]);
  showRooms([...names], rooms, current?.name, closeRoom);
  const unread = [...rooms.values()].reduce((sum, room) => sum + room.unread, 0);
  document.title = `${unread ? `(${unread}) ` : ""}#${current?.name} · bayeuxd chat`;
}

/** A connection came about: say in the rooms what it means for their messages, greet, send what waited. */
function onConnected() {
  const seconds = brokenSince === null ? 0 : Math.round((Date.now() - brokenSince) / 1000);
  for (const room of rooms.values()) {
    if (replaced) room.note("A new session began: messages sent while you were away are missing here.");
    else if (seconds > 0) room.note(`Back after ${seconds} s in the same session; the broker kept your messages.`);
    if (replaced) room.members.clear();
    room.greet();
    room.flush();
  }
  brokenSince = null;
  replaced = false;
}

function followConnection() {
  let connected = false;
  connection.addEventListener("session", ({ detail }) => {
    replaced ||= detail.replaced;
  });
  connection.addEventListener("refused", ({ detail }) => {
    for (const room of rooms.values()) {
      if (detail.channel === room.channel) room.note(`The broker refuses this room: ${detail.reason}.`);
    }
  });
  connection.addEventListener("change", () => {
    status.show();
    if (connection.connected === connected) return;
    connected = connection.connected;
    if (connected) onConnected();
    else brokenSince ??= Date.now();
  });
}

function installForms() {
  const text = byId("compose-text");
  byId("compose").addEventListener("submit", (event) => {
    event.preventDefault();
    if (text.value.trim()) current.send(text.value.trim());
    text.value = "";
    text.focus();
  });
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId("compose").requestSubmit();
  });
  byId("room-form").addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = settings.roomName(byId("room-name").value);
    byId("room-name").value = "";
  });
  const name = byId("name");
  const rename = (event) => {
    event.preventDefault();
    self.name = name.value.trim() || self.name;
    name.value = self.name;
    settings.saveName(self.name);
    showOwnBadge(self);
    for (const room of rooms.values()) room.beat();
    render(current);
  };
  byId("name-form").addEventListener("submit", rename);
  name.addEventListener("change", rename);
  const choice = byId("transport-choice");
  choice.addEventListener("change", async () => {
    for (const room of rooms.values()) room.farewell();
    await connection.stop();
    location.href = settings.addressWithTransport(location, choice.value);
  });
  name.value = self.name;
  choice.value = transport;
}

function followPage() {
  addEventListener("hashchange", enterRoom);
  document.addEventListener("visibilitychange", () => render(current));
  // A reload or a closed tab: nobody can tell which. Members wait a moment before they believe the farewell.
  addEventListener("pagehide", () => {
    for (const room of rooms.values()) room.farewell();
    connection.suspend();
  });
  // From the back-forward cache: the session was handed over, so begin like a reload.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
}

function startClocks() {
  const beat = () => {
    for (const room of rooms.values()) room.beat();
    connection.setTimer(beat, BEAT_MS);
  };
  connection.setTimer(beat, BEAT_MS);
  setInterval(() => {
    status.tick();
    for (const room of rooms.values()) room.expire();
  }, 1000);
}

showOwnBadge(self);
installForms();
installDrawers();
followConnection();
followPage();
for (const name of settings.loadRooms()) openRoom(name);
enterRoom();
status.show();
startClocks();
connection.start();
