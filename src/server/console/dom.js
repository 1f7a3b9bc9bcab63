// Elements made from code. Text becomes a text node and nothing here parses HTML, so what clients
// call themselves and their channels stays text.

const SVG = "http://www.w3.org/2000/svg";

/** An element; functions among `attributes` (`onclick`) listen, `false` and `null` leave one out. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for drawings. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A button. */
export function button(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text);
}

/** A field with its label above. */
export function field(label, control, attributes = {}) {
  return el("label", { ...attributes, class: `field ${attributes.class ?? ""}` }, el("span", {}, label), control);
}

/** A choice; `options` are pairs of value and text. */
export function choice(options, value, onchange, attributes = {}) {
  const list = options.map(([of, text]) => el("option", { value: of, selected: of === value }, text));
  return el("select", { onchange, ...attributes }, list);
}

/** A panel with a heading. */
export function panel(title, ...children) {
  return el("section", { class: "panel" }, el("h2", {}, title), ...children);
}

/** Terms and what they are; pairs without a value are left out. */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "");
  return el("dl", { class: "facts" }, shown.map(([term, value]) =>
    el("div", {}, el("dt", {}, term), el("dd", {}, value))));
}

/**
 * A table that becomes a list of cards on a narrow screen. `columns`: `{title, cell(item), number, wide}`.
 * The roles are spelt out because browsers forget them when the style turns rows into blocks.
 */
export function table(caption, columns, items) {
  const head = columns.map(({ title, number }) =>
    el("th", { role: "columnheader", scope: "col", class: number && "number" }, title));
  const row = (item) => el("tr", { role: "row" }, columns.map(({ title, cell, number, wide }) =>
    el("td", { role: "cell", "data-title": title, class: (number && "number") || (wide && "wide") }, cell(item))));
  return el("table", { role: "table" },
    el("caption", { class: "unseen" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, head)),
    el("tbody", { role: "rowgroup" }, items.map(row)));
}

/** What stands where there is nothing yet, and how something gets there. */
export function empty(text) {
  return el("p", { class: "empty" }, text);
}

/** A failure in words, and what to do. */
export function failure(error) {
  return el("p", { class: "failure", role: "alert" }, el("strong", {}, error.title ?? "That did not work. "), error.message);
}

/** Says something that goes away by itself. */
export function notify(text, kind = "good") {
  const place = document.getElementById("notice");
  const note = el("p", { class: kind }, text);
  place.replaceChildren(note);
  setTimeout(() => note.remove(), 6000);
}

/**
 * Asks before something is done. Resolves to the values of `fields` by name, or to `null`.
 * The safe answer has the focus.
 */
export function ask({ title, text, fields = [], action }) {
  const dialog = document.getElementById("question");
  const form = el("form", { method: "dialog" },
    el("h2", { id: "question-title" }, title), el("p", {}, text), fields,
    el("div", { class: "row end" },
      el("button", { value: "no", autofocus: true, formnovalidate: true }, "Cancel"),
      el("button", { value: "yes", class: "danger" }, action)));
  dialog.replaceChildren(form);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    resolve(dialog.returnValue === "yes" ? Object.fromEntries(new FormData(form)) : null);
    dialog.replaceChildren();
  }, { once: true }));
}

/** Waits, until `signal` at most; leaves no listener behind. */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

/** Runs `work` now and `ms` after each end, until `signal`; rests while nobody looks. */
export async function every(ms, signal, work) {
  while (!signal.aborted) {
    if (!document.hidden) await work();
    await pause(ms, signal);
  }
}
