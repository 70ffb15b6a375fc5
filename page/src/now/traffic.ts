// What went on between two readings of the counters.

import { increases, type Reading, type Sample } from "./metrics_text.ts";
import { addBucket, percentile, type Buckets } from "./percentile.ts";

export interface DeploymentTraffic {
  /** Attempts, whatever came of them. */
  attempts: number;
  /** Its part of the attempts at all deployments, from 0 to 1. */
  share: number;
  /** The attempts that failed, by their class. */
  failures: Map<string, number>;
  failed: number;
  /** Of an attempt until its commit point or failure, in milliseconds. */
  p50: number | undefined;
  p95: number | undefined;
  firstToken: number | undefined;
  /** Micro-dollars. */
  cost: number;
}

/** Counts are of the whole time between the readings. */
export interface Traffic {
  seconds: number;
  requests: number;
  failed: number;
  fallbacks: number;
  /** Until the end of the answer, in milliseconds. */
  p50: number | undefined;
  p95: number | undefined;
  /** Micro-dollars. */
  cost: number;
  /** Requests that did not succeed, by outcome, most first. */
  outcomes: { outcome: string; requests: number }[];
  deployments: Map<string, DeploymentTraffic>;
  /** How many requests each model served by which deployment: an estimate from what they used. */
  served: { model: string; deployment: string; requests: number }[];
}

/** No fault of the gateway or of an upstream: the client did not wait. */
const LEFT = "client_left";
/** Outcomes of attempts that say nothing against the deployment. */
const NO_FAILURE = new Set(["ok", "abandoned", "drill"]);
/** How much was used. The first family that a model has decides: units cannot be added. */
const USED = ["switchyard_tokens_total", "switchyard_images_total", "switchyard_characters_total", "switchyard_audio_seconds_total"];

export function trafficBetween(before: Reading, after: Reading, seconds: number): Traffic {
  const byName = new Map<string, Sample[]>();
  for (const sample of increases(before, after)) byName.set(sample.name, [...(byName.get(sample.name) ?? []), sample]);
  const of = (name: string) => byName.get(name) ?? [];
  const sum = (samples: Sample[]) => samples.reduce((total, { value }) => total + value, 0);

  const byModel = new Map<string, number>();
  const byOutcome = new Map<string, number>();
  for (const { labels, value } of of("switchyard_requests_total")) {
    add(byModel, labels["model"] ?? "", value);
    if (labels["outcome"] !== "ok") add(byOutcome, labels["outcome"] ?? "", value);
  }
  const durations: Buckets = new Map();
  for (const { labels, value } of of("switchyard_request_duration_seconds_bucket")) addBucket(durations, labels["le"], value);
  const micros = (samples: Sample[]) => samples.reduce((total, { value }) => total + Math.round(value * 1e6), 0);
  return {
    seconds,
    requests: sum(of("switchyard_requests_total")),
    failed: [...byOutcome].reduce((total, [outcome, count]) => (outcome === LEFT ? total : total + count), 0),
    fallbacks: sum(of("switchyard_fallbacks_total")),
    p50: inMs(percentile(durations, 0.5)),
    p95: inMs(percentile(durations, 0.95)),
    cost: micros(of("switchyard_cost_usd_total")),
    outcomes: [...byOutcome]
      .map(([outcome, requests]) => ({ outcome, requests }))
      .sort((one, other) => other.requests - one.requests),
    deployments: deploymentTraffic(of, micros),
    served: served(USED.map(of), byModel),
  };
}

function deploymentTraffic(of: (name: string) => Sample[], micros: (samples: Sample[]) => number) {
  const deployments = new Map<string, DeploymentTraffic>();
  const total = of("switchyard_attempts_total").reduce((all, { value }) => all + value, 0);
  const attempts = grouped(of("switchyard_attempts_total"));
  const times = grouped(of("switchyard_attempt_duration_seconds_bucket"));
  const firstTokens = grouped(of("switchyard_first_token_seconds_bucket"));
  const costs = grouped(of("switchyard_cost_usd_total"));
  for (const [name, samples] of attempts) {
    const failures = new Map<string, number>();
    let count = 0;
    for (const { labels, value } of samples) {
      count += value;
      const outcome = labels["outcome"] ?? "";
      if (!NO_FAILURE.has(outcome)) add(failures, outcome, value);
    }
    const own = bucketsOf(times.get(name) ?? []);
    deployments.set(name, {
      attempts: count,
      share: total > 0 ? count / total : 0,
      failures,
      failed: [...failures.values()].reduce((all, value) => all + value, 0),
      p50: inMs(percentile(own, 0.5)),
      p95: inMs(percentile(own, 0.95)),
      firstToken: inMs(percentile(bucketsOf(firstTokens.get(name) ?? []), 0.5)),
      cost: micros(costs.get(name) ?? []),
    });
  }
  return deployments;
}

/** The requests of each model are divided as what they used is. */
function served(families: Sample[][], byModel: Map<string, number>) {
  const found: Traffic["served"] = [];
  for (const [model, requests] of byModel) {
    const used = new Map<string, number>();
    const own = families.map((family) => family.filter(({ labels }) => labels["model"] === model)).find((family) => family.length > 0);
    for (const { labels, value } of own ?? []) add(used, labels["deployment"] ?? "", value);
    const total = [...used.values()].reduce((all, value) => all + value, 0);
    for (const [deployment, value] of used) found.push({ model, deployment, requests: requests * (value / total) });
  }
  return found;
}

function grouped(samples: Sample[]): Map<string, Sample[]> {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const name = sample.labels["deployment"] ?? "";
    const group = groups.get(name);
    if (group) group.push(sample);
    else groups.set(name, [sample]);
  }
  return groups;
}

function bucketsOf(samples: Sample[]): Buckets {
  const buckets: Buckets = new Map();
  for (const { labels, value } of samples) addBucket(buckets, labels["le"], value);
  return buckets;
}

function add(counts: Map<string, number>, key: string, value: number) {
  counts.set(key, (counts.get(key) ?? 0) + value);
}

const inMs = (seconds: number | undefined) => (seconds === undefined ? undefined : seconds * 1000);
