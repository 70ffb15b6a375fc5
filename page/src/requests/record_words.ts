// What happened to a request, in sentences: of the whole, of each attempt, and why the next one
// was made.
//
// Pure. Says only what the record says; what it cannot know is left to the view "Explain".

import { duration } from "../format.ts";
import type { Tone } from "../graph/tone.ts";
import { isFailure, type RecordedAttempt, type RequestRecord, servingAttempt } from "./request_record.ts";

/** What a deployment did in an attempt of this class. The subject is the deployment. */
const DEEDS: Record<string, string> = {
  rate_limit: "had reached its rate limit",
  quota: "had no quota or credit left",
  unavailable: "was not available",
  timeout: "did not answer in time",
  connection: "could not be reached, or the connection broke",
  auth: "refused the credential of the gateway",
  not_found: "does not have this model, or cannot do this",
  context_window: "found the input too long",
  content_policy: "refused the content by its filter",
  bad_request: "found the request wrong",
  truncated: "broke its answer off",
};

/** The classes after which another target is tried only if the routes document says so. */
const FINAL_BY_DEFAULT = new Set(["context_window", "content_policy", "bad_request"]);

export function isErrorClass(name: string): boolean {
  return name in DEEDS;
}

/** Whether the gateway itself has ended the request, perhaps while a deployment was asked. */
function isRefused(record: RequestRecord): boolean {
  return isFailure(record) && record.outcome !== "client_left" && !servingAttempt(record) && (record.attempts.at(-1)?.outcome ?? "abandoned") === "abandoned";
}

/** One line about the request, and how bad it was for the client. */
export function summaryOf(record: RequestRecord): { tone: Tone; text: string } {
  const serving = servingAttempt(record);
  const failed = record.attempts.filter(({ outcome }) => isErrorClass(outcome));
  const names = listed([...new Set(failed.map(({ deployment }) => deployment))]);
  if (record.outcome === "client_left") {
    return { tone: "warn", text: serving ? `The client left while ${serving.deployment} answered` : "The client left before an answer" };
  }
  if (!isFailure(record)) {
    if (!serving) return { tone: "good", text: "Answered" };
    if (failed.length === 0) return { tone: "good", text: `Served by ${serving.deployment}` };
    const again = failed.some(({ deployment }) => deployment === serving.deployment);
    if (!record.fallback && again) return { tone: "warn", text: `Served by ${serving.deployment}, asked again after a failure` };
    return { tone: "warn", text: `Served by ${serving.deployment}, after ${names} failed` };
  }
  if (isRefused(record)) return { tone: "bad", text: `Refused by the gateway: ${record.outcome}` };
  if (serving) return { tone: "bad", text: `The answer of ${serving.deployment} broke off` };
  if (failed.length === 0) return { tone: "bad", text: `Failed: ${record.outcome}` };
  return { tone: "bad", text: `Failed: ${names} did not serve it` };
}

/** What a deployment did in an attempt. The subject is the deployment. */
export function deedOf(attempt: RecordedAttempt, record: RequestRecord): string {
  if (attempt.drill && attempt.outcome !== "ok") return `did not get it: a drill answered instead (${attempt.outcome})`;
  if (attempt.outcome === "ok") return record.outcome === "ok" ? "served the client" : "began to serve the client";
  if (attempt.outcome === "abandoned") {
    if (servingAttempt(record)) return "was not needed: another attempt answered first";
    return isRefused(record) ? "was asked when the gateway itself ended the request" : "was asked when the client left";
  }
  return DEEDS[attempt.outcome] ?? `ended with ${attempt.outcome}`;
}

/** Why the attempt after this one was made; of the last one, why there is none. */
export function reasonForNext(record: RequestRecord, index: number): string {
  const [attempt, next] = [record.attempts[index], record.attempts[index + 1]];
  if (!attempt) return "";
  if (!next) return reasonForEnd(record, attempt);
  if (overlaps(attempt, next) || attempt.outcome === "abandoned") {
    const after = attempt.at_ms !== undefined && next.at_ms !== undefined ? ` after ${duration(next.at_ms - attempt.at_ms)}` : "";
    return `It had not answered${after}, so ${next.deployment} was asked beside it (a hedge).`;
  }
  const wait = waitBetween(record, attempt, next);
  const after = wait > 0 ? ` after a wait of ${duration(wait)}` : "";
  if (next.deployment === attempt.deployment) return `The same deployment was asked again${after} (a retry of ${attempt.outcome}).`;
  if (FINAL_BY_DEFAULT.has(attempt.outcome)) {
    const byDocument = `The request went on to ${next.deployment}${after}, as the routes document says for ${attempt.outcome}`;
    return attempt.outcome === "bad_request" ? `${byDocument}, or because this account does not know the object.` : `${byDocument}.`;
  }
  return `So the request went on to the next target, ${next.deployment}${after}.`;
}

function reasonForEnd(record: RequestRecord, last: RecordedAttempt): string {
  if (!isErrorClass(last.outcome)) return "";
  if (servingAttempt(record)) return "";
  if (record.outcome === "client_left") return "Then the client left.";
  return "No attempt followed: no target was left that may serve it, or the most attempts or the deadline were reached.";
}

/** What the client got, in one sentence. */
export function clientGot(record: RequestRecord): string {
  const serving = servingAttempt(record);
  if (record.outcome === "client_left") return "It left before the end (recorded as 499).";
  if (!isFailure(record)) {
    const form = record.stream ? "the whole stream" : "the whole answer";
    return serving ? `${record.status}, ${form} of ${serving.deployment}.` : `${record.status}, ${form}.`;
  }
  const because = record.reason ? ` (${record.reason})` : "";
  if (serving) {
    const end = record.stream ? "an error in the stream" : "the end of the connection";
    return `${record.status}, and then ${end}: ${record.outcome}${because}.`;
  }
  if (isRefused(record)) return `${record.status} with the error ${record.outcome}.`;
  return `${record.status} with the error of the failures: ${record.outcome}${because}.`;
}

function overlaps(attempt: RecordedAttempt, next: RecordedAttempt): boolean {
  return attempt.at_ms !== undefined && next.at_ms !== undefined && next.at_ms < attempt.at_ms + attempt.ms;
}

/** The wait before a retry. Without any in the record, the time between is the gateway's own. */
function waitBetween({ ms }: RequestRecord, attempt: RecordedAttempt, next: RecordedAttempt): number {
  if (ms.backoff === 0 || attempt.at_ms === undefined || next.at_ms === undefined) return 0;
  return Math.min(ms.backoff, next.at_ms - attempt.at_ms - attempt.ms);
}

function listed(names: string[]): string {
  if (names.length < 3) return names.join(" and ");
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
