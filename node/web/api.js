// Calls to this gateway: JSON in, JSON out, every failure an `ApiError` with a sentence for people.

const TIMEOUT_MS = 10_000;
const CHANGE_TIMEOUT_MS = 60_000;

/** A call that failed. `status` is the HTTP status, or 0 when the gateway did not answer. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The sentence in an error body, or one made from the status. */
export function errorText(status, body) {
  try {
    const { error } = JSON.parse(body);
    if (typeof error === "string" && error) return error;
  } catch {
    // Not JSON: a proxy or an older gateway answered. Its text may be a page, so it is not shown.
  }
  return `The gateway answered with status ${status}.`;
}

async function call(path, options = {}, timeoutMs = TIMEOUT_MS) {
  const timeout = AbortSignal.timeout(timeoutMs);
  let response;
  let body;
  try {
    response = await fetch(path, { ...options, signal: timeout, cache: "no-store", credentials: "same-origin" });
    body = await response.text();
  } catch (cause) {
    throw new ApiError(0, timeout.aborted ? `The gateway did not answer within ${timeoutMs / 1000} s.` : "The gateway cannot be reached.", { cause });
  }
  return { response, body };
}

function parsed(response, body) {
  if (!response.ok) throw new ApiError(response.status, errorText(response.status, body));
  try {
    return body ? JSON.parse(body) : null;
  } catch {
    throw new ApiError(response.status, "The gateway sent an answer that is not JSON.");
  }
}

export async function get(path) {
  const { response, body } = await call(path);
  return parsed(response, body);
}

/** A change. The header is what a page of another site cannot send. */
export async function change(method, path) {
  const { response, body } = await call(path, { method, headers: { "X-Stratos": "1" } }, CHANGE_TIMEOUT_MS);
  return parsed(response, body);
}

/** `ok`, `starting` or `stalled`; a gateway that is not well may say so with a 5xx status. */
export async function health() {
  const { response, body } = await call("/health");
  try {
    return JSON.parse(body).status;
  } catch {
    throw new ApiError(response.status, errorText(response.status, body));
  }
}

/** The capability of a file as a path of this origin, or `null`: the page shows no bytes of other origins, whatever host name the gateway wrote into it. */
export function filePath(url) {
  try {
    const { pathname, search } = new URL(url, location.origin);
    return pathname.startsWith("/files/") ? pathname + search : null;
  } catch {
    return null;
  }
}

/** The same capability as an address to hand on. */
export function fileUrl(url) {
  const path = filePath(url);
  return path && new URL(path, location.origin).href;
}

/** Why the bytes of a file cannot be shown. */
export async function fileProblem(path) {
  try {
    const { response, body } = await call(path, { headers: { Range: "bytes=0-0" } });
    return response.ok ? "This browser cannot show this kind of file. Download it and open it with another program." : errorText(response.status, body);
  } catch (error) {
    return error.message;
  }
}
