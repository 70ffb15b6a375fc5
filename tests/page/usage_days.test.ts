// What was used on each day: which amount is shown, which names have a column, and in which words.

import assert from "node:assert/strict";
import { test } from "node:test";
import { amountInWords, chartInWords, columnsOf, type DayRow, dayInWords, measureOf, periodOf, sumOfDays, type UsageDay } from "../../page/src/usage/usage_days.ts";

const row = (name: string, more: Partial<DayRow> = {}): DayRow => ({ name, requests: 1, input_tokens: 10, output_tokens: 5, micro_usd: 100, ...more });
const day = (day: string, rows: DayRow[], is_over = true): UsageDay => ({ day, is_over, rows });

const DAYS = [
  day("2026-11-30", [row("app", { micro_usd: 30 }), row("batch", { micro_usd: 500 })], false),
  day("2026-11-29", []),
  day("2026-11-28", [row("app", { micro_usd: 700, input_tokens: 100 }), row("web", { micro_usd: 1 })]),
];

test("money is shown, or without prices tokens, or else requests", () => {
  assert.equal(measureOf(DAYS), "cost");
  assert.equal(measureOf([day("2026-11-30", [row("app", { micro_usd: 0 })])]), "tokens");
  assert.equal(measureOf([day("2026-11-30", [row("app", { micro_usd: 0, input_tokens: 0, output_tokens: 0 })])]), "requests");
  assert.equal(measureOf([day("2026-11-30", [])]), undefined);
  assert.equal(measureOf([]), undefined);
});

test("the largest names have the first columns, and each day has an amount in each", () => {
  const columns = columnsOf(DAYS, "cost", 5);
  assert.deepEqual([columns.names, columns.others], [["app", "batch", "web"], 0]);
  assert.deepEqual(columns.days.map(({ cells }) => cells.map(({ amount }) => amount)), [[30, 500, 0], [0, 0, 0], [700, 0, 1]]);
  assert.deepEqual(columns.days.map(({ all }) => [all.amount, all.below]), [[530, 30], [0, 0], [701, 120]]);
  assert.deepEqual(columns.days.map(({ isOver }) => isOver), [false, true, true]);
  const { cells, all } = sumOfDays(columns);
  assert.deepEqual([cells.map(({ amount }) => amount), all], [[730, 500, 1], { amount: 1231, below: 150, requests: 4 }]);
});

test("names beyond the most share a column, and one alone keeps its own", () => {
  const names = ["a", "b", "c", "d"];
  const one = day("2026-11-30", names.map((name, index) => row(name, { micro_usd: 100 - index })));
  assert.deepEqual(columnsOf([one], "cost", 3).names, names, "a column for others would hide one name alone");
  const columns = columnsOf([one], "cost", 2);
  assert.deepEqual([columns.names, columns.others], [["a", "b"], 2]);
  assert.deepEqual(columns.days[0]?.cells.map(({ amount }) => amount), [100, 99, 98 + 97]);
  assert.equal(columns.days[0]?.all.amount, 394);
});

test("by tokens, what stands below are requests", () => {
  const { days } = columnsOf(DAYS, "tokens", 5);
  assert.deepEqual(days[0]?.all, { amount: 30, below: 2, requests: 2 });
  assert.equal(amountInWords("tokens", 12_345), "12.3 k tokens");
  assert.equal(amountInWords("requests", 1), "1 request");
  assert.equal(amountInWords("requests", 1200), "1,200 requests");
  assert.equal(amountInWords("cost", 1_230_000), "$1.23");
});

test("days are read in UTC wherever the browser is", () => {
  assert.equal(dayInWords("2026-11-30"), "Mon 30 Nov");
  assert.equal(dayInWords("2027-01-01"), "Fri 1 Jan");
  assert.equal(dayInWords("2026-09-15"), "Tue 15 Sep");
  assert.equal(dayInWords("soon"), "soon");
});

test("the chart says what it shows to those who do not see it", () => {
  const { days } = columnsOf(DAYS, "cost", 5);
  assert.equal(chartInWords("client", "cost", days), "Cost of each day from Sat 28 Nov to Mon 30 Nov, by client. Highest: $0.0007 on Sat 28 Nov. The table has all amounts.");
  assert.equal(chartInWords("model", "tokens", columnsOf(DAYS.slice(0, 1), "tokens", 5).days), "Tokens on Mon 30 Nov, by model. Highest: 30 tokens on Mon 30 Nov. The table has all amounts.");
  assert.equal(chartInWords("model", "tokens", []), "");
});

test("the number of days of an address is one that can be chosen", () => {
  assert.deepEqual([null, "7", "14", "35", "36", "x"].map(periodOf), [7, 7, 14, 35, 7, 7]);
});
