// A table of requests of a month, with everything that the queries tell apart.

const DEPLOYMENTS = [
  { deployment: "azure-eastus", provider: "azure", upstream_model: "gpt-4o" },
  { deployment: "azure-westeurope", provider: "azure", upstream_model: "gpt-4o" },
  { deployment: "openai", provider: "openai", upstream_model: "gpt-4o-2024-08-06" },
  { deployment: "openai-mini", provider: "openai", upstream_model: "gpt-4o-mini" },
];
const CLIENTS = ["web-app", "batch", "support bot's"];
const FAILURES = ["rate_limit", "unavailable", "timeout", "context_window"];
const HOUR = 3600;

// Random numbers from a seed: the table is always the same.
function generator(seed) {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const below = (most) => Math.floor(next() * most);
  return { next, below, pick: (list) => list[below(list.length)] };
}

/** The requests, each with the second `at` of its end and the `weight` that sampling gives its row. */
export function tableOfRequests(now, count = 600) {
  const { next, below, pick } = generator(20_261_130);
  // Not near the end of a range of time: the engine has a clock of its own.
  const age = () => pick([1, 20, 30, 100, 160, 200, 600, 710, 800]) * HOUR - HOUR / 2 - below(HOUR / 4);
  return Array.from({ length: count }, (_, index) => {
    const request = {
      request_id: `request-${index}`,
      client: pick(CLIENTS),
      operation: "chat_completions",
      kind: next() < 0.5 ? "stream" : "whole",
      routes: "0123456789ab",
      colo: pick(["IAD", "FRA"]),
      country: pick(["US", "DE"]),
      at: now - age(),
      weight: pick([1, 1, 2, 10]),
      own_ms: below(4),
    };
    // A tenth is refused before any deployment is tried.
    if (next() < 0.1) {
      const [status, outcome] = pick([[401, "invalid_api_key"], [404, "model_not_found"], [503, "routes_unavailable"]]);
      return { ...request, status, outcome, client: outcome === "invalid_api_key" ? "" : request.client };
    }
    const attempts = pick([1, 1, 1, 1, 2, 3]);
    const first_failure = attempts > 1 || next() < 0.1 ? pick(FAILURES) : "";
    const isServed = attempts > 1 ? next() < 0.8 : first_failure === "";
    const outcome = isServed ? (next() < 0.05 ? "client_left" : "ok") : first_failure;
    const upstream_ms = 50 + below(20_000);
    const input_tokens = isServed ? below(5000) : 0;
    return {
      ...request,
      ...pick(DEPLOYMENTS),
      model: pick(["chat", "mini"]),
      attempts,
      first_failure,
      outcome,
      status: isServed ? 200 : pick([429, 503, 504]),
      fallback: isServed && attempts > 1 && next() < 0.7 ? 1 : 0,
      trail: attempts > 1 ? `azure-eastus:${first_failure}:429:12ms>openai:200:80ms` : "openai:200:80ms",
      ejected: first_failure && next() < 0.2 ? pick(["azure-eastus", "azure-eastus,openai"]) : "",
      ai_gateway_log_id: next() < 0.3 ? `01J${index}` : "",
      upstream_ms,
      duration_ms: upstream_ms + request.own_ms,
      first_token_ms: isServed && request.kind === "stream" ? 20 + below(3000) : 0,
      backoff_ms: attempts > 1 ? below(500) : 0,
      input_tokens,
      cached_input_tokens: next() < 0.5 ? below(input_tokens) : 0,
      output_tokens: isServed ? below(800) : 0,
      micro_dollars: isServed ? below(100_000) : 0,
      estimated: next() < 0.2 ? 1 : 0,
    };
  }).map((request, index) => ({ ...EMPTY, ...request, at: request.at - index }));
}

/** What a request has that reached no deployment. */
export const EMPTY = {
  model: "",
  deployment: "",
  provider: "",
  upstream_model: "",
  first_failure: "",
  ejected: "",
  trail: "",
  ai_gateway_log_id: "",
  attempts: 0,
  fallback: 0,
  duration_ms: 0,
  first_token_ms: 0,
  upstream_ms: 0,
  backoff_ms: 0,
  input_tokens: 0,
  cached_input_tokens: 0,
  output_tokens: 0,
  micro_dollars: 0,
  estimated: 0,
};
