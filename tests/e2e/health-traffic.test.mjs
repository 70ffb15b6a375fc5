// The choice of a deployment by headroom, limits, latency and requests in flight; hedges and
// stickiness.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { chat, trail } from "./document.mjs";
import { eventually, healthOf, withIsolates, NAMES, ONCE, served, servedBy } from "./isolates.mjs";

const AZURES = ["azure-eastus", "azure-westeurope"];
const STREAM = { stream: true };

// These tests mostly wait, so they run concurrently.
describe("the choice of a deployment", { concurrency: 2 }, () => {
  describe("traffic shifts before the first 429", { concurrency: 3 }, () => {
    test("by the remaining requests in the headers of a deployment", () => {
      const models = { half: { strategy: "weighted", targets: AZURES } };
      return withIsolates({ models }, async ({ simulator, gateway }) => {
        const headers = {
          "x-ratelimit-limit-requests": "600",
          "x-ratelimit-remaining-requests": "6",
          "x-ratelimit-reset-requests": "60",
        };
        await simulator.fault("eastus", { fault: { headers } });
        assert.equal(await served(gateway, { model: "chat-eastus" }), "azure-eastus");
        const counts = await servedBy(gateway, 60, { model: "half" });
        assert.ok(counts["azure-eastus"] < 20, JSON.stringify(counts));
      });
    });

    test("by the utilization in the headers of a provisioned deployment", () => {
      const models = { first: { targets: AZURES } };
      return withIsolates({ models }, async ({ simulator, gateway }) => {
        const fault = { headers: { "azure-openai-deployment-utilization": "99.5%" } };
        await simulator.fault("eastus", { fault });
        assert.equal(await served(gateway, { model: "chat-eastus" }), "azure-eastus");
        const counts = await servedBy(gateway, 40, { model: "first" });
        assert.ok(counts["azure-eastus"] < 15, JSON.stringify(counts));
      });
    });

    test("by configured limits, which the isolate counts", () => {
      const limited = (all) => ({ ...all, openai: { ...all.openai, limits: { rpm: 60 } } });
      return withIsolates({}, async ({ simulator, gateway, options: { routes } }) => {
        // Valid headers of the deployment would have precedence over the limits.
        const invalid = { "x-ratelimit-remaining-requests": "?", "x-ratelimit-remaining-tokens": "?" };
        await simulator.fault("openai", { fault: { headers: invalid } });
        await gateway.putRoutes({ ...routes, deployments: limited(routes.deployments) });
        await eventually("the limits are known", async () => {
          await served(gateway, { model: "chat-eastus" });
          return (await healthOf(gateway, "openai")).isolate.headroom !== null;
        });
        const counts = await servedBy(gateway, 40);
        assert.ok(counts.openai >= 1 && counts.openai < 15, JSON.stringify(counts));
      });
    });
  });

  describe("the strategy", { concurrency: 3 }, () => {
    test("latency prefers the faster deployment", () => {
      const models = { fast: { strategy: "latency", targets: AZURES } };
      return withIsolates({ models }, async ({ simulator, gateway }) => {
        await simulator.fault("eastus", { fault: { slow_headers_ms: 500 } });
        for (const body of [{}, STREAM]) {
          for (const model of ["chat-eastus", "chat-westeurope"]) await servedBy(gateway, 3, { model, ...body });
          const counts = await servedBy(gateway, 20, { model: "fast", ...body });
          assert.ok(counts["azure-westeurope"] >= 15, JSON.stringify(counts));
        }
      });
    });

    test("least_busy prefers the deployment with fewer requests in flight", () => {
      const models = { idle: { strategy: "least_busy", targets: AZURES } };
      return withIsolates({ models }, async ({ simulator, gateway }) => {
        await simulator.fault("eastus", { fault: { slow_headers_ms: 3000 }, times: 4 });
        const busy = Promise.all(Array.from({ length: 4 }, () => served(gateway, { model: "chat-eastus" })));
        await eventually("four are in flight", () => simulator.calls("eastus").length === 4);
        assert.deepEqual(await servedBy(gateway, 10, { model: "idle" }), {
          ...Object.fromEntries(NAMES.map((name) => [name, 0])),
          "azure-westeurope": 10,
        });
        await busy;
        const together = await Promise.all(Array.from({ length: 10 }, () => served(gateway, { model: "idle" })));
        const onEastus = together.filter((name) => name === "azure-eastus").length;
        assert.ok(onEastus >= 2 && onEastus <= 8, `${onEastus} of ten at once`);
      });
    });
  });

  describe("a hedge", { concurrency: 3 }, () => {
    const hedged = (after, more) => ({ models: { hedged: { targets: NAMES, hedge: { after, max_share: 1 }, ...ONCE, ...more } } });

    for (const body of [{}, STREAM]) {
      test(`answers for a slow deployment, whose call is cancelled and not counted as a failure${body.stream ? ", streaming" : ""}`, () =>
        withIsolates(hedged(100), async ({ simulator, gateway }) => {
          await simulator.fault("openai", { fault: { silence: true } });
          const response = await chat(gateway, { model: "hedged", ...body });
          assert.equal(response.headers.get("x-switchyard-deployment"), "azure-eastus", trail(response));
          assert.equal(response.headers.get("x-switchyard-attempts"), "2");
          await response.text();
          await simulator.seen("openai", ({ outcome }) => outcome === "aborted");
          await eventually("nothing is in flight", async () => {
            const { isolate } = await healthOf(gateway, "openai");
            assert.equal(isolate.failures, 0);
            return isolate.in_flight === 0;
          });
          const { isolate } = await healthOf(gateway, "azure-eastus");
          assert.equal(isolate.successes, 1);
        }));
    }

    test("that is slower than the first attempt is cancelled", () =>
      withIsolates(hedged(100), async ({ simulator, gateway }) => {
        await simulator.fault("openai", { fault: { slow_headers_ms: 700 } });
        await simulator.fault("eastus", { fault: { silence: true } });
        assert.equal(await served(gateway, { model: "hedged" }), "openai");
        await simulator.seen("eastus", ({ outcome }) => outcome === "aborted");
        assert.equal((await healthOf(gateway, "azure-eastus")).isolate.failures, 0);
      }));

    test("replaces the first attempt if that fails; if both fail, the third deployment serves", () =>
      withIsolates(hedged(100), async ({ simulator, gateway }) => {
        await simulator.fault("openai", { fault: { slow_headers_ms: 400, error: "overloaded" } });
        await simulator.fault("eastus", { fault: { slow_headers_ms: 400, error: "overloaded" } });
        assert.equal(await served(gateway, { model: "hedged" }), "azure-westeurope");
      }));

    test("is never made for a response that would be stored twice", () =>
      withIsolates(hedged(50, { targets: ["openai", "azure-westeurope"] }), async ({ simulator, gateway }) => {
        await simulator.fault("openai", { fault: { slow_headers_ms: 500 } });
        const ask = async (more) => {
          const body = { model: "hedged", input: "hi", messages: undefined, ...more };
          const response = await chat(gateway, body, { path: "/v1/responses" });
          assert.equal(response.status, 200, await response.clone().text());
          await response.text();
          return response.headers.get("x-switchyard-deployment");
        };
        assert.equal(await ask({}), "openai");
        assert.equal(simulator.calls("westeurope").length, 0);
        // Only a hedge can answer this one, however slow the machine is.
        await simulator.reset();
        await simulator.fault("openai", { fault: { silence: true } });
        assert.equal(await ask({ store: false }), "azure-westeurope");
      }));

    test("waits for the p95 latency, once that is known", () =>
      withIsolates(hedged("p95"), async ({ simulator, gateway }) => {
        for (let request = 0; request < 20; request += 1) {
          assert.match(await served(gateway, { model: "hedged" }), /^(openai|azure-eastus)$/);
        }
        await simulator.fault("openai", { fault: { silence: true } });
        await eventually("one is hedged", async () => (await served(gateway, { model: "hedged" })) === "azure-eastus");
        await simulator.seen("openai", ({ outcome }) => outcome === "aborted");
        assert.equal((await healthOf(gateway, "openai")).isolate.failures, 0);
      }));

    test("is made for at most `max_share` of the requests", () => {
      const models = { hedged: { targets: NAMES, hedge: { after: 20, max_share: 0.25 } } };
      return withIsolates({ models }, async ({ simulator, gateway }) => {
        await simulator.fault("openai", { fault: { slow_headers_ms: 150 } });
        await servedBy(gateway, 20, { model: "hedged" });
        assert.equal(simulator.calls("eastus").length, 5);
      });
    });
  });

  describe("sticky requests go to one deployment, in every isolate:", { concurrency: 3 }, () => {
    const keysBy = [
      ["user", (key) => [{ user: key }]],
      ["header:x-conversation", (key) => [{}, { headers: { "x-conversation": key } }]],
      ["prompt_cache_key", (key) => [{ prompt_cache_key: key }]],
    ];
    for (const [by, request] of keysBy) {
      test(`by ${by}`, () => {
        const models = { sticky: { strategy: "random", targets: NAMES, sticky: { by } } };
        return withIsolates({ isolates: 3, models }, async ({ simulator, gateway }) => {
          const where = async (isolate, key) => {
            const [body, init] = request(key);
            return served(isolate, { model: "sticky", ...body }, init);
          };
          const keys = Array.from({ length: 8 }, (_, index) => `conversation-${index}-of-${by}`);
          const preferred = new Map();
          for (const key of keys) {
            const found = new Set();
            for (const isolate of [...gateway.isolates, ...gateway.isolates]) found.add(await where(isolate, key));
            assert.equal(found.size, 1, `${key}: ${[...found]}`);
            preferred.set(key, [...found][0]);
          }
          assert.ok(new Set(preferred.values()).size > 1, "keys are spread");
          // While a deployment is down, its keys go elsewhere and the others stay.
          const down = preferred.get(keys[0]);
          await simulator.fault(down.replace("azure-", ""), { fault: "overloaded" });
          for (const key of keys) {
            const now = await where(gateway.isolates[0], key);
            if (preferred.get(key) === down) assert.notEqual(now, down);
            else assert.equal(now, preferred.get(key));
          }
        });
      });
    }

    test("by client", () => {
      const models = { sticky: { strategy: "random", targets: NAMES, sticky: { by: "client" } } };
      return withIsolates({ isolates: 2, models }, async ({ gateway }) => {
        const found = new Set();
        for (let round = 0; round < 8; round += 1) {
          for (const isolate of gateway.isolates) found.add(await served(isolate, { model: "sticky" }));
        }
        assert.equal(found.size, 1, [...found].join());
      });
    });
  });
});
