// Lines over time, drawn as SVG. Each chart has its latest values as text beside its name, so nobody
// depends on the drawing; a pointer over it shows the values of that time.

import { el, svg } from "./dom.js";
import { KEPT, STEP } from "./node.js";

const HEIGHT = 132;
const MARGIN = { left: 52, right: 8, top: 10, bottom: 20 };

/**
 * A chart. `series`: `{name, of(look), tone}`, drawn as lines, or `stacked` as areas upon each other;
 * `format` writes a value. Returns its element and `draw(looks, series)`.
 */
export function chart(title, format, { stacked = false, fullAt } = {}) {
  const legend = el("p", { class: "legend" });
  const picture = svg("svg", { height: HEIGHT, role: "img", "aria-label": title });
  const element = el("section", { class: "panel chart" }, el("h2", {}, title), legend, picture);
  let shown = { looks: [], series: [] };
  let pointed = null;
  const again = () => render(picture, legend, shown, pointed, { title, format, stacked, fullAt });
  picture.addEventListener("pointermove", (event) => {
    pointed = event.offsetX;
    again();
  });
  picture.addEventListener("pointerleave", () => {
    pointed = null;
    again();
  });
  new ResizeObserver(again).observe(element);
  const draw = (looks, series) => {
    shown = { looks, series };
    again();
  };
  return { element, draw };
}

function render(picture, legend, { looks, series }, pointed, { title, format, stacked, fullAt }) {
  const width = picture.clientWidth || 300;
  const end = looks.at(-1)?.at ?? Date.now();
  // Begins with a minute and grows to all that is kept, so that the first look is not at a void.
  const length = Math.min(Math.max(end - (looks[0]?.at ?? end), 60_000), KEPT * STEP);
  const x = (at) => MARGIN.left + ((at - end + length) / length) * (width - MARGIN.left - MARGIN.right);
  const lines = layers(looks, series, stacked);
  const top = ceiling(Math.max(fullAt ?? 0, ...lines.flatMap(({ points }) => points.map(({ high }) => high ?? 0))), format);
  const y = (value) => HEIGHT - MARGIN.bottom - (value / top) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const at = pointed === null ? looks.length - 1 : nearest(looks, x, pointed);
  const texts = series.map(({ name, of }) => `${name} ${format(looks[at] && of(looks[at]))}`);
  picture.setAttribute("aria-label", `${title}, now: ${texts.join(", ")}`);
  picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  picture.replaceChildren(
    ...[0, 0.5, 1].map((part) => svg("g", { class: "grid" },
      svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(part * top), y2: y(part * top) }),
      svg("text", { x: MARGIN.left - 8, y: y(part * top) + 4, "text-anchor": "end" }, format(part * top)))),
    svg("text", { class: "axis", x: MARGIN.left, y: HEIGHT - 4 }, `${Math.round(length / 60_000)} min ago`),
    svg("text", { class: "axis", x: width - MARGIN.right, y: HEIGHT - 4, "text-anchor": "end" }, "now"),
    ...lines.flatMap(({ tone, points }) => [
      svg("path", { class: `area tone-${tone}`, d: area(points, x, y) }),
      svg("path", { class: `line tone-${tone}`, d: path(points.map(({ at, high }) => [at, high]), x, y) }),
    ]),
    ...(pointed === null || !looks[at] ? [] : [svg("line", { class: "pointer", x1: x(looks[at].at), x2: x(looks[at].at), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom })]),
  );
  legend.replaceChildren(...series.map(({ name, of, tone }) =>
    el("span", { class: `key tone-${tone}` }, `${name} `, el("b", {}, format(looks[at] && of(looks[at]))))));
}

/** The points of each series with their lower and upper edge; `null` where nothing is known. */
function layers(looks, series, stacked) {
  const floor = looks.map(() => 0);
  return series.map(({ of, tone }) => ({
    tone,
    points: looks.map((look, n) => {
      const value = of(look) ?? null;
      if (value === null) return { at: look.at, low: 0, high: null };
      const low = stacked ? floor[n] : 0;
      if (stacked) floor[n] += value;
      return { at: look.at, low, high: low + value };
    }),
  }));
}

function path(points, x, y) {
  let pen = "M";
  return points.map(([at, value]) => {
    if (value === null) {
      pen = "M";
      return "";
    }
    const text = `${pen}${x(at).toFixed(1)},${y(value).toFixed(1)}`;
    pen = "L";
    return text;
  }).join("");
}

/** The area under each stretch of a line without a gap. */
function area(points, x, y) {
  const stretches = [[]];
  for (const point of points) {
    if (point.high === null) stretches.push([]);
    else stretches.at(-1).push(point);
  }
  return stretches.filter((stretch) => stretch.length > 1).map((stretch) => {
    const upper = stretch.map(({ at, high }) => [at, high]);
    const lower = stretch.map(({ at, low }) => [at, low]).reverse();
    return `${path(upper, x, y)}L${path(lower, x, y).slice(1)}Z`;
  }).join("");
}

/** The next round number above, so that the scale does not wobble with each look. */
function ceiling(value, format) {
  if (value <= 0) return format.least ?? 1;
  const base = format.base ?? 10;
  const unit = base ** Math.floor(Math.log(value) / Math.log(base));
  const steps = base === 10 ? [1, 2, 5, 10] : [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
  return Math.max((steps.find((step) => step * unit >= value * 1.02) ?? base * 2) * unit, format.least ?? 0);
}

function nearest(looks, x, pointed) {
  let best = looks.length - 1;
  looks.forEach(({ at }, n) => {
    if (Math.abs(x(at) - pointed) < Math.abs(x(looks[best].at) - pointed)) best = n;
  });
  return best;
}
