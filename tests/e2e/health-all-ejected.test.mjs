// All deployments ejected: the client's error, and recovery. And the switches of an administrator.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { assertError, chat, fleet } from "./document.mjs";
import { startGateway } from "./gateway.mjs";
import {
  admin, ADMIN_TOKEN, eventually, gateOf, healthOf, withIsolates, NAMES, ONCE, rateLimit, served, servedBy, UPSTREAMS,
} from "./isolates.mjs";

const everywhere = (simulator, spec) => Promise.all(UPSTREAMS.map((name) => simulator.fault(name, spec)));
const callsOf = (simulator) => UPSTREAMS.reduce((sum, name) => sum + simulator.calls(name).length, 0);

// These tests mostly wait, so they run concurrently.
describe("ejection of all deployments, and manual switches", { concurrency: 2 }, () => {
  describe("when every deployment is ejected", { concurrency: 3 }, () => {
    const models = {
      probing: { targets: NAMES, ...ONCE },
      failing: { targets: NAMES, when_all_ejected: "fail", ...ONCE },
    };

    test("`fail` answers at once, with the time until the first deployment is back", () =>
      withIsolates({ models }, async ({ simulator, gateway }) => {
        for (const [index, name] of UPSTREAMS.entries()) {
          await simulator.fault(name, { fault: rateLimit(20_000 + 10_000 * index) });
        }
        const limited = await chat(gateway, { model: "failing" });
        assert.equal(limited.status, 429);
        await limited.text();
        const before = callsOf(simulator);
        const response = await chat(gateway, { model: "failing" });
        const waitMs = Number(response.headers.get("retry-after-ms"));
        assert.ok(waitMs > 15_000 && waitMs <= 20_000, `the first is back in 20 s at most: ${waitMs}`);
        assert.equal(Number(response.headers.get("retry-after")), Math.ceil(waitMs / 1000));
        assert.equal(response.headers.get("x-should-retry"), waitMs < 60_000 ? "true" : "false");
        const { message } = await assertError(response, 503, "no_eligible_deployment");
        assert.match(message, /rate limited/);
        assert.equal(callsOf(simulator), before, "no upstream was called");
      }));

    for (const object of [true, false]) {
      const where = object ? "with leases of the object" : "without an object";
      test(`\`probe\` detects early that a deployment is back, with one probe at a time, ${where}`, () =>
        withIsolates({ models, object }, async ({ simulator, gateway }) => {
          await everywhere(simulator, { fault: rateLimit(120_000) });
          await (await chat(gateway, { model: "probing" })).text();
          for (const name of NAMES) assert.equal(await gateOf(gateway, name), "open");
          await simulator.reset();
          await simulator.fault("openai", { fault: { slow_headers_ms: 300 } });
          await eventually("a client is served", async () => {
            const response = await chat(gateway, { model: "probing" });
            if (response.status !== 200) await assertError(response, 503, "no_eligible_deployment");
            else await response.text();
            return response.status === 200;
          });
          assert.ok(callsOf(simulator) <= NAMES.length, `${callsOf(simulator)} calls`);
        }));
    }

    test("`probe` under load makes few calls while nothing is back", () =>
      withIsolates({ models, isolates: 3 }, async ({ simulator, gateway }) => {
        await everywhere(simulator, { fault: "quota" });
        for (const isolate of gateway.isolates) await (await chat(isolate, { model: "probing" })).text();
        const before = callsOf(simulator);
        const began = Date.now();
        let requests = 0;
        while (Date.now() - began < 2000) {
          for (const isolate of gateway.isolates) {
            const response = await chat(isolate, { model: "probing" });
            assert.ok([429, 503].includes(response.status), String(response.status));
            await response.text();
            requests += 1;
          }
        }
        const calls = callsOf(simulator) - before;
        // One probe a second for each deployment, and the calls before the isolates knew.
        const seconds = (Date.now() - began) / 1000;
        assert.ok(calls <= 3 * (1 + seconds) + 6, `${calls} calls for ${requests} requests`);
        assert.ok(requests > calls, `${requests} requests`);
      }));
  });

  describe("an administrator", { concurrency: 3 }, () => {
    test("drains a deployment: at once here, within seconds elsewhere, and enables it again", () =>
      withIsolates({ isolates: 3 }, async ({ gateway }) => {
        const [first, ...others] = gateway.isolates;
        for (const isolate of gateway.isolates) assert.equal(await served(isolate), "openai");
        const drained = await admin(first, "deployments/openai/drain");
        assert.equal(drained.status, 200);
        assert.deepEqual(await drained.json(), { action: "drain", deployments: ["openai"] });
        assert.equal(await served(first), "azure-eastus");
        assert.equal(await gateOf(first, "openai"), "drained");
        assert.equal((await healthOf(first, "openai")).object.gate.state, "drained");
        for (const isolate of others) {
          await eventually("the isolate knows", async () => (await served(isolate)) === "azure-eastus");
        }
        // New instances of the objects still have the switch.
        await gateway.evict("default/enam");
        await gateway.evict("default/hub");
        for (const isolate of gateway.isolates) {
          assert.deepEqual(await servedBy(isolate, 3), { openai: 0, "azure-eastus": 3, "azure-westeurope": 0 });
        }
        assert.equal((await healthOf(first, "openai")).object.gate.state, "drained");
        assert.equal((await admin(others[0], "deployments/openai/enable")).status, 200);
        assert.equal(await served(others[0]), "openai");
        for (const isolate of gateway.isolates) {
          await eventually("it is back", async () => (await served(isolate)) === "openai");
        }
      }));

    test("drains a deployment for gateways that start later, too", async () => {
      const kvPersist = await mkdtemp(join(tmpdir(), "switchyard-"));
      try {
        await withIsolates({ kvPersist }, async ({ simulator, gateway }) => {
          assert.equal((await admin(gateway, "deployments/openai/drain")).status, 200);
          await gateway.close();
          const settings = { health: { first_snapshot_ms: 1000 } };
          const later = await startGateway({ ...fleet(simulator, { vars: { ADMIN_TOKEN }, settings }), kvPersist });
          try {
            assert.equal(await served(later), "azure-eastus");
          } finally {
            await later.close();
          }
        });
      } finally {
        await rm(kvPersist, { recursive: true });
      }
    });

    test("resets one deployment, or all", () =>
      withIsolates({ isolates: 2 }, async ({ simulator, gateway }) => {
        const [first, second] = gateway.isolates;
        const eject = async () => {
          await simulator.fault("openai", { fault: "quota", times: 1 });
          await simulator.fault("eastus", { fault: "quota", times: 1 });
          assert.equal(await served(first), "azure-westeurope");
          for (const isolate of gateway.isolates) {
            await eventually("both are out", async () => {
              await served(isolate);
              const gates = [await gateOf(isolate, "openai"), await gateOf(isolate, "azure-eastus")];
              return gates.every((gate) => gate === "open");
            });
          }
        };
        await eject();
        assert.equal((await admin(first, "deployments/openai/reset")).status, 200);
        assert.equal(await served(first), "openai");
        await eventually("it is back there as well", async () => (await served(second)) === "openai");
        assert.equal(await gateOf(second, "azure-eastus"), "open", "the other one stays out");
        await simulator.reset();
        await eject();
        const all = await admin(second, "deployments/reset");
        assert.equal(all.status, 200);
        assert.ok((await all.json()).deployments.length >= 10);
        assert.equal(await served(second), "openai");
        await eventually("all are back", async () => {
          await served(first);
          return (await gateOf(first, "openai")) === "closed" && (await gateOf(first, "azure-eastus")) === "closed";
        });
      }));

    test("gets an error that explains what is wrong with a call", () =>
      withIsolates({}, async ({ gateway }) => {
        const unknown = await assertError(await admin(gateway, "deployments/azure-eastsu/drain"), 404, "deployment_not_found");
        assert.match(unknown.message, /"?azure-eastus"?/);
        const wrongMethod = await admin(gateway, "deployments/openai/drain", { method: "GET" });
        assert.equal(wrongMethod.headers.get("allow"), "POST");
        await assertError(wrongMethod, 405);
        const posted = await admin(gateway, "health");
        assert.equal(posted.headers.get("allow"), "GET, HEAD");
        await assertError(posted, 405);
        await assertError(await admin(gateway, "deployments/openai/drain", { token: "wrong" }), 401, "invalid_admin_token");
        await assertError(await admin(gateway, "deployments/openai/pause"), 404);
        assert.equal(await served(gateway), "openai");
      }));

    test("gets an error without an object, since the switch is not shared; ejection and requests still work", () =>
      withIsolates({ object: false, isolates: 2 }, async ({ simulator, gateway }) => {
        const [first, second] = gateway.isolates;
        await assertError(await admin(first, "deployments/openai/drain"), 503, "switch_not_shared");
        assert.equal(await served(first), "azure-eastus", "the switch has effect in this isolate");
        assert.equal(await served(second), "openai");
        await simulator.fault("openai", { fault: "overloaded" });
        for (let request = 0; request < 7; request += 1) assert.equal(await served(second), "azure-eastus");
        assert.equal(simulator.calls("openai").length, 1 + 5);
        const health = await (await admin(first, "health", { method: "GET" })).json();
        assert.equal(health.object, null);
        assert.match(health.trouble, /HEALTH is missing/);
      }));
  });
});
