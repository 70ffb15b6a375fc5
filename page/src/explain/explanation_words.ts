// An explanation in words, the same as those of the command line (`switchyard explain`).

import { compact, digits, dollars, duration, percent } from "../format.ts";
import type { Course, ExplainedCall, Explanation, Facts, Measure, PhaseLimit, PlaceReason, PlannedAttempt } from "./explanation.ts";

/** Why the request enters the graph where it does. */
export function entryWords({ rule, facts }: Explanation, condition: string): string {
  if (rule !== null) return `rules[${rule}] is the first that matches${condition && `: ${condition}`}`;
  if (!facts || facts.model === "") return "made for a stored object";
  return "no rule matches, and it is the node that the model names";
}

export function factWords(facts: Facts): string[] {
  const said = [`about ${compact(facts.input_tokens)} input tokens`];
  if (facts.max_output_tokens !== null) said.push(`at most ${compact(facts.max_output_tokens)} output tokens`);
  said.push(facts.is_streamed ? "a stream" : "in one piece");
  if (facts.needs.length > 0) said.push(`needs ${facts.needs.join(" and ")}`);
  if (!facts.is_replayable) said.push("sent once");
  if (facts.patience_ms !== null) said.push(`its client waits ${duration(facts.patience_ms)}`);
  if (facts.owner !== null) said.push(`its object is at ${facts.owner}`);
  return said;
}

export function cacheWords({ reads, keeps_seconds, bypass }: NonNullable<Explanation["cache"]>): string {
  if (bypass !== null) return `not used: ${bypass.replaceAll("_", " ")}`;
  return `${reads ? "an answer that was kept, or else " : ""}a new answer, which is kept for ${keeps_seconds} s`;
}

export function reasonWords(reason: PlaceReason): string {
  if (reason === "case") return "the case that matches";
  if (reason === "faster_of_two") return "the faster of two that were drawn";
  if (reason === "leased") return "first: this isolate alone may probe it";
  if (reason === "owner") return "first: it has the object";
  if ("behind" in reason) return `moved behind: it should get ${percent(reason.behind)} of its traffic now`;
  return measureWords(reason.by);
}

function measureWords(measure: Measure): string {
  if (measure === "turn") return "in turn";
  if (measure === "chance") return "drawn";
  if ("priority" in measure) return `priority ${measure.priority}`;
  if ("weight" in measure) return `weight ${digits(measure.weight.weight, 6)}, drawn with ${percent(measure.weight.share)}`;
  if ("wait_ms" in measure) return measure.wait_ms === null ? "no latency known" : `expected wait ${duration(measure.wait_ms)}`;
  if ("in_flight" in measure) return `${measure.in_flight ?? 0} in flight`;
  if ("price_micros" in measure) return measure.price_micros === null ? "no price" : `price ${dollars(measure.price_micros, { exact: true })}`;
  return measure.distance_km === null ? "at an unknown place" : `${digits(measure.distance_km, 3)} km away`;
}

export function attemptWords({ by, is_probe, wait_ms }: PlannedAttempt): string {
  const why = {
    order: "its turn",
    edge: "an edge leads there",
    retry: "a retry",
    last_resort: "the last resort: nothing else is left",
  }[by];
  return `${why}${is_probe ? ", as its probe" : ""}${wait_ms > 0 ? `, after a wait of ${duration(wait_ms)}` : ""}`;
}

/** The limits of an attempt that hold. */
export function limitWords({ limits }: PlannedAttempt): string[] {
  const said = (phase: string, { ms, from }: PhaseLimit) => (ms === null ? [] : [`${phase} ${duration(ms)} (${from})`]);
  return [
    ...said("headers", limits.headers),
    ...said("first token", limits.first_token),
    ...said("held pause", limits.held_pause),
    ...said("flow pause", limits.flow_pause),
  ];
}

/** What becomes of the body. */
export function bodyWords({ body }: ExplainedCall): string {
  if (body.length === 0) return "as it comes";
  return body
    .map((change) => {
      if (change.is_dropped) return `drops ${change.field}`;
      return "value" in change ? `sets ${change.field} = ${JSON.stringify(change.value)}` : `sets ${change.field}`;
    })
    .join(", ");
}

export function endWords(end: Course["end"]): string {
  return {
    exhausted: "the client gets one of the failures",
    none_eligible: "the client learns that nothing else may be tried",
    deadline_exceeded: "the time of the request is over",
  }[end];
}
