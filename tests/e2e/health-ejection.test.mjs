// Ejection: what ejects a deployment and for how long, and how other isolates learn of it.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { chat, connect, HI, trail } from "./document.mjs";
import { after, eventually, gateOf, healthOf, withIsolates, ONCE, rateLimit, served, traffic } from "./isolates.mjs";

const STREAM = { stream: true };
const LONG = [{ role: "user", content: `echo ${"word ".repeat(300)}` }];
const calls = (simulator, name = "openai") => simulator.calls(name).length;

// While the probe has no answer, the upstream must get no other call.
async function expectOneAtATime(simulator, probe) {
  let looks = 0;
  for (; ; looks += 1) {
    const count = calls(simulator);
    if (probe.outcome !== "open") break;
    assert.equal(count, 1, "probes at a time");
    await wait(50);
  }
  assert.ok(looks >= 5);
}

// These tests mostly wait, so they run concurrently.
describe("ejection", { concurrency: 3 }, () => {
  describe("an outage", { concurrency: 2 }, () => {
    test("that one isolate has detected ejects the deployment in the others before five failures of their own", () =>
      withIsolates({ isolates: 3 }, async ({ simulator, gateway }) => {
        const [first, ...others] = gateway.isolates;
        for (const isolate of gateway.isolates) assert.equal(await served(isolate), "openai");
        await simulator.fault("openai", { fault: "overloaded" });
        for (let request = 0; request < 6; request += 1) assert.equal(await served(first), "azure-eastus");
        assert.equal(calls(simulator), 3 + 5, "the first isolate stops by itself at the fifth failure");
        for (const isolate of others) {
          await eventually(
            "the isolate knows",
            async () => {
              await served(isolate);
              return (await gateOf(isolate, "openai")) === "open";
            },
            { everyMs: 600 },
          );
          const { consecutive_failures } = (await healthOf(isolate, "openai")).isolate;
          assert.ok(consecutive_failures < 5, `it failed ${consecutive_failures} times itself`);
        }
        const before = calls(simulator);
        for (const isolate of gateway.isolates) assert.equal(await served(isolate), "azure-eastus");
        assert.equal(calls(simulator), before);
      }));

    test("under load causes no client errors, and ends with one probe at a time", () =>
      withIsolates({ isolates: 3 }, async ({ simulator, gateway }) => {
        let isOver = false;
        const load = traffic(gateway.isolates, { clients: 4, pauseMs: 20, stop: () => isOver });
        const scenario = async () => {
          await wait(500);
          await simulator.fault("openai", { fault: "overloaded" });
          for (const isolate of gateway.isolates) {
            await eventually("it is ejected everywhere", async () => (await gateOf(isolate, "openai")) === "open");
          }
          // The outage is over, but the first answer is slow. Other requests meanwhile must not
          // become a second probe.
          await simulator.reset();
          await simulator.fault("openai", { fault: { slow_headers_ms: 1500, slow_first_token_ms: 100 }, times: 1 });
          await expectOneAtATime(simulator, await simulator.seen("openai", () => true, 20_000));
          for (const isolate of gateway.isolates) {
            await eventually("it is back everywhere", async () => (await gateOf(isolate, "openai")) === "closed");
            await eventually("it serves there", async () => (await served(isolate)) === "openai");
          }
        };
        await Promise.all([load, scenario().finally(() => (isOver = true))]);
      }));

    test("by a rate limit ends at its time for all isolates, with one probe", () =>
      withIsolates({ isolates: 3 }, async ({ simulator, gateway }) => {
        for (const isolate of gateway.isolates) await served(isolate);
        await simulator.fault("openai", { fault: rateLimit(4000), times: 1 });
        const limitedAt = Date.now();
        await served(gateway.isolates[0]);
        for (const isolate of gateway.isolates) {
          await eventually("the isolate knows", async () => {
            await served(isolate);
            return (await gateOf(isolate, "openai")) === "open";
          }, { withinMs: 3500 });
        }
        await simulator.reset();
        await simulator.fault("openai", { fault: { slow_headers_ms: 1500 }, times: 1 });
        let isOver = false;
        const load = traffic(gateway.isolates, { pauseMs: 20, stop: () => isOver, bodies: [{}] });
        const scenario = async () => {
          const probe = await simulator.seen("openai", () => true);
          const tookMs = Date.parse(probe.time) - limitedAt;
          assert.ok(tookMs >= 3990, `the probe came ${tookMs} ms after a rate limit of 4000 ms`);
          await expectOneAtATime(simulator, probe);
          for (const isolate of gateway.isolates) {
            await eventually("it serves again", async () => (await served(isolate)) === "openai");
          }
        };
        await Promise.all([load, scenario().finally(() => (isOver = true))]);
      }));

    test("that continues when the probe comes extends the ejection", () =>
      withIsolates({}, async ({ simulator, gateway }) => {
        await simulator.fault("openai", { fault: rateLimit(1100), times: 1 });
        assert.equal(await served(gateway), "azure-eastus");
        await simulator.fault("openai", { fault: "overloaded" });
        await eventually("a probe has failed", async () => {
          assert.equal(await served(gateway), "azure-eastus");
          return calls(simulator) === 2;
        });
        const { gate } = (await healthOf(gateway, "openai")).isolate;
        assert.equal(gate.reason.kind, "probe_failed");
        assert.ok(gate.until - Date.now() > 5000, "the ejection is longer than before");
        await traffic([gateway], { stop: after(500) });
        assert.equal(calls(simulator), 2);
      }));
  });

  describe("an error about the deployment itself is known everywhere within seconds:", { concurrency: 2 }, () => {
    for (const [error, kind] of [["quota", "quota"], ["bad_key", "auth"], ["forbidden", "blocked"]]) {
      test(error, () =>
        withIsolates({ isolates: 3 }, async ({ simulator, gateway }) => {
          const [first, ...others] = gateway.isolates;
          for (const isolate of gateway.isolates) assert.equal(await served(isolate), "openai");
          await simulator.fault("openai", { fault: error });
          assert.equal(await served(first), "azure-eastus");
          assert.equal(calls(simulator), 3 + 1);
          await served(first);
          assert.equal(calls(simulator), 3 + 1, "one such answer is enough");
          for (const isolate of others) {
            await eventually("the isolate knows", async () => {
              await served(isolate);
              return (await gateOf(isolate, "openai")) === "open";
            });
            const { gate } = (await healthOf(isolate, "openai")).isolate;
            assert.equal(gate.reason.kind, kind);
            assert.ok(gate.until - Date.now() > 200_000, "for minutes");
          }
        }));
    }

    test("an operation that it does not offer is avoided there, and other operations are served", () => {
      const models = { vectors: { targets: ["openai", "azure-eastus-embed"] } };
      return withIsolates({ isolates: 2, models }, async ({ simulator, gateway }) => {
        const embed = async (isolate) => {
          const response = await chat(isolate, { model: "vectors", input: "hi", messages: undefined }, { path: "/v1/embeddings" });
          assert.equal(response.status, 200, `${trail(response)}: ${await response.text()}`);
          return response.headers.get("x-switchyard-attempts");
        };
        const [first, second] = gateway.isolates;
        await simulator.fault("openai", { fault: "unsupported_operation", when: { operation: "embeddings" } });
        assert.equal(await served(second), "openai");
        assert.equal(await embed(first), "2");
        assert.equal(await embed(first), "1");
        await eventually("the other isolate knows", async () => (await embed(second)) === "1");
        for (const isolate of gateway.isolates) assert.equal(await served(isolate), "openai");
        const { gate, missing } = (await healthOf(second, "openai")).isolate;
        assert.equal(gate.state, "closed");
        assert.deepEqual(missing.map(([operation]) => operation), ["embeddings"]);
      });
    });
  });

  describe("five of these in a row eject a deployment:", { concurrency: 2 }, () => {
    const counts = [
      ["an error behind a 200", { error_body: true }, {}, 200],
      ["an error as the first event of a stream", { error_after: 0 }, STREAM, 200],
      ["a stream that is cut after the commit point", { cut_after: 3 }, STREAM, 200],
      ["a stream that ends early after the commit point", { end_after: 3 }, STREAM, 200],
      ["an error event after the commit point", { error_after: 3 }, STREAM, 200],
      ["a stream that stalls after the commit point", { stall_after: 3 }, STREAM, 200],
      ["a refused connection", { refuse: true }, {}, 200],
      ["silence", { silence: true }, {}, 200],
    ];
    for (const [what, fault, body] of counts) {
      test(what, () =>
        withIsolates({ settings: { timeout: { headers_ms: 1500, idle_ms: 1500 } } }, async ({ simulator, gateway }) => {
          assert.equal(await served(gateway, body), "openai");
          await simulator.fault("openai", { fault });
          await Promise.all(Array.from({ length: 5 }, async () => (await chat(gateway, body)).text()));
          await eventually("it is ejected", async () => (await gateOf(gateway, "openai")) === "open");
          assert.equal(await served(gateway, body), "azure-eastus");
        }));
    }
  });

  describe("these never eject a deployment:", { concurrency: 2 }, () => {
    for (const error of ["content_filter", "invalid_request", "context_window"]) {
      test(error, () =>
        withIsolates({}, async ({ simulator, gateway }) => {
          await simulator.fault("openai", { fault: error });
          for (let request = 0; request < 12; request += 1) {
            assert.equal((await chat(gateway)).status, 400);
          }
          assert.equal(calls(simulator), 12);
          await expectHealthy(gateway);
        }));
    }

    const leaving = [
      // [what, fault, body, whether to wait for content]
      ["before the headers", { silence: true }, {}, false],
      ["before the first content of a stream", { stall_after: 1 }, STREAM, false],
      ["in the middle of a stream", { pause_ms: 30 }, { ...STREAM, messages: LONG }, true],
    ];
    for (const [what, fault, body, waits] of leaving) {
      test(`clients that leave ${what}`, () =>
        withIsolates({}, async ({ simulator, gateway }) => {
          await simulator.fault("openai", { fault });
          const clients = Array.from({ length: 6 }, () => connect(gateway, { model: "chat", messages: HI, ...body }));
          await eventually("all have arrived", () => calls(simulator) === 6);
          if (waits) await Promise.all(clients.map(({ content }) => content));
          for (const client of clients) client.leave();
          await expectHealthy(gateway);
        }));
    }

    test("a provisioned deployment that spills over for milliseconds", () => {
      const models = { spill: { targets: ["azure-eastus", "azure-westeurope"], ...ONCE } };
      return withIsolates({ models }, async ({ simulator, gateway }) => {
        const spill = rateLimit(200, { "azure-openai-deployment-utilization": "100%" });
        await simulator.fault("eastus", { fault: spill, times: 8 });
        for (let request = 0; request < 100 && calls(simulator, "eastus") < 8; request += 1) {
          assert.match(await served(gateway, { model: "spill" }), /^azure-/);
        }
        assert.equal(await gateOf(gateway, "azure-eastus"), "closed");
      });
    });

    async function expectHealthy(gateway) {
      await eventually("nothing is in flight any more", async () => {
        const { isolate } = await healthOf(gateway, "openai");
        assert.equal(isolate.gate.state, "closed");
        assert.equal(isolate.failures, 0);
        return isolate.in_flight === 0;
      });
    }
  });
});
