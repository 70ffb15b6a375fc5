// Faults: what they may say, and which of them meets a call.
//
// A fault is an object whose keys combine (`{crlf: true, split: true}`), or the name of an error (`"rate_limit"`). Counts of
// chunks count server-sent events, the ones without content included. On an answer that is not a stream, `cut_after` and
// `stall_after` send half of the body.

export const ERRORS = [
  "rate_limit", // 429 that time cures
  "quota", // 429 for billing
  "slow_down", // 429 for a ramp that is too steep; on Azure the "high demand" 429
  "overloaded", // 503
  "server_error", // 500
  "bad_gateway", // 502 with an HTML page
  "empty_error", // 500 without a body
  "timeout", // 408
  "content_filter", // 400
  "context_window", // 400
  "invalid_request", // 400
  "unsupported_operation", // 400 on Azure: this deployment cannot do that
  "bad_key", // 401
  "forbidden", // 403 on OpenAI (country), 401 on Azure (role)
  "deployment_not_found", // 404
];

const KEYS = {
  error: "one of the names of errors, in this provider's own words",
  status: "answer with this status (with `body`: a string is sent as it is, anything else as JSON)",
  body: "body for `status`",
  headers: "headers to add to the answer: {\"retry-after\": \"2\"}",
  refuse: "close the listening socket (no `times`, `probability` or `when`)",
  reset: "reset the connection before any header",
  silence: "accept, and never answer",
  slow_headers_ms: "wait before the headers",
  slow_first_token_ms: "headers at once, wait before the first content",
  pause_ms: "wait between chunks",
  cut_after: "destroy the connection after n chunks",
  end_after: "end cleanly after n chunks, without a terminal event",
  stall_after: "fall silent after n chunks, connection open",
  malformed_after: "a chunk of broken JSON after n chunks",
  error_after: "an error event after n chunks, then the end; 0: the first event is an error",
  error_body: "status 200 with an error as JSON body",
  no_done: "leave out `data: [DONE]`",
  crlf: "CRLF line ends in streams",
  comments: "a comment before each chunk of a stream",
  split: "streams in pieces of five bytes, across events and characters",
  redirect: "302 to this URL; true: elsewhere on this upstream",
  cookie: "set a cookie",
};

const SPEC_KEYS = ["fault", "times", "for_ms", "probability", "when"];
const WHEN_KEYS = ["operation", "stream"];

export class Faults {
  #entries = [];
  #random;
  #now;

  constructor({ random, now }) {
    this.#random = random;
    this.#now = now;
  }

  // Adds a fault; later ones are asked first. Returns it as understood.
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

  // The fault that meets a call of this operation, if any; uses up one of its `times`.
  take({ operation, stream }) {
    const now = this.#now();
    this.#entries = this.#entries.filter((entry) => now < entry.until && (entry.times ?? 1) > 0);
    const entry = this.#entries.find(
      ({ fault, when = {}, probability = 1 }) =>
        !fault.refuse &&
        (when.operation === undefined || when.operation === operation) &&
        (when.stream === undefined || when.stream === stream) &&
        this.#random() < probability,
    );
    if (entry?.times !== undefined) entry.times -= 1;
    return entry?.fault ?? {};
  }
}

function parse(spec) {
  known("a fault's specification", spec, SPEC_KEYS);
  const fault = typeof spec.fault === "string" ? { error: spec.fault } : spec.fault;
  known("a fault", fault, Object.keys(KEYS));
  known("when", spec.when ?? {}, WHEN_KEYS);
  if (Object.keys(fault).length === 0) throw new TypeError("a fault cannot be empty");
  if (fault.error !== undefined && !ERRORS.includes(fault.error)) {
    throw new TypeError(`unknown error "${fault.error}"; known: ${ERRORS.join(", ")}`);
  }
  if (fault.refuse && (spec.times ?? spec.probability ?? spec.when) !== undefined) {
    throw new TypeError("a refused connection is no call: `refuse` goes with `for_ms` alone");
  }
  return { fault, times: spec.times, when: spec.when, probability: spec.probability };
}

function known(what, object, keys) {
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
