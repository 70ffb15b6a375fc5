// What this tab has seen of the traffic: the last fifteen minutes, a point for each reading.
//
// Counters reach the hub in batches, so the difference of two readings is all or nothing. A point
// is the average of half a minute, and the current figures are that of a minute. Nothing is said of
// less than twenty seconds: one batch may hold the requests of so long a time.

import type { Reading } from "./metrics_text.ts";
import { trafficBetween, type Traffic } from "./traffic.ts";

const LEAST_MS = 20_000;
const POINT_MS = 30_000;
const CURRENT_MS = 60_000;
const KEPT_MS = 15 * 60_000;
/** After a longer time without a reading, the line of a chart has a gap. */
const GAP_MS = 30_000;

export interface TrafficPoint {
  at: number;
  /** Undefined in a gap. */
  traffic: Traffic | undefined;
}

export class TrafficHistory {
  #readings: { at: number; reading: Reading }[] = [];
  #points: TrafficPoint[] = [];
  #current: Traffic | undefined;

  /** Adds a reading. `at` is in milliseconds and only grows. */
  add(at: number, reading: Reading) {
    const last = this.#readings.at(-1);
    if (last && at - last.at > GAP_MS) {
      this.#points.push({ at: last.at + 1, traffic: undefined });
      this.#readings = [];
    }
    const since = (ms: number) => this.#readings.findLast((one) => one.at <= at - ms) ?? this.#readings[0];
    const between = (from: { at: number; reading: Reading } | undefined) =>
      from && at - from.at >= LEAST_MS
        ? trafficBetween(from.reading, reading, (at - from.at) / 1000)
        : undefined;
    const point = between(since(POINT_MS));
    if (point) this.#points.push({ at, traffic: point });
    this.#current = between(since(CURRENT_MS));
    this.#readings.push({ at, reading });
    const oldest = this.#readings.findLastIndex((one) => one.at <= at - CURRENT_MS);
    if (oldest > 0) this.#readings.splice(0, oldest);
    const kept = this.#points.findIndex((one) => one.at > at - KEPT_MS);
    if (kept > 0) this.#points.splice(0, kept);
  }

  /**
   * The traffic of the last minute, or of what is known of it; undefined for the first twenty
   * seconds.
   */
  get current(): Traffic | undefined {
    return this.#current;
  }

  get points(): readonly TrafficPoint[] {
    return this.#points;
  }
}
