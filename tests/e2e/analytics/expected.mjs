// What each query must answer, computed without SQL: every request stands in the list as often as
// its row stands for it.

const isError = ({ outcome }) => outcome !== "ok" && outcome !== "client_left";
const total = (requests, value) => requests.reduce((sum, request) => sum + Number(value(request)), 0);
const tokens = (request) => request.input_tokens + request.output_tokens;
const period = (seconds) => ({ at }) => utc(Math.floor(at / seconds) * seconds);

/** A time as ClickHouse and Analytics Engine print it. */
export const utc = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");

// Rounds as ClickHouse does: what lies in the middle goes to the even neighbour.
function rounded(value, digits) {
  const scaled = value * 10 ** digits;
  const below = Math.floor(scaled);
  const isUp = scaled - below > 0.5 || (scaled - below === 0.5 && below % 2 === 1);
  return (isUp ? below + 1 : below) / 10 ** digits;
}

// The value below which, or at which, this part of the values lies.
function quantile(part, requests, name) {
  const values = requests.map((request) => request[name]).sort((one, other) => one - other);
  return values[Math.max(Math.ceil(values.length * part), 1) - 1];
}

// A row for each group of requests. `keys`: by column, the value by which requests are grouped.
function grouped(requests, keys, values) {
  const groups = new Map();
  for (const request of requests) {
    const key = Object.entries(keys).map(([column, of]) => [column, typeof of === "function" ? of(request) : request[of]]);
    const name = JSON.stringify(key);
    if (!groups.has(name)) groups.set(name, { key: Object.fromEntries(key), requests: [] });
    groups.get(name).requests.push(request);
  }
  return [...groups.values()].map((group) => ({ ...group.key, ...values(group.requests) }));
}

// Sorts by columns. A `-` before a column: descending.
function sorted(rows, ...columns) {
  return rows.sort((one, other) => {
    for (const column of columns) {
      const name = column.replace("-", "");
      if (one[name] !== other[name]) return (one[name] < other[name] ? -1 : 1) * (column === name ? 1 : -1);
    }
    return 0;
  });
}

const within = (days) => ({ at }, now) => at > now - days * 86_400;

/** The rows that each query answers, by its name. `table`: rows of requests with `at` and `weight`. */
export function expected(table, now, client) {
  const all = (days, condition = () => true) =>
    table
      .filter((request) => within(days)(request, now) && condition(request))
      .flatMap((request) => Array(request.weight).fill(request));
  const quantiles = (requests, name, parts = [50, 95, 99]) =>
    Object.fromEntries(parts.map((part) => [`p${part}_ms`, quantile(part / 100, requests, name)]));
  return {
    "share-by-deployment": sorted(
      grouped(all(1, ({ deployment }) => deployment), { model: "model", deployment: "deployment" }, (requests) => ({
        requests: requests.length,
        served: requests.filter(({ outcome }) => outcome === "ok").length,
        tokens: total(requests, tokens),
      })),
      "model",
      "-requests",
      "deployment",
    ),
    "latency-by-model": sorted(
      grouped(all(1, ({ outcome }) => outcome === "ok"), { model: "model" }, (requests) => ({
        requests: requests.length,
        ...quantiles(requests, "duration_ms"),
      })),
      "-p95_ms",
      "model",
    ),
    "first-token": sorted(
      grouped(all(1, ({ kind, first_token_ms }) => kind === "stream" && first_token_ms > 0), { model: "model", deployment: "deployment" }, (requests) => ({
        streams: requests.length,
        ...quantiles(requests, "first_token_ms"),
      })),
      "model",
      "-p95_ms",
      "deployment",
    ),
    "fallback-rate": sorted(
      grouped(all(1, ({ attempts }) => attempts > 0), { model: "model" }, (requests) => ({
        requests: requests.length,
        fallbacks: total(requests, ({ fallback }) => fallback),
        rate: rounded(total(requests, ({ fallback }) => fallback) / requests.length, 4),
        failed: requests.filter(isError).length,
        attempts_per_request: rounded(total(requests, ({ attempts }) => attempts) / requests.length, 4),
      })),
      "-rate",
      "model",
    ),
    "errors-by-class": sorted(
      grouped(all(1, ({ first_failure }) => first_failure), { class: "first_failure", model: "model" }, (requests) => ({
        requests: requests.length,
        hidden: requests.filter(({ outcome }) => outcome === "ok").length,
        seen: requests.filter(isError).length,
      })),
      "-requests",
      "class",
      "model",
    ),
    "usage-by-client": sorted(
      grouped(all(90), { day: period(86_400), client: "client" }, (requests) => ({
        requests: requests.length,
        input_tokens: total(requests, ({ input_tokens }) => input_tokens),
        output_tokens: total(requests, ({ output_tokens }) => output_tokens),
        usd: total(requests, ({ micro_dollars }) => micro_dollars) / 1_000_000,
        estimated: total(requests, ({ estimated }) => estimated),
      })),
      "day",
      "-usd",
      "client",
    ),
    "cache-share": sorted(
      grouped(all(7, ({ input_tokens }) => input_tokens > 0), { model: "model", deployment: "deployment" }, (requests) => {
        const input = total(requests, ({ input_tokens }) => input_tokens);
        const cached = total(requests, ({ cached_input_tokens }) => cached_input_tokens);
        return { input_tokens: input, cached_tokens: cached, share: rounded(cached / input, 4) };
      }),
      "share",
      "model",
      "deployment",
    ),
    "slowest-deployments": sorted(
      grouped(
        all(
          1,
          ({ outcome, kind, attempts, output_tokens }) =>
            outcome === "ok" && kind === "whole" && attempts === 1 && output_tokens > 0,
        ),
        { deployment: "deployment", upstream_model: "upstream_model" },
        (requests) => ({
          requests: requests.length,
          ...quantiles(requests, "upstream_ms", [50, 95]),
          ms_per_token: rounded(total(requests, ({ upstream_ms }) => upstream_ms) / total(requests, ({ output_tokens }) => output_tokens), 2),
        }),
      ),
      "-p95_ms",
      "deployment",
      "upstream_model",
    ).slice(0, 20),
    ejections: sorted(
      grouped(all(7, ({ ejected }) => ejected), { hour: period(3600), ejected: "ejected" }, (requests) => {
        const latest = requests.reduce((one, other) => (other.at > one.at ? other : one));
        return {
          ejections: requests.length,
          first_at: utc(Math.min(...requests.map(({ at }) => at))),
          latest_class: latest.first_failure,
        };
      }),
      "hour",
      "-ejections",
      "ejected",
    ),
    "requests-by-hour": sorted(
      grouped(all(1), { hour: period(3600) }, (requests) => ({
        requests: requests.length,
        failed: requests.filter(({ status }) => status >= 500).length,
        refused: requests.filter(({ status }) => status >= 400 && status < 500).length,
        tokens: total(requests, tokens),
      })),
      "hour",
    ),
    "cost-by-deployment": sorted(
      grouped(all(30, ({ deployment }) => deployment), { deployment: "deployment", upstream_model: "upstream_model" }, (requests) => {
        const micro = total(requests, ({ micro_dollars }) => micro_dollars);
        const sum = total(requests, tokens);
        return {
          requests: requests.length,
          usd: micro / 1_000_000,
          usd_per_million_tokens: sum > 0 ? rounded(micro / sum, 4) : 0,
        };
      }),
      "-usd",
      "deployment",
      "upstream_model",
    ),
    "failures-of-a-client": sorted(
      table
        .filter((request) => within(1)(request, now) && request.client === client && isError(request))
        .map((request) => ({
          timestamp: utc(request.at),
          request_id: request.request_id,
          model: request.model,
          status: request.status,
          outcome: request.outcome,
          trail: request.trail,
          ai_gateway_log_id: request.ai_gateway_log_id,
          represents: request.weight,
        })),
      "-timestamp",
      "request_id",
    ).slice(0, 100),
  };
}
