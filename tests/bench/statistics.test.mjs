import assert from "node:assert/strict";
import { test } from "node:test";
import { medianInterval, turnsOf } from "../../bench/statistics.mjs";

const upTo = (n) => Array.from({ length: n }, (_, index) => index + 1);

test("the interval of a median has the ranks in tables of the sign test", () => {
  const ranks = { 6: [1, 6], 8: [1, 8], 9: [2, 8], 12: [3, 10], 20: [6, 15], 30: [10, 21], 100: [40, 61] };
  for (const [n, expected] of Object.entries(ranks)) assert.deepEqual(medianInterval(upTo(Number(n))), expected, `${n}`);
});

test("the interval of few values is from the smallest to the largest", () => {
  assert.deepEqual(medianInterval([7]), [7, 7]);
  assert.deepEqual(medianInterval([3, 1, 2]), [1, 3]);
});

test("a lower confidence gives a narrower interval", () => {
  assert.deepEqual(medianInterval(upTo(30), 0.5), [13, 18]);
});

test("an interval contains the median with the given confidence", () => {
  const random = generator(1);
  let hits = 0;
  for (let run = 0; run < 2_000; run += 1) {
    const [low, high] = medianInterval(upTo(25).map(() => Math.exp(random() * 3)));
    if (low <= Math.exp(1.5) && Math.exp(1.5) <= high) hits += 1;
  }
  assert.ok(hits / 2_000 > 0.94 && hits / 2_000 < 0.98, `${hits} of 2000`);
});

test("six rounds have each order of three candidates once, and the second reverses the first", () => {
  const orders = upTo(6).map((round) => turnsOf(["a", "b", "c"], round - 1).join(""));
  assert.deepEqual(orders.slice(0, 2), ["abc", "cba"]);
  assert.equal(new Set(orders).size, 6);
});

/** Returns a function that gives numbers from 0 to 1, the same ones in each run. */
function generator(seed) {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}
