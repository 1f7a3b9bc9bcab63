/** Words for people: why a connection broke or the broker refused something. */

const CLOSE_CODES = {
  1000: "the connection was closed",
  1001: "the broker is stopping",
  1006: "the connection broke",
  1008: "the broker ended the connection: this page read too slowly",
  1009: "the message was too large",
  1011: "the broker did not understand this page",
};

/** Reasons that the client itself gives when it closes a WebSocket with 1000. */
const OWN_REASONS = {
  Error: "the broker does not answer",
  "Connect Timeout": "the broker does not answer",
  "Message Timeout": "the broker did not answer in time",
  Abort: "this page closed the connection",
};

const REFUSALS = {
  session_unknown: "the session is over, a new one begins",
  create_denied: "channel not allowed",
  subscribe_denied: "subscription not allowed",
  publish_denied: "message not allowed",
  channel_create_denied: "channel not allowed",
  handshake_denied: "the broker lets nobody in without credentials",
  overloaded: "the broker has no room for more messages",
};

/** Returns words for the `failure` that the CometD client adds to what it could not send. */
export function failureText(failure) {
  const code = failure.websocketCode;
  if (code) return OWN_REASONS[failure.reason] ?? CLOSE_CODES[code] ?? `the connection closed with ${code}`;
  if (failure.httpCode === 403) return "the broker refuses pages of this origin (server.allowed_origins)";
  if (failure.httpCode === 404) return "there is no Bayeux path at this address";
  if (failure.httpCode === 503) return "the broker is full or stopping";
  if (failure.httpCode) return `the broker answered HTTP ${failure.httpCode}`;
  return "the broker does not answer";
}

/** Returns words for a Bayeux error, "403:reason:text_with_underscores"; the code stays visible. */
export function refusalText(error) {
  if (!error) return "refused without a reason";
  const kind = String(error).split(":").at(-1);
  return `${REFUSALS[kind] ?? kind.replaceAll("_", " ")} (${error})`;
}
