// What is said of a deployment: its state in a word, why, and what comes next.
//
// The object of the region knows what all isolates learned, and this isolate what it learned
// itself; the worse of both counts, because both decide about requests.

import type { Tone } from "../graph/tone.ts";

/** As in docs/admin-api.openapi.json. */
export interface Gate {
  state: "closed" | "open" | "probation" | "drained";
  until: number | null;
  why: string | null;
}

interface View {
  gate: Gate;
  missing: [string, Gate][];
  consecutive_failures: number;
  latency_ms: number | null;
  first_token_ms: number | null;
  tokens_per_second: number | null;
  headroom: number | null;
  last_error: { class: string; at: number } | null;
}

export interface HealthEntry {
  deployment: string;
  credential?: { keys: number; in_use: number | null; refused: number[] } | { token_expires_at: number | null; token_problem: string | null };
  fault: { fault: string; share: number; remaining_ms: number; why: string | null } | null;
  isolate: View & { share: number; in_flight: number; leased: boolean; wanted: boolean };
  object: (View & { identity: string; lease: { from: number; until: number; begun: boolean } | null }) | null;
}

export interface Health {
  now: number;
  object: string | null;
  trouble: string | null;
  deployments: HealthEntry[];
}

export interface DeploymentState {
  name: string;
  tone: Tone;
  /** `serving`, `partial`, `probation`, `ejected`, `drained` or `disabled`. */
  state: string;
  /** Why it is not simply serving. */
  why: string | undefined;
  /** When it is probed next, in milliseconds of the gateway's clock. */
  nextProbe: number | undefined;
  /** Whether a probe is under way. */
  isProbing: boolean;
  /** What else somebody who looks should know. */
  notes: string[];
  headroom: number | undefined;
  /** The part of its usual traffic that it gets. */
  usualShare: number;
  latency: number | undefined;
  firstToken: number | undefined;
  tokensPerSecond: number | undefined;
  inFlight: number;
  lastError: { class: string; at: number } | undefined;
  isDrained: boolean;
}

const RANK = { closed: 0, probation: 1, open: 2, drained: 3 };

/** `variable` is the one that is missing, if the deployment is disabled. */
export function deploymentState(entry: HealthEntry, now: number, variable?: string): DeploymentState {
  const { isolate, object, fault } = entry;
  const gates = [object?.gate, isolate.gate].filter((gate) => gate !== undefined);
  const gate = gates.reduce((worst, next) => (RANK[next.state] > RANK[worst.state] ? next : worst));
  const known = object ?? isolate;
  const pick = <Key extends "latency_ms" | "first_token_ms" | "tokens_per_second" | "headroom">(key: Key) =>
    known[key] ?? isolate[key] ?? undefined;
  const notes: string[] = [];
  if (fault) notes.push(`drill: ${fault.fault} for ${fault.share} % of the attempts${fault.why ? ` (${fault.why})` : ""}`);
  const credential = credentialNote(entry.credential);
  if (credential) notes.push(credential);
  for (const [operation, { why }] of known.missing) notes.push(`does not offer ${operation}${why ? `: ${why}` : ""}`);
  if (object && RANK[object.gate.state] !== RANK[isolate.gate.state]) {
    const who = RANK[object.gate.state] > RANK[isolate.gate.state] ? "the object of the region" : "this isolate";
    notes.push(`so says ${who}; the other does not know it yet`);
  }
  return {
    name: entry.deployment,
    ...verdict(entry, gate, now, variable),
    notes,
    headroom: pick("headroom"),
    usualShare: isolate.share,
    latency: pick("latency_ms"),
    firstToken: pick("first_token_ms"),
    tokensPerSecond: pick("tokens_per_second"),
    inFlight: isolate.in_flight,
    lastError: later(isolate.last_error, object?.last_error ?? null),
    isDrained: gates.some(({ state }) => state === "drained"),
  };
}

type Verdict = Pick<DeploymentState, "tone" | "state" | "why" | "nextProbe" | "isProbing">;

function verdict({ isolate, object, credential }: HealthEntry, gate: Gate, now: number, variable?: string): Verdict {
  const says = (tone: Tone, state: string, why: string | undefined, rest: Partial<Verdict> = {}): Verdict =>
    ({ tone, state, why, nextProbe: undefined, isProbing: false, ...rest });
  const part = `it gets ${Math.round(isolate.share * 100)} % of its usual traffic`;
  if (variable !== undefined) return says("off", "disabled", `the variable ${variable} is missing or invalid`);
  switch (gate.state) {
    case "drained":
      return says("off", "drained", gate.why ?? undefined);
    case "open":
      return says("bad", "ejected", gate.why ?? undefined, {
        nextProbe: gate.until ?? now,
        isProbing: isolate.leased || object?.lease?.begun === true,
      });
    case "probation":
      return says("warn", "probation", gate.why ?? part);
    case "closed":
      if ((object ?? isolate).missing.length > 0) return says("warn", "partial", undefined);
      return says(credentialNote(credential) ? "warn" : "good", "serving", isolate.share < 0.995 ? part : undefined);
  }
}

function credentialNote(credential: HealthEntry["credential"]): string | undefined {
  if (!credential) return undefined;
  if ("keys" in credential) {
    if (credential.in_use === null) return `all ${credential.keys} keys are refused`;
    if (credential.refused.length === 0) return undefined;
    return `key ${credential.refused.join(", ")} of ${credential.keys} is refused; key ${credential.in_use} is in use`;
  }
  return credential.token_problem ? `no new token of Entra ID: ${credential.token_problem}` : undefined;
}

function later(one: View["last_error"], other: View["last_error"]) {
  if (one && other) return one.at > other.at ? one : other;
  return one ?? other ?? undefined;
}

const URGENCY: Record<Tone, number> = { bad: 0, warn: 1, off: 2, good: 3 };

/** What needs somebody first, and then by name. */
export function byUrgency(states: DeploymentState[]): DeploymentState[] {
  return [...states].sort((one, other) => URGENCY[one.tone] - URGENCY[other.tone] || (one.name < other.name ? -1 : 1));
}
