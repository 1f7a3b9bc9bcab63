// The admin API of the broker that served this page. The key lives in this tab's session storage and
// leaves it only towards this broker: in the Authorization header, and in the handshake of the page Live;
// see docs/admin-api.md.

const STORE = "bayeuxd.key";

/** An answer that is no success, or no answer. `code` is that of docs/admin-api.md. */
export class Failure extends Error {
  constructor(status, code, message, title) {
    super(message);
    Object.assign(this, { status, code, title });
  }
}

/** Told `signedout` when the broker does not take the key any more. */
export const guard = new EventTarget();

/** Moves a key from the address, `#key=…`, to the storage. */
export function takeKey() {
  const found = /^#key=(.+)$/.exec(location.hash);
  if (!found) return;
  let key = found[1];
  try { key = decodeURIComponent(key); } catch { /* a key with a lone % is taken as it is */ }
  sessionStorage.setItem(STORE, key);
  history.replaceState(null, "", "#/overview");
}

/** Whether there is a key. */
export const hasKey = () => sessionStorage.getItem(STORE) !== null;

/** What shows the key in a Bayeux handshake. */
export const extOfKey = () => ({ authentication: { key: sessionStorage.getItem(STORE) ?? "" } });

/** Keeps a key that somebody typed. */
export const keepKey = (key) => sessionStorage.setItem(STORE, key.trim());

/** Forgets the key. */
export const forgetKey = () => sessionStorage.removeItem(STORE);

/** Asks for `path`, as `sessions?limit=50`; resolves to the answer's JSON. */
export async function get(path, { signal } = {}) {
  return (await request(`admin/v1/${path}`, { signal })).json();
}

/** Posts a `body` to `path`: a value, or JSON as it was written. */
export async function post(path, body) {
  const text = typeof body === "object" ? JSON.stringify(body) : body;
  return (await request(`admin/v1/${path}`, { method: "POST", body: text })).json();
}

/** A path with the parameters that have a value. */
export function withQuery(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return given.length > 0 ? `${path}?${new URLSearchParams(given)}` : path;
}

/** The segments of a channel for a path. */
export const channelPath = (channel) => channel.split("/").map(encodeURIComponent).join("/");

/** Any request to this listener, with the key. Fails unless the answer is a success. */
export async function request(path, options = {}) {
  const key = sessionStorage.getItem(STORE) ?? "";
  let response;
  try {
    const headers = { Authorization: `Bearer ${key}` };
    response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Failure(0, "unreachable",
      "It has stopped, or the way to its admin listener is cut. This page tries again by itself.",
      "The broker does not answer. ");
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => null);
  const { code = "failed", message = `status ${response.status}`, bayeux, problems } = answer?.error ?? {};
  if (response.status === 401) guard.dispatchEvent(new CustomEvent("signedout", { detail: message }));
  throw new Failure(response.status, code, [message, bayeux, ...(problems ?? [])].filter(Boolean).join("; "));
}
