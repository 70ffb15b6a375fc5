// Requests, tokens and money by client, model or deployment, added up from the counters of
// `GET /admin/metrics`.
//
// Pure. The counters are totals since the hub began to count. Money is added up in whole
// micro-dollars, so sums are exact.

import type { Reading } from "../now/metrics_text.ts";

export type Grouping = "client" | "model" | "deployment";

export interface Totals {
  requests: number;
  /** Of them, those that a limit of the gateway refused. */
  refused: number;
  input: number;
  cached: number;
  output: number;
  reasoning: number;
  images: number;
  audioSeconds: number;
  characters: number;
  microUsd: number;
}

const NOTHING: Totals = {
  requests: 0, refused: 0, input: 0, cached: 0, output: 0, reasoning: 0, images: 0, audioSeconds: 0, characters: 0, microUsd: 0,
};
const TOKENS: Record<string, keyof Totals> = { input: "input", cached_input: "cached", output: "output", reasoning: "reasoning" };
/** The outcomes of requests that a limit refused (docs/limits.md). */
const REFUSALS = new Set(["rate_limit_exceeded", "insufficient_quota", "limits_unavailable"]);
const COUNTERS: Record<string, keyof Totals> = {
  switchyard_images_total: "images",
  switchyard_audio_seconds_total: "audioSeconds",
  switchyard_characters_total: "characters",
};

/** The totals for each client, model or deployment, by its name. */
export type TotalsByName = Map<string, Totals>;

export function totalsOf(reading: Reading, by: Grouping): TotalsByName {
  const totals: TotalsByName = new Map();
  for (const { name, labels, value } of reading.values()) {
    const cell = cellOf(name, labels, by);
    const group = labels[by];
    if (!cell || group === undefined) continue;
    const row = totals.get(group) ?? { ...NOTHING };
    if (cell === "requests" && REFUSALS.has(labels["outcome"] ?? "")) row.refused += value;
    row[cell] += cell === "microUsd" ? Math.round(value * 1e6) : value;
    totals.set(group, row);
  }
  return totals;
}

/** Requests have no deployment: there, those that it served are its attempts with `ok`. */
function cellOf(name: string, labels: Record<string, string>, by: Grouping): keyof Totals | undefined {
  switch (name) {
    case "switchyard_requests_total": return by === "deployment" ? undefined : "requests";
    case "switchyard_attempts_total": return by === "deployment" && labels["outcome"] === "ok" ? "requests" : undefined;
    case "switchyard_tokens_total": return TOKENS[labels["type"] ?? ""];
    case "switchyard_cost_usd_total": return "microUsd";
    default: return COUNTERS[name];
  }
}

export function sumOf(rows: Iterable<Totals>): Totals {
  const sum = { ...NOTHING };
  for (const row of rows) for (const cell of Object.keys(sum) as (keyof Totals)[]) sum[cell] += row[cell];
  return sum;
}

/**
 * What was added since an earlier reading; `undefined` if a counter is smaller than it was, because
 * the hub has begun again.
 */
export function growth(earlier: TotalsByName, later: TotalsByName): TotalsByName | undefined {
  const grown: TotalsByName = new Map();
  for (const [name, old] of earlier) {
    const now = later.get(name);
    if (!now || Object.entries(old).some(([cell, value]) => now[cell as keyof Totals] < value)) return undefined;
  }
  for (const [name, now] of later) {
    const old = earlier.get(name) ?? NOTHING;
    const row = { ...NOTHING };
    for (const cell of Object.keys(row) as (keyof Totals)[]) row[cell] = now[cell] - old[cell];
    grown.set(name, row);
  }
  return grown;
}

/** The most expensive first; without prices, those with the most tokens. */
export function ranked(totals: TotalsByName): [string, Totals][] {
  const tokens = (row: Totals) => row.input + row.output;
  return [...totals].sort(
    ([a, x], [b, y]) => y.microUsd - x.microUsd || tokens(y) - tokens(x) || y.requests - x.requests || a.localeCompare(b, "en"),
  );
}
