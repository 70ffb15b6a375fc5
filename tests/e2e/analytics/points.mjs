// The columns of a data point, and how a table of requests becomes points.

/** The name of each blob and each double in these tests, in order. docs/telemetry.md says what they are. */
export const BLOBS = [
  "request_id",
  "client",
  "model",
  "deployment",
  "provider",
  "upstream_model",
  "operation",
  "outcome",
  "trail",
  "routes",
  "colo",
  "country",
  "ai_gateway_log_id",
  "first_failure",
  "kind",
  "ejected",
  "drill",
];

export const DOUBLES = [
  "status",
  "attempts",
  "fallback",
  "duration_ms",
  "first_token_ms",
  "upstream_ms",
  "backoff_ms",
  "own_ms",
  "input_tokens",
  "cached_input_tokens",
  "output_tokens",
  "reasoning_tokens",
  "images",
  "audio_seconds",
  "characters",
  "micro_dollars",
  "estimated",
  "schema",
];

/** The point of a request, as the Worker writes it. What the request does not say is empty or 0. */
export function pointOf(request) {
  return {
    indexes: [request.client ?? ""],
    blobs: BLOBS.map((name) => request[name] ?? ""),
    doubles: DOUBLES.map((name) => (name === "schema" ? 1 : (request[name] ?? 0))),
  };
}

/** The request of a point. It is the inverse of `pointOf`. */
export function requestOf({ indexes, blobs, doubles }) {
  const named = (names, values) => names.map((name, index) => [name, values[index]]);
  return { index: indexes[0], ...Object.fromEntries([...named(BLOBS, blobs), ...named(DOUBLES, doubles)]) };
}

/**
 * A row of the table in Analytics Engine. `at` is the number of seconds since 1970, and `weight` the
 * number of points that the row stands for.
 */
export function rowOf({ indexes, blobs, doubles }, at, weight) {
  const columns = (name, values, none) =>
    Array.from({ length: 20 }, (_, index) => [`${name}${index + 1}`, values[index] ?? none]);
  return {
    dataset: "switchyard",
    timestamp: at,
    _sample_interval: weight,
    index1: indexes[0],
    ...Object.fromEntries([...columns("blob", blobs, ""), ...columns("double", doubles, 0)]),
  };
}
