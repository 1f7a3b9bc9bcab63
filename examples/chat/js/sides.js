/** The two side columns: rooms and own name, members and transport. Drawers where the window is narrow. */

import { avatar, byId, element, paintAvatar, setText } from "./dom.js";

/** Shows the rooms; `current` is the one on show, `close` leaves one. */
export function showRooms(names, open, current, close) {
  const items = names.map((name) => {
    const room = open.get(name);
    const unread = room && name !== current ? room.unread : 0;
    return element(
      "li",
      {},
      element("a", { href: `#${name}`, "aria-current": name === current ? "page" : null, "data-testid": "room-link" },
        element("span", { class: "hash", "aria-hidden": "true" }, "#"),
        element("span", { class: "room-name" }, name),
        unread ? element("span", { class: "count unread", "data-testid": "unread" }, String(Math.min(unread, 99)),
          element("span", { class: "visually-hidden" }, " unread")) : null),
      room && name !== current ? element("button", { type: "button", class: "close", "aria-label": `Leave ${name}`,
        "data-testid": "room-close", onclick: () => close(name) }, "×") : null,
    );
  });
  byId("room-list").replaceChildren(...items);
}

/** Shows who is in the room. */
export function showMembers(presence) {
  const members = presence.list;
  setText(byId("member-count"), String(members.length));
  const items = members.map((member) => element(
    "li",
    { "data-testid": "member" },
    avatar(member),
    element("span", { class: "member-name" }, member.name),
    member.id === presence.self.id ? element("span", { class: "tag" }, "you") : null,
  ));
  byId("members").replaceChildren(...items);
}

/** Shows the own badge beside the name field. */
export function showOwnBadge(self) {
  paintAvatar(byId("own-avatar"), self);
}

/** Makes the side columns drawers where they do not fit: one open at a time, closed by Escape or outside. */
export function installDrawers() {
  const drawers = [...document.querySelectorAll("[aria-controls]")].map((button) => ({
    button,
    panel: byId(button.getAttribute("aria-controls")),
  }));
  const settle = () => {
    for (const { button, panel } of drawers) {
      const narrow = getComputedStyle(button).display !== "none";
      panel.inert = narrow && !panel.classList.contains("open");
      button.setAttribute("aria-expanded", String(!panel.inert));
    }
    byId("backdrop").hidden = !drawers.some(({ panel }) => panel.classList.contains("open"));
  };
  const closeAll = () => {
    const open = drawers.find(({ panel }) => panel.classList.contains("open"));
    if (!open) return;
    open.panel.classList.remove("open");
    settle();
    open.button.focus();
  };
  for (const { button, panel } of drawers) {
    button.addEventListener("click", () => {
      panel.classList.add("open");
      settle();
      panel.querySelector("a, input, select, button")?.focus();
    });
  }
  byId("backdrop").addEventListener("click", closeAll);
  addEventListener("keydown", (event) => event.key === "Escape" && closeAll());
  addEventListener("resize", settle);
  addEventListener("hashchange", closeAll);
  settle();
}
