// When each attempt of a request began and ended, to be drawn as bars one below the other.
//
// Pure. Every bar lies within the length of the whole.

import type { RequestRecord } from "./request_record.ts";

export interface Bar {
  /** Milliseconds after the arrival of the request. */
  start: number;
  /** Up to the commit point or the failure. */
  ms: number;
  /** Of the attempt that served: from the commit point to the end of the answer. */
  flow: number;
}

export interface Waterfall {
  total: number;
  bars: Bar[];
  /** Whether the record says when each attempt began. Otherwise they stand one after the other. */
  isExact: boolean;
}

export function waterfall(record: RequestRecord): Waterfall {
  const isExact = record.attempts.every(({ at_ms }) => at_ms !== undefined);
  const starts = isExact ? record.attempts.map(({ at_ms }) => at_ms ?? 0) : startsInOrder(record);
  const ends = record.attempts.map(({ ms }, index) => (starts[index] ?? 0) + ms);
  const total = Math.max(record.ms.total, ...ends, 1);
  const bars = record.attempts.map(({ outcome, ms }, index) => {
    const start = starts[index] ?? 0;
    return { start, ms, flow: outcome === "ok" ? Math.max(0, total - start - ms) : 0 };
  });
  return { total, bars, isExact };
}

/** One after the other. Of the waits only the sum is known: each retry gets an equal part. */
function startsInOrder({ attempts, ms }: RequestRecord): number[] {
  const isRetry = attempts.map(({ deployment }, index) => index > 0 && attempts[index - 1]?.deployment === deployment);
  const retries = isRetry.filter(Boolean).length;
  const waiting = isRetry.map((is, index) => (retries > 0 ? is : index > 0));
  const waits = waiting.filter(Boolean).length;
  let at = 0;
  return attempts.map((attempt, index) => {
    if (waiting[index]) at += ms.backoff / waits;
    const start = at;
    at += attempt.ms;
    return start;
  });
}
