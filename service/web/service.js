/** Talks with the service. The API key stays in this tab: never in the address, never on the disk. */

const KEY = "heed-api-key";

export const apiKey = {
  get value() {
    return sessionStorage.getItem(KEY) ?? "";
  },
  set value(text) {
    if (text) sessionStorage.setItem(KEY, text);
    else sessionStorage.removeItem(KEY);
  },
};

const MAY_PASS = [404, 408, 429]; // a model may be loaded again

/** Why there is no answer, in the service's own words. `status` is 0 where it said nothing; `mayPass`: whether the same
 * may be answered later. */
export class Problem extends Error {
  constructor(status, title, detail, mayPass = status >= 500 || MAY_PASS.includes(status)) {
    super(detail);
    this.status = status;
    this.title = title;
    this.mayPass = mayPass;
  }
}

/** GET, or POST where there is a body: the answer's JSON as `document`, and its Server-Timing, milliseconds by name, as
 * `timing`. Rejects with a Problem, or with an AbortError where `signal` ends it. */
export async function ask(path, { body, type, accept = "application/json", signal } = {}) {
  const headers = { Accept: accept };
  if (type) headers["Content-Type"] = type;
  if (apiKey.value) headers.Authorization = `Bearer ${sendable(apiKey.value)}`;
  const method = body === undefined ? "GET" : "POST";
  const response = await heard(path, signal, () => fetch(path, { method, headers, body, signal, cache: "no-store" }));
  if (!response.ok) throw await problemOf(response);
  return { document: await heard(path, signal, () => response.json()), timing: serverTiming(response) };
}

/** What comes over the wire, or a Problem. */
async function heard(path, signal, come) {
  try {
    return await come();
  } catch (error) {
    if (signal?.aborted) throw error;
    const { origin } = new URL(path, document.baseURI);
    throw new Problem(0, "No answer.", `The service cannot be reached at ${origin}, or the connection broke off.`, true);
  }
}

/** A header takes no other letters, and a browser says no more than that it failed. */
function sendable(key) {
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  throw new Problem(401, "This key cannot be sent", "A key has letters, digits and signs of ASCII, and no spaces.");
}

async function problemOf(response) {
  // What a proxy says in the service's place is no JSON.
  const said = await response.json().catch(() => ({}));
  return new Problem(response.status, said.title ?? response.statusText, said.detail ?? "No reason was given.");
}

function serverTiming(response) {
  const parts = (response.headers.get("Server-Timing") ?? "").split(",");
  return Object.fromEntries(
    parts.map((part) => part.trim().match(/^([\w-]+);dur=([\d.]+)/)).filter(Boolean).map(([, name, ms]) => [name, Number(ms)]),
  );
}
