// Short chaos with fixed seeds: clients that disturb change nothing for others, in quiet times and
// while upstreams fail. `npm run chaos` does the same for longer.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runQuiet } from "./chaos/quiet.mjs";
import { runChaos } from "./chaos/run.mjs";

const least = (counts) => Math.min(...Object.values(counts));

describe("clients that leave, read slowly, do not wait, ask for too much or use stored objects", () => {
  test("eject nobody, and others are served by the first target", async () => {
    const { served, disturbers, violations } = await runQuiet({ seed: 1, ms: 4000 });
    assert.deepEqual(violations.slice(0, 3), []);
    assert.ok(served > 0 && least(disturbers) > 0, JSON.stringify({ served, disturbers }));
  });

  test("are distinguished from a deployment that fails", async () => {
    const kindsOf = (violations) => [...new Set(violations.map(({ what }) => what))].sort();
    const isEnough = (violations) => kindsOf(violations).length === 3;
    const { violations } = await runQuiet({ seed: 2, ms: 20_000, fault: { error: "overloaded" }, isEnough });
    assert.deepEqual(kindsOf(violations), [
      "a bystander was not served by the first target",
      "a counted failure without a fault",
      "ejected without a fault",
    ]);
  });

  test("cause no ejection and no error while upstreams fail", async () => {
    const { disturbers, violations } = await runChaos({ seed: 3, ms: 5000, isolates: 2 });
    assert.deepEqual(violations.slice(0, 3), []);
    assert.ok(Object.values(disturbers).some((count) => count > 0), JSON.stringify(disturbers));
  });
});
