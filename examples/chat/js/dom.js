/** Small helpers to build the page. Text always becomes a text node, never HTML. */

/** Returns the element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Builds an element: `element("li", {class: "line", "data-state": "sent", onclick: f}, child, "text", null)`.
 * Functions become listeners, `false` and `null` attributes are left out, as are `null` children.
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** Sets the text only where it differs, so that screen readers are not told again. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Returns the round badge of a member: initials on a colour that follows from the id. */
export function avatar(member) {
  return paintAvatar(element("span", { class: "avatar", "aria-hidden": "true" }), member);
}

/** Fills an existing badge. */
export function paintAvatar(node, { id, name }) {
  let sum = 0;
  for (const unit of id || name) sum = (sum * 31 + unit.codePointAt(0)) % 997;
  node.dataset.colour = String(sum % 6);
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  setText(node, letters.map((word) => [...word][0] ?? "").join("").toUpperCase());
  return node;
}

/** Returns hours and minutes in the reader's own way. */
export function clock(date, seconds = false) {
  return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: seconds ? "2-digit" : undefined });
}
