// What is left of limits and budgets: which are nearly used up, and what they are called.
//
// Pure: `now` is an argument. Amounts of money are integers of micro-dollars.

import { count, dollars } from "../format.ts";

/** An entry of `GET /admin/api/usage`. */
export interface LimitUsage {
  client: string | null;
  meter: string;
  unit: "requests" | "tokens" | "micro_usd" | "concurrent";
  amount: number;
  per: "minute" | "hour" | "day" | "month" | null;
  spent: number;
  leased: number;
  free: number;
  resets_in_ms: number | null;
}

/**
 * `over`: all is spent. `near`: at least four fifths are. `held`: almost all that is not
 * spent is held by isolates, so others get no more of it.
 */
export type Level = "over" | "near" | "held" | "fine";

const LEVELS: Level[] = ["over", "near", "held", "fine"];

const NEAR = 0.8;
/** Less than this part is too little for another lease. */
const NOTHING = 0.01;
const DAY_MS = 86_400_000;

/** The part of the limit that is spent. Reserved and unused parts do not count. */
export function spentShare({ amount, spent }: LimitUsage): number {
  return amount > 0 ? spent / amount : 1;
}

export function levelOf(limit: LimitUsage): Level {
  const share = spentShare(limit);
  if (share >= 1) return "over";
  if (share >= NEAR) return "near";
  return limit.free <= limit.amount * NOTHING ? "held" : "fine";
}

/** A budget ends what a client may do for days. Other limits give back within the hour. */
export function isBudget({ per }: LimitUsage): boolean {
  return per === "day" || per === "month";
}

/** The most urgent first: by level, then budgets, then by the share that is spent. */
export function byUrgency(limits: LimitUsage[]): LimitUsage[] {
  const rank = (limit: LimitUsage) => LEVELS.indexOf(levelOf(limit));
  return [...limits].sort(
    (a, b) =>
      rank(a) - rank(b) ||
      Number(isBudget(b)) - Number(isBudget(a)) ||
      spentShare(b) - spentShare(a) ||
      `${a.client} ${a.meter}`.localeCompare(`${b.client} ${b.meter}`, "en"),
  );
}

export function amountText(unit: LimitUsage["unit"], amount: number): string {
  return unit === "micro_usd" ? dollars(amount) : count(amount);
}

const UNITS = { requests: "requests", tokens: "tokens", micro_usd: "US dollars", concurrent: "requests at the same time" };
const KEY = /^(client|key|user|country|colo|header:[^/=]*|metadata:[^/=]*)$/;

export interface LimitName {
  /** `US dollars a month`. */
  what: string;
  /** What it is counted for, and the value. An empty one: requests without a value. */
  by: { key: string; value: string } | undefined;
  /** The models whose requests count; empty: all. */
  models: string;
}

/**
 * The name of a limit, from that of its meter: `usd/month/metadata:team/chat-*=payments`. A limit
 * without `by` has no value.
 */
export function limitName({ meter, unit, per }: LimitUsage): LimitName {
  const what = per === null ? UNITS[unit] : `${UNITS[unit]} ${per === "hour" ? "an" : "a"} ${per}`;
  const cut = meter.indexOf("=");
  const parts = (cut < 0 ? meter : meter.slice(0, cut)).split("/").slice(per === null ? 1 : 2);
  const key = cut >= 0 && KEY.test(parts[0] ?? "") ? parts.shift() : undefined;
  return { what, by: key === undefined ? undefined : { key, value: meter.slice(cut + 1) }, models: parts.join("/") };
}

/** The value that a limit is counted for, in words. */
export function valueText({ key, value }: { key: string; value: string }): string {
  const [kind = "", name] = key.split(":", 2);
  if (value === "") return kind === "key" ? "the client's own key" : `without a ${name ?? kind}`;
  return `${name ?? kind} ${value}`;
}

/**
 * When a budget is used up if it is spent as fast as on average since its period began; `undefined`
 * if the period ends before, or too little of it has passed to say.
 */
export function usedUpAt(limit: LimitUsage, now: number): number | undefined {
  const { per, spent, amount, resets_in_ms } = limit;
  if (resets_in_ms === null || spent <= 0 || spent >= amount || !isBudget(limit)) return undefined;
  const end = now + resets_in_ms;
  const length = per === "day" ? DAY_MS : monthLength(end);
  const passed = length - resets_in_ms;
  if (passed < length / 100) return undefined;
  const at = now + (passed * (amount - spent)) / spent;
  return at < end ? at : undefined;
}

/** The length of the month that ends at this time. */
function monthLength(end: number): number {
  // A day before, whatever the clock of this browser says of the hour.
  const last = new Date(end - DAY_MS);
  return new Date(Date.UTC(last.getUTCFullYear(), last.getUTCMonth() + 1, 0)).getUTCDate() * DAY_MS;
}
