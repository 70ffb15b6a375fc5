// How the page writes numbers, money and times.

import assert from "node:assert/strict";
import { test } from "node:test";
import { compact, count, digits, dollars, duration, percent, relative, utc } from "../../page/src/format.ts";

test("money is exact to the micro-dollar and never shows the dirt of floating point", () => {
  assert.equal(dollars(1_234_567, { exact: true }), "$1.234567");
  assert.equal(dollars(500_000_000, { exact: true }), "$500.00");
  assert.equal(dollars(100_000 + 200_000, { exact: true }), "$0.30");
  assert.equal(dollars(9_007_199_254_740_993n, { exact: true }), "$9,007,199,254.740993");
});

test("rounded money keeps small amounts visible", () => {
  assert.equal(dollars(0), "$0");
  assert.equal(dollars(945), "$0.00095");
  assert.equal(dollars(3), "$0.000003");
  assert.equal(dollars(9_999), "$0.01");
  assert.equal(dollars(1_005_000), "$1.01");
  assert.equal(dollars(-1_500_000), "-$1.50");
  assert.equal(dollars(1_234_567_890_000), "$1,234,567.89");
});

test("durations have the unit that people would say", () => {
  const cases: [number, string][] = [
    [0.42, "0.42 ms"], [9.96, "10 ms"], [850, "850 ms"], [999.4, "999 ms"], [999.6, "1 s"], [1234, "1.23 s"],
    [59_940, "59.9 s"], [59_960, "1 min"], [95_000, "1 min 35 s"], [3_600_000, "1 h"], [90_000_000, "1 d 1 h"],
    [Number.NaN, "–"],
  ];
  for (const [ms, text] of cases) assert.equal(duration(ms), text, `${ms} ms`);
});

test("times are relative to now", () => {
  assert.equal(relative(1_000_400, 1_000_000), "now");
  assert.equal(relative(1_012_300, 1_000_000), "in 12 s");
  assert.equal(relative(1_000_000, 1_185_000), "3 min 5 s ago");
  assert.equal(utc(1_796_058_387_450), "2026-11-30 17:06:27 UTC");
});

test("counts, shares and short numbers", () => {
  assert.equal(count(1_234_567), "1,234,567");
  assert.equal(compact(950), "950");
  assert.equal(compact(999.7), "1 k");
  assert.equal(compact(12_345), "12.3 k");
  assert.equal(digits(0.00001234, 2), "0.000012");
  assert.equal(percent(0), "0 %");
  assert.equal(percent(0.0004), "< 0.1 %");
  assert.equal(percent(0.9996), "> 99.9 %");
  assert.equal(percent(0.1234), "12 %");
  assert.equal(percent(0.0123), "1.2 %");
  assert.equal(percent(1), "100 %");
});
