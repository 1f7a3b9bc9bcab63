// An application with one of the unmodified clients, driven by the checks through `window`.

import { Application } from "/lib/application.js";
import { FayeApplication } from "/lib/faye_application.js";
import * as nine from "/node_modules/cometd/cometd.js";

/** Starts the application; `client` is `cometd 9`, `cometd 7` or `faye`. */
window.start = (client, options) => {
  if (client === "faye") window.application = new FayeApplication(window.Faye, options);
  else window.application = new Application(client === "cometd 9" ? nine : window.org.cometd, options);
};

window.ready = true;
