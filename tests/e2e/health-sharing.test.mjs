// Sharing of health between isolates through the Durable Object. In the steady state it delays no
// request, and requests are served while the object fails.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { chat } from "./document.mjs";
import { after, eventually, gateOf, healthOf, withIsolates, rateLimit, served, traffic } from "./isolates.mjs";

const SHARD = "default/enam";
const calls = (simulator) => simulator.calls("openai").length;
const logLines = (gateway, pattern) => gateway.logs.filter((line) => pattern.test(line));
// No refresh of the routes document during a test, and no first request that waits for the object.
const steady = (health = {}) => ({ settings: { refresh_seconds: 3600, health } });

// Resolves when the isolate has had an answer from the object. It sends a second report only after
// the answer to the first.
const objectAnswers = (isolate) =>
  eventually("the object has answered the isolate", async () => {
    await served(isolate);
    return (await healthOf(isolate, "openai")).object !== null && (await isolate.intercept()).reports > 1;
  });

// Makes a deployment fail until the isolate ejects it: after five failures, or more if the isolate
// has had much traffic.
async function eject(simulator, isolate) {
  const before = calls(simulator);
  await simulator.fault("openai", { fault: "overloaded" });
  const isEjected = async () => {
    const callsBefore = calls(simulator);
    for (let request = 0; request < 3; request += 1) assert.equal(await served(isolate), "azure-eastus");
    return calls(simulator) === callsBefore;
  };
  await eventually("the isolate has ejected it", isEjected, { everyMs: 0 });
  assert.ok(calls(simulator) >= before + 5);
  await simulator.clearFaults("openai");
}

// These tests mostly wait, so they run concurrently.
describe("health that isolates share", { concurrency: 3 }, () => {
  describe("in the steady state no request waits", { concurrency: 2 }, () => {
    test("for KV or for the object: the frequency of calls does not depend on the number of requests", () =>
      withIsolates({ intercept: true, isolates: 2, ...steady() }, async ({ gateway }) => {
        for (const isolate of gateway.isolates) await objectAnswers(isolate);
        const before = await Promise.all(gateway.isolates.map((isolate) => isolate.intercept()));
        const began = Date.now();
        const requests = await traffic(gateway.isolates, { clients: 4, stop: after(2500) });
        const seconds = (Date.now() - began) / 1000;
        for (const [index, isolate] of gateway.isolates.entries()) {
          const now = await isolate.intercept();
          assert.equal(now.kv_reads, before[index].kv_reads);
          const reports = now.reports - before[index].reports;
          assert.ok(reports <= 1 + seconds, `${reports} reports in ${seconds} s`);
          assert.ok(reports >= 1, "it does report");
          assert.ok(requests > 5 * reports, `${requests} requests, ${reports} reports`);
        }
      }));

    test("for an object that does not answer", () =>
      withIsolates({ intercept: true, ...steady() }, async ({ simulator, gateway }) => {
        const [isolate] = gateway.isolates;
        await objectAnswers(isolate);
        await isolate.intercept({ object: "hangs" });
        const { reports } = await isolate.intercept();
        await eventually("a report hangs", async () => {
          await served(isolate);
          return (await isolate.intercept()).reports > reports;
        });
        const before = Date.now();
        for (let request = 0; request < 40; request += 1) await served(isolate, { stream: request % 2 === 0 });
        assert.ok(Date.now() - before < 5000, "far less than the report timeout of ten seconds");
        await eject(simulator, isolate);
        assert.equal((await isolate.intercept()).reports, reports + 1, "only one report is in flight at a time");
      }));
  });

  describe("a cold isolate", { concurrency: 2 }, () => {
    const withWait = { settings: { health: { first_snapshot_ms: 1000 } } };

    test("knows of an ejection at its first request", () =>
      withIsolates({ isolates: 2, ...withWait }, async ({ simulator, gateway }) => {
        const [warm, cold] = gateway.isolates;
        await simulator.fault("openai", { fault: "quota", times: 1 });
        assert.equal(await served(warm), "azure-eastus");
        await eventually("the object knows", async () => (await healthOf(warm, "openai")).object?.gate.state === "open");
        assert.equal(await served(cold), "azure-eastus");
        assert.equal(calls(simulator), 1);
      }));

    // The shortest time of first and of later requests, over all isolates.
    const times = async (gateway, object) => {
      const quickest = { first: Infinity, later: Infinity };
      for (const isolate of gateway.isolates) {
        await isolate.intercept({ object });
        for (const which of ["first", "later", "later", "later"]) {
          const began = Date.now();
          assert.equal(await served(isolate), "openai");
          quickest[which] = Math.min(quickest[which], Date.now() - began);
        }
      }
      return quickest;
    };

    test("waits for an object that hangs up to `first_snapshot_ms`, and only once", () =>
      withIsolates({ intercept: true, isolates: 3, ...withWait }, async ({ gateway }) => {
        const { first, later } = await times(gateway, "hangs");
        assert.ok(first >= 950 && first < 5000, `${first} ms`);
        assert.ok(later < 900, `${later} ms`);
      }));

    test("does not wait for an object that throws", () =>
      withIsolates({ intercept: true, isolates: 3, ...withWait }, async ({ gateway }) => {
        const { first } = await times(gateway, "throws");
        assert.ok(first < 900, `${first} ms`);
      }));
  });

  describe("an object that is evicted", { concurrency: 2 }, () => {
    test("still knows which gates are open, and cold isolates learn of it", () =>
      withIsolates({ isolates: 2, settings: { health: { first_snapshot_ms: 1000 } } }, async ({ simulator, gateway }) => {
        const [warm, cold] = gateway.isolates;
        await eject(simulator, warm);
        await eventually("the object knows", async () => (await healthOf(warm, "openai")).object?.gate.state === "open");
        const { until } = (await healthOf(warm, "openai")).object.gate;
        await gateway.evict(SHARD);
        const { gate } = (await healthOf(warm, "openai")).object;
        assert.deepEqual([gate.state, gate.until, gate.reason.kind], ["open", until, "consecutive_failures"]);
        assert.equal(await served(cold), "azure-eastus");
        assert.equal(calls(simulator), 5);
      }));

    test("repeatedly under load causes no errors, and an ejected deployment comes back", () =>
      withIsolates({ isolates: 2 }, async ({ simulator, gateway }) => {
        let isOver = false;
        const load = traffic(gateway.isolates, { clients: 2, pauseMs: 10, stop: () => isOver });
        const scenario = async () => {
          await simulator.fault("openai", { fault: rateLimit(1500), times: 1 });
          for (let round = 0; round < 8; round += 1) {
            await gateway.evict(SHARD);
            await wait(150);
          }
          await eventually("it is back everywhere", async () => {
            const gates = await Promise.all(gateway.isolates.map((isolate) => gateOf(isolate, "openai")));
            return gates.every((gate) => gate === "closed");
          }, { withinMs: 15_000 });
        };
        await Promise.all([load, scenario().finally(() => (isOver = true))]);
        assert.deepEqual(logLines(gateway, /uncaught/), []);
      }));
  });

  test("the shard reports to the hub only what holds in all regions", () =>
    withIsolates({ isolates: 1 }, async ({ simulator, gateway }) => {
      await eject(simulator, gateway.isolates[0]);
      await simulator.fault("eastus", { fault: "quota", times: 1 });
      assert.equal(await served(gateway), "azure-westeurope");
      const known = await eventually("the hub knows", async () => {
        await served(gateway);
        const deployments = await gateway.view("default/hub");
        return deployments.some(({ gate }) => gate.state === "open") && deployments;
      });
      assert.deepEqual(known.map(({ identity, gate }) => [identity.split("@")[0], gate.reason.kind]), [["azure-eastus", "quota"]]);
    }));

  describe("while the object", { concurrency: 3 }, () => {
    const failures = [
      ["throws", "throws"],
      ["hangs", "hangs"],
      ["answers 500", { status: 500, text: "internal error" }],
      ["answers text that is not JSON", { status: 200, text: "<html>{{{" }],
      ["answers null", { status: 200, text: "null" }],
      ["answers with another version", { fields: { v: 2 } }],
    ];
    for (const [what, object] of failures) {
      test(`${what}, isolates eject by themselves, log it once, and share again when it is back`, () =>
        withIsolates({ intercept: true, isolates: 2, ...steady({ first_snapshot_ms: 0 }) }, async ({ simulator, gateway }) => {
          const [first, second] = gateway.isolates;
          for (const isolate of gateway.isolates) await objectAnswers(isolate);
          for (const isolate of gateway.isolates) await isolate.intercept({ object });
          await traffic(gateway.isolates, { stop: after(1300), pauseMs: 5 });
          await eject(simulator, first);
          assert.equal(await served(second), "openai", "it does not know");
          await eject(simulator, second);
          await traffic(gateway.isolates, { stop: after(500), pauseMs: 5 });
          if (object !== "hangs") {
            const lines = logLines(gateway, /does not answer/);
            assert.equal(lines.length, 2, `one line for each isolate:\n${lines.join("\n")}`);
          }
          for (const isolate of gateway.isolates) await isolate.intercept({ object: null });
          // Now the second isolate learns of what the first one detects.
          await simulator.fault("eastus", { fault: "quota", times: 1 });
          assert.equal(await served(first), "azure-westeurope");
          await eventually("they share again", async () => {
            for (const isolate of gateway.isolates) await served(isolate);
            return (await gateOf(second, "azure-eastus")) === "open";
          }, { withinMs: 25_000 });
        }));
    }

    test("answers with unknown fields, they are ignored", () =>
      withIsolates({ intercept: true, isolates: 2, ...steady() }, async ({ simulator, gateway }) => {
        const [first, second] = gateway.isolates;
        const fields = { weather: { wind: 7 }, advice: ["rest"] };
        for (const isolate of gateway.isolates) {
          await isolate.intercept({ object: { fields } });
          await objectAnswers(isolate);
        }
        await simulator.fault("openai", { fault: "quota", times: 1 });
        assert.equal(await served(first), "azure-eastus");
        await eventually("the other isolate knows", async () => {
          await served(second);
          return (await gateOf(second, "openai")) === "open";
        });
        assert.deepEqual(logLines(gateway, /does not answer/), []);
      }));
  });

  describe("a new document", { concurrency: 2 }, () => {
    test("keeps the health of deployments that it does not change", () =>
      withIsolates({}, async ({ simulator, gateway, options: { routes } }) => {
        await eject(simulator, gateway.isolates[0]);
        await simulator.fault("eastus", { fault: "quota", times: 1 });
        assert.equal(await served(gateway), "azure-westeurope");
        const { deployments } = routes;
        const changed = { ...deployments, "azure-eastus": { ...deployments["azure-eastus"], deployment: "gpt-4o-mini-eastus" } };
        const before = calls(simulator);
        await gateway.putRoutes({ ...routes, deployments: { another: deployments.openai, ...changed } });
        await eventually("the new document serves", async () => (await served(gateway)) === "azure-eastus");
        assert.equal(await gateOf(gateway, "openai"), "open");
        assert.equal(await gateOf(gateway, "azure-eastus"), "closed", "it is a different deployment now");
        assert.equal(calls(simulator), before);
      }));

    test("does not confuse deployments for a request that began before it", () => {
      const models = {
        patient: { targets: ["openai", "azure-westeurope"], timeout: { headers_ms: 4000 } },
        vectors: { targets: ["azure-eastus-embed", "openai-embed"] },
      };
      return withIsolates({ models }, async ({ simulator, gateway, options: { routes } }) => {
        await simulator.fault("openai", { fault: { silence: true }, when: { operation: "chat/completions" } });
        const waiting = served(gateway, { model: "patient" });
        await eventually("it is in flight", () => calls(simulator) === 1);
        // A deployment at the head of the list shifts the indexes, so that an ejected deployment
        // gets the index that another one had.
        await gateway.putRoutes({ ...routes, deployments: { "a-new-one": routes.deployments.openai, ...routes.deployments } });
        await eventually("the new document serves", async () => {
          await served(gateway, { model: "chat-eastus" });
          return (await healthOf(gateway, "a-new-one")) !== undefined;
        });
        await simulator.fault("eastus", { fault: "quota", when: { operation: "embeddings" } });
        const vectors = await chat(gateway, { model: "vectors", input: "hi", messages: undefined }, { path: "/v1/embeddings" });
        assert.equal(vectors.headers.get("x-switchyard-deployment"), "openai-embed", await vectors.text());
        assert.equal(await gateOf(gateway, "azure-eastus-embed"), "open");
        assert.equal(await waiting, "azure-westeurope");
      });
    });

    test("lets requests in flight end by the earlier document, and none is counted as in flight afterwards", () =>
      withIsolates({}, async ({ simulator, gateway, options: { routes } }) => {
        await simulator.fault("openai", { fault: { slow_headers_ms: 2500 }, times: 3 });
        const slow = Promise.all(Array.from({ length: 3 }, () => served(gateway)));
        await eventually("they are in flight", () => calls(simulator) === 3);
        await gateway.putRoutes({ ...routes, deployments: { another: routes.deployments.openai, ...routes.deployments } });
        await eventually("the new document serves", async () => {
          await served(gateway, { model: "chat-eastus" });
          return (await healthOf(gateway, "another")) !== undefined;
        });
        assert.equal((await healthOf(gateway, "openai")).isolate.in_flight, 0);
        assert.deepEqual(await slow, ["openai", "openai", "openai"]);
        assert.equal((await healthOf(gateway, "openai")).isolate.in_flight, 0);
      }));
  });
});
