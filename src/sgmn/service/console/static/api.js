// Requests to the API of the service. The login's cookie goes with them by itself.

/** A request that the service has refused; `message` is for people. */
export class ApiError extends Error {
  constructor(status, problem, etag) {
    const errors = (problem.errors ?? []).map((error) => `${error.where} ${error.message}`.trim());
    super([problem.detail ?? `HTTP ${status}`, ...errors].join(" "));
    this.status = status;
    this.problem = problem;
    this.etag = etag;
  }
}

/** The service cannot be reached. */
export class OfflineError extends Error {}

/** Listeners of "logged-out", and of "offline" and "online", which follow from requests. */
export const connection = new EventTarget();
let isOffline = false;

function note(offline) {
  if (offline === isOffline) return;
  isOffline = offline;
  connection.dispatchEvent(new Event(offline ? "offline" : "online"));
}

/**
 * Sends a request and returns {data, etag, headers}; throws ApiError or OfflineError.
 *
 * Options: `body` (an object becomes JSON; a Blob is sent as it is), `type` of a Blob, `ifMatch`,
 * `idempotencyKey`, `query` (null values are left out, lists repeat), `signal`.
 */
export async function request(method, path, options = {}) {
  const { body, ifMatch, idempotencyKey, signal } = options;
  const headers = {};
  if (body instanceof Blob) headers["Content-Type"] = options.type ?? body.type;
  else if (body !== undefined) headers["Content-Type"] = "application/json";
  if (ifMatch) headers["If-Match"] = ifMatch;
  if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
  const content = body === undefined || body instanceof Blob ? body : JSON.stringify(body);
  let response;
  try {
    response = await fetch(withQuery(path, options.query), { method, headers, body: content, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    note(true);
    throw new OfflineError(error.message);
  }
  note(response.status >= 502 && response.status <= 504);
  return read(response);
}

async function read(response) {
  const isJson = /[/+]json/.test(response.headers.get("content-type") ?? "");
  const data = isJson ? await response.json() : null;
  if (response.ok) return { data, etag: response.headers.get("etag"), headers: response.headers };
  if (response.status === 401) connection.dispatchEvent(new Event("logged-out"));
  throw new ApiError(response.status, data ?? {}, response.headers.get("etag"));
}

/** A path with a query; null and undefined are left out, lists repeat their name. */
export function withQuery(path, query = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) if (one !== null && one !== undefined) parameters.append(name, one);
  }
  return parameters.size ? `${path}?${parameters}` : path;
}

/** The document at a path. While the service is away, it is asked again until `signal` aborts. */
export async function get(path, query, { signal, retry = true } = {}) {
  for (let pause = 500; ; pause = Math.min(2 * pause, 5000)) {
    try {
      return (await request("GET", path, { query, signal })).data;
    } catch (error) {
      const isAway = error instanceof OfflineError || [502, 503, 504].includes(error.status);
      if (!retry || !isAway) throw error;
      await sleep(pause, signal);
    }
  }
}

/** Sends a document and returns {data, etag, headers}; a repeated POST is done once. */
export function post(path, body = {}, options = {}) {
  return request("POST", path, { body, idempotencyKey: crypto.randomUUID?.() ?? randomId(), ...options });
}

/** Replaces a resource; `options.ifMatch` protects the changes of others. */
export function put(path, body, options = {}) {
  return request("PUT", path, { body, ...options });
}

/** Deletes a resource. */
export function remove(path, options = {}) {
  return request("DELETE", path, options);
}

/** All items of a list, page by page. */
export async function* list(path, query = {}, options = {}) {
  let cursor = null;
  do {
    const page = await get(path, { limit: 200, ...query, cursor }, options);
    yield* page.items;
    cursor = page.next_cursor;
  } while (cursor);
}

/** A random id of 128 bits; also where `crypto.randomUUID` is not, on http in a network. */
export function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

/** Waits; rejects as soon as `signal` aborts. */
export function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
