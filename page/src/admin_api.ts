// Calls of the admin API (docs/admin-api.openapi.json) with the token of whoever looks.
//
// The token stays in the session storage of this tab: it is gone when the tab is closed, and is
// never in an address. Behind Cloudflare Access no token is needed.

const TOKEN = "switchyard.token";

export const token = {
  get: () => sessionStorage.getItem(TOKEN) ?? "",
  set: (value: string) => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.removeItem(TOKEN),
};

/** Whoever looks has to sign in again: the event of `window` that says so. */
export const SIGNED_OUT = "switchyard:signed-out";

/** An answer of the admin API that is not a success, or none at all (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** The whole body; for a refused document it has `issues`. */
    readonly body?: unknown,
  ) {
    super(message);
  }

  /** Whether whoever looks has to sign in. */
  get isUnauthorized() {
    return this.status === 401;
  }
}

/** A call without an answer ends after this time, in milliseconds. */
const ANSWER_MS = 20_000;

const isAway = () =>
  new ApiError(0, "unreachable", "The gateway does not answer. Is it running, and is this machine connected?");

interface CallOptions {
  method?: string;
  /** Sent as JSON, if it is not a text already. */
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Calls the admin API. Throws an `ApiError` if the answer is not a success. */
export async function call(path: string, { method = "GET", body, headers = {}, signal }: CallOptions = {}) {
  const sent: Record<string, string> = { ...headers };
  if (token.get()) sent["authorization"] = `Bearer ${token.get()}`;
  if (body !== undefined) sent["content-type"] ??= "application/json";
  const init: RequestInit = { method, headers: sent, cache: "no-store", redirect: "manual" };
  if (body !== undefined) init.body = typeof body === "string" ? body : JSON.stringify(body);
  const limit = AbortSignal.timeout(ANSWER_MS);
  init.signal = signal ? AbortSignal.any([signal, limit]) : limit;
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw isAway();
  }
  if (response.ok) return response;
  // The admin API never redirects: this is Cloudflare Access, which sends to its form.
  if (response.type === "opaqueredirect") {
    throw new ApiError(0, "access_ended", "The session of Cloudflare Access has ended. Reload this page to sign in again.");
  }
  if (response.status === 401) window.dispatchEvent(new Event(SIGNED_OUT));
  const text = await response.text().catch(() => "");
  const parsed = parse(text);
  const reported = (parsed as { error?: { code?: string; message?: string } } | undefined)?.error;
  throw new ApiError(
    response.status,
    reported?.code ?? "",
    reported?.message ?? `The gateway answered ${response.status}.`,
    parsed,
  );
}

/** Calls the admin API, and reads its answer as JSON. */
export async function callJson<T>(path: string, options?: CallOptions): Promise<T> {
  const response = await call(path, options);
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (options?.signal?.aborted) throw error;
    throw isAway();
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
