// What is in force, where it comes from, and what differs from the defaults.

import { el, empty, failure, field, table } from "./dom.js";
import { configuration } from "./node.js";

export const title = "Config";

export function open(place, { signal }) {
  const list = el("div", {});
  const wanted = { text: "", changed: false };
  let items = [];
  const draw = () => {
    const words = wanted.text.toLowerCase();
    const fitting = items.filter(({ key, value, doc, default: isDefault }) => (!wanted.changed || !isDefault) &&
      `${key} ${JSON.stringify(value)} ${doc}`.toLowerCase().includes(words));
    list.replaceChildren(...sections(fitting), ...(fitting.length > 0 ? [] : [empty(wanted.changed && words === ""
      ? "Nothing differs from the defaults. A file bayeuxd.toml, the environment or --set changes that; `bayeuxd config init` prints all keys."
      : "No key is like that.")]));
  };
  place.append(
    el("div", { class: "filters" },
      field("Search", el("input", { type: "search", placeholder: "key, value or meaning", oninput: ({ target }) => {
        wanted.text = target.value.trim();
        draw();
      } }), { class: "grow" }),
      el("label", { class: "check" }, el("input", { type: "checkbox", onchange: ({ target }) => {
        wanted.changed = target.checked;
        draw();
      } }), "Only what differs from the default")),
    el("p", { class: "quiet" }, "Secrets are not shown. What a reload takes and what needs a restart is in docs/configuration.md."),
    list);
  configuration(signal, (config) => {
    ({ items } = config);
    draw();
  }, (error) => list.replaceChildren(failure(error)));
}

function sections(items) {
  const names = [...new Set(items.map(({ key }) => sectionOf(key)))];
  return names.map((name) => el("section", { class: "panel" }, el("h2", {}, name),
    table(`Keys of ${name}`, [
      { title: "Key", cell: ({ key, default: isDefault }) => el("span", { class: `code ${isDefault ? "" : "changed"}` }, key === name ? `[[${key}]]` : key.slice(name.length + 1)) },
      { title: "Value", cell: ({ value, auto }) => [el("code", {}, written(value)), auto ? el("span", { class: "quiet" }, " chosen by the broker") : null] },
      { title: "From", cell: ({ origin, default: isDefault }) => el("span", { class: "quiet" }, origin ?? (isDefault ? "default" : "")) },
      { title: "Meaning", wide: true, cell: ({ doc }) => el("span", { class: "doc" }, marked(doc)) },
    ], items.filter(({ key }) => sectionOf(key) === name))));
}

/** A list of tables stands in none, and is one. */
const sectionOf = (key) => key.includes(".") ? key.slice(0, key.lastIndexOf(".")) : key;

/** As it would stand in the file, without the quotes of plain text. */
function written(value) {
  if (value === undefined || value === null || value === "") return "–";
  if (typeof value === "string") return value;
  return Array.isArray(value) ? `[${value.map((entry) => JSON.stringify(entry)).join(", ")}]` : JSON.stringify(value);
}

/** Text with `code` in it, as the documentation has it. */
function marked(text) {
  return text.split("`").map((part, n) => n % 2 === 1 ? el("code", {}, part) : part);
}
