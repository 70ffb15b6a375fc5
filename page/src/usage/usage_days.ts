// What was used on each day, arranged for a chart and a table: by which amount, and for which names.
//
// Pure. Days come from the gateway, the latest first, and are those of UTC.

import { compact, count, dollars } from "../format.ts";

export interface DayRow {
  /** The client, model or deployment; empty: none is known. */
  name: string;
  requests: number;
  input_tokens: number;
  output_tokens: number;
  micro_usd: number;
}

export interface UsageDay {
  /** `2026-11-30` */
  day: string;
  is_over: boolean;
  rows: DayRow[];
}

/** The answer of `GET /admin/api/usage/days`. */
export interface UsageDays {
  days: UsageDay[];
}

/** What a chart shows: money, or without prices tokens, or else requests. */
export type Measure = "cost" | "tokens" | "requests";

/** How many days may be chosen. */
export const PERIODS = [7, 14, 35] as const;
export type Period = (typeof PERIODS)[number];

/** The period in an address; an unknown one is the shortest. */
export const periodOf = (text: string | null): Period => PERIODS.find((period) => String(period) === text) ?? PERIODS[0];

const AMOUNTS: Record<Measure, (row: DayRow) => number> = {
  cost: (row) => row.micro_usd,
  tokens: (row) => row.input_tokens + row.output_tokens,
  requests: (row) => row.requests,
};

export function measureOf(days: UsageDay[]): Measure | undefined {
  const measures: Measure[] = ["cost", "tokens", "requests"];
  return measures.find((measure) => days.some(({ rows }) => rows.some((row) => AMOUNTS[measure](row) > 0)));
}

/** An amount as text: exact enough to compare days. */
export function amountOf(measure: Measure, amount: number): string {
  switch (measure) {
    case "cost": return dollars(amount);
    case "tokens": return compact(amount);
    case "requests": return count(amount);
  }
}

/** An amount with what it is: `12.3 k tokens`. */
export function amountInWords(measure: Measure, amount: number): string {
  if (measure === "cost") return dollars(amount);
  const unit = measure === "tokens" ? "tokens" : amount === 1 ? "request" : "requests";
  return `${amountOf(measure, amount)} ${unit}`;
}

/** What stands below the amounts of a measure: what they were spent for. */
export const belowOf = (measure: Measure): Measure => (measure === "cost" ? "tokens" : "requests");

/** An amount, what stands below it, and the requests, which may have neither. */
export interface CellAmounts {
  amount: number;
  below: number;
  requests: number;
}

const nothing = (): CellAmounts => ({ amount: 0, below: 0, requests: 0 });

/** A day with one amount for each column, and their sum. */
export interface DayAmounts {
  day: string;
  isOver: boolean;
  /** In the order of the columns. */
  cells: CellAmounts[];
  all: CellAmounts;
}

export interface Columns {
  /** The names, those with the largest amounts first. */
  names: string[];
  /** How many more share the last column; 0: there is no such column. */
  others: number;
  /** In the order of `days`. */
  days: DayAmounts[];
}

/** The amounts of each name. At most `most` names have a column of their own. */
export function columnsOf(days: UsageDay[], measure: Measure, most: number): Columns {
  const [amountIn, belowIn] = [AMOUNTS[measure], AMOUNTS[belowOf(measure)]];
  const amounts = (row: DayRow): CellAmounts => ({ amount: amountIn(row), below: belowIn(row), requests: row.requests });
  const sums = new Map<string, CellAmounts>();
  for (const { rows } of days) for (const row of rows) add(entry(sums, row.name), amounts(row));
  const ranked = [...sums].sort(([a, x], [b, y]) => y.amount - x.amount || y.below - x.below || a.localeCompare(b, "en")).map(([name]) => name);
  // A last column for one name alone would hide it for nothing.
  const names = ranked.length <= most + 1 ? ranked : ranked.slice(0, most);
  const others = ranked.length - names.length;
  const at = new Map(names.map((name, index) => [name, index]));
  return {
    names,
    others,
    days: days.map(({ day, is_over, rows }) => {
      const cells = Array.from({ length: names.length + (others > 0 ? 1 : 0) }, nothing);
      const all = nothing();
      for (const row of rows) {
        add(cells[at.get(row.name) ?? names.length]!, amounts(row));
        add(all, amounts(row));
      }
      return { day, isOver: is_over, cells, all };
    }),
  };
}

/** The sum of each column over all days, as a row. */
export function sumOfDays({ days }: Columns): DayAmounts {
  const first = days[0];
  const sum: DayAmounts = { day: "", isOver: true, cells: (first?.cells ?? []).map(nothing), all: nothing() };
  for (const { cells, all } of days) {
    cells.forEach((cell, index) => add(sum.cells[index]!, cell));
    add(sum.all, all);
  }
  return sum;
}

/** A day as people read it: `Mon 30 Nov`. */
export function dayInWords(day: string): string {
  const date = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(date.getTime())) return day;
  // The British "Sept" has four letters.
  const part = (options: Intl.DateTimeFormatOptions) => date.toLocaleDateString("en-US", { ...options, timeZone: "UTC" });
  return `${part({ weekday: "short" })} ${part({ day: "numeric" })} ${part({ month: "short" })}`;
}

/** What the chart shows, for those who do not see it. */
export function chartInWords(by: string, measure: Measure, days: DayAmounts[]): string {
  const [latest, first] = [days[0], days.at(-1)];
  if (!latest || !first) return "";
  const highest = days.reduce((most, day) => (day.all.amount > most.all.amount ? day : most));
  const what = { cost: "Cost", tokens: "Tokens", requests: "Requests" }[measure];
  const span = days.length === 1 ? `on ${dayInWords(latest.day)}` : `of each day from ${dayInWords(first.day)} to ${dayInWords(latest.day)}`;
  return `${what} ${span}, by ${by}. Highest: ${amountInWords(measure, highest.all.amount)} on ${dayInWords(highest.day)}. The table has all amounts.`;
}

function entry(sums: Map<string, CellAmounts>, name: string): CellAmounts {
  const found = sums.get(name) ?? nothing();
  sums.set(name, found);
  return found;
}

function add(sum: CellAmounts, { amount, below, requests }: CellAmounts) {
  sum.amount += amount;
  sum.below += below;
  sum.requests += requests;
}
