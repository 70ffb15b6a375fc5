// The link between isolates: what it costs a request (nothing), and what happens while it is broken (requests are served).

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { chat } from "./document.mjs";
import { after, eventually, gateOf, healthOf, withIsolates, rateLimit, served, traffic } from "./isolates.mjs";

const SHARD = "default/enam";
const calls = (simulator) => simulator.calls("openai").length;
const saying = (gateway, pattern) => gateway.logs.filter((line) => pattern.test(line));
// A document that is not looked for again during a test, and first requests that wait for nobody.
const steady = (health = {}) => ({ settings: { refresh_seconds: 3600, health } });

// The isolate has heard from its object: only one report is under way at a time.
const inContact = (isolate) =>
  eventually("the isolate has heard from the object", async () => {
    await served(isolate);
    return (await healthOf(isolate, "openai")).object !== null && (await isolate.intercept()).reports > 1;
  });

// An isolate fails five times, or more often where it has had much traffic, and stays away then.
async function trip(simulator, isolate) {
  const before = calls(simulator);
  await simulator.fault("openai", { fault: "overloaded" });
  const isAway = async () => {
    const asked = calls(simulator);
    for (let request = 0; request < 3; request += 1) assert.equal(await served(isolate), "azure-eastus");
    return calls(simulator) === asked;
  };
  await eventually("the isolate stays away", isAway, { everyMs: 0 });
  assert.ok(calls(simulator) >= before + 5);
  await simulator.clearFaults("openai");
}

// Most of the time these tests wait: so they wait together.
describe("the link between isolates", { concurrency: 3 }, () => {
  describe("in the steady state no request waits", { concurrency: 2 }, () => {
    test("for KV or for the object: they are asked by the clock, however many requests there are", () =>
      withIsolates({ intercept: true, isolates: 2, ...steady() }, async ({ gateway }) => {
        for (const isolate of gateway.isolates) await inContact(isolate);
        const before = await Promise.all(gateway.isolates.map((isolate) => isolate.intercept()));
        const began = Date.now();
        const requests = await traffic(gateway.isolates, { clients: 4, stop: after(2500) });
        const seconds = (Date.now() - began) / 1000;
        for (const [index, isolate] of gateway.isolates.entries()) {
          const now = await isolate.intercept();
          assert.equal(now.kv_reads, before[index].kv_reads);
          const asked = now.reports - before[index].reports;
          assert.ok(asked <= 1 + seconds, `${asked} reports in ${seconds} s`);
          assert.ok(asked >= 1, "it does report");
          assert.ok(requests > 5 * asked, `${requests} requests, ${asked} reports`);
        }
      }));

    test("for an object that does not answer", () =>
      withIsolates({ intercept: true, ...steady() }, async ({ simulator, gateway }) => {
        const [isolate] = gateway.isolates;
        await inContact(isolate);
        await isolate.intercept({ object: "hangs" });
        const { reports } = await isolate.intercept();
        await eventually("a report hangs", async () => {
          await served(isolate);
          return (await isolate.intercept()).reports > reports;
        });
        const before = Date.now();
        for (let request = 0; request < 40; request += 1) await served(isolate, { stream: request % 2 === 0 });
        assert.ok(Date.now() - before < 5000, "far less than the ten seconds after which a report counts as lost");
        await trip(simulator, isolate);
        assert.equal((await isolate.intercept()).reports, reports + 1, "one report is under way at a time");
      }));
  });

  describe("a cold isolate", { concurrency: 2 }, () => {
    const patient = { settings: { health: { first_snapshot_ms: 1000 } } };

    test("knows of an ejection with its very first request", () =>
      withIsolates({ isolates: 2, ...patient }, async ({ simulator, gateway }) => {
        const [warm, cold] = gateway.isolates;
        await simulator.fault("openai", { fault: "quota", times: 1 });
        assert.equal(await served(warm), "azure-eastus");
        await eventually("the object knows", async () => (await healthOf(warm, "openai")).object?.gate.state === "open");
        assert.equal(await served(cold), "azure-eastus");
        assert.equal(calls(simulator), 1);
      }));

    // How long first and later requests take, where the machine is at its quickest.
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

    test("waits for an object that hangs as long as it may, and only once", () =>
      withIsolates({ intercept: true, isolates: 3, ...patient }, async ({ gateway }) => {
        const { first, later } = await times(gateway, "hangs");
        assert.ok(first >= 950 && first < 5000, `${first} ms`);
        assert.ok(later < 900, `${later} ms`);
      }));

    test("does not wait for an object that refuses", () =>
      withIsolates({ intercept: true, isolates: 3, ...patient }, async ({ gateway }) => {
        const { first } = await times(gateway, "throws");
        assert.ok(first < 900, `${first} ms`);
      }));
  });

  describe("an object that starts anew", { concurrency: 2 }, () => {
    test("still knows which gates are open, and for whom", () =>
      withIsolates({ isolates: 2, settings: { health: { first_snapshot_ms: 1000 } } }, async ({ simulator, gateway }) => {
        const [warm, cold] = gateway.isolates;
        await trip(simulator, warm);
        await eventually("the object knows", async () => (await healthOf(warm, "openai")).object?.gate.state === "open");
        const { until } = (await healthOf(warm, "openai")).object.gate;
        await gateway.evict(SHARD);
        const { gate } = (await healthOf(warm, "openai")).object;
        assert.deepEqual([gate.state, gate.until, gate.reason.kind], ["open", until, "consecutive_failures"]);
        assert.equal(await served(cold), "azure-eastus");
        assert.equal(calls(simulator), 5);
      }));

    test("again and again under load disturbs nobody, and what is ejected comes back", () =>
      withIsolates({ isolates: 2 }, async ({ simulator, gateway }) => {
        let isOver = false;
        const load = traffic(gateway.isolates, { clients: 2, pauseMs: 10, stop: () => isOver });
        const story = async () => {
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
        await Promise.all([load, story().finally(() => (isOver = true))]);
        assert.deepEqual(saying(gateway, /uncaught/), []);
      }));
  });

  test("tells the hub of all regions what holds everywhere, and nothing else", () =>
    withIsolates({ isolates: 1 }, async ({ simulator, gateway }) => {
      await trip(simulator, gateway.isolates[0]);
      await simulator.fault("eastus", { fault: "quota", times: 1 });
      assert.equal(await served(gateway), "azure-westeurope");
      const known = await eventually("the hub has heard of it", async () => {
        await served(gateway);
        const deployments = await gateway.view("default/hub");
        return deployments.some(({ gate }) => gate.state === "open") && deployments;
      });
      assert.deepEqual(known.map(({ identity, gate }) => [identity.split("@")[0], gate.reason.kind]), [["azure-eastus", "quota"]]);
    }));

  describe("while the object", { concurrency: 3 }, () => {
    const ways = [
      ["throws", "throws"],
      ["hangs", "hangs"],
      ["answers 500", { status: 500, text: "internal error" }],
      ["answers garbage", { status: 200, text: "<html>{{{" }],
      ["answers null", { status: 200, text: "null" }],
      ["speaks another version", { fields: { v: 2 } }],
    ];
    for (const [what, object] of ways) {
      test(`${what}, isolates eject by themselves, say once what is the matter, and share again when it is back`, () =>
        withIsolates({ intercept: true, isolates: 2, ...steady({ first_snapshot_ms: 0 }) }, async ({ simulator, gateway }) => {
          const [first, second] = gateway.isolates;
          for (const isolate of gateway.isolates) await inContact(isolate);
          for (const isolate of gateway.isolates) await isolate.intercept({ object });
          await traffic(gateway.isolates, { stop: after(1300), pauseMs: 5 });
          await trip(simulator, first);
          assert.equal(await served(second), "openai", "it has heard nothing");
          await trip(simulator, second);
          await traffic(gateway.isolates, { stop: after(500), pauseMs: 5 });
          if (object !== "hangs") {
            const lines = saying(gateway, /does not answer/);
            assert.equal(lines.length, 2, `one line for each isolate:\n${lines.join("\n")}`);
          }
          for (const isolate of gateway.isolates) await isolate.intercept({ object: null });
          // What one of them learns now, the other hears of.
          await simulator.fault("eastus", { fault: "quota", times: 1 });
          assert.equal(await served(first), "azure-westeurope");
          await eventually("they share again", async () => {
            for (const isolate of gateway.isolates) await served(isolate);
            return (await gateOf(second, "azure-eastus")) === "open";
          }, { withinMs: 25_000 });
        }));
    }

    test("says more than this version understands, it is understood as far as it goes", () =>
      withIsolates({ intercept: true, isolates: 2, ...steady() }, async ({ simulator, gateway }) => {
        const [first, second] = gateway.isolates;
        const fields = { weather: { wind: 7 }, advice: ["rest"] };
        for (const isolate of gateway.isolates) {
          await isolate.intercept({ object: { fields } });
          await inContact(isolate);
        }
        await simulator.fault("openai", { fault: "quota", times: 1 });
        assert.equal(await served(first), "azure-eastus");
        await eventually("the other one knows", async () => {
          await served(second);
          return (await gateOf(second, "openai")) === "open";
        });
        assert.deepEqual(saying(gateway, /does not answer/), []);
      }));
  });

  describe("a new document", { concurrency: 2 }, () => {
    test("leaves what is known of the deployments that it does not change", () =>
      withIsolates({}, async ({ simulator, gateway, options: { routes } }) => {
        await trip(simulator, gateway.isolates[0]);
        await simulator.fault("eastus", { fault: "quota", times: 1 });
        assert.equal(await served(gateway), "azure-westeurope");
        const { deployments } = routes;
        const changed = { ...deployments, "azure-eastus": { ...deployments["azure-eastus"], deployment: "gpt-4o-mini-eastus" } };
        const before = calls(simulator);
        await gateway.putRoutes({ ...routes, deployments: { another: deployments.openai, ...changed } });
        await eventually("the new document serves", async () => (await served(gateway)) === "azure-eastus");
        assert.equal(await gateOf(gateway, "openai"), "open");
        assert.equal(await gateOf(gateway, "azure-eastus"), "closed", "it is another deployment now");
        assert.equal(calls(simulator), before);
      }));

    test("does not mix deployments up for a request that began before it", () => {
      const models = {
        patient: { targets: ["openai", "azure-westeurope"], timeout: { headers_ms: 4000 } },
        vectors: { targets: ["azure-eastus-embed", "openai-embed"] },
      };
      return withIsolates({ models }, async ({ simulator, gateway, options: { routes } }) => {
        await simulator.fault("openai", { fault: { silence: true }, when: { operation: "chat/completions" } });
        const waiting = served(gateway, { model: "patient" });
        await eventually("it is under way", () => calls(simulator) === 1);
        // One more at the head of the list, and one is out where another was before.
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

    test("while requests are under way lets them end by the earlier one, and leaves nothing in flight behind", () =>
      withIsolates({}, async ({ simulator, gateway, options: { routes } }) => {
        await simulator.fault("openai", { fault: { slow_headers_ms: 2500 }, times: 3 });
        const slow = Promise.all(Array.from({ length: 3 }, () => served(gateway)));
        await eventually("they are under way", () => calls(simulator) === 3);
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
