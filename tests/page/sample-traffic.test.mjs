// The traffic that `npm start` sends with simulated upstreams.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isOfTraffic, OUTAGE, startTraffic } from "../../scripts/sample_traffic.mjs";
import { root } from "../../scripts/setup.mjs";
import { simulatedVars } from "../../scripts/simulated.mjs";
import { startSimulator } from "../../simulator/simulator.mjs";
import { withGateway } from "../e2e/gateway.mjs";

test("only the lines of this traffic are kept from the terminal", () => {
  assert.equal(isOfTraffic('{"event":"request","trace_id":"9ff73df4921275deb42a8fe4a18431e4"}'), false);
  assert.equal(isOfTraffic("[wrangler:info] GET /admin/api/health 200 OK (3ms)"), false);
  assert.equal(isOfTraffic("[wrangler:error] something broke"), false);
});

test("the traffic of npm start goes to several models, succeeds, and has a fallback in each outage", async () => {
  const simulator = await startSimulator();
  const vars = simulatedVars(simulator);
  const routes = readFileSync(join(root, "routes.json"), "utf8");
  try {
    await withGateway({ routes, vars }, async (gateway) => {
      const outage = { ...OUTAGE, for_ms: 60_000, every_ms: 1_000 };
      const traffic = startTraffic({ url: gateway.url, key: vars.SWITCHYARD_KEY, controlUrl: simulator.control.url, pauseMs: 20, outage });
      const lines = () => gateway.logs.filter((line) => line.includes('"event":"request"')).map((line) => JSON.parse(line.slice(line.indexOf("{"))));
      try {
        while (!lines().some(({ fallback, outcome }) => fallback && outcome === "ok")) {
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      } finally {
        traffic.stop();
      }
      assert.ok(gateway.logs.filter((line) => line.includes('"event":"request"')).every(isOfTraffic), "its lines are known by their trace");
      const done = lines().filter(({ outcome }) => outcome !== "client_left");
      assert.deepEqual(new Set(done.map(({ outcome }) => outcome)), new Set(["ok"]), "an outage of one region fails no request");
      assert.ok(new Set(done.map(({ model }) => model)).size > 5);
      assert.ok(done.some(({ stream }) => stream));
    });
  } finally {
    await simulator.close();
  }
});
