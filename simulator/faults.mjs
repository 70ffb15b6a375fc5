// Faults: their keys, and the choice of the fault that applies to a call.
//
// A fault is an object whose keys can be combined (`{crlf: true, split: true}`), or the name of an
// error (`"rate_limit"`). Numbers of chunks count server-sent events, including events without
// content. For an answer that is not a stream, `cut_after` and `stall_after` send half of the body.

export const ERRORS = [
  "rate_limit", // 429 that ends after a time
  "quota", // 429 for billing
  "too_large", // 429 for a request that needs more than the whole limit
  "no_capacity", // 429 for a tier without resources
  "slow_down", // 429 for traffic that rises too fast; on Azure the "high demand" 429
  "overloaded", // 503
  "server_error", // 500
  "bad_gateway", // 502 with an HTML page
  "empty_error", // 500 without a body
  "timeout", // 408
  "content_filter", // 400
  "context_window", // 400
  "invalid_request", // 400
  "unsupported_operation", // 404 on OpenAI, 400 on Azure: the deployment does not offer the operation
  "bad_key", // 401
  "forbidden", // 403 on OpenAI (country), 401 on Azure (role)
  "deployment_not_found", // 404
];

const KEYS = {
  error: "the error of this name, as this provider sends it",
  status: "answer with this status and `body`",
  body: "body for `status`: a string is sent unchanged, anything else as JSON",
  headers: "headers to add to the answer: {\"retry-after\": \"2\"}",
  refuse: "close the listening socket (not with `times`, `probability` or `when`)",
  reset: "reset the connection before any header",
  silence: "accept the connection and never answer",
  slow_headers_ms: "wait before sending the headers",
  slow_first_token_ms: "send the headers at once, and wait before the first content",
  pause_ms: "wait between chunks",
  cut_after: "destroy the connection after n chunks",
  end_after: "end the response normally after n chunks, without a terminal event",
  stall_after: "stop sending after n chunks, with the connection open",
  stay_open: "keep the connection of a stream open after its last event",
  malformed_after: "send a chunk of invalid JSON after n chunks",
  error_after: "send an error event after n chunks, then end; 0: the first event is the error",
  error_body: "answer with status 200 and an error as JSON body",
  no_done: "omit `data: [DONE]`",
  crlf: "use CRLF line ends in streams",
  comments: "send a comment before each chunk of a stream",
  split: "send streams in pieces of five bytes, which split events and characters",
  redirect: "answer with 302 to this URL; true: to another path of this upstream",
  cookie: "set a cookie",
};

const SPEC_KEYS = ["fault", "times", "for_ms", "probability", "when"];
const WHEN_KEYS = ["operation", "stream", "contains"];

export class Faults {
  #entries = [];
  #random;
  #now;

  constructor({ random, now }) {
    this.#random = random;
    this.#now = now;
  }

  // Adds a fault and returns it in its parsed form. Faults that were added later have precedence.
  add(spec) {
    const entry = parse(spec);
    entry.until = spec.for_ms === undefined ? Infinity : this.#now() + spec.for_ms;
    this.#entries.unshift(entry);
    return entry;
  }

  remove(entry) {
    this.#entries = this.#entries.filter((other) => other !== entry);
  }

  clear() {
    this.#entries = [];
  }

  list() {
    return this.#entries.map(({ fault, times, when, probability }) => ({ fault, times, when, probability }));
  }

  // The fault that applies to a call, {} if none does. Uses up one of its `times`.
  take({ operation, stream, raw = "" }) {
    const now = this.#now();
    this.#entries = this.#entries.filter((entry) => now < entry.until && (entry.times ?? 1) > 0);
    const entry = this.#entries.find(
      ({ fault, when = {}, probability = 1 }) =>
        !fault.refuse &&
        (when.operation === undefined || when.operation === operation) &&
        (when.stream === undefined || when.stream === stream) &&
        (when.contains === undefined || raw.includes(when.contains)) &&
        this.#random() < probability,
    );
    if (entry?.times !== undefined) entry.times -= 1;
    return entry?.fault ?? {};
  }
}

function parse(spec) {
  checkKeys("a fault's specification", spec, SPEC_KEYS);
  const fault = typeof spec.fault === "string" ? { error: spec.fault } : spec.fault;
  checkKeys("a fault", fault, Object.keys(KEYS));
  checkKeys("when", spec.when ?? {}, WHEN_KEYS);
  if (Object.keys(fault).length === 0) throw new TypeError("a fault cannot be empty");
  if (fault.error !== undefined && !ERRORS.includes(fault.error)) {
    throw new TypeError(`unknown error "${fault.error}"; known: ${ERRORS.join(", ")}`);
  }
  if (fault.refuse && (spec.times ?? spec.probability ?? spec.when) !== undefined) {
    throw new TypeError("`refuse` cannot be combined with `times`, `probability` or `when`: a refused connection is no call");
  }
  return { fault, times: spec.times, when: spec.when, probability: spec.probability };
}

function checkKeys(what, object, keys) {
  if (typeof object !== "object" || object === null) throw new TypeError(`${what} must be an object`);
  for (const key of Object.keys(object)) {
    if (!keys.includes(key)) throw new TypeError(`unknown key "${key}" in ${what}; known: ${keys.join(", ")}`);
  }
}

export function describeFaults() {
  const width = Math.max(...Object.keys(KEYS).map((key) => key.length));
  const lines = Object.entries(KEYS).map(([key, text]) => `  ${key.padEnd(width)}  ${text}`);
  return [...lines, "", `  errors: ${ERRORS.join(", ")}`].join("\n");
}
