import assert from "node:assert/strict";
import { test } from "node:test";
import { medianInterval, turnsOf } from "../../bench/statistics.mjs";

const upTo = (n) => Array.from({ length: n }, (_, index) => index + 1);

test("the interval of a median has the ranks that tables of the sign test give", () => {
  const ranks = { 6: [1, 6], 8: [1, 8], 9: [2, 8], 12: [3, 10], 20: [6, 15], 30: [10, 21], 100: [40, 61] };
  for (const [n, expected] of Object.entries(ranks)) assert.deepEqual(medianInterval(upTo(Number(n))), expected, `${n}`);
});

test("few values have their least and their greatest as the interval", () => {
  assert.deepEqual(medianInterval([7]), [7, 7]);
  assert.deepEqual(medianInterval([3, 1, 2]), [1, 3]);
});

test("less confidence makes a narrower interval", () => {
  assert.deepEqual(medianInterval(upTo(30), 0.5), [13, 18]);
});

test("an interval holds the median as often as it says", () => {
  const random = generator(1);
  let held = 0;
  for (let run = 0; run < 2_000; run += 1) {
    const [low, high] = medianInterval(upTo(25).map(() => Math.exp(random() * 3)));
    if (low <= Math.exp(1.5) && Math.exp(1.5) <= high) held += 1;
  }
  assert.ok(held / 2_000 > 0.94 && held / 2_000 < 0.98, `${held} of 2000`);
});

test("each order of three candidates comes once in six rounds, and the second round is the first one backwards", () => {
  const orders = upTo(6).map((round) => turnsOf(["a", "b", "c"], round - 1).join(""));
  assert.deepEqual(orders.slice(0, 2), ["abc", "cba"]);
  assert.equal(new Set(orders).size, 6);
});

/** Numbers from 0 to 1, the same in each run. */
function generator(seed) {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}
