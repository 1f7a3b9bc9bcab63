// The drawings beside the names of the pages.

import { svg } from "./dom.js";

const PATHS = {
  overview: "M2 13h12M3.5 10.5l3-4 2.5 2.5 3.5-5.5",
  sessions: "M6 7.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4ZM2 13c.3-2.6 1.8-4 4-4s3.700 1.400 4 4M11 3.200a2 2 0 0 1 0 3.800M12 9.300c1.200.5 1.900 1.700 2 3.700",
  channels: "M3 2.500v11M3 5h4M3 11h4M7 3.500h6v3H7zM7 9.500h6v3H7z",
  live: "M2 8h2.500l2-5 3 10 2-5H14",
  security: "M8 2l5 1.800v4c0 3-2 5.200-5 6.200-3-1-5-3.200-5-6.200v-4zM5.800 8l1.600 1.600 3-3.200",
  try: "M2.500 4 6 8l-3.500 4M8 12.500h6",
  config: "M2 4.500h7M12 4.500h2M2 11.500h2M7 11.500h7M10.500 3v3M5.500 10v3",
};

/** The drawing of a page; says nothing to a screen reader, the name stands beside it. */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 16 16", width: 16, height: 16, class: "icon", "aria-hidden": "true" },
    svg("path", { d: PATHS[name] }));
}
