// Compares rows.

import assert from "node:assert/strict";

/** Asserts that both lists have the same rows in the same order. Sums of fractions may differ at their end. */
export function assertSame(found, wanted, name) {
  const close = (one, other) => Math.abs(one - other) <= 1e-9 * Math.max(Math.abs(one), Math.abs(other));
  assert.equal(found.length, wanted.length, `${name}: ${JSON.stringify(found)}`);
  for (const [index, row] of wanted.entries()) {
    assert.deepEqual(Object.keys(found[index]), Object.keys(row), name);
    for (const [column, value] of Object.entries(row)) {
      const there = found[index][column];
      const same = typeof value === "number" ? close(there, value) : there === value;
      assert.ok(same, `${name}, row ${index}, ${column}: ${there}, not ${value}`);
    }
  }
}
